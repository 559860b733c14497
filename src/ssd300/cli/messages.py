"""What verbs print: on stderr messages, where errors came from, a progress line; on stdout JSON and facts.

Also the exit code of many inputs.
"""

import json
import os
import sys
import time
import traceback
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ssd300.digits import is_set
from ssd300.terminal import as_shown, obeys_escapes, printable

if TYPE_CHECKING:
    from rich.console import Console

    from ssd300.flow import Failure

PIPED_WIDTH = 160  # characters of a table where stdout is no terminal
MANY = 10  # the line is shown for at least this many pictures
_SECONDS_BETWEEN = 0.1
_PACKAGE, _OTHERS = Path(__file__).parents[1], warnings.formatwarning
ERASE = "\r\033[K"


def debugging() -> bool:
    """Whether --debug, or SSD300_DEBUG, asks for where errors came from."""
    return is_set("SSD300_DEBUG")


def show_trace(error: BaseException) -> None:
    if debugging():
        traceback.print_exception(error)


def say(text: str) -> None:
    """Write a line to stderr, safe for a terminal."""
    print(printable(text), file=sys.stderr)


def print_message(text: str) -> None:
    say(f"ssd300: {text}")


def format_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning of the package as its other messages: where it was raised in the code says nothing to users."""
    if Path(filename).is_relative_to(_PACKAGE):
        return f"ssd300: {printable(str(message))}\n"
    return _OTHERS(message, category, filename, lineno, line)


def print_json(value: Any, indent: int) -> None:
    print(as_shown(json.dumps(value, indent=indent, ensure_ascii=False), sys.stdout))


def table_console() -> "Console":
    """For tables on stdout. With NO_COLOR they are plain: rich alone would keep bold and italics."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPED_WIDTH
    return Console(width=width, highlight=False, color_system=None if os.environ.get("NO_COLOR") else "auto")


def print_facts(report: dict[str, dict[str, Any]]) -> None:
    """Print the titles that have facts, and each fact on a line."""
    for title, facts in report.items():
        if facts:
            print(title)
            wide = max(map(len, facts))
            for name, value in facts.items():
                shown = f"{value:g}" if isinstance(value, float) else printable(str(value))
                print(f"  {name:<{wide}}  {shown}".rstrip())


def print_failures(failures: "Iterable[Failure]", before: str = "  ") -> None:
    for failure in failures:
        show_trace(failure.error)
        say(f"{before}{failure.error}")


def exit_code(done: int, failed: int, *, interrupted: bool) -> int:
    """0 all done, 1 some inputs failed, 2 nothing was done, 130 interrupted."""
    if interrupted:
        return 130
    return 0 if not failed else 1 if done else 2


class ProgressLine:
    """`120/500 pictures, 40.1 pictures/s, 0:09 left`; silent for few pictures and without a terminal that erases.

    `with` erases it at the end, `clear` before results go to stdout, which may be the same terminal. Not from a
    library, because those print other output through their own formatting, or to stderr.
    """

    def __init__(self, total: int = 0) -> None:
        self._total = total
        self._done = self._first = 0  # pictures; when the clock started
        self._started = time.perf_counter()
        self._drawn = 0.0
        self._visible = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Erase the line: call it before anything else is written."""
        if self._visible:
            sys.stderr.write(ERASE)
            sys.stderr.flush()
            self._visible = False

    def show(self, done: int, total: int | None = None) -> None:
        """Draw the line with `done` pictures, and another `total` if given, unless it was drawn very recently.

        Where the count begins again, as for another split, the clock does, too.
        """
        now = time.perf_counter()
        if done < self._done:
            self._first, self._started = done, now
        self._done = done
        self._total = self._total if total is None else total
        shown = self._total >= MANY and obeys_escapes(sys.stderr)
        if not shown or (self._visible and now - self._drawn < _SECONDS_BETWEEN):
            return
        line = f"{done}/{self._total} pictures"
        if done > self._first:
            rate = (done - self._first) / (now - self._started)
            left = round((self._total - done) / rate)
            line += f", {rate:.1f} pictures/s, {left // 60}:{left % 60:02d} left"
        sys.stderr.write(ERASE + line)
        sys.stderr.flush()
        self._drawn, self._visible = now, True

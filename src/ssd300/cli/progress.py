"""A progress line on stderr that is erased before results go to stdout, which may be the same terminal."""

import sys
import time

MANY = 10  # the line is shown for at least this many pictures
_SECONDS_BETWEEN = 0.1
ERASE = "\r\033[K"


class ProgressLine:
    """`120/500 pictures, 40.1 pictures/s, 0:09 left`; silent for few pictures and if stderr is not a terminal.

    Not from a library, because those print other output through their own formatting, or to stderr.
    """

    def __init__(self, total: int = 0) -> None:
        self._total = total
        self._started = time.perf_counter()
        self._drawn = 0.0
        self._visible = False

    def clear(self) -> None:
        """Erase the line: call it before anything else is written."""
        if self._visible:
            sys.stderr.write(ERASE)
            sys.stderr.flush()
            self._visible = False

    def show(self, done: int, total: int | None = None) -> None:
        """Draw the line with `done` pictures, and another `total` if given, unless it was drawn very recently."""
        now = time.perf_counter()
        self._total = self._total if total is None else total
        shown = self._total >= MANY and sys.stderr.isatty()
        if not shown or (self._visible and now - self._drawn < _SECONDS_BETWEEN):
            return
        line = f"{done}/{self._total} pictures"
        if done:
            rate = done / (now - self._started)
            left = round((self._total - done) / rate)
            line += f", {rate:.1f} pictures/s, {left // 60}:{left % 60:02d} left"
        sys.stderr.write(ERASE + line)
        sys.stderr.flush()
        self._drawn, self._visible = now, True

"""A progress line on stderr that makes way for results on stdout, which may be the same terminal."""

import sys
import time

MANY = 10  # pictures from which on the line is shown
_SECONDS_BETWEEN = 0.1
_ERASE = "\r\033[K"


class ProgressLine:
    """`120/500 pictures, 40.1 pictures/s, 0:09 left`; silent for few pictures and where stderr is no terminal.

    A line of our own, because those of libraries print what comes between through their own formatting, or to stderr.
    """

    def __init__(self, total: int = 0) -> None:
        self._total = total
        self._started = time.perf_counter()
        self._drawn = 0.0
        self._visible = False

    def clear(self) -> None:
        """Make way: call it before anything else is written."""
        if self._visible:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
            self._visible = False

    def show(self, done: int, total: int | None = None) -> None:
        """Draw the line with `done` pictures, of another `total` where it is given, unless it was just drawn."""
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
        sys.stderr.write(_ERASE + line)
        sys.stderr.flush()
        self._drawn, self._visible = now, True

"""Limit the pixels that are decoded at once, which bounds memory for any number of pictures or threads."""

import ctypes
import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from ssd300 import limits
from ssd300.cpu import default_threads
from ssd300.images.forks import after_fork

_LARGE = 2**24


class PixelBudget:
    """Grants pixels to threads, in order of request, up to `limit` in total; more only to a single picture."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._own = threading.local()
        self.forget_other_threads()

    def forget_other_threads(self) -> None:
        """After a fork they do not exist, and would never release what they hold."""
        self.taken: int = self._own.pixels if getattr(self._own, "inside", False) else 0
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextmanager
    def share(self) -> Iterator[None]:
        """Release the pixels that this thread takes inside at the end; of nested contexts, the outermost releases."""
        if getattr(self._own, "inside", False):
            yield
            return
        self._own.inside, self._own.pixels = True, 0
        try:
            yield
        finally:
            pixels, self._own.inside = self._own.pixels, False
            if pixels > _LARGE:
                _give_back_memory()
            if pixels:
                with self._changed:
                    self.taken -= pixels
                    self._changed.notify_all()

    @property
    def held_here(self) -> bool:
        """Whether this thread holds pixels."""
        return getattr(self._own, "inside", False) and self._own.pixels > 0

    def take(self, pixels: int) -> None:
        """Wait until these pixels fit; nothing outside of `share`. A thread that holds some never waits for more."""
        if not getattr(self._own, "inside", False):
            return
        ticket = object()
        with self._changed:
            if not self._own.pixels:
                self._waiting.append(ticket)
                try:
                    while self._waiting[0] is not ticket or (self.taken and self.taken + pixels > self.limit):
                        self._changed.wait()
                finally:
                    self._waiting.remove(ticket)
                    self._changed.notify_all()
            self.taken += pixels
            self._own.pixels += pixels


def _give_back_memory() -> None:
    """Return freed memory to the system: glibc keeps it per thread, and a large picture needs 500 MB and more."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


# One picture at the limit, or 16 megapixels per CPU: a large machine decodes phone pictures in parallel.
IN_FLIGHT = PixelBudget(max(limits.PIXELS, default_threads() * limits.PIXELS_PER_CPU))
after_fork(IN_FLIGHT.forget_other_threads)

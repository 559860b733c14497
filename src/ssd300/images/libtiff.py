"""Prevent Pillow's TIFF reader and libtiff from writing to stderr; our errors have the information."""

import ctypes
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_SETTERS = ("TIFFSetErrorHandler", "TIFFSetWarningHandler")

_logger = logging.getLogger("PIL.TiffImagePlugin")
_lock = threading.Lock()
_inside = 0
_before: list[Any] = []


@contextmanager
def quiet_libtiff() -> Iterator[None]:
    """Remove the handlers of libtiff when the first thread enters; restore them when the last one leaves."""
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            _before[:] = [_logger.disabled, *(set_handler(None) for set_handler in _setters())]
            _logger.disabled = True
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _logger.disabled = _before[0]
                for set_handler, handler in zip(_setters(), _before[1:], strict=True):
                    set_handler(handler)


@cache
def _setters() -> tuple[Any, ...]:
    """libtiff's two functions, found through Pillow's module; empty if Pillow links libtiff statically."""
    from PIL import _imaging

    try:
        library = ctypes.CDLL(_imaging.__file__)
        found = [getattr(library, name) for name in _SETTERS]
    except (OSError, AttributeError):
        return ()
    for set_handler in found:
        set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
    return tuple(found)

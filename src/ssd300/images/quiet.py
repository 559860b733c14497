"""Keep Pillow, its TIFF reader and libtiff from warnings, logs and lines on stderr; our errors have the information."""

import ctypes
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

from PIL import _imaging

from ssd300.images.forks import after_fork

_PILLOW = r"PIL\."  # its modules

_logger = logging.getLogger("PIL.TiffImagePlugin")
_lock = threading.Lock()
_inside = 0
_undo = ExitStack()


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silence Pillow (corrupt metadata, large pictures): a picture is read, or an ImageError is raised.

    From when the first thread enters until the last one leaves.
    """
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            _silence()
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _undo.close()


def _forget_other_threads() -> None:
    global _lock, _inside
    _lock, _inside = threading.Lock(), 0
    _undo.close()


after_fork(_forget_other_threads)


def _silence() -> None:
    # One filter entry: `warnings.catch_warnings` replaces the whole list and is not thread-safe.
    warnings.filterwarnings("ignore", module=_PILLOW)
    _undo.callback(_remove_filter)
    _undo.callback(setattr, _logger, "disabled", _logger.disabled)
    _logger.disabled = True
    for set_handler in _libtiff_setters():
        _undo.callback(set_handler, set_handler(None))


def _remove_filter() -> None:
    for entry in warnings.filters:
        if entry[0] == "ignore" and getattr(entry[3], "pattern", None) == _PILLOW:
            warnings.filters.remove(entry)  # type: ignore[attr-defined]
            return


@cache
def _libtiff_setters() -> tuple[Any, ...]:
    """The functions that set libtiff's handlers, found through Pillow's module; none if it links libtiff statically."""
    try:
        library = ctypes.CDLL(_imaging.__file__)
        found = (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler)
    except (OSError, AttributeError):
        return ()
    for set_handler in found:
        set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
    return found

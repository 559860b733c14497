"""Forked children, which have only the thread that forked: what other threads held or changed must be undone there."""

import ctypes
import os
import weakref
from collections.abc import Callable
from typing import Any

_waiting: "weakref.WeakSet[Any]" = weakref.WeakSet()


def after_fork(renew: Callable[[], None]) -> None:
    """Call `renew` in every process that is forked from now on, before its own code runs."""
    if hasattr(os, "register_at_fork"):  # Windows has no forks
        os.register_at_fork(after_in_child=renew)


def never_destroy_in_children(owner: Any) -> None:
    """Leak `owner` in every process that is forked from now on: its destructor would wait for its threads for ever."""
    _waiting.add(owner)


def _leak() -> None:
    for owner in _waiting:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(owner))


after_fork(_leak)

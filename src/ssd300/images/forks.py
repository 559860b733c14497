"""Forked children, which have only the thread that forked: what other threads held or changed must be undone there."""

import os
from collections.abc import Callable


def after_fork(renew: Callable[[], None]) -> None:
    """Call `renew` in every process that is forked from now on, before its own code runs."""
    if hasattr(os, "register_at_fork"):  # Windows has no forks
        os.register_at_fork(after_in_child=renew)

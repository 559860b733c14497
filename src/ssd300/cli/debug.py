"""Where errors came from, for --debug."""

import os
import traceback


def debugging() -> bool:
    """Whether --debug, or SSD300_DEBUG, asks for it."""
    return os.environ.get("SSD300_DEBUG", "") not in ("", "0")


def show_trace(error: BaseException) -> None:
    """Print where an error came from to stderr, if that is asked for."""
    if debugging():
        traceback.print_exception(error)

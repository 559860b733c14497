"""Where errors came from, for --debug."""

import traceback

from ssd300.digits import is_set


def debugging() -> bool:
    """Whether --debug, or SSD300_DEBUG, asks for it."""
    return is_set("SSD300_DEBUG")


def show_trace(error: BaseException) -> None:
    """Print where an error came from to stderr, if that is asked for."""
    if debugging():
        traceback.print_exception(error)

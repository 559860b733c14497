"""Ctrl-C and SIGTERM: noted at once, acted on when the step has ended and its state can be saved."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ssd300.learn.loader import ReaderLostError


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Within, Ctrl-C and SIGTERM only note themselves in the list, so that the step can end and be saved.

    Raises KeyboardInterrupt for the loader's RuntimeError when the same signal killed a process it was just starting.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if received:  # the second one is meant
            raise KeyboardInterrupt
        received.append(number)

    if threading.current_thread() is not threading.main_thread():  # only the main one hears signals
        yield received
        return
    old = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    except (RuntimeError, ReaderLostError) as error:
        if received and (isinstance(error, ReaderLostError) or str(error).startswith("DataLoader worker")):
            raise KeyboardInterrupt("stopped before a step") from error
        raise
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)

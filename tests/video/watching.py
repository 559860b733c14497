"""Taking frames of a live stream, and looking at its threads and counts."""

import threading
import time
from collections.abc import Callable

from ssd300.images.live import LiveStream
from video.clips import number_of


def watch(stream: LiveStream, enough: Callable[[list[tuple[int, int]]], bool], seconds: float = 20) -> list:
    """(index, number) of every frame taken until it is enough, the stream ends or the time is up; closes it."""
    stream.start()
    taken: list[tuple[int, int]] = []
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until and not enough(taken) and not (stream.ended and not stream.has_frame()):
            if frame := stream.take():
                taken.append((frame[0].index, number_of(frame[0].rgb)))
            time.sleep(0.002)
    finally:
        stream.close()
    return taken


def threads_of(stream: LiveStream) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"ssd300 {stream.name}"]


def check_counts(stream: LiveStream) -> None:
    counts = stream.counts
    assert counts.received == counts.given + counts.dropped + counts.passed

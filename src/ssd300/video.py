"""Detecting in video: files frame by frame with the network kept busy, cameras and streams at their newest frame."""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Literal

from ssd300.detections import Detections
from ssd300.errors import DownloadError, ImageError, SSD300Error
from ssd300.flow import Failure, detect_one
from ssd300.images.live import LiveStream
from ssd300.images.source import Source, Tell
from ssd300.images.video import ends_early, frames
from ssd300.images.video_names import is_camera, is_stream, shown_name
from ssd300.images.video_reader import Frame
from ssd300.many import detect_each
from ssd300.options import DetectOptions
from ssd300.runtime.base import Runtime

_LOOK_SECONDS = 1.0  # between two polls of streams of which none has a frame


@dataclass(frozen=True, eq=False)
class FrameDetections:
    """The objects of one frame.

    Attributes:
        stream: the index of the source
        source: its name, without a password
        frame: number of the frame in the source, from 0
        time_s: files: its time in the video; cameras and streams: since the first frame came, in seconds
        detections: the objects; its `picture` holds the frame's pixels
        age_s: cameras and streams: how long before this answer the frame came; None for files
        dropped: cameras and streams: number of frames skipped so far for newer ones
    """

    stream: int
    source: str
    frame: int
    time_s: float
    detections: Detections
    age_s: float | None = None
    dropped: int = 0


@dataclass(frozen=True)
class VideoOptions:
    """Which frames of each source are used; see `images.video.frames`."""

    every: int = 1
    start: float | None = None
    end: float | None = None
    on_error: Literal["raise", "yield"] = "raise"
    tell: Tell | None = None


Answers = Generator[FrameDetections | Failure, None, None]


def detect_video(
    runtime_of: Callable[[int], Runtime], sources: Iterable[Any], options: DetectOptions, video: VideoOptions
) -> Answers:
    """`Detector.detect_video`, for checked sources and options."""
    given = list(sources)
    options = replace(options, color="rgb")  # of the frames, which are no arrays of the caller
    if any(is_camera(source) or is_stream(source) for source in given):
        yield from _detect_live(runtime_of(0), given, options, video)
        return
    for number, source in enumerate(given):
        yield from _detect_file(runtime_of, number, source, options, video)


def _detect_file(
    runtime_of: Callable[[int], Runtime], number: int, source: Any, options: DetectOptions, video: VideoOptions
) -> Answers:
    """Decode frames in this thread while others are in the network; results come in order."""
    name = shown_name(source)
    begun: deque[tuple[int, float]] = deque()

    def pictures(found: Iterator[Frame]) -> Iterator[Source]:
        for frame in found:
            begun.append((frame.index, frame.time_s))
            yield Source(frame.rgb, name)

    try:
        with (
            closing(frames(source, every=video.every, start=video.start, end=video.end, tell=video.tell)) as found,
            closing(detect_each(runtime_of, pictures(found), options, lambda found: found)) as answers,
        ):
            for answer in answers:
                if isinstance(answer, Failure):  # never: frames are arrays
                    raise answer.error
                yield FrameDetections(number, name, *begun.popleft(), answer)
    except (ImageError, DownloadError) as error:
        if video.on_error == "raise":
            raise
        yield Failure(name, error)


class _FileFeed:
    """A file among streams: its next frame is always available."""

    def __init__(self, source: Any, video: VideoOptions) -> None:
        self.name, self.ended = shown_name(source), False
        self.error: SSD300Error | None = None
        self._frames = frames(source, every=video.every, start=video.start, end=video.end, tell=video.tell)

    def has_frame(self) -> bool:
        return not self.ended

    def take(self) -> tuple[Frame, float] | None:
        try:
            return next(self._frames), 0.0
        except StopIteration:
            self.ended = True
        except (ImageError, DownloadError) as error:
            self.ended, self.error = True, error
        return None

    def faults(self) -> list[str]:
        return []  # its frames tell them

    def stop(self) -> None:
        self._frames.close()

    close = stop


_Feed = LiveStream | _FileFeed


def _detect_live(runtime: Runtime, sources: list[Any], options: DetectOptions, video: VideoOptions) -> Answers:
    """Poll the streams in turn and take one frame of each that has one: a slow one does not delay the others."""
    ready = threading.Condition()
    feeds: list[_Feed] = []
    try:
        for source in sources:
            live = is_camera(source) or is_stream(source)
            feeds.append(LiveStream(source, every=video.every, ready=ready) if live else _FileFeed(source, video))
        for feed in feeds:
            if isinstance(feed, LiveStream):
                feed.start()
        waiting, last_s = deque(enumerate(feeds)), dict[int, float]()
        while waiting:
            with ready:
                ready.wait_for(lambda: any(feed.has_frame() or feed.ended for _, feed in waiting), _LOOK_SECONDS)
            for _ in range(len(waiting)):
                number, feed = waiting.popleft()
                taken = feed.take()
                if taken is not None:
                    last_s[number] = taken[0].time_s
                if taken is not None and (video.end is None or taken[0].time_s < video.end):
                    waiting.append((number, feed))
                    if taken[0].time_s >= (video.start or 0):
                        yield _make_result(runtime, number, feed, taken, options)
                elif taken is not None:
                    feed.close()
                    _tell(feed.faults(), video)
                elif not feed.ended or feed.has_frame():
                    waiting.append((number, feed))
                else:
                    yield from _report_end(feed, last_s.get(number), video)
    finally:
        for feed in feeds:  # all before any is waited for: each stream may take a second and a half
            feed.stop()
        for feed in feeds:
            feed.close()


def _make_result(
    runtime: Runtime, number: int, feed: _Feed, taken: tuple[Frame, float], options: DetectOptions
) -> FrameDetections:
    frame, arrived = taken
    found = detect_one(runtime, Source(frame.rgb, feed.name), options)
    if not isinstance(feed, LiveStream) or not feed.live:
        return FrameDetections(number, feed.name, frame.index, frame.time_s, found)
    age_s = time.perf_counter() - arrived
    return FrameDetections(number, feed.name, frame.index, frame.time_s, found, age_s, feed.counts.dropped)


def _report_end(feed: _Feed, last_s: float | None, video: VideoOptions) -> Iterator[Failure]:
    """Report the failures and damaged frames of a source that ended, with its last frame at `last_s`."""
    if feed.error is not None:
        if video.on_error == "raise":
            raise feed.error
        yield Failure(feed.name, feed.error)
    else:
        _tell([*feed.faults(), *ends_early(feed.name, last_s, video.start or 0.0)], video)


def _tell(messages: Iterable[str], video: VideoOptions) -> None:
    if video.tell:
        for words in messages:
            video.tell(words)

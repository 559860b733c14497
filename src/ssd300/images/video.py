"""The frames of a video file, each exactly once and in order, or of a camera or stream."""

from collections.abc import Generator
from contextlib import closing
from typing import Any

from ssd300.digits import as_plain
from ssd300.errors import ArgumentError
from ssd300.images.live import stream_frames
from ssd300.images.source import Tell
from ssd300.images.video_names import is_camera, is_stream, shown_name
from ssd300.images.video_open import open_video
from ssd300.images.video_reader import Frame, FrameReader


def frames(
    source: Any, *, every: int = 1, start: float | None = None, end: float | None = None, tell: Tell | None = None
) -> Generator[Frame, None, None]:
    """The frames of a video file, a camera or a stream. Close the iterator to stop early.

    Args:
        source: a file's path, a camera's number or device, an address (rtsp, rtmp, http, https).
        every: only frames whose number is a multiple of it.
        start: frames from this time on, in seconds; earlier frames are decoded, so that the numbers are correct.
        end: stop before the first frame at or after this time, in seconds.
        tell: called at the end with a message about damaged frames, a truncated file, or one that ends before `start`.

    Files give every frame once, in order. Cameras and streams give the newest frame; older ones are dropped.

    Raises ImageError or DownloadError for a source that cannot be read, ArgumentError, MissingExtraError.
    """
    every, start, end = check_range(every, start, end)
    if is_camera(source) or is_stream(source):
        return _select_range(stream_frames(source, every=every, tell=tell), start or 0.0, end, shown_name(source), tell)
    return _file_frames(source, every, start or 0.0, end, tell)


def check_range(every: int, start: float | None, end: float | None) -> tuple[int, float | None, float | None]:
    """These three, as Python's numbers. Raises ArgumentError unless they are valid."""
    every, start, end = as_plain((every, start, end))
    if not isinstance(every, int) or every < 1:
        raise ArgumentError(f"every must be a whole number of at least 1, got {every!r}")
    for name, value in (("start", start), ("end", end)):
        if value is not None and not (isinstance(value, int | float) and value >= 0):
            raise ArgumentError(f"{name} must be a number of seconds, at least 0, got {value!r}")
    if start is not None and end is not None and end <= start:
        raise ArgumentError(f"end must be after start, got start {start} and end {end}: no frame is between them")
    return every, start, end


def ends_early(name: str, last_s: float | None, start: float) -> list[str]:
    """A message for a video whose last frame, if it has any, comes before the time at which it should start."""
    if last_s is None or last_s >= start:
        return []
    return [f"{name}: no frame at {start:g} s or later, where it should start; the last is at {last_s:g} s"]


def _select_range(
    found: Generator[Frame, None, None], start: float, end: float | None, name: str, tell: Tell | None
) -> Generator[Frame, None, None]:
    last_s = None
    with closing(found):
        for frame in found:
            last_s = frame.time_s
            if end is not None and last_s >= end:
                return
            if last_s >= start:
                yield frame
    for words in ends_early(name, last_s, start):
        if tell:
            tell(words)


def _file_frames(
    source: Any, every: int, start: float, end: float | None, tell: Tell | None
) -> Generator[Frame, None, None]:
    name = shown_name(source)
    with closing(open_video(source)) as opened:
        reader = FrameReader(opened, name)
        for index, time_s, raw in reader.raw_frames():
            if end is not None and time_s >= end:
                messages = reader.damage.messages()
                break
            if time_s >= start and index % every == 0 and (rgb := reader.rgb(raw, index)) is not None:
                yield Frame(index, time_s, rgb)
        else:
            messages = [*reader.faults(), *ends_early(name, reader.last_s, start)]
        if tell:
            for words in messages:
                tell(words)

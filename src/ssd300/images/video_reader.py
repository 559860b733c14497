"""Decode the frames of an open video to RGB arrays with their number and time."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from ssd300.arrays import UInt8
from ssd300.errors import ImageError
from ssd300.images.forks import never_destroy_in_children
from ssd300.images.video_open import Opened, video_of
from ssd300.images.video_pixels import to_rgb
from ssd300.limits import FRAME_PIXELS

if TYPE_CHECKING:
    import av
    import av.container
    import av.video.frame
    import av.video.stream


Skip = Callable[[float | None, bool], bool]  # (seconds of a packet if known, whether it is a key frame) -> skip it

_MANY_PIXELS = 1280 * 720  # larger frames are decoded by several threads
_INSTANT = 1e-6  # seconds; frames that are closer have the same time
_DISORDER = 1.0  # seconds; where times fall by more, another recording begins
_DECLARED_LENGTH = ("matroska,webm", "flv")  # containers that declare their length in seconds, not in frames


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame: its number in the video from 0, its time in seconds from the start, RGB uint8 [H, W, 3], upright."""

    index: int
    time_s: float
    rgb: UInt8


@dataclass
class Damage:
    """The frames of a video that could not be decoded: their number, and the indices of the first ones."""

    name: str
    count: int = 0
    first: tuple[int, ...] = ()

    def add(self, index: int) -> None:
        self.count += 1
        if len(self.first) < 5:
            self.first = (*self.first, index)

    def messages(self) -> list[str]:
        """One message, if there are any."""
        places = ", ".join(map(str, self.first)) + (", ..." if self.count > len(self.first) else "")
        frames = "frame is" if self.count == 1 else "frames are"
        return [f"{self.name}: {self.count} damaged {frames} left out (number {places})"] if self.count else []


class FrameReader:
    """Decodes an open video."""

    def __init__(self, opened: Opened, name: str, skip: Skip = lambda time_s, key_frame: False) -> None:
        """`skip` is asked about each packet before it is decoded; after a skipped one the next must be a key frame.

        Raises ImageError if it has no video, or its frames are too large.
        """
        from av.codec.context import Flags
        from av.video.reformatter import VideoReformatter

        stream = video_of(opened.container)
        if stream is None:
            raise ImageError(f"{name}: there is no video in it; expected a file or stream with pictures")
        self._container = opened.container
        self._in_one_go = opened.file is not None and not opened.live and not opened.file.seekable()
        self._stream = stream
        self._name = name
        self._reformatter = VideoReformatter()
        self.damage = Damage(name)
        self.found = 0
        self.last_s = -math.inf  # the time of the last frame
        self._newest_step = math.inf  # seconds between the last two frames whose times grew
        self._listed = len(getattr(self._stream, "index_entries", ()))  # frames in the index; more are added by reading
        self._skip = skip
        self._cut = False
        context = self._stream.codec_context
        if context is None:
            raise ImageError(f"{name}: its video is of a kind that cannot be decoded")
        self._check_size(context.width, context.height)
        many = context.width * context.height >= _MANY_PIXELS
        # Threads that decode several frames at once delay frames, which live video must not.
        context.thread_type = "SLICE" if opened.live else "AUTO" if many else "NONE"
        context.thread_count = 0 if many else 1
        never_destroy_in_children(self)
        context.options = {"max_pixels": str(FRAME_PIXELS)}
        if not opened.live:  # frames that lack a key frame come, marked: those after them keep their numbers
            context.flags |= Flags.output_corrupt

    def _check_size(self, width: int, height: int) -> None:
        if width * height > FRAME_PIXELS:
            raise ImageError(
                f"{self._name}: frames of {width}x{height} are larger than the {FRAME_PIXELS:,} pixels that are read; "
                f"make the video smaller first"
            )

    def raw_frames(self) -> Iterator[tuple[int, float, "av.video.frame.VideoFrame"]]:
        """(number, seconds, frame) of each frame that can be decoded. Raises ImageError if there is none.

        A number stands for a place in the video: frames that are damaged or skipped have theirs. Seconds grow from
        frame to frame.
        """
        for index, raw in enumerate(self._decode()):
            if raw == "skipped":
                continue
            if isinstance(raw, str) or raw.is_corrupt:
                self.damage.add(index)
            else:
                self.last_s = self._next_s(raw)
                self.found += 1
                yield index, self.last_s, raw
        if not self.found:
            large = f"damaged, of a kind that FFmpeg does not decode, or larger than {FRAME_PIXELS:,} pixels"
            found = f"all {self.damage.count} that it holds are {large}" if self.damage.count else "it holds none"
            if self._in_one_go:
                found += ", or its index is at its end and its server does not send parts of files: download it"
            raise ImageError(f"{self._name}: not one frame can be decoded: {found}")

    def _next_s(self, raw: "av.video.frame.VideoFrame") -> float:
        """The time of the next frame: its own if that grows, else a step after the last one."""
        import av

        try:
            time_s = -math.inf if raw.pts is None else float(raw.pts * (raw.time_base or 0) - self._start_s())
        except (av.FFmpegError, ValueError, ZeroDivisionError, OverflowError):
            time_s = -math.inf
        if self.last_s < 0:  # the first frame
            return max(time_s, 0.0)
        if time_s > self.last_s + _INSTANT:
            self._newest_step = time_s - self.last_s
            return time_s
        # Where frames are close, steps of the mean would run ahead of the times that follow.
        step = self._newest_step if time_s > self.last_s - _DISORDER else math.inf
        return self.last_s + min(step, self._step())

    def _decode(self) -> Iterator["av.video.frame.VideoFrame | Literal['damaged', 'skipped']"]:
        """Frames in the order they are shown, or why there is none."""
        import av

        packets, skipping = self._container.demux(self._stream), False
        sent: list[int] = []  # the times of frames that were not decoded yet; they come in the order of their times
        lost = 0  # how many of them are damaged
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, ValueError):
                self._cut = True
                packet = None
            if packet is not None and packet.size and self._skip(_packet_time(packet), packet.is_keyframe):
                if not skipping and self._stream.codec_context is not None:
                    self._stream.codec_context.flush_buffers()
                skipping = True
                sent.clear()
                yield "skipped"
                continue
            skipping = False
            if packet is not None and packet.pts is not None:
                sent.append(packet.pts)
            try:
                # A container that broke off leaves frames in the decoder; one whose end was read does not.
                found = self._stream.decode(packet) if packet is not None or self._cut else []
            except (av.FFmpegError, ValueError, EOFError):
                lost += 1
                found = []
            for frame in found:
                ticks = math.inf if frame.pts is None else frame.pts
                passed = min(lost, sum(one < ticks for one in sent) if sent else lost)
                for _ in range(passed):
                    yield "damaged"
                lost -= passed
                sent = [one for one in sent if one > ticks]
                yield frame
            if packet is None:
                for _ in range(lost):
                    yield "damaged"
                return

    def rgb(self, raw: "av.video.frame.VideoFrame", index: int) -> UInt8 | None:
        """The pixels by `to_rgb`; None, counted as damaged, if they cannot be decoded."""
        import av

        try:
            return to_rgb(raw, self._reformatter)
        except (av.FFmpegError, ValueError, MemoryError):
            self.damage.add(index)
            return None

    def faults(self) -> list[str]:
        """Messages about skipped frames so far."""
        words = self.damage.messages()
        came = self.found + self.damage.count
        missing = self._expected(came) - came
        if self._cut or missing > 0:
            of = f" of {came + missing}" if missing > 0 else ""
            words.append(f"{self._name}: the file is cut off: it ends after {came}{of} frames")
        elif self._container.format.name in _DECLARED_LENGTH and self._container.duration:
            length_s = self._container.duration / 1_000_000 - float(self._start_s())  # which many count in
            if self.last_s < length_s - self._step() - 1:  # the sound may be a little longer
                words.append(
                    f"{self._name}: it should last {length_s:g} s, and its last frame is at {self.last_s:g} s: "
                    "it is damaged or cut off, or its sound is longer"
                )
        return words

    def _start_s(self) -> Fraction:
        """The time at which the file begins, in its own time, exact: frames lie where `start` and `end` may be."""
        start_s = Fraction(self._container.start_time or 0, 1_000_000)
        if self._stream.start_time is None or not self._stream.time_base:
            return start_s
        own_s = self._stream.start_time * self._stream.time_base
        return own_s if abs(own_s - start_s) < _INSTANT else start_s  # which FFmpeg rounds to microseconds

    def _step(self) -> float:
        """Seconds from frame to frame, in the mean."""
        rate = self._stream.average_rate or self._stream.guessed_rate
        return 1 / float(rate) if rate else 1 / 30

    def _expected(self, came: int) -> int:
        """The number of frames that the file declares, of which `came` came; 0 if it does not.

        Trimmed mp4 files hold more than they show. In AVI files empty frames repeat the one before, and are not listed
        in the index.
        """
        if "mp4" in self._container.format.name and hasattr(self._stream, "index_entries"):  # PyAV 15 has none
            return min(self._stream.frames, sum(not entry.is_discard for entry in self._stream.index_entries))
        return 0 if self._listed == came else self._stream.frames


def _packet_time(packet: "av.Packet[Any]") -> float | None:
    """Seconds at which a packet is decoded, in the stream's own time."""
    ticks = packet.pts if packet.dts is None else packet.dts
    return None if ticks is None or not packet.time_base else float(ticks * packet.time_base)

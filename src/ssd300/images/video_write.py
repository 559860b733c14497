"""Write video: drawn frames at the times of their source, with its shape of pixels and its sound. H.264 in mp4."""

import math
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ssd300.arrays import UInt8
from ssd300.errors import OutputError
from ssd300.files import replacing
from ssd300.images.video_open import open_media, require_av, video_of

if TYPE_CHECKING:
    import av
    import av.audio.stream
    import av.packet
    import av.video.stream

_TICKS = 90_000  # per second; the clock of MPEG
# Seconds until a frame, or a piece of sound, is repeated. mp4 holds 31 bits, and FFmpeg before 8 reads 28 of the time
# from the decoding of a frame to its display, which is up to five frames.
_LONGEST_SHOWN, _LONGEST_HEARD = 500, 9000
_MOST = 20_000  # repetitions
_BT601, _LIMITED = 5, 1  # the matrix and range with which FFmpeg converts from RGB unless told otherwise
_QUALITY = {"crf": "23", "preset": "veryfast"}


class VideoWriter:
    """An H.264 file that appears under its name when it is closed. Raises OutputError if it cannot be written.

    Frames of another size are cropped or padded to the size of the first. Odd sizes get one more row or column.
    """

    def __init__(self, path: Path, *, source: Path | None = None, sound: bool = True) -> None:
        """`source`: the video file of the frames, whose pixels may not be square; its sound is copied if wanted."""
        require_av()
        self.path = path
        self.frames = 0
        self._source, self._with_sound = source, sound
        self._stack = ExitStack()
        self._last = -1
        self._shown: av.VideoFrame | None = None  # the last frame
        self._stream: av.video.stream.VideoStream | None = None
        self._sound: _Sound | None = None

    def add(self, rgb: UInt8, time_s: float) -> None:
        """Add the next frame, RGB uint8 [H, W, 3], shown from `time_s` on."""
        import av

        try:
            if self._stream is None:
                self._open(rgb)
            assert self._stream is not None
            frame = av.VideoFrame.from_ndarray(_fit_size(rgb, self._stream.height, self._stream.width), format="rgb24")
            ticks = max(round(time_s * _TICKS), self._last + 1)
            if self._shown is not None:
                repeated = range(self._last, ticks, _LONGEST_SHOWN * _TICKS)[1:]
                if len(repeated) > _MOST:
                    days = (ticks - self._last) // (86_400 * _TICKS)
                    raise OutputError(f"{self.path}: its times jump by {days:,} days, too far for mp4; pass --no-save")
                for again in repeated:
                    self._encode(self._shown, again)
            self._shown, self._last = frame, ticks
            self._encode(frame, ticks)
            if self._sound is not None:
                self._sound.copy_until(time_s)
        except (av.FFmpegError, ValueError) as error:
            raise OutputError(f"{self.path}: cannot be written as a video ({error}); choose another folder") from error
        self.frames += 1

    def _encode(self, frame: "av.VideoFrame", ticks: int) -> None:
        assert self._stream is not None
        frame.pts, frame.time_base = ticks, Fraction(1, _TICKS)
        self._output.mux(self._stream.encode(frame))

    def _open(self, rgb: UInt8) -> None:
        import av

        temporary = self._stack.enter_context(replacing(self.path))
        self._output = self._stack.enter_context(av.open(f"file:{temporary.absolute()}", "w", format="mp4"))
        try:
            stream = self._output.add_stream("libx264", rate=30, options=_QUALITY)
        except av.error.EncoderNotFoundError:  # a PyAV built without it
            stream = self._output.add_stream("mpeg4", rate=30)
        stream.height, stream.width = (side + side % 2 for side in rgb.shape[:2])
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, _TICKS)
        # Declared, because players assume BT.709 for large frames without it, and show other colors.
        stream.codec_context.colorspace, stream.codec_context.color_range = _BT601, _LIMITED
        self._stream = stream
        if self._source is not None:
            source = self._stack.enter_context(open_media(f"file:{self._source.absolute()}"))
            stream.codec_context.sample_aspect_ratio = _pixel_aspect(video_of(source), rgb.shape)
            self._sound = _Sound.of(source, self._output) if self._with_sound else None

    def close(self, *, complete: bool = True) -> None:
        """Finish the file; without frames no file is written. `complete`: sound goes on after the last frame began."""
        import av

        if self._stream is None:
            return
        stream, self._stream = self._stream, None
        try:
            with self._stack:
                self._output.mux(stream.encode(None))
                if self._sound is not None and complete:
                    self._sound.copy_until(math.inf)
        except av.FFmpegError as error:
            raise OutputError(f"{self.path}: cannot be written as a video ({error}); choose another folder") from error

    def discard(self) -> None:
        """Remove the unfinished file, also where finishing it fails."""
        if self._stream is not None:
            import av

            self._stream = None
            error = OutputError("discarded")
            with suppress(OutputError, OSError, av.FFmpegError):
                self._stack.__exit__(type(error), error, None)


class _Sound:
    """The sound of a file, copied packet by packet into another one."""

    def __init__(
        self,
        packets: "Iterator[av.packet.Packet[Any]]",
        output: "av.container.OutputContainer",
        stream: "av.audio.stream.AudioStream",
        offset_s: float,
    ) -> None:
        self._packets, self._output, self._stream, self._offset_s = packets, output, stream, offset_s
        self._next: av.packet.Packet[Any] | None = next(packets, None)
        self._last = -1  # the time of the last packet; one that is not later, or years later, is damaged
        self._heard: av.packet.Packet[Any] | None = None  # the last packet

    @classmethod
    def of(cls, source: "av.container.InputContainer", output: "av.container.OutputContainer") -> "_Sound | None":
        """The sound of a file; None if it has none, or one that mp4 cannot hold."""
        import av
        from av.audio.stream import AudioStream

        audio = source.streams.best("audio")
        if not isinstance(audio, AudioStream) or audio.codec_context is None:
            return None
        layout = {1: "mono", 2: "stereo"}.get(audio.codec_context.layout.nb_channels)
        if layout is None and audio.codec_context.name.startswith("pcm"):
            return None
        try:
            stream = output.add_stream_from_template(audio)
        except (av.FFmpegError, ValueError):
            return None
        if layout is not None:  # AVI and others do not say it, and mp4 must
            stream.codec_context.layout = layout
        offset_s = (source.start_time or 0) / 1_000_000
        return cls(iter(source.demux(audio)), output, stream, offset_s)

    def copy_until(self, time_s: float) -> None:
        import av

        while self._next is not None and self._next.dts is not None:
            packet = self._next
            time_base = packet.time_base or Fraction(1, 1000)
            shift = round(self._offset_s / float(time_base))
            start = self._next.dts - shift
            if start * float(time_base) > time_s:
                return
            packet.dts = start
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.stream = self._stream
            repeated = range(self._last, start, round(_LONGEST_HEARD / time_base))[1:]
            if start > self._last and len(repeated) <= _MOST:
                if (heard := self._heard) is not None:
                    for again in repeated:  # in its own time base: writing it changed that
                        heard.pts, heard.dts, heard.duration, heard.time_base = again, again, packet.duration, time_base
                        self._output.mux(heard)
                self._last, self._heard = start, packet
                self._output.mux(packet)
            try:
                self._next = next(self._packets, None)
            except av.FFmpegError:  # the source is truncated
                self._next = None


def _pixel_aspect(video: "av.video.stream.VideoStream | None", shape: tuple[int, ...]) -> Fraction:
    """Width by height of a pixel in the frames of a source, which were turned if they have another shape."""
    if video is None or not video.sample_aspect_ratio:
        return Fraction(1)
    aspect = video.sample_aspect_ratio
    return aspect if shape[:2] == (video.height, video.width) else 1 / aspect


def _fit_size(rgb: UInt8, height: int, width: int) -> UInt8:
    """Crop the frame to height and width, or pad it by repeating its last row and column."""
    part = rgb[:height, :width]
    missing = (height - part.shape[0], width - part.shape[1])
    if not any(missing):
        return np.ascontiguousarray(part)
    return np.pad(part, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")

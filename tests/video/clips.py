"""Video clips made for the tests: every frame says its number."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ssd300.images.video_reader import Frame

CODECS = {"libx264": "mp4", "libx265": "mp4", "libvpx-vp9": "webm", "libsvtav1": "mp4", "mpeg4": "avi", "mjpeg": "mov"}


def picture(number: int, width: int = 320, height: int = 240) -> np.ndarray:
    """A flat picture with eight fields that spell the number in bits: field k is white where bit k is set."""
    pixels = np.full((height, width, 3), 90, np.uint8)
    for bit in range(8):
        if number >> bit & 1:
            pixels[: height // 2, bit * width // 8 : (bit + 1) * width // 8] = 230
    pixels[height // 2 :, :, 0] = 200  # the lower half is reddish: up is known
    return pixels


def number_of(rgb: np.ndarray) -> int:
    """The number that `picture` wrote."""
    height, width = rgb.shape[:2]
    row = rgb[height // 4].mean(1)
    return sum(int(row[(2 * bit + 1) * width // 16] > 160) << bit for bit in range(8))


def numbers(found: Iterable[Frame]) -> list[int]:
    """The numbers that `picture` wrote into the frames."""
    return [number_of(frame.rgb) for frame in found]


def write_clip(
    path: Path,
    count: int = 30,
    *,
    codec: str = "libx264",
    size: tuple[int, int] = (320, 240),
    times: list[float] | None = None,
    rate: int = 25,
    sound: str = "",
    seconds: float = 0,
    rotation: int = 0,
    pixel_aspect: Fraction = Fraction(1),
    options: dict[str, str] | None = None,
    format: str | None = None,
) -> Path:
    """`count` frames at `rate`, or at `times` in seconds; `sound` lasts as long, or `seconds`."""
    with av.open(str(path), "w", format=format) as output:
        stream = output.add_stream(codec, rate=rate, options=options or {"g": "10"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "rgb8" if codec == "gif" else "yuv420p"
        stream.codec_context.sample_aspect_ratio = pixel_aspect
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        tone = output.add_stream(sound, rate=16000) if sound else None
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24").reformat(format=stream.pix_fmt)
            if times is not None:
                frame.pts, frame.time_base = round(times[number] * 1000), Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if tone is not None:
            write_tone(output, tone, seconds or count / rate)
    if rotation:
        rotate(path, rotation)
    return path


def write_tone(output, tone, seconds: float) -> None:
    wave = np.sin(np.arange(round(16000 * seconds)) / 16000 * 2 * np.pi * 440).astype(np.float32)
    for start in range(0, len(wave), 1024):
        piece = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="flt", layout="mono")
        piece.sample_rate, piece.pts, piece.time_base = 16000, start, Fraction(1, 16000)
        output.mux(tone.encode(piece))
    output.mux(tone.encode(None))


def rotate(path: Path, degrees: int) -> None:
    set_matrix(path, {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees])


def set_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Write how it is shown into the header of an mp4 file: (x, y) becomes (a x + c y, b x + d y)."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40  # after version, times, ids, duration, layer, volume
    a, b, c, d = (round(v * 65536) & 0xFFFFFFFF for v in matrix)
    values = (a, b, 0, c, d, 0, 0, 0, 0x40000000)
    data[start : start + 36] = b"".join(v.to_bytes(4, "big") for v in values)
    path.write_bytes(bytes(data))


def damage(path: Path, which: Iterable[int]) -> None:
    """Overwrite these frames, as they are stored, with zeros."""
    with av.open(str(path)) as source:
        places = [(packet.pos, packet.size) for packet in source.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for place, size in (places[number] for number in which):
        data[place : place + size] = bytes(size)
    path.write_bytes(bytes(data))

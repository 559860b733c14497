import os
import threading
from contextlib import closing
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from ssd300.errors import ArgumentError, ImageError
from ssd300.images.video import frames
from ssd300.images.video_open import open_video
from ssd300.images.video_reader import FrameReader
from video.clips import CODECS, numbers, picture, set_matrix, write_clip, write_tone


def test_no_frame_is_wanted(clip) -> None:
    assert list(frames(clip, end=0)) == []
    lines: list[str] = []
    assert list(frames(clip, start=100, tell=lines.append)) == []
    [line] = lines
    assert line.endswith(": no frame at 100 s or later, where it should start; the last is at 1.16 s")


@pytest.mark.parametrize("codec", CODECS)
def test_every_frame_once_and_in_order(tmp_path, codec) -> None:
    path = write_clip(tmp_path / f"clip.{CODECS[codec]}", 40, codec=codec)
    lines: list[str] = []
    found = list(frames(path, tell=lines.append))
    assert numbers(found) == list(range(40))
    assert [frame.index for frame in found] == list(range(40))
    np.testing.assert_allclose([frame.time_s for frame in found], np.arange(40) / 25, atol=0.002)
    assert found[0].rgb.dtype == np.uint8
    assert found[0].rgb.shape == (240, 320, 3)
    assert lines == []


@pytest.mark.parametrize("ending", ["mkv", "mov", "ts"])
def test_containers(tmp_path, ending) -> None:
    found = list(frames(write_clip(tmp_path / f"clip.{ending}", 20)))
    assert numbers(found) == list(range(20))
    assert found[0].time_s == 0
    assert found[-1].time_s == pytest.approx(0.76, abs=0.002)


def test_gif(tmp_path) -> None:
    assert numbers(frames(write_clip(tmp_path / "clip.gif", 6, codec="gif"))) == list(range(6))


def test_variable_rates_keep_their_times(tmp_path) -> None:
    times = [0, 0.1, 0.15, 1, 1.5, 3.25]
    assert [f.time_s for f in frames(write_clip(tmp_path / "clip.mp4", 6, times=times))] == times


@pytest.mark.parametrize(("degrees", "red_at"), [(90, (160, 30)), (180, (30, 160)), (270, (160, 210))])
def test_rotation_is_honored(tmp_path, degrees, red_at) -> None:
    """The lower half of the stored frame is red; turned clockwise by 90 degrees it lies on the left."""
    [frame] = frames(write_clip(tmp_path / "clip.mp4", 1, rotation=degrees))
    assert frame.rgb.shape == ((240, 320, 3) if degrees == 180 else (320, 240, 3))
    assert frame.rgb.flags.c_contiguous
    red = frame.rgb[..., 0].astype(int) - frame.rgb[..., 1] > 60
    row, column = red_at
    assert red[row, column]
    assert not red[-1 - row, -1 - column]


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((-1, 0, 0, 1), lambda stored: stored[:, ::-1]),
        ((1, 0, 0, -1), lambda stored: stored[::-1]),
        ((0, 1, 1, 0), lambda stored: stored.swapaxes(0, 1)),
        ((0, -1, -1, 0), lambda stored: stored[::-1, ::-1].swapaxes(0, 1)),
    ],
)
def test_a_mirrored_video_is_mirrored(tmp_path, matrix, expected) -> None:
    """As front cameras write it."""
    path = write_clip(tmp_path / "clip.mp4", 2)
    stored = [frame.rgb for frame in frames(path)]
    set_matrix(path, matrix)
    assert all(np.array_equal(frame.rgb, expected(pixels)) for frame, pixels in zip(frames(path), stored, strict=True))


def test_a_frame_with_exif_is_turned(tmp_path) -> None:
    """PyAV lists none of the side data of such a frame."""
    exif = Image.Exif()
    exif[0x112] = 6
    Image.fromarray(picture(1)).save(tmp_path / "clip.mjpg", "JPEG", exif=exif)
    assert [frame.rgb.shape for frame in frames(tmp_path / "clip.mjpg")] == [(320, 240, 3)]


@pytest.mark.parametrize(("alpha", "expected"), [(0, (255, 255, 255)), (128, (242, 137, 142)), (255, (230, 20, 30))])
def test_transparent_frames_lie_on_white_as_pictures_do(tmp_path, alpha, expected) -> None:
    rgba = np.full((48, 64, 4), (230, 20, 30, 255), np.uint8)
    rgba[:, :32, 3] = alpha
    path = tmp_path / "clip.mov"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("qtrle", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "argb"
        output.mux(stream.encode(av.VideoFrame.from_ndarray(rgba, format="rgba").reformat(format="argb")))
        output.mux(stream.encode(None))
    [frame] = frames(path)
    assert tuple(frame.rgb[24, 10]) == expected
    assert tuple(frame.rgb[24, 50]) == (230, 20, 30)


@pytest.mark.parametrize(("options", "expected"), [
    ({"every": 7}, [0, 7, 14, 21, 28]),
    ({"start": 0.4}, list(range(10, 30))),
    ({"end": 0.4}, list(range(10))),
    ({"start": 0.2, "end": 0.6, "every": 2}, [6, 8, 10, 12, 14]),
])  # fmt: skip
def test_a_part_keeps_its_numbers(clip, options, expected) -> None:
    found = list(frames(clip, **options))
    assert [frame.index for frame in found] == expected
    assert numbers(found) == expected


@pytest.mark.parametrize("options", [{"every": 0}, {"every": 1.5}, {"start": -1}, {"end": float("nan")}])
def test_bad_options_are_refused(clip, options) -> None:
    with pytest.raises(ArgumentError, match=next(iter(options))):
        frames(clip, **options)


def test_sound_alone_is_named(tmp_path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as output:
        from video.clips import write_tone

        write_tone(output, output.add_stream("aac", rate=16000), 0.5)
    with pytest.raises(ImageError, match=r"sound\.mp4: there is no video in it"):
        list(frames(path))


@pytest.mark.parametrize(
    ("defaults", "sizes", "expected"),
    [((1, 0), (160, 320), 0), ((0, 1), (320, 160), 10), ((0, 0), (160, 320), 10), ((0, 0), (160, 160), 0)],
)
def test_of_several_videos_the_default_one_is_read_else_the_largest(tmp_path, defaults, sizes, expected) -> None:
    """The first has frames 0 to 4, the second 10 to 14."""
    with av.open(str(tmp_path / "two.mkv"), "w") as output:
        streams = [output.add_stream("libx264", rate=25) for _ in sizes]
        for stream, default, size in zip(streams, defaults, sizes, strict=True):
            stream.width, stream.height, stream.pix_fmt = size, size, "yuv420p"
            stream.disposition = default * Disposition.default.value
        for stream, size, start in zip(streams, sizes, (0, 10), strict=True):
            for number in range(start, start + 5):
                output.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number, size, size), format="rgb24")))
            output.mux(stream.encode(None))
    assert numbers(frames(tmp_path / "two.mkv")) == list(range(expected, expected + 5))


def test_the_cover_of_a_piece_of_music_is_no_video(tmp_path) -> None:
    path = tmp_path / "music.m4a"
    with av.open(str(path), "w", format="mp4") as output:
        tone, cover = output.add_stream("aac", rate=16000), output.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 320, 240, "yuvj420p"
        cover.disposition = Disposition.attached_pic.value
        output.mux(cover.encode(av.VideoFrame.from_ndarray(picture(1), format="rgb24").reformat(format="yuvj420p")))
        write_tone(output, tone, 0.5)
    with pytest.raises(ImageError, match=r"music\.m4a: there is no video in it"):
        list(frames(path))


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([None, None], [0, 0.04]),
        ([-0.02, -0.01, 0.06], [0, 0.04, 0.06]),
        ([0, 0.04, 0.01, 0.2], [0, 0.04, 0.08, 0.2]),
        ([0, 0.01, 0.01, 0.02, 0.03, 0.05], [0, 0.01, 0.02, 0.03, 0.04, 0.05]),  # closer than the mean: no runaway
        ([0, 2, 2.01, 0, 0.01, None], [0, 2, 2.01, 2.05, 2.09, 2.13]),  # another recording behind the first
    ],
)
def test_times_begin_at_zero_and_grow(clip, monkeypatch, times, expected) -> None:
    ticks = [None if time is None else round(100 * time) for time in times]
    raws = [SimpleNamespace(pts=one, time_base=Fraction(1, 100), is_corrupt=False) for one in ticks]
    monkeypatch.setattr(FrameReader, "_decode", lambda reader: iter(raws))
    with closing(open_video(clip)) as opened:
        found = [time_s for _, time_s, _ in FrameReader(opened, "clip").raw_frames()]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("begin", [126_000, 126_008])  # 1.4 s, and a time that has no whole microseconds
def test_a_frame_at_a_border_is_the_first_of_what_starts_there(tmp_path, begin) -> None:
    path = tmp_path / "clip.ts"
    source = write_clip(tmp_path / "clip.avi", codec="mpeg4")
    with av.open(str(source)) as clip, av.open(str(path), "w", options={"mpegts_copyts": "1"}) as output:
        stream = output.add_stream_from_template(clip.streams.video[0])
        for number, packet in enumerate(packet for packet in clip.demux(video=0) if packet.size):
            packet.time_base, packet.stream = Fraction(1, 90_000), stream
            packet.pts = packet.dts = begin + 3600 * number
            output.mux(packet)
    for number in range(30):
        assert next(frames(path, start=number / 25)).index == number
        assert len(list(frames(path, end=number / 25))) == number


def test_closing_early_leaves_nothing_open(clip) -> None:
    before = threading.active_count()
    files = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    for _ in range(20):
        found = frames(clip)
        next(found)
        found.close()
    assert threading.active_count() == before
    if files:
        assert len(os.listdir("/proc/self/fd")) <= files + 1

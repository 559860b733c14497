"""Cut off and damaged videos keep their numbers; what is no video, or of no possible size, is named."""

import os
from pathlib import Path

import av
import pytest

from ssd300.errors import ImageError
from ssd300.images.video import frames
from video.clips import damage, numbers, write_clip


def test_a_file_cut_off_before_its_index_is_named(tmp_path, clip) -> None:
    path = tmp_path / "cut.mp4"
    path.write_bytes(Path(clip).read_bytes()[:2000])
    with pytest.raises(ImageError, match=r"cut\.mp4: not a video that can be read"):
        list(frames(path))


def test_a_file_cut_off_in_the_middle_gives_what_is_there_and_says_so(tmp_path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", 60, options={"g": "5", "movflags": "faststart"})
    with (
        av.open(str(whole)) as source,
        av.open(str(tmp_path / "fast.mp4"), "w", options={"movflags": "faststart"}) as output,
    ):
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    data = (tmp_path / "fast.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 2 // 3])
    lines: list[str] = []
    found = list(frames(tmp_path / "cut.mp4", tell=lines.append))
    assert 5 < len(found) < 60
    assert numbers(found)[:5] == list(range(5))
    assert any("the file is cut off" in line and "of 60 frames" in line for line in lines)


def test_a_file_that_declares_its_length_in_seconds_and_is_cut_off_says_so(tmp_path) -> None:
    path = write_clip(tmp_path / "clip.mkv", 100)
    lines: list[str] = []
    assert len(list(frames(path, tell=lines.append))) == 100
    assert lines == []
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 10 < len(list(frames(path, tell=lines.append))) < 90
    [line] = lines
    assert "clip.mkv: it should last 4 s, and its last frame is at" in line
    late = write_clip(tmp_path / "late.mkv", 50, times=[5 + i / 25 for i in range(50)])
    assert len(list(frames(late, tell=lines.append))) == 50
    assert lines == [line]


def test_an_avi_file_with_repeated_frames_is_not_cut_off(tmp_path) -> None:
    """An empty frame stands for one more time of the one before; the header counts it."""
    lines: list[str] = []
    path = write_clip(tmp_path / "clip.avi", 6, times=[0, 0.1, 0.15, 1, 1.5, 3.25])
    assert len(list(frames(path, tell=lines.append))) == 6
    assert lines == [] or not hasattr(av.stream.Stream, "index_entries")
    path = write_clip(tmp_path / "cut.avi", 50, codec="mpeg4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert len(list(frames(path, tell=lines.append))) < 30
    assert "of 50 frames" in lines[-1]


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("damaged", [1, 3])
def test_frames_that_lack_a_damaged_key_frame_are_counted_and_the_rest_keeps_its_numbers(
    tmp_path, codec, damaged
) -> None:
    path = write_clip(tmp_path / "clip.mp4", 30, codec=codec)
    damage(path, range(damaged))
    lines: list[str] = []
    found = list(frames(path, tell=lines.append))
    whole = [frame for frame in found if frame.index >= 10]  # with PyAV 15, HEVC frames before them are filled up
    assert numbers(whole) == [frame.index for frame in whole] == list(range(10, 30))
    assert whole[0].time_s == pytest.approx(0.4)
    [line] = lines
    assert "left out (number 0" in line
    assert codec == "libx265" or len(found) == 20


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("stored", [8, 9])
@pytest.mark.parametrize("size", [(320, 240), (1280, 720)])  # in one thread, in several
def test_a_damaged_frame_is_named_and_leaves_the_numbers_where_frames_are_stored_in_another_order(
    tmp_path, codec, stored, size
) -> None:
    options = {"bf": "3", "g": "50", "x265-params": "bframes=3"}
    path = write_clip(tmp_path / "clip.mp4", 30, codec=codec, size=size, options=options)
    damage(path, [stored])
    lines: list[str] = []
    found = list(frames(path, tell=lines.append))
    assert [round(frame.time_s * 25) for frame in found] == [frame.index for frame in found]
    assert len(found) >= 5
    missing = set(range(30)) - {frame.index for frame in found}
    [line] = lines
    assert f"(number {', '.join(map(str, sorted(missing)[:5]))}" in line


def test_damaged_frames_are_counted_and_the_rest_goes_on(tmp_path) -> None:
    path = write_clip(tmp_path / "clip.mov", 30, codec="mjpeg")
    damage(path, (4, 11))
    lines: list[str] = []
    found = list(frames(path, tell=lines.append))
    assert [frame.index for frame in found] == [i for i in range(30) if i not in (4, 11)]
    assert numbers(found) == [frame.index for frame in found]
    assert lines == [f"{path}: 2 damaged frames are left out (number 4, 11)"]
    assert [frame.index for frame in frames(path, end=0.2, tell=lines.append)] == [0, 1, 2, 3]
    assert lines[1:] == [f"{path}: 1 damaged frame is left out (number 4)"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "none.mp4", "cannot be read as a video"),
        (lambda folder: folder, "not a file"),
        (lambda folder: _written(folder, b""), "not a video"),
        (lambda folder: _written(folder, b"no video " * 999), "not a video"),
        (lambda folder: "bad\0name.mp4", "cannot be read as a video"),
        (lambda folder: "-", "-: not the name of a video; expected a file's path"),
        (lambda folder: bytes(2**20), "<bytes>: not the name of a video"),
        (lambda folder: iter([folder / "a.mp4"]), "<list_iterator>: .* for several pass a list"),
        (
            lambda folder: _written(folder, b"#EXTM3U\n#EXT-X-TARGETDURATION:5\nhttp://127.0.0.1:9/a.ts\n", ".m3u8"),
            "m3u8",
        ),
    ],
)
def test_what_is_no_video_is_named(tmp_path, make, words) -> None:
    with pytest.raises(ImageError, match=words):
        list(frames(make(tmp_path)))


def _written(folder, data: bytes, ending: str = ".mp4"):
    path = folder / f"a{ending}"
    path.write_bytes(data)
    return path


@pytest.mark.posix
def test_a_fifo_does_not_hang(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(ImageError, match="not a file"):
        list(frames(tmp_path / "pipe.mp4"))


@pytest.mark.parametrize(
    ("size", "words"),
    [((0, 0), "not a video"), ((15360, 8640), "67,108,864 pixels"), ((16384,) * 2, "67,108,864 pixels")],
)
def test_frames_without_pixels_and_of_16k_are_refused(tmp_path, size, words) -> None:
    """A GIF whose header claims it: nothing of that size need be made for the test."""
    path = write_clip(tmp_path / "clip.gif", 3, codec="gif")
    data = bytearray(path.read_bytes())
    data[6:10] = b"".join(n.to_bytes(2, "little") for n in size)
    path.write_bytes(bytes(data))
    with pytest.raises(ImageError, match=rf"clip\.gif: .*{words}"):
        list(frames(path))


@pytest.mark.parametrize("size", [(0, 0), (16384, 16384)])
def test_a_wrong_size_in_a_header_gives_true_frames_or_is_named(tmp_path, size) -> None:
    path = write_clip(tmp_path / "clip.mov", 3, codec="mjpeg")
    data = path.read_bytes()
    old, new = (b"".join(n.to_bytes(2, "big") for n in pair) for pair in ((320, 240), size))
    assert old in data
    path.write_bytes(data.replace(old, new))
    answer = _frames_or_words(path)
    assert str(path) in answer or answer == [(240, 320, 3)] * 3


def _frames_or_words(path) -> str | list[tuple[int, ...]]:
    try:
        return [frame.rgb.shape for frame in frames(path)]
    except ImageError as error:
        return str(error)

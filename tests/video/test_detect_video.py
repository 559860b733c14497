import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from narrow import load_narrow
from ssd300.detector import Detector
from ssd300.errors import ArgumentError, ImageError, SSD300Error
from ssd300.flow import Failure
from ssd300.images.video import frames
from video.clips import damage, write_clip
from video.servers import RtspServer, http_folder, http_live


@pytest.fixture(scope="module")
def detector(narrow_checkpoint) -> Detector:
    return load_narrow(narrow_checkpoint, precision="f32", threads=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "clip.mp4", 24, options={"g": "10", "bf": "0"})
    write_clip(folder / "other.webm", 5, codec="libvpx-vp9")
    return folder


def test_no_sources(detector) -> None:
    assert list(detector.detect_video([])) == []


@pytest.mark.parametrize("color", ["rgb", "bgr"])  # of arrays, which a program may pass beside videos
def test_the_answers_are_those_of_detect(detector, folder, color) -> None:
    answers = list(detector.detect_video(folder / "clip.mp4", score_threshold=0.3, color=color))
    pictures = list(frames(folder / "clip.mp4"))
    assert [answer.frame for answer in answers] == list(range(24))
    assert [answer.time_s for answer in answers] == [frame.time_s for frame in pictures]
    assert sum(len(answer.detections) for answer in answers) > 24
    for answer, frame in zip(answers, pictures, strict=True):
        expected = detector.detect(frame.rgb, score_threshold=0.3)
        np.testing.assert_array_equal(answer.detections.boxes_xyxy, expected.boxes_xyxy)
        np.testing.assert_array_equal(answer.detections.scores, expected.scores)
        assert answer.detections.source == answer.source == str(folder / "clip.mp4")
        np.testing.assert_array_equal(answer.detections.picture, frame.rgb)


def test_several_files_in_turn(detector, folder) -> None:
    sources = [folder / "other.webm", folder / "clip.mp4"]
    found = [(a.stream, a.frame) for a in detector.detect_video(sources, every=np.int64(4))]
    assert found == [(0, 0), (0, 4), *((1, i) for i in range(0, 24, 4))]


def test_a_bad_source_raises_or_is_a_failure(detector, folder) -> None:
    sources = [folder / "none.mp4", folder / "other.webm"]
    with pytest.raises(ImageError, match=r"none\.mp4"):
        list(detector.detect_video(sources))
    first, *others = detector.detect_video(sources, on_error="yield")
    assert isinstance(first, Failure)
    assert "none.mp4" in first.source
    assert [(a.stream, a.frame) for a in others] == [(1, i) for i in range(5)]


@pytest.mark.parametrize(
    "options",
    [{"every": 0}, {"start": -1}, {"start": "1"}, {"start": 2, "end": 1}, {"on_error": "no"}, {"score_threshold": 2}],
)
def test_bad_options_are_refused_at_once(detector, options) -> None:
    with pytest.raises(ArgumentError, match=[*options][-1]):
        detector.detect_video("none.mp4", **options)


@pytest.mark.parametrize(
    ("options", "count", "words"),
    [
        ({"end": 0.2}, 4, ["1 damaged frames left out"]),
        ({"start": 9}, 0, ["2 damaged frames are left out", "no frame at 9 s or later, where it should start"]),
    ],
)
def test_a_part_of_a_file_over_http_is_reported_as_of_a_local_one(
    detector, tmp_path, monkeypatch, options, count, words
) -> None:
    monkeypatch.setenv("SSD300_ALLOW_PRIVATE_URLS", "1")
    damage(write_clip(tmp_path / "clip.avi", 15, codec="mjpeg"), (4, 11))
    lines: list[str] = []
    with http_folder(tmp_path) as address:
        assert len(list(detector.detect_video(f"{address}/clip.avi", tell=lines.append, **options))) == count
    assert [part in line for part, line in zip(words, lines, strict=True)] == [True] * len(words)


def test_live_and_files_together(detector, folder, monkeypatch) -> None:
    monkeypatch.setenv("SSD300_ALLOW_PRIVATE_URLS", "1")
    with RtspServer(folder / "clip.mp4") as fast, RtspServer(folder / "clip.mp4", deaf=True) as deaf:
        sources = [f"rtsp://{fast.address}/a", folder / "other.webm", *[f"rtsp://{deaf.address}/b"] * 4]
        seen: list[tuple[int, int]] = []
        ages = []
        answers = detector.detect_video(sources, on_error="yield")
        until = time.monotonic() + 20
        for answer in answers:
            assert not isinstance(answer, Failure)
            seen.append((answer.stream, answer.frame))
            if answer.stream == 0:
                ages.append(answer.age_s)
                assert answer.detections.source == f"rtsp://{fast.address}/a"
            else:
                assert answer.age_s is None
            if len(ages) >= 10 or time.monotonic() > until:
                break
        began = time.monotonic()
        answers.close()
        assert time.monotonic() - began < 4  # all at once: each may take a second and a half
    assert len(ages) >= 10
    assert [frame for stream, frame in seen if stream == 1] == list(range(5))
    live = [frame for stream, frame in seen if stream == 0]
    assert live == sorted(set(live))


def test_a_camera_that_is_missing_is_a_failure_and_others_go_on(detector, folder) -> None:
    answers = list(detector.detect_video([97, folder / "other.webm"], on_error="yield"))
    failures = [answer for answer in answers if isinstance(answer, Failure)]
    assert [failure.source for failure in failures] == ["camera 97"]
    assert len(answers) == 6
    with pytest.raises(SSD300Error, match="camera 97"):
        list(detector.detect_video(97))


def test_closing_early_leaves_no_thread(detector, folder) -> None:
    before = threading.active_count()
    answers = detector.detect_video(folder / "clip.mp4")
    next(answers)
    answers.close()
    assert threading.active_count() == before


LEFT_OPEN = """
import sys
sys.path[:] = {path}
from fake_runtime import FakeRuntime
from ssd300 import Detector

answers = Detector(FakeRuntime(1)).detect_video(["{address}/a", "{address}/b"])
next(answers)
"""


def test_a_program_that_ends_with_streams_left_open_ends_silently(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SSD300_ALLOW_PRIVATE_URLS", "1")
    data = write_clip(tmp_path / "clip.ts", 50).read_bytes()
    with http_live(data, rate=len(data) / 4) as (address, _):
        code = LEFT_OPEN.format(path=sys.path, address=address)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


FORKED = """
import os, signal, sys
sys.path[:] = {path}
from fake_runtime import FakeRuntime
from ssd300 import Detector

answers = Detector(FakeRuntime(1)).detect_video("{source}")
next(answers)
if os.fork() == 0:
    signal.alarm(30)  # if it should hang after all
    del answers
    sys.exit(3)
print(os.waitstatus_to_exitcode(os.wait()[1]), 1 + sum(1 for _ in answers))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("over_http", [False, True])
def test_a_forked_child_ends_while_its_parent_reads_a_video(tmp_path, monkeypatch, over_http) -> None:
    """FFmpeg would wait for the decoder's threads, which the child does not have; a connection stays the parent's."""
    monkeypatch.setenv("SSD300_ALLOW_PRIVATE_URLS", "1")
    if over_http:  # more than fits in the buffers of a connection
        clip = write_clip(tmp_path / "large.mkv", 200, codec="rawvideo")
    else:
        clip = write_clip(tmp_path / "large.mp4", 9, size=(1280, 720))
    with http_folder(tmp_path) as address:
        code = FORKED.format(path=sys.path, source=f"{address}/{clip.name}" if over_http else clip)
        command = [sys.executable, "-W", "ignore", "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == f"3 {200 if over_http else 9}\n", done.stderr

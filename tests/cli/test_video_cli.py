import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from command import ssd300
from ssd300.cli.video_sources import expand_lists
from ssd300.errors import OutputError
from ssd300.images.video_write import VideoWriter
from video.clips import write_clip
from video.servers import RtspServer

TIMES = [*(np.arange(6) / 25), *(1 + np.arange(4) / 10)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return write_clip(folder / "clip.mp4", len(TIMES), times=TIMES, sound="aac")


@pytest.fixture
def run(seeded_checkpoint, tmp_path):
    def call(verb: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        return ssd300(verb, *arguments, "--model", seeded_checkpoint, "--conf", "0.3", cwd=tmp_path)

    return call


def test_a_row_a_frame_and_a_drawn_video_with_the_source_s_times_and_sound(run, clip, tmp_path) -> None:
    done = run("detect", clip, "--format", "jsonl", "--save-dir", "out")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert list(rows[0]) == ["source", "stream", "frame", "time_s", "width", "height", "detections"]
    assert [row["frame"] for row in rows] == list(range(len(TIMES)))
    assert [row["time_s"] for row in rows] == pytest.approx(TIMES)
    objects = [one for row in rows for one in row["detections"]]
    assert set(objects[0]) == {"name", "class_id", "score", "box_xyxy"}
    assert f"{len(TIMES)} frames, {len(objects)} detections" in done.stderr
    with av.open(str(tmp_path / "out" / "clip.mp4")) as drawn:
        assert [frame.time for frame in drawn.decode(video=0)] == pytest.approx(TIMES, abs=0.001)
    with av.open(str(tmp_path / "out" / "clip.mp4")) as drawn, av.open(str(clip)) as source:
        sound = [bytes(packet) for packet in drawn.demux(audio=0) if packet.size]
        original = [bytes(packet) for packet in source.demux(audio=0) if packet.size]
    assert len(sound) >= len(original) - 2  # without the encoder's lead-in, which lies before the first frame
    assert any(original[skipped:][: len(sound)] == sound for skipped in range(3))


def test_csv_rows(run, clip) -> None:
    done = run("detect", f"{clip.parent}/*.mp4", "--format", "csv", "--no-save", "--every", "3")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {row["frame"] for row in rows} <= {"0", "3", "6", "9"}
    assert list(rows[0])[:7] == ["source", "stream", "frame", "time_s", "width", "height", "class_id"]


def test_tracks_have_ids_and_totals_come_last(run, clip) -> None:
    done = run(
        "track", clip, "--format", "jsonl", "--no-save", "--line", "0,120,320,120", "--zone", "0,0,320,0,320,240"
    )
    assert done.returncode == 0, done.stderr
    *rows, totals = [json.loads(line) for line in done.stdout.splitlines()]
    ids = [one["track_id"] for row in rows for one in row["detections"]]
    assert len(rows) == len(TIMES)
    assert min(ids) == 1
    [stream] = totals["totals"]
    assert set(stream["lines"][0]) == {"in", "out", "by_class"}
    assert set(stream["zones"][0]) == {"now", "ever", "by_class", "mean_dwell_s", "longest_dwell_s"}
    names = {(one["name"], one["track_id"]) for row in rows for one in row["detections"]}
    assert stream["tracks"] == {name: max(i for n, i in names if n == name) for name, _ in names}


def test_a_line_and_a_zone_outside_of_the_frames_are_reported_once(run, clip) -> None:
    lines = ("--line", "400,0,500,100", "--line", "-9,-9,400,400", "--line", "0,239,320,239")
    done = run("track", clip, "--no-save", *lines, "--zone", "0,241,10,241,5,300", "--zone", "0,0,1,0,0.5,1")
    told = [line for line in done.stderr.splitlines() if "it counts" in line]
    frames = "of the frames, which have 320x240 pixels: it counts"
    assert told == [
        f"ssd300: --line 400,0,500,100 is outside {frames} nothing",
        f"ssd300: --line 0,239,320,239 is at the edge {frames} little or nothing",
        f"ssd300: --zone 0,241,10,241,5,300 is outside {frames} nothing",
        f"ssd300: --zone 0,0,1,0,0.5,1 is at the edge {frames} little or nothing",
    ]


def test_mot_rows(run, clip) -> None:
    done = run("track", clip, "--format", "mot", "--no-save", "--every", "2", "--labels", "Größe")
    assert done.returncode == 0, done.stderr
    rows = [line.split(",") for line in done.stdout.splitlines()]
    assert {len(row) for row in rows} == {10}
    assert {int(row[0]) for row in rows} <= {1, 3, 5, 7, 9}
    assert '"totals"' in done.stderr


def test_a_list_of_sources(run, clip, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SSD300_DEBUG", "1")
    (tmp_path / "sources.txt").write_text(f"{clip}\n# cameras\n\nnone.mp4\n", encoding="utf-8-sig")
    done = run("detect", "sources.txt", "--every", "5", "--save-dir", "out")
    assert done.returncode == 1
    assert [line.split("  ")[1] for line in done.stdout.splitlines()] == ["frame 0", "frame 5"]
    assert "none.mp4: cannot be read as a video" in done.stderr
    assert "Traceback" in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["clip.mp4"]


@pytest.mark.parametrize(("number", "words"), [(1, " frames/s\033"), (2, " frames/s of all sources\033")])
def test_the_rate_is_not_taken_for_that_of_one_of_several_sources(run, clip, monkeypatch, number, words) -> None:
    monkeypatch.setattr("ssd300.cli.video.obeys_escapes", lambda stream: True)
    monkeypatch.setattr("ssd300.cli.video.ERASE", "\033")
    assert words in run("detect", *[clip] * number, "--no-save").stderr


def test_a_line_of_a_list_may_be_a_pattern(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.mp4", "a.mp4", "c.jpg"):
        Path(name).touch()
    Path("sources.txt").write_text("*.mp4\n0\nrtsp://camera.example/*.mp4\nnone*.mp4\n")
    expected = ["a.mp4", "b.mp4", "0", "rtsp://camera.example/*.mp4", "none*.mp4"]
    assert expand_lists(["sources.txt", "b.mp4"]) == [*expected, "b.mp4"]


def test_a_file_s_name_may_begin_as_a_comment_does(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("#1.jpg").touch()
    Path("sources.txt").write_text("# the first\n#1.jpg\n#2.jpg\n")
    assert expand_lists(["sources.txt"]) == ["#1.jpg"]


def test_two_stars_go_through_all_folders_as_for_pictures(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a/b").mkdir(parents=True)
    expected = sorted(["a/b/z.mp4", "a/y.mp4", "x.mp4"])
    for name in (*expected, "a/c.jpg"):
        Path(name).touch()
    assert expand_lists(["**/*.mp4"]) == expected


def test_frames_of_another_size_are_reported(run, tmp_path) -> None:
    parts = [write_clip(tmp_path / f"{side}.ts", 3, size=(side, 240)).read_bytes() for side in (320, 160)]
    (tmp_path / "both.ts").write_bytes(b"".join(parts))
    done = run("track", "both.ts", "--line", "0,50,100,50", "--no-save")
    assert "both.ts: from frame 3 on it has 160x240 pixels, before 320x240" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("detect", "none.mp4", "--no-save"), "none.mp4: cannot be read as a video"),
        (("detect", "x" * 300 + ".mp4", "--no-save"), "x.mp4: cannot be read as a video"),
        (("detect", "97", "--no-save"), "camera 97: no such camera"),
        (("track", "s3://bucket/a.mp4", "--no-save"), "s3://bucket/a.mp4: not an address of a video; expected rtsp://"),
        (("detect", "clip.jpg", "--no-save"), "clip.jpg: an MP4 or QuickTime video; expected"),
        (("detect", "clip.jpg", "--no-save"), "a video needs a name such as clip.mp4"),
        (("detect", "a.mp4", "b.jpg", "--no-save"), "videos and pictures in one call"),
        (("detect", "clips", "--no-save"), "1 entry (.mov); expected files with .jpg"),
        (("detect", "clips", "--no-save"), "for videos pass 'clips/*.MOV' there"),
        (("detect", "b.jpg", "17"), "several labels are joined: --labels 16,17"),
        (("detect", "a.mp4", "--format", "coco", "--no-save"), "unknown --format for video 'coco'"),
        (("detect", "a.mp4", "--crops"), "--crops applies only to pictures, and these are videos"),
        (("detect", "a.mp4", "--decode", "fast"), "--decode applies only to pictures, and these are videos"),
        (("detect", "a.mp4", "--font", "none.ttf"), "none.ttf"),
        (("track", "empty.txt", "--no-save"), "empty.txt: the list names no source"),
        (
            ("detect", "labels.txt", "--no-save"),
            "labels.txt: a .txt is a list of sources, one per line, and no line",
        ),
        (("track", "a.mp4", "--format", "mot"), "these are 4 classes: name the class with --labels"),
        (("track", "a.mp4", "b.mp4", "--format", "mot", "--labels", "dog"), "these are 2 sources"),
        (("detect", "a.jpg", "--every", "2", "--no-save"), "--every applies only to videos"),
        (("track", "a.mp4", "--line", "1,2,3", "--no-save"), "--line 1,2,3: expected X1,Y1,X2,Y2"),
        (("track", "a.mp4", "--line", "1,2,3,x", "--no-save"), "--line 1,2,3,x: expected"),
        (("track", "a.mp4", "--zone", "1,2,3,4", "--no-save"), "--zone 1,2,3,4: expected"),
        (("track", "a.mp4", "--line", "1,2,3,4:left", "--no-save"), "unknown anchor 'left'"),
        (("detect", "a.mp4", "--no-save", "--show"), "--show"),
        (("detect", "rtsp://u:hunter2@127.0.0.1:9/x", "--no-save"), "rtsp://127.0.0.1:9/x"),
    ],
)
def test_what_cannot_be_done_is_named(run, monkeypatch, tmp_path, arguments, words) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "labels.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.MOV").touch()
    (tmp_path / "clip.jpg").write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0isommp42")
    done = run(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert '"totals"' not in done.stderr + done.stdout  # of nothing
    assert "0 frames" not in done.stderr
    assert "hunter2" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs" / "detect" / "1").exists()


def test_a_window_without_tkinter_names_the_system_s_package(run, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tkinter", None)
    done = run("detect", "a.mp4", "--no-save", "--show")
    assert (done.returncode, "apt install python3-tk" in done.stderr, "pip" in done.stderr) == (2, True, False)


def test_videos_are_drawn_as_told(run, clip, tmp_path) -> None:
    means = set()
    for name, *more in (("a",), ("b", "--hide-conf"), ("c", "--hide-labels"), ("d", "--line-width", "9")):
        assert run("detect", clip, "--every", "9", "--name", name, *more).returncode == 0
        with av.open(str(tmp_path / "runs" / "detect" / name / "clip.mp4")) as drawn:
            means.add(next(drawn.decode(video=0)).to_ndarray(format="rgb24").mean())
    assert len(means) == 4


def test_an_error_in_a_later_video_keeps_the_ones_before(run, clip, tmp_path, monkeypatch) -> None:
    add = VideoWriter.add

    def fill(self: VideoWriter, *arguments: object) -> None:
        add(self, *arguments)
        if self.path.name == "clip-2.mp4":
            raise OutputError(f"{self.path}: the disk is full")

    monkeypatch.setattr(VideoWriter, "add", fill)
    done = run("detect", clip, clip, "--every", "5", "--save-dir", "out")
    assert (done.returncode, "clip-2.mp4: the disk is full" in done.stderr) == (2, True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["clip.mp4"]


def test_without_pyav_no_folder_is_made(run, clip, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert 'pip install ".[video]"' in run("detect", clip).stderr
    assert not (tmp_path / "runs").exists()


def test_quiet_prints_failures_alone(run, clip) -> None:
    done = run("detect", clip, "none.mp4", "-q", "--every", "9", "--no-save")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1), done.stderr
    assert len(run("detect", clip, "-q", "--every", "9", "--no-save", "--format", "jsonl").stdout.splitlines()) == 2


def test_a_list_of_pictures(run, tmp_path) -> None:
    names = ["a.png", "b\u2028\x85c.png"]  # whose line breaks end no line of a list
    for name in names:
        Image.new("RGB", (40, 30)).save(tmp_path / name)
    (tmp_path / "list.txt").write_text("a.png\r\n  # a remark\n\n b\u2028\x85c.png ", encoding="utf-8")
    answers = run("detect", "list.txt", "--no-save", "--format", "json").stdout
    assert [picture["source"] for picture in json.loads(answers)] == names


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_ends_a_stream_with_whole_files(seeded_checkpoint, tmp_path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 50, options={"g": "10", "bf": "0"})
    with RtspServer(clip) as server:
        command = [sys.executable, "-m", "ssd300", "detect", f"rtsp://{server.address}/cam", "--model"]
        command += [str(seeded_checkpoint), "--format", "jsonl", "--save-dir", str(tmp_path / "out")]
        environment = os.environ | {"SSD300_ALLOW_PRIVATE_URLS": "1"}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        ) as job:
            lines = [job.stdout.readline() for _ in range(3)]
            began = time.monotonic()
            job.send_signal(signal.SIGINT)
            rest, words = job.communicate(timeout=30)
    assert job.returncode == 130
    assert time.monotonic() - began < 10
    assert all(json.loads(line) for line in [*lines, *rest.splitlines()])
    assert "Interrupted" in words
    with av.open(str(tmp_path / "out" / "cam.mp4")) as drawn:
        assert len(list(drawn.decode(video=0))) >= 2

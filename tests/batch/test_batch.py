"""`ssd300 batch` on this machine: rows, parts, resuming."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ssd300.batch.start
from batch.results import parts, rows
from narrow import load_narrow
from ssd300.batch.folder import Folder


def test_rows_are_the_answers_of_the_detector(batch, narrow_checkpoint) -> None:
    result = batch("pictures", "--out", "out", "--precision", "f32", "--part-rows", "5", "--conf", "0.3")
    assert (result.returncode, result.stdout) == (1, "out\n")
    assert "Failed: 1 of them" in result.stderr
    assert "pictures/bad.jpg: " in result.stderr
    names = [f"part-{n:06d}.parquet" for n in range(3)]
    assert sorted(os.listdir("out")) == ["_run.json", "_run.lock", "_sources.parquet", *names]
    assert [len(pq.read_table(path)) for path in parts("out")] == [5, 5, 2]
    detector = load_narrow(narrow_checkpoint, precision="f32", threads=1)
    found = list(detector.detect_many("pictures/*g", on_error="yield", score_threshold=0.3, clip=True))
    written = rows("out")
    assert [row["source"] for row in written] == [one.source for one in found]
    for row, one in zip(written[:-1], found[:-1], strict=True):
        assert (row["height"], row["width"]) == one.image_size_hw
        assert np.array_equal(np.array(row["boxes_xyxy"], np.float32).reshape(-1, 4), one.boxes_xyxy)
        assert np.array_equal(np.array(row["scores"], np.float32), one.scores)
        assert (row["class_ids"], row["names"], row["error"]) == (one.class_ids.tolist(), list(one.names), None)
    assert sum(len(row["scores"]) for row in written[:-1]) > 20
    assert (written[-1]["scores"], written[-1]["width"]) == (None, None)
    assert written[-1]["error"].startswith("pictures/bad.jpg: ")


@pytest.mark.parametrize(
    ("sources", "code", "words"),
    [
        (["empty.txt"], 0, "0 pictures, 0 objects"),
        (["nosuch.jpg"], 2, "nosuch.jpg: no such file or folder (looked from "),
        (["nosuch/*.jpg"], 2, "nosuch/*.jpg: no such file or folder"),
        (["pictures/01.png"], 0, "1 picture, "),
        (["pictures/01.png", "nosuch.jpg"], 1, "no such file"),
        (["addresses.txt"], 1, "s3://bucket/a//b.png: pyarrow opens no name with two slashes"),
        (["addresses.txt"], 1, "s3://bucket/\\udcfc.png: names in a store are text in UTF-8"),
    ],
)
def test_exit_codes(batch, sources, code, words) -> None:
    Path("empty.txt").touch()
    lines = f"s3://\ns3://bucket/a//b.png\ns3://bucket/ü.png\n{Path('pictures/01.png').absolute().as_uri()}\n"
    Path("addresses.txt").write_text(lines, encoding="latin-1")
    result = batch(*sources, "--out", "out")
    assert result.returncode == code, result.stderr
    assert words in result.stderr
    assert Path("out").exists() == (code != 2)  # the corrected command may use the same folder
    assert len(rows("out")) == (code != 2) * sum(
        {"empty.txt": 0, "addresses.txt": 4}.get(source, 1) for source in sources
    )


@pytest.mark.timeout(60)
def test_a_pattern_that_matches_nothing_ends_where_links_point_upwards(batch) -> None:
    Path("looping").mkdir()
    for name in ("a", "b"):
        Path("looping", name).symlink_to(".", target_is_directory=True)
    result = batch("looping/**/*.jpg", "--out", "out")
    assert (result.returncode, Path("out").exists()) == (2, False)
    assert "looping/**/*.jpg: no such file or folder" in result.stderr


def test_pictures_in_parquet_equal_those_in_files(batch) -> None:
    data = [Path(f"pictures/{n:02d}.png").read_bytes() for n in range(11)]
    cells = pa.array([*data[:7], None, *data[7:], b""], pa.binary())
    pq.write_table(pa.table({"image": cells}), "in.parquet", row_group_size=3)
    batch("pictures/*.png", "--out", "a", "--part-rows", "4")
    result = batch("in.parquet", "--out", "b", "--part-rows", "5")
    assert result.returncode == 1
    plain, packed = rows("a"), rows("b")
    assert [row["source"] for row in packed] == [f"in.parquet#{n}" for n in range(13)]
    assert packed[7]["error"] == "in.parquet#7: the cell is empty; expected a path or the bytes of a picture"
    assert packed[12]["error"].startswith("in.parquet#12: ")
    kept = [{**row, "source": ""} for n, row in enumerate(packed) if n not in (7, 12)]
    assert kept == [{**row, "source": ""} for row in plain]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
@pytest.mark.parametrize("kind", ["txt", "parquet"])
def test_names_that_are_no_text(batch, kind) -> None:
    if kind == "txt":
        Path("in").write_text("pictures/00.png\n")
    else:
        pq.write_table(pa.table({"image": [Path("pictures/00.png").read_bytes()]}), "in")
    Path("in").rename(f"\udcff.{kind}")
    assert batch(f"\udcff.{kind}", "--out", "out\udcff").returncode == 0
    Path("out\udcff").rename("out")
    batch("pictures/00.png", "--out", "plain")
    assert [row["scores"] for row in rows("out")] == [row["scores"] for row in rows("plain")]


def test_resume_writes_the_missing_parts_only(batch) -> None:
    whole = ("pictures", "--out", "out", "--part-rows", "4")
    batch(*whole)
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    refused = batch(*whole)
    assert (refused.returncode, "--resume" in refused.stderr) == (2, True)
    again = batch(*whole, "--resume")
    assert again.returncode == 0
    assert "12 of 12 pictures were done" in again.stderr
    Path("out/part-000001.parquet").unlink()
    Path("out/.part-000001.parquet.0a1b2c3d.tmp").write_text("half")
    Path("out/keep.tmp").touch()
    assert "Resumed: 8 of 12 pictures were done." in batch(*whole, "--resume").stderr
    Path("out/keep.tmp").unlink()
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before


def test_an_interrupted_run_counts_what_it_wrote(batch, monkeypatch) -> None:
    def interrupt(_line: object, done: int) -> None:
        if done == 6:
            raise KeyboardInterrupt

    monkeypatch.setattr("ssd300.cli.batch.ProgressLine.show", interrupt)
    result = batch("pictures/0[0-3].png", "pictures/bad.jpg", "pictures/0[4-8].png", "--out", "out", "--part-rows", "4")
    assert result.returncode == 130
    assert result.stderr.startswith("4 pictures, ")
    assert "Interrupted: 6 of 10 pictures are not written yet" in result.stderr
    assert "Failed" not in result.stderr  # its row, with the error, is not written


def test_the_list_of_pictures_is_that_of_the_first_run(batch) -> None:
    Path("list.txt").write_text("pictures/00.png\npictures/01.png\n")
    batch("list.txt", "--out", "out", "--part-rows", "1")
    Path("out/part-000001.parquet").unlink()
    Path("list.txt").write_text("pictures/05.png\n")
    assert batch("list.txt", "--out", "out", "--part-rows", "1", "--resume").returncode == 0
    assert [row["source"] for row in rows("out")] == ["pictures/00.png", "pictures/01.png"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("--conf", "0.4"), ""),
        (("--conf", "0.9"), "request: score_threshold was 0.4, now 0.9; repeat"),
        (("--part-rows", "2"), "part_rows was 1000, now 2"),
        (("-r",), "recursive was False, now True"),
    ],
)
def test_resume_refuses_another_request(batch, change, words) -> None:
    batch("pictures/01.png", "--out", "out")
    result = batch("pictures/01.png", "--out", "out", "--resume", *change)
    assert (result.returncode, words in result.stderr) == (2 if words else 0, True)


def test_resume_says_in_words_that_the_model_is_another_one(batch) -> None:
    """Four checksums hid what had changed where the bundled model was another one after an upgrade."""
    batch("pictures/01.png", "--out", "out")
    values = json.loads(Path("out/_run.json").read_text())
    values["request"] |= {"model_sha256": "0" * 64, "model_files": {"default.safetensors": "0" * 64}}
    Path("out/_run.json").write_text(json.dumps(values))
    result = batch("pictures/01.png", "--out", "out", "--resume")
    assert "request: the files of the model have changed, perhaps with an upgrade of ssd300; repeat" in result.stderr


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ("b.jpg", "sources was ['http://host.example/a.jpg?pwd=***'], now ['http://host.example/b.jpg']"),
        ("a.jpg?pwd=hunter3", "another request: the passwords in the sources have changed; repeat"),
    ],
)
def test_resume_names_no_password(batch, now, words) -> None:
    """Another password is another request: the pictures would be read with the one in the list of the run."""
    batch("pictures/01.png", "--out", "out")
    values = json.loads(Path("out/_run.json").read_text())
    values["request"]["sources"] = ["http://admin:hunter2@host.example/a.jpg?pwd=hunter2"]
    Path("out/_run.json").write_text(json.dumps(values))
    result = batch(f"http://admin:hunter3@host.example/{now}", "--out", "out", "--resume")
    assert result.returncode == 2
    assert words in result.stderr
    assert "hunter" not in result.stderr


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are read from /proc")
def test_no_file_of_the_results_stays_open(batch) -> None:
    """Windows replaces and removes none that is."""
    batch("pictures/01.png", "--out", "out")
    handles = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    names = [os.readlink(handle) for handle in handles if os.path.lexists(handle)]
    assert [name for name in names if name.startswith(str(Path("out").resolve()))] == []


def test_a_damaged_request_is_named(batch) -> None:
    batch("pictures/01.png", "--out", "out")
    for text in ("", "7"):
        Path("out/_run.json").write_text(text)
        result = batch("pictures/01.png", "--out", "out", "--resume")
        assert (result.returncode, "out: its _run.json is damaged" in result.stderr) == (2, True)


@pytest.mark.parametrize("content", [None, b"", b"PAR1 and the rest is lost"])
def test_a_list_of_pictures_that_is_gone_or_damaged_is_named(batch, content) -> None:
    batch("pictures/0*.png", "--out", "out", "--part-rows", "4")
    Path("out/part-000001.parquet").unlink()
    Path("out/_sources.parquet").unlink()
    if content is not None:
        Path("out/_sources.parquet").write_bytes(content)
    result = batch("pictures/0*.png", "--out", "out", "--part-rows", "4", "--resume")
    assert (result.returncode, "out: its _sources.parquet is damaged" in result.stderr) == (2, True)


def test_the_list_of_another_run_is_not_taken(batch) -> None:
    batch("pictures/0*.png", "--out", "out", "--part-rows", "4")
    batch("pictures/0[0-8].png", "--out", "other", "--part-rows", "4")  # as many parts
    Path("out/part-000002.parquet").unlink()
    Path("other/_sources.parquet").replace("out/_sources.parquet")
    result = batch("pictures/0*.png", "--out", "out", "--part-rows", "4", "--resume")
    assert (result.returncode, "damaged (9 pictures in 3 parts, _run.json has 10 in 3)" in result.stderr) == (2, True)


def test_rows_that_are_gone_from_a_source_say_so(batch) -> None:
    data = [Path(f"pictures/0{number}.png").read_bytes() for number in range(3)]
    pq.write_table(pa.table({"image": data}), "three.parquet")
    batch("three.parquet", "--out", "out", "--part-rows", "1")
    pq.write_table(pa.table({"image": data[:2]}), "three.parquet")
    Path("out/part-000002.parquet").unlink()
    assert batch("three.parquet", "--out", "out", "--part-rows", "1", "--resume").returncode == 2
    assert "has no row 2 any more" in rows("out")[2]["error"]


def test_of_two_runs_that_begin_at_once_one_goes_on(batch, monkeypatch) -> None:
    listing = ssd300.batch.start.list_pictures

    def list_slowly(*arguments, **options):
        Path("out").mkdir()
        Path("out/_run.json").write_text("of another process")
        yield from listing(*arguments, **options)

    monkeypatch.setattr(ssd300.batch.start, "list_pictures", list_slowly)
    result = batch("pictures/01.png", "--out", "out")
    assert (result.returncode, "another run began here" in result.stderr) == (2, True)
    assert sorted(os.listdir("out")) == ["_run.json", "_run.lock"]


def test_two_processes_never_work_in_one_folder(batch) -> None:
    """The second one would remove the unfinished files of the first."""
    batch("pictures/01.png", "--out", "out")
    Path("out/part-000000.parquet").unlink()
    hold = "import pathlib, sys; from ssd300.files import try_lock; try_lock(pathlib.Path('out/_run.lock'))"
    other = subprocess.Popen(
        [sys.executable, "-c", f"{hold}; print(1, flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with other:
        assert other.stdout is not None
        other.stdout.readline()
        result = batch("pictures/01.png", "--out", "out", "--resume")
        assert (result.returncode, "out: another process works in it" in result.stderr) == (2, True)
        other.kill()
    assert batch("pictures/01.png", "--out", "out", "--resume").returncode == 0
    assert len(rows("out")) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pictures", "--out", "x", "--workers", "2"], "--workers requires --engine ray"),
        (["pictures", "--out", "x", "--address", "auto"], "--address requires --engine ray"),
        (["pictures", "--out", "pictures/bad.jpg"], "a file, expected a folder"),
        (["nosuch.txt", "--out", "x"], "the list cannot be read"),
        (["pictures", "--out", "x", "--labels", "unicorn"], "unicorn"),
        (["-", "--out", "x"], "standard input"),
        (["pictures/01.png", "--out", ""], "--out is ''"),
        (
            ["pictures/01.png", "--out", "http://host/x"],
            "--out is 'http://host/x': expected a folder, or an address of",
        ),
    ],
)
def test_wrong_requests_leave_no_run(batch, arguments, words) -> None:
    result = batch(*arguments)
    assert (result.returncode, words in result.stderr) == (2, True), result.stderr
    assert not Path("x/_run.json").exists()


def test_without_ray_no_run_is_begun(batch, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    result = batch("pictures", "--out", "x", "--engine", "ray")
    assert (result.returncode, 'pip install ".[ray]"' in result.stderr) == (2, True)
    assert not Path("x").exists()


def test_offline_forbids_object_stores(batch, monkeypatch) -> None:
    monkeypatch.setenv("SSD300_OFFLINE", "1")
    result = batch("s3://bucket/folder", "--out", "out")
    assert (result.returncode, "SSD300_OFFLINE" in result.stderr) == (2, True)


@pytest.mark.parametrize("again", [(), ("--resume",)])
def test_a_killed_start_is_no_run_and_parts_without_a_request_are_not_taken_for_done(batch, again) -> None:
    batch("pictures/0*.png", "--out", "out")
    Path("out/_run.json").unlink()
    refused = batch("pictures/01.png", "--out", "out", *again)
    assert (refused.returncode, "out holds part-000000.parquet of a run whose _run.json" in refused.stderr) == (2, True)
    Path("out/part-000000.parquet").unlink()
    assert batch("pictures/01.png", "--out", "out", *again).returncode == 0
    assert [row["source"] for row in rows("out")] == ["pictures/01.png"]


def test_a_folder_of_results_is_a_data_set(batch) -> None:
    batch("pictures", "--out", "out", "--part-rows", "5")
    assert pq.read_table("out").num_rows == 12
    assert Folder("nosuch").names() == set()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kills_at_any_moment_lose_and_double_nothing(batch, seeded_checkpoint) -> None:
    """Killed five times, then left alone: the parts are those of a run that was never disturbed, byte for byte."""
    Path("list.txt").write_text("".join(f"pictures/{n % 11:02d}.png\n" for n in range(200)))
    arguments = ["list.txt", "--part-rows", "4", "--precision", "f32"]
    batch(*arguments, "--out", "whole")
    command = [sys.executable, "-m", "ssd300", "batch", *arguments, "--out", "out", "--resume"]
    command += ["--model", str(seeded_checkpoint), "--threads", "2"]
    moments = random.Random(11)
    for _ in range(5):
        before = len(parts("out"))
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while len(parts("out")) == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert 5 <= len(parts("out")) < len(parts("whole"))
    assert subprocess.run(command, capture_output=True).returncode == 0
    names = {path.name for path in parts("whole")}
    assert {path.name for path in Path("out").iterdir()} == {*names, "_run.json", "_run.lock", "_sources.parquet"}
    assert all(Path("out", name).read_bytes() == Path("whole", name).read_bytes() for name in names)

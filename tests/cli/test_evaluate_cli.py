"""`ssd300 evaluate` through its command line, with a small seeded model."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from command import ssd300

SIZES = {"one.png": (90, 120), "two.png": (60, 200), "empty.png": (80, 80)}  # height, width


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A COCO file of three pictures, one without boxes, with the model's class names under other ids."""
    folder = tmp_path_factory.mktemp("data set")
    random = np.random.default_rng(0)
    for name, (height, width) in SIZES.items():
        small = Image.fromarray(random.integers(0, 255, (12, 12, 3), np.uint8))
        small.resize((width, height)).save(folder / name)
    return write_json(folder / "pets.json", ["person", "dog"])


def write_json(path: Path, names: list[str]) -> Path:
    images = [
        {"id": i, "file_name": name, "height": height, "width": width}
        for i, (name, (height, width)) in enumerate(SIZES.items(), 1)
    ]
    boxes = [
        {"id": i, "image_id": 1 + i % 2, "category_id": 5 + i % 2, "bbox": [5 * i, 5, 30, 40], "iscrowd": int(i == 4)}
        for i in range(1, 5)
    ]
    categories = [{"id": 5 + i, "name": name} for i, name in enumerate(names)]
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    return path


@pytest.fixture
def evaluate(narrow, narrow_checkpoint):
    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        options = ("--model", narrow_checkpoint, "--threads", 1, "--precision", "f32")
        return ssd300("evaluate", *options, *arguments)

    return run


def test_no_data_set(evaluate, tmp_path) -> None:
    result = evaluate("--data", tmp_path / "none.json")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("ssd300: ")
    assert "none.json" in result.stderr


def test_rows_of_detect_give_pycocotools_the_same_numbers(evaluate, narrow_checkpoint, narrow_found_again) -> None:
    truth = COCO(narrow_found_again / "val.json")
    model = ("--model", narrow_checkpoint, "--threads", 1, "--precision", "f32")
    asked = ("--format", "coco", "--conf", 0.05, "--no-clip", "--no-save")  # as docs/evaluation.md says
    rows = json.loads(ssd300("detect", *model, *asked, narrow_found_again / "val*.png").stdout)
    ids = {str(narrow_found_again / image["file_name"]): image["id"] for image in truth.dataset["images"]}
    scorer = COCOeval(truth, truth.loadRes([row | {"image_id": ids[row["file_name"]]} for row in rows]), "bbox")
    scorer.evaluate()
    scorer.accumulate()
    scorer.summarize()
    metrics = json.loads(evaluate("--data", narrow_found_again / "val.json", "--json").stdout)["metrics"]
    assert 0 < metrics["AP"] < 1
    assert [-1 if number is None else number for number in metrics.values()] == pytest.approx(scorer.stats, abs=1e-6)


def test_the_table(evaluate, data) -> None:
    result = evaluate("--data", data)
    lines = result.stdout.splitlines()
    assert result.returncode == 0
    assert lines[0].startswith("AP 0.")
    assert lines[0].endswith("/pets")
    assert "on 3 pictures of " in lines[0]
    assert "[" in lines[0]
    assert [line.split()[0] for line in lines[1:]][:3] == ["AP", "AP50", "AP75"]
    assert len(lines) == 13
    assert "1 crowd box" in result.stderr
    assert "of classes that the data set does not have (it lacks 2 of the model's)" in result.stderr
    assert "3 pictures in" in result.stderr


def test_a_damaged_picture_is_listed_and_with_debug_where_it_failed(evaluate, data, tmp_path, monkeypatch) -> None:
    shutil.copytree(data.parent, tmp_path / "set")
    (tmp_path / "set/two.png").write_bytes((data.parent / "two.png").read_bytes()[:200])
    for debug in ("", "1"):
        monkeypatch.setenv("SSD300_DEBUG", debug)
        result = evaluate("--data", tmp_path / "set" / data.name)
        assert (result.returncode, "two.png: a damaged or truncated PNG" in result.stderr) == (1, True)
        assert ("Traceback" in result.stderr) == bool(debug)


@pytest.mark.parametrize(
    "kind", ["file", *(pytest.param(kind, marks=pytest.mark.posix) for kind in ("FIFO", "FIFO within"))]
)
def test_a_report_that_could_not_be_written_is_refused_before_any_work(evaluate, tmp_path, kind) -> None:
    out = tmp_path / "out"
    if kind == "file":
        out.write_bytes(b"mine")
    elif kind == "FIFO":
        os.mkfifo(out)
    else:
        out.mkdir()
        os.mkfifo(out / "report.json")
    result = evaluate("--data", tmp_path / "no such data", "--report", out)
    assert result.returncode == 2
    assert "cannot be written: it is" in result.stderr


def test_tracks_are_scored(tmp_path) -> None:
    rows = [f"{frame},1,{10 + frame},20,30,40,1,-1,-1,-1\n" for frame in range(1, 5)]
    for name, text in (("none.txt", ""), ("gt.txt", "".join(rows)), ("half.txt", "".join(rows[::2]))):
        (tmp_path / name).write_text(text)
    for name, matches in (("none.txt", 0), ("gt.txt", 4), ("half.txt", 2)):
        done = ssd300("evaluate", "--data", tmp_path / "gt.txt", "--tracks", tmp_path / name, "--json")
        assert json.loads(done.stdout)["matches"] == matches, done.stderr
    for option, value in (("--report", tmp_path / "out"), ("--model", "default"), ("--iou-threshold", "0.5")):
        done = ssd300("evaluate", "--data", tmp_path / "gt.txt", "--tracks", tmp_path / "gt.txt", option, value)
        assert (done.returncode, f"{option} is for measuring a model" in done.stderr) == (2, True)


def test_json_and_report(evaluate, data, tmp_path) -> None:
    result = evaluate("--data", data, "--json", "--report", tmp_path / "out", "--published")
    assert result.returncode == 0
    told, kept = json.loads(result.stdout), json.loads((tmp_path / "out/report.json").read_bytes())
    assert {k: v for k, v in told.items() if k != "seconds"} == {k: v for k, v in kept.items() if k != "seconds"}
    assert told["dataset"]["pictures"] == 2
    assert told["dataset"]["pictures_left_out"] == 1
    assert told["settings"]["score_threshold"] == 0.05
    assert told["model"]["name"] == "seeded"
    assert (told["model"]["runtime"], told["model"]["precision"]) == ("openvino", "f32")
    assert (tmp_path / "out/report.html").read_text().startswith("<!doctype html>")
    assert str(tmp_path / "out/report.html") in result.stderr


def test_a_picture_that_cannot_be_read(evaluate, data, tmp_path) -> None:
    for name in SIZES:
        (tmp_path / name).write_bytes((data.parent / name).read_bytes())
    (tmp_path / "two.png").write_bytes((data.parent / "two.png").read_bytes()[:200])
    result = evaluate("--data", write_json(tmp_path / "pets.json", ["person", "dog"]))
    assert result.returncode == 1
    assert "on 3 pictures of " in result.stdout
    assert "1 picture could not be read" in result.stderr
    assert "two.png" in result.stderr


def test_another_set_of_classes(evaluate, data) -> None:
    path = write_json(data.parent / "other.json", ["square", "circle"])
    result = evaluate("--data", path)
    assert (result.returncode, result.stdout) == (2, "")
    assert "no class name in common: the model has person, dog, traffic light, Größe" in result.stderr
    assert "square, circle" in result.stderr


@pytest.mark.parametrize(
    ("package", "arguments"), [("hotcoco", []), ("matplotlib", ["--report", "out"])], ids=["hotcoco", "matplotlib"]
)
def test_without_the_extra(data, tmp_path, package, arguments) -> None:
    (tmp_path / "blocked").mkdir()
    (tmp_path / f"blocked/{package}.py").write_text(f"raise ModuleNotFoundError('no {package}')")

    folders = [str(tmp_path / "blocked"), *filter(None, [os.environ.get("PYTHONPATH")])]  # which may hold this package
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    command = [sys.executable, "-m", "ssd300", "evaluate", "--data", str(data), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert (result.returncode, result.stdout) == (2, "")
    assert 'pip install ".[eval]" in a clone of ssd300' in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing option '--data'"),
        (["--data", "x", "--conf", "2"], "not in the range 0<=x<=1"),
        (["--data", "x", "--decode", "slow"], "exact"),
    ],
)
def test_usage_errors(evaluate, arguments, words) -> None:
    result = evaluate(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr

"""The loop as a whole: it learns, resumes to the last bit, survives being killed, and shares work between processes."""

import csv
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ssd300.data.dataset import Dataset
from ssd300.data.write import write_coco
from ssd300.errors import TrainingError
from ssd300.learn.run import load_state
from ssd300.learn.train import train
from ssd300.weights.checkpoint import read_checkpoint

TINY = {
    "recipe": "modern",
    "start": "none",
    "workers": 0,
    "device": "cpu",
    "precision": "f32",
    "batch_size": 4,
    "warmup": 2,
}


def results(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "results.csv").read_text().splitlines()))


def states_equal(a: Path, b: Path) -> bool:
    one, two = load_state(a), load_state(b)
    return all(torch.equal(value, two["network"][key]) for key, value in one["network"].items()) and all(
        torch.equal(value, two["averaged"][0][key]) for key, value in one["averaged"][0].items()
    )


def test_nothing_to_learn_from(squares, tmp_path):
    with pytest.raises(TrainingError, match="no pictures to learn from"):
        train(squares.subset([]), out=tmp_path / "run", **TINY)


def test_nothing_to_resume(squares, tmp_path):
    with pytest.raises(TrainingError, match="there is no run to resume"):
        train(squares, out=tmp_path / "run", resume=True, **TINY)


def test_other_backbones_need_a_start(squares, tmp_path):
    settings = TINY | {"start": None}
    with pytest.raises(TrainingError) as error:
        train(squares, out=tmp_path / "run", backbone="resnet50", **settings)
    for way in ("start=FILE", "start='imagenet'", "start='none'"):
        assert way in str(error.value)


def test_a_run_leaves_what_it_promises(squares, tmp_path):
    out = train(squares, squares.subset(range(4)), out=tmp_path / "run", epochs=2, **TINY)
    rows = results(out)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(float(row["AP"]) >= 0 for row in rows)
    described = json.loads((out / "recipe.json").read_text())
    assert described["recipe"]["epochs"] == 2
    state, metadata = read_checkpoint(out / "best.safetensors")
    assert metadata.classes == squares.classes
    assert metadata.training["pictures_seen"] in (8, 16)
    assert state["conf.0.weight"].shape[0] == 3 * 4
    assert (out / "curves.png").stat().st_size > 1000
    assert (out / "samples.jpg").stat().st_size > 1000


def test_an_all_empty_data_set_trains(squares, tmp_path):
    out = train(squares.subset([0]), out=tmp_path / "run", epochs=1, **TINY | {"recipe": "published", "batch_size": 2})
    assert (out / "best.safetensors").exists()


def test_resume_is_bit_equal(squares, tmp_path, monkeypatch):
    """Stopped in the middle of the second epoch and resumed = never stopped."""
    whole = train(squares, out=tmp_path / "whole", epochs=2, **TINY)
    from ssd300.learn.learner import Learner

    step, steps = Learner.step, []

    def interrupted(self, lr):
        step(self, lr)
        steps.append(lr)
        if len(steps) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Learner, "step", interrupted)
    with pytest.raises(KeyboardInterrupt, match="--resume"):
        train(squares, out=tmp_path / "parts", epochs=2, **TINY)
    monkeypatch.undo()
    assert load_state(tmp_path / "parts")["progress"]["step_in_epoch"] == 1
    parts = train(squares, out=tmp_path / "parts", epochs=2, resume=True, **TINY)
    assert states_equal(whole, parts)
    assert (whole / "results.csv").read_text().splitlines()[0] == (parts / "results.csv").read_text().splitlines()[0]


@pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_ends_the_step_and_saves(squares, tmp_path, number):
    """As `timeout` and a terminal's Ctrl-C send it: to the processes that load pictures as well."""
    out = tmp_path / "run"
    write_coco(tmp_path / "squares.json", squares, [p.file_name for p in squares.pictures])
    command = [sys.executable, "-m", "ssd300", "train", "--data", str(tmp_path / "squares.json"), "--out", str(out)]
    command += ["--start", "none", "--recipe", "modern", "--epochs", "500", "--batch-size", "2", "--log-every", "1"]
    listen = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=listen)
    try:
        assert any(" step " in line for line in process.stderr)
        os.killpg(process.pid, number)
        _, words = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, words
    assert f"go on with --out {out} --resume" in words
    assert load_state(out)["progress"]["step"] > 0


def test_resume_refuses_other_settings(squares, tmp_path):
    train(squares, out=tmp_path / "run", epochs=1, **TINY)
    with pytest.raises(TrainingError, match=r"lr: 0\.0012 there, 0\.5 asked for"):
        train(squares, out=tmp_path / "run", epochs=1, resume=True, lr=0.5, **TINY)


def test_a_loss_that_is_not_a_number_names_the_pictures(squares, tmp_path):
    with pytest.raises(TrainingError, match=r"batch of pictures .*square\d\.png"):
        train(squares, out=tmp_path / "run", epochs=9, **TINY | {"lr": 1e12, "clip_norm": 0.0, "warmup": 0})


def test_seeds_repeat_and_differ(squares, tmp_path):
    runs = [train(squares, out=tmp_path / str(i), epochs=1, seed=seed, **TINY) for i, seed in enumerate((1, 1, 2))]
    assert states_equal(runs[0], runs[1])
    assert not states_equal(runs[0], runs[2])


def command(data: Path, out: Path, *options: str, processes: int = 1) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    module = ["-m", "--", "ssd300"] if launcher else ["-m", "ssd300"]
    settings = ["--recipe", "published", "--start", "none", "--device", "cpu", "--precision", "f32", "--workers", "0"]
    where = ["--data", str(data), "--val", str(data), "--out", str(out)]
    return [sys.executable, *launcher, *module, "train", *where, *settings, *options]


def written(dataset: Dataset, folder: Path) -> Path:
    """The data set as COCO JSON beside its pictures."""
    rows = []
    for picture in dataset.pictures:
        for x1, y1, x2, y2 in picture.annotations.boxes_xyxy.tolist():
            box = [x1, y1, x2 - x1, y2 - y1]
            rows.append({"id": len(rows) + 1, "image_id": picture.image_id, "category_id": 4, "bbox": box})
    images = [
        {"id": p.image_id, "file_name": p.file_name, "width": p.width, "height": p.height} for p in dataset.pictures
    ]
    classes = [{"id": i, "name": n} for i, n in zip(dataset.classes.ids, dataset.classes.names, strict=True)]
    path = folder / "data.json"
    path.write_text(json.dumps({"images": images, "annotations": rows, "categories": classes}))
    return path


@pytest.mark.slow
def test_two_processes_equal_one_that_accumulates(squares, tmp_path):
    data = written(squares, tmp_path)
    options = ["--epochs", "10", "--batch-size", "2", "--log-every", "1", "--validate-every", "10"]
    losses = []
    for processes in (1, 2):
        extra = ["--accumulate", "2"] if processes == 1 else []
        result = subprocess.run(
            command(data, tmp_path / str(processes), *options, *extra, processes=processes),
            capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        history = results(tmp_path / str(processes))
        losses.append([[float(row["box_loss"]), float(row["class_loss"])] for row in history])
        assert result.returncode == 0
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)  # 10 epochs of 2 steps: the first 20 losses


def inode(path: Path) -> int | None:
    return path.stat().st_ino if path.exists() else None


def wait_until(condition: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.slow
def test_killed_while_writing_never_breaks_a_file(squares, tmp_path):
    """SIGKILL at 20 moments within the write of a checkpoint: what is on disk is whole, and no epoch is lost."""
    from ssd300.data.coco import read_coco

    data = written(squares.subset(range(2)), tmp_path)
    out, done = tmp_path / "run", 0
    for attempt in range(20):
        resume = ["--resume"] if (out / "last.pt").exists() else []
        left = set(out.glob(".last.pt.*"))  # by the process killed before
        before = inode(out / "last.pt")
        process = subprocess.Popen(
            command(data, out, "--epochs", "1000", "--batch-size", "2", "--validate-every", "1000", *resume),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        wait_until(lambda before=before: inode(out / "last.pt") != before, process)  # one epoch is kept
        wait_until(lambda left=left: set(out.glob(".last.pt.*")) - left, process)
        time.sleep(0.004 * attempt)
        process.kill()
        process.communicate()
        epoch = load_state(out)["progress"]["epoch"]
        assert epoch > done
        done = epoch
        read_checkpoint(out / "best.safetensors")
    assert done >= 20
    assert len(set(out.glob(".last.pt.*"))) <= 1  # what was left is removed by the next one
    assert len(read_coco(data)) == 2

"""The loop as a whole: it learns, resumes to the last bit, survives being killed, and shares work between processes."""

import csv
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ssd300.data.dataset import Dataset
from ssd300.data.write import write_coco
from ssd300.errors import ArgumentError, ImageError, TrainingError
from ssd300.labels import ClassList
from ssd300.learn.device import Compute
from ssd300.learn.recipe import resolve_recipe
from ssd300.learn.run import load_state
from ssd300.learn.train import train
from ssd300.weights.checkpoint import read_checkpoint, sha256_of

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


@pytest.mark.parametrize("setting", [{"workers": -1}, {"validate_every": 0}, {"log_every": 0}])
def test_counts_that_could_not_work_are_refused_at_once(squares, tmp_path, setting):
    (name,) = setting
    with pytest.raises(ArgumentError, match=f"{name} is {setting[name]}: expected"):
        train(squares, out=tmp_path / "run", **(TINY | setting))
    assert not (tmp_path / "run").exists()


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


def stopped_after(steps: int, monkeypatch, data: Dataset, out: Path, **settings) -> None:
    """A run that gets SIGTERM in the step of this number."""
    from ssd300.learn.learner import Learner

    step, taken = Learner.step, []

    def interrupted(self, lr):
        step(self, lr)
        taken.append(lr)
        if len(taken) == steps:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(Learner, "step", interrupted)
        with pytest.raises(KeyboardInterrupt, match="--resume"):
            train(data, out=out, **settings)


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_resume_is_bit_equal(squares, tmp_path, monkeypatch, steps):
    """Stopped and resumed = never stopped, in weights and results, also at the last step of an epoch (2, 4)."""
    whole = train(squares, out=tmp_path / "whole", epochs=2, **TINY)
    stopped_after(steps, monkeypatch, squares, tmp_path / "parts", epochs=2, **TINY)
    parts = train(squares, out=tmp_path / "parts", epochs=2, resume=True, **TINY)
    assert states_equal(whole, parts)
    for one, two in zip(results(whole), results(parts), strict=True):
        assert {k: v for k, v in one.items() if k != "seconds"} == {k: v for k, v in two.items() if k != "seconds"}


def test_resume_refuses_other_data(squares, tmp_path, monkeypatch):
    stopped_after(1, monkeypatch, squares, tmp_path / "run", epochs=2, **TINY)
    other_order = replace(squares, classes=ClassList(("square", "circle"), (4, 2)))
    for other, words in (
        (squares.subset([0, 1, 2]), "data: '8 pictures' there, '3 pictures' asked for"),
        (other_order, "classes: 'circle, square' there, 'square, circle' asked for"),
    ):
        with pytest.raises(TrainingError, match=words):
            train(other, out=tmp_path / "run", epochs=2, resume=True, **TINY)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"backbone": "resnet34"}, "backbone: 'resnet18' there, 'resnet34' asked for"),
        ({"start": "default"}, "start: 'random weights' there, 'default.safetensors"),
    ],
)
def test_resume_refuses_another_start(squares, tmp_path, monkeypatch, other, words):
    stopped_after(1, monkeypatch, squares, tmp_path / "run", epochs=2, **TINY)
    with pytest.raises(TrainingError, match=words):
        train(squares, out=tmp_path / "run", epochs=2, resume=True, **(TINY | other))


def test_resume_refuses_another_validation_set(squares, tmp_path, monkeypatch):
    """The best of two epochs measured on different pictures would be no best."""
    stopped_after(1, monkeypatch, squares, tmp_path / "run", val=squares, epochs=2, **TINY)
    with pytest.raises(TrainingError, match="val: '8 pictures, 7 boxes' there, '2 pictures, 1 boxes' asked for"):
        train(squares, squares.subset([0, 1]), out=tmp_path / "run", epochs=2, resume=True, **TINY)


def test_a_run_stopped_in_its_first_epoch_leaves_a_model(squares, tmp_path, monkeypatch):
    stopped_after(1, monkeypatch, squares, tmp_path / "run", epochs=2, **TINY)
    _, metadata = read_checkpoint(tmp_path / "run" / "best.safetensors")
    assert metadata.metric is None
    assert metadata.training["epochs_done"] == 0


def test_the_model_says_where_it_came_from(squares, tmp_path):
    one = train(squares, out=tmp_path / "one", epochs=1, **TINY)
    two = train(squares, out=tmp_path / "two", epochs=1, **(TINY | {"start": one / "best.safetensors"}))
    _, metadata = read_checkpoint(two / "best.safetensors")
    assert metadata.parent_sha256 == sha256_of(one / "best.safetensors")
    assert metadata.training["start"] == "best.safetensors (all 2 classes by name)"


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_cannot_be_read_is_named_in_one_line(squares, tmp_path, workers):
    (tmp_path / "square3.png").write_bytes(b"no picture")
    with pytest.raises(TrainingError) as error:
        train(squares, out=tmp_path / "run", epochs=1, **(TINY | {"workers": workers}))
    assert "square3.png" in str(error.value)
    assert "ssd300 data check" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_setting_suggests_the_nearest(squares, tmp_path):
    with pytest.raises(ArgumentError, match="unknown training setting 'validate_evry': did you mean 'validate_every'"):
        train(squares, out=tmp_path / "run", validate_evry=2, **TINY)


def test_resume_refuses_another_number_of_processes(squares, tmp_path, monkeypatch):
    """A step of two processes is another one: pictures would be left out."""
    stopped_after(1, monkeypatch, squares, tmp_path / "run", epochs=2, **TINY)
    two = Compute(torch.device("cpu"), "f32", 0, 2)
    monkeypatch.setattr("ssd300.learn.train.choose_compute", lambda *_: two)
    with pytest.raises(TrainingError, match="pictures a step: '4' there, '8' asked for"):
        train(squares, out=tmp_path / "run", epochs=2, resume=True, **TINY)


def test_a_folder_with_a_run_takes_no_other(squares, tmp_path, monkeypatch):
    stopped_after(1, monkeypatch, squares, tmp_path / "run", epochs=2, **TINY)
    before = (tmp_path / "run" / "last.pt").read_bytes()
    with pytest.raises(TrainingError, match=r"holds a run already: go on with it \(--resume\)"):
        train(squares, out=tmp_path / "run", epochs=2, **TINY)
    assert (tmp_path / "run" / "last.pt").read_bytes() == before


def test_an_error_after_a_signal_stays_an_error(squares, tmp_path, monkeypatch):
    def fails(self, lr):
        os.kill(os.getpid(), signal.SIGINT)
        raise RuntimeError("shapes differ")

    monkeypatch.setattr("ssd300.learn.learner.Learner.step", fails)
    with pytest.raises(RuntimeError, match="shapes differ"):
        train(squares, out=tmp_path / "run", epochs=1, **TINY)


def test_a_damaged_validation_picture_costs_no_epoch(squares, tmp_path):
    """Mended, the run goes on from the end of the epoch."""
    val = tmp_path / "val.png"
    good = squares.pictures[1].path.read_bytes()
    val.write_bytes(good[:900])
    held_out = replace(squares, pictures=(replace(squares.pictures[1], path=val),))
    with pytest.raises(ImageError, match=r"val\.png"):
        train(squares, held_out, out=tmp_path / "run", epochs=1, **TINY)
    val.write_bytes(good)
    out = train(squares, held_out, out=tmp_path / "run", epochs=1, resume=True, **TINY)
    assert [line["epoch"] for line in results(out)] == ["1"]
    assert (out / "best.safetensors").exists()


def test_nothing_to_measure_on(squares, tmp_path):
    with pytest.raises(TrainingError, match="no pictures to measure on"):
        train(squares, squares.subset([]), out=tmp_path / "run", **TINY)


def test_no_classes(squares, tmp_path):
    bare = replace(squares.subset([0]), classes=ClassList((), ()))
    with pytest.raises(TrainingError, match="has no classes"):
        train(bare, out=tmp_path / "run", **TINY)


def test_settings_change_a_recipe_that_is_given_whole(squares, tmp_path):
    recipe = resolve_recipe("modern", epochs=2, batch_size=4, warmup=2)
    rest = {key: TINY[key] for key in ("start", "workers", "device", "precision")}
    out = train(squares, out=tmp_path / "run", recipe=recipe, epochs=1, **rest)
    assert len(results(out)) == 1
    with pytest.raises(ArgumentError, match="did you mean 'epochs'"):
        train(squares, out=tmp_path / "run", recipe=recipe, epoch=1, **rest)


def test_trains_in_a_thread(squares, tmp_path):
    """Signals are heard by the main thread alone; elsewhere a run goes without them."""
    with ThreadPoolExecutor(1) as pool:
        out = pool.submit(train, squares, out=tmp_path / "run", epochs=1, **TINY).result()
    assert (out / "best.safetensors").exists()


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
    assert f"go on with the same command and --out {out} --resume" in words
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


@pytest.mark.slow
def test_one_process_stopped_alone_stops_all_and_saves(squares, tmp_path):
    """Its machine is taken away: the others end the same step, and the first one writes the state."""
    data, out = written(squares, tmp_path), tmp_path / "run"
    run = command(data, out, "--batch-size", "2", "--epochs", "500", "--validate-every", "1000", "--log-every", "1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"OMP_NUM_THREADS": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    processes = [
        subprocess.Popen(run, stderr=subprocess.PIPE, text=True, env=os.environ | shared | {"RANK": r, "LOCAL_RANK": r})
        for r in ("0", "1")
    ]
    try:
        assert any(" step " in line for line in processes[0].stderr)
        processes[1].send_signal(signal.SIGTERM)
        words = [process.communicate(timeout=120)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [130, 130], words
    assert load_state(out)["progress"]["step"] > 0


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

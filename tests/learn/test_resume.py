"""A run that is stopped and goes on equals one that never stopped, and goes on with nothing but its own."""

import functools
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from learn.short_runs import TINY, results, states_equal, stopped_after
from narrow import narrow_network
from ssd300.data.coco.write import write_coco
from ssd300.data.dataset import Annotations
from ssd300.errors import ArgumentError, TrainingError
from ssd300.labels import ClassList
from ssd300.learn.device import Compute
from ssd300.learn.learner import content_sha256
from ssd300.learn.run import load_state
from ssd300.learn.train import train
from ssd300.weights.checkpoint import read_checkpoint

pytestmark = pytest.mark.usefixtures("narrow")


def test_nothing_to_resume(squares, tmp_path):
    with pytest.raises(TrainingError, match="there is no run to resume"):
        train(squares, out=tmp_path / "run", resume=True, **TINY)


@pytest.fixture(scope="module")
def whole(same_squares, tmp_path_factory):
    """The folder of a run of two epochs that was never stopped."""
    with narrow_network():
        return train(same_squares, out=tmp_path_factory.mktemp("whole") / "run", epochs=2, **TINY)


@pytest.fixture(scope="module")
def stopped(same_squares, tmp_path_factory):
    """The folder of a run of two epochs that was stopped in its first step; tests only try to go on with it."""
    out = tmp_path_factory.mktemp("stopped") / "run"
    with narrow_network(), pytest.MonkeyPatch.context() as patch:
        stopped_after(1, patch, same_squares, out, epochs=2, **TINY)
    return out


def test_the_folder_of_a_run_is_named_to_resume_it_if_it_was_not_given(same_squares, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = stopped_after(1, monkeypatch, same_squares, None, epochs=2, **TINY)
    assert words == f"stopped at step 1; continue with the same command and --out {Path('runs/train/1')} --resume"


def test_a_run_that_is_refused_leaves_no_numbered_folder(same_squares, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match="--compile is for CUDA"):
        train(same_squares, compiled=True, epochs=2, **TINY)
    assert not list(tmp_path.iterdir())


SLOW = pytest.mark.slow


@pytest.mark.parametrize("steps", [pytest.param(1, marks=SLOW), 2, 3, pytest.param(4, marks=SLOW)])
def test_resume_is_bit_equal(same_squares, whole, tmp_path, monkeypatch, steps):
    """Stopped and resumed = never stopped, in weights and results, also at the last step of an epoch (2, 4)."""
    stopped_after(steps, monkeypatch, same_squares, tmp_path / "parts", epochs=2, **TINY)
    parts = train(same_squares, out=tmp_path / "parts", epochs=2, resume=True, **TINY)
    assert states_equal(whole, parts)
    for one, two in zip(results(whole), results(parts), strict=True):
        assert {k: v for k, v in one.items() if k != "seconds"} == {k: v for k, v in two.items() if k != "seconds"}


def test_resume_refuses_other_data(same_squares, stopped):
    other_order = replace(same_squares, classes=ClassList(("square", "circle"), (4, 2)))
    *rest, last = same_squares.pictures
    moved = Annotations.of(last.annotations.boxes_xyxy + 1, last.annotations.class_ids)
    corrected = replace(same_squares, pictures=(*rest, replace(last, annotations=moved)))
    for other, words in (
        (corrected, "sha256 of the data"),
        (replace(same_squares, pictures=same_squares.pictures[::-1]), "sha256 of the data"),
        (same_squares.subset([0, 1, 2]), "data: '8 pictures' there, '3 pictures' requested"),
        (other_order, "classes: 'circle, square' there, 'square, circle' requested"),
    ):
        with pytest.raises(TrainingError, match=words) as refused:
            train(other, out=stopped, epochs=2, resume=True, **TINY)
        assert ("sha256" in str(refused.value)) == words.startswith("sha256")


def test_resume_knows_data_that_moved_to_another_folder(same_squares, tmp_path):
    moved = [replace(p, path=tmp_path / p.path.name) for p in same_squares.pictures]
    assert content_sha256(replace(same_squares, pictures=tuple(moved))) == content_sha256(same_squares)


def test_resume_refuses_another_start(same_squares, one_epoch, stopped):
    for other, words in (
        ({"backbone": "resnet34"}, "backbone: 'resnet18' there, 'resnet34' requested"),
        ({"start": one_epoch / "best.safetensors"}, "start: 'random weights' there, 'best.safetensors"),
    ):
        with pytest.raises(TrainingError, match=words):
            train(same_squares, out=stopped, epochs=2, resume=True, **(TINY | other))


def test_resume_refuses_another_validation_set(squares, tmp_path, monkeypatch):
    """The best of two epochs measured on different pictures would be no best."""
    stopped_after(1, monkeypatch, squares, tmp_path / "run", val=squares, epochs=2, **TINY)
    with pytest.raises(TrainingError, match="val: '8 pictures, 7 boxes' there, '2 pictures, 1 boxes' requested"):
        train(squares, squares.subset([0, 1]), out=tmp_path / "run", epochs=2, resume=True, **TINY)


def test_a_run_that_ended_has_nothing_left(same_squares, whole, capsys):
    before = (whole / "last.pt").read_bytes()
    train(same_squares, out=whole, epochs=2, resume=True, **TINY)
    shown = capsys.readouterr().err
    assert "; measured on nothing; from " in shown
    assert "This run ended already, after 2 epochs: nothing is left to train." in shown
    assert (whole / "last.pt").read_bytes() == before


def test_a_run_stopped_in_its_first_epoch_leaves_a_model(stopped):
    _, metadata = read_checkpoint(stopped / "best.safetensors")
    assert metadata.metric is None
    assert metadata.training["epochs_done"] == 0


def test_resume_refuses_another_number_of_processes(same_squares, stopped, monkeypatch):
    """A step of two processes is another one: pictures would be left out."""
    two = Compute(torch.device("cpu"), "f32", 0, 2)
    monkeypatch.setattr("ssd300.learn.train.choose_compute", lambda *_: two)
    with pytest.raises(TrainingError, match="pictures per step: '4' there, '8' requested; repeat its command"):
        train(same_squares, out=stopped, epochs=2, resume=True, **TINY)


def test_a_folder_with_a_run_takes_no_other(same_squares, stopped):
    before = (stopped / "last.pt").read_bytes()
    with pytest.raises(TrainingError, match=r"holds a run already: continue it \(--resume\)"):
        train(same_squares, out=stopped, epochs=2, **TINY)
    assert (stopped / "last.pt").read_bytes() == before


@pytest.mark.parametrize("name", ["best.safetensors", "results.csv", "curves.png", "samples.jpg", "recipe.json"])
def test_a_run_replaces_no_file(same_squares, tmp_path, name):
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(TrainingError, match=rf"holds {name}, which a run would replace: give another --out"):
        train(same_squares, out=tmp_path, epochs=2, **TINY)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {name: b"mine"}


def test_an_error_after_a_signal_stays_an_error(squares, tmp_path, monkeypatch):
    def fails(self, lr):
        signal.raise_signal(signal.SIGINT)
        raise RuntimeError("shapes differ")

    monkeypatch.setattr("ssd300.learn.learner.Learner.step", fails)
    with pytest.raises(RuntimeError, match="shapes differ"):
        train(squares, out=tmp_path / "run", epochs=1, **TINY)


@pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX")
@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=SLOW), signal.SIGINT])
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
    assert process.returncode == 128 + number, words
    assert "continue with the same command and --resume.\n" in words  # which --out twice would not be
    assert load_state(out)["progress"]["step"] > 0


def test_resume_refuses_other_settings(same_squares, stopped):
    with pytest.raises(
        TrainingError, match=r"lr: 0\.0012 there, 0\.5 requested; repeat .* \(and --lr 0\.0012, if a recipe"
    ):
        train(same_squares, out=stopped, epochs=2, resume=True, lr=0.5, **TINY)

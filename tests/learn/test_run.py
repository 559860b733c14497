"""The folder of a run: made once, held by one process, and its state read only when whole."""

import errno
import itertools
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from learn.short_runs import TINY, results
from ssd300.errors import ArgumentError, ModelError, OutputError, TrainingError
from ssd300.learn.device import resident_bytes
from ssd300.learn.recipe import RECIPES
from ssd300.learn.run import LOCK, Position, load_state, lock_folder, numbered_folder, save_state
from ssd300.learn.train import train
from ssd300.weights.catalog import load_weights
from ssd300.weights.checkpoint import read_metadata

STATE = {name: {} for name in ("network", "optimizer", "scaler", "averaged", "progress", "recipe")}

pytestmark = pytest.mark.usefixtures("narrow")


def test_a_state_is_no_model(tmp_path) -> None:
    save_state(tmp_path, STATE)
    with pytest.raises(ModelError, match=r"last.pt: the state of a training run, .* use best.safetensors"):
        load_weights(tmp_path / "last.pt")


def test_new_folders_are_numbered(tmp_path):
    assert [numbered_folder(tmp_path / "runs").name for _ in range(3)] == ["1", "2", "3"]


@pytest.mark.timeout(20)
def test_new_folders_below_a_link_to_nowhere(tmp_path):
    (tmp_path / "runs").symlink_to(tmp_path / "disk that is not mounted")
    with pytest.raises(OutputError, match=r"runs.*cannot be written: .*choose another folder"):
        numbered_folder(tmp_path / "runs" / "train")


def test_a_folder_is_held_by_one_process(tmp_path):
    code = (
        "import sys, pathlib; from ssd300.files import try_lock\n"
        "assert try_lock(pathlib.Path(sys.argv[1])) is not None; print('mine', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "run" / LOCK)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "mine\n"
        with pytest.raises(TrainingError, match="another process trains in"), lock_folder(tmp_path / "run"):
            pass
        other.kill()
    with lock_folder(tmp_path / "run"):  # a killed process leaves no lock
        assert (tmp_path / "run" / LOCK).exists()


def test_two_runs_never_share_a_folder(squares, tmp_path):
    with lock_folder(tmp_path / "run"), pytest.raises(TrainingError, match="another process trains in"):
        train(squares, out=tmp_path / "run", epochs=1, **TINY)
    assert os.listdir(tmp_path / "run") == [LOCK]


def test_an_undamaged_state_is_read(tmp_path):
    save_state(tmp_path, STATE | {"network": {"weight": torch.arange(3)}})
    assert load_state(tmp_path)["network"]["weight"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("place", [0, 40, 0.3, 0.6, -100, -1])
def test_one_changed_bit_of_a_state_is_noticed(tmp_path, place):
    save_state(tmp_path, STATE | {"network": {"weight": torch.arange(300.0)}})
    path = tmp_path / "last.pt"
    data = bytearray(path.read_bytes())
    data[place if isinstance(place, int) else int(place * len(data))] ^= 4
    path.write_bytes(data)
    with pytest.raises(TrainingError, match=r"last\.pt is damaged: restore it"):
        load_state(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"not a state of anything"])
def test_other_files_are_no_states(tmp_path, content):
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(TrainingError, match=r"last\.pt is damaged"):
        load_state(tmp_path)


def test_a_state_cut_off_and_one_of_other_things_are_refused(tmp_path):
    save_state(tmp_path, STATE)
    data = (tmp_path / "last.pt").read_bytes()
    (tmp_path / "last.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(TrainingError, match="is damaged"):
        load_state(tmp_path)
    torch.save({"network": {}}, tmp_path / "last.pt")
    with pytest.raises(TrainingError, match="it is not the state of a training run"):
        load_state(tmp_path)


def test_a_state_without_a_checksum_is_read_as_before(tmp_path):
    torch.save(STATE, tmp_path / "last.pt")
    assert load_state(tmp_path) == STATE


def test_a_full_disk_keeps_the_state_before(tmp_path, monkeypatch):
    save_state(tmp_path, STATE)
    before = (tmp_path / "last.pt").read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left on device; free some space"):
        save_state(tmp_path, STATE | {"recipe": {"epochs": 3}})
    assert (tmp_path / "last.pt").read_bytes() == before
    assert os.listdir(tmp_path) == ["last.pt"]


@pytest.mark.parametrize("numbers", [{}, {"workers": np.int64(0), "patience": np.int8(1), "time_limit": np.float32(5)}])
def test_resume_needs_a_folder(squares, numbers):
    with pytest.raises(ArgumentError, match="--resume needs --out"):
        train(squares, squares, resume=True, **TINY | numbers)


@pytest.mark.parametrize("limit", [0, -1, float("nan"), "5"])
def test_a_time_limit_is_more_than_nothing(squares, tmp_path, limit):
    with pytest.raises(ArgumentError, match=r"--time-limit is .*: expected minutes, more than 0"):
        train(squares, out=tmp_path / "run", time_limit=limit, **TINY)


@pytest.mark.parametrize("minutes", [-1, float("nan"), "5", None])
def test_the_minutes_between_two_checkpoints_are_checked(squares, tmp_path, minutes):
    with pytest.raises(ArgumentError, match=r"checkpoint_minutes is .*: expected minutes, 0 or more"):
        train(squares, out=tmp_path / "run", checkpoint_minutes=minutes, **TINY)


def test_a_run_ends_in_time_and_its_rate_at_zero(squares, tmp_path, monkeypatch, capsys):
    """Also where not a single epoch fits: what was learned is measured, and the run can go on with more time."""
    ticks = SimpleNamespace(monotonic=itertools.count().__next__)  # a second each time the clock is read
    for module in ("train", "report"):
        monkeypatch.setattr(f"ssd300.learn.{module}.time", ticks)
    out = train(squares, squares, out=tmp_path / "run", epochs=10_000, time_limit=0.6, **TINY)
    rows = results(out)
    assert 3 <= len(rows) < 10
    full_rate = RECIPES["modern"].lr * TINY["batch_size"] / 32
    assert float(rows[-1]["lr"]) < 0.15 * full_rate  # of the last step, which began within the last quarter of the time
    assert "AP" in rows[-1]
    assert f"Ended in epoch {len(rows)} of 10000: the time limit is reached." in capsys.readouterr().err
    train(squares, squares, out=out, epochs=10_000, time_limit=0.6, resume=True, **TINY)
    assert results(out) == rows


def test_what_was_learned_last_is_measured_before_the_time_ends_a_run(squares, tmp_path, monkeypatch):
    """Also where the limit is reached while an epoch without a validation is written."""
    monkeypatch.setattr(Position, "time_share", lambda self, limit: float(self.epoch > 0))
    out = train(squares, squares, out=tmp_path / "run", epochs=9, time_limit=1, validate_every=5, **TINY)
    assert [bool(row["AP"]) for row in results(out)] == [False, True]
    train(squares, squares, out=out, epochs=9, time_limit=1, validate_every=5, resume=True, **TINY)
    assert len(results(out)) == 2


@pytest.mark.parametrize("option", [{"workers": "2"}, {"patience": 1.5}, {"log_every": None}])
def test_counts_are_whole_numbers(squares, tmp_path, option):
    name, value = next(iter(option.items()))
    words = f"--{name.replace('_', '-')} is {value!r}: expected a whole number, "
    with pytest.raises(ArgumentError, match=words):
        train(squares, out=tmp_path / "run", **TINY | option)


def test_patience_needs_something_to_measure_on(squares, tmp_path):
    with pytest.raises(ArgumentError, match=r"patience is 2: it counts validations, .* give val, too"):
        train(squares, out=tmp_path / "run", patience=2, **TINY)


def test_patience_ends_a_run_that_gains_nothing(squares, tmp_path, capsys):
    few = squares.subset([0, 1])
    out = train(few, few, out=tmp_path / "run", epochs=9, patience=2, **TINY | {"lr": 0.0, "batch_size": 2})
    assert len(results(out)) == 3
    assert "Ended in epoch 3 of 9: AP no longer rises" in capsys.readouterr().err
    assert read_metadata(out / "best.safetensors").training["epochs_done"] == 3  # of equal ones the latest


def test_training_starts_with_smaller_pictures(squares, tmp_path, monkeypatch):
    sizes = []
    from ssd300.learn import train as module

    forward = module.forward_loss
    monkeypatch.setattr(module, "forward_loss", lambda *args: (sizes.append(args[2].image_size), forward(*args))[1])
    settings = TINY | {"image_sizes": (96, 300), "size_milestones": (0.5,)}
    train(squares, out=tmp_path / "run", epochs=1, **settings)
    assert sizes == [96, 300]


def test_augmenting_on_the_device_trains(squares, tmp_path):
    out = train(squares, out=tmp_path / "run", epochs=1, augment_on="device", **TINY)
    assert len(results(out)) == 1


def test_tensorboard_files_only_when_asked_for(same_squares, one_epoch, tmp_path):
    pytest.importorskip("tensorboardX")
    asked = train(same_squares, out=tmp_path / "run", epochs=1, tensorboard=True, **TINY)
    assert not (one_epoch / "tensorboard").exists()
    assert list((asked / "tensorboard").glob("events.*"))


@pytest.mark.skipif(resident_bytes() is None, reason="the memory of a process is read on Linux with glibc")
def test_memory_that_is_kept_goes_back_when_it_piles_up():
    code = (
        "import torch; from ssd300.learn.device import *; keep_freed_memory(); kept = FreedMemory(); kept.check()\n"
        "blocks = [torch.ones(1 << 20) for _ in range(100)]; held = blocks[1::50]; del blocks\n"
        "before = resident_bytes(); gave = kept.check(); print(gave, resident_bytes() < before - (300 << 20))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "True True\n"

"""The loop as a whole: it learns, leaves what it promises, and names what it cannot use."""

import io
import json
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import pytest

from learn.short_runs import TINY, results, states_equal
from ssd300.data.notes import Note
from ssd300.errors import ArgumentError, DatasetError, ImageError, TrainingError
from ssd300.files import sha256_of
from ssd300.labels import ClassList
from ssd300.learn.display import LossMeter
from ssd300.learn.recipe import resolve_recipe
from ssd300.learn.run import stop_signals
from ssd300.learn.start import make_starting_network
from ssd300.learn.train import train
from ssd300.weights.checkpoint import read_checkpoint

pytestmark = pytest.mark.usefixtures("narrow")


def test_nothing_to_learn_from(squares, tmp_path):
    with pytest.raises(TrainingError, match="no pictures to train on"):
        train(squares.subset([]), out=tmp_path / "run", **TINY)


@pytest.mark.parametrize("setting", [{"workers": -1}, {"validate_every": 0}, {"log_every": 0}])
def test_counts_that_could_not_work_are_refused_at_once(squares, tmp_path, setting):
    (name,) = setting
    with pytest.raises(ArgumentError, match=f"--{name.replace('_', '-')} is {setting[name]}: expected"):
        train(squares, out=tmp_path / "run", **(TINY | setting))
    assert not (tmp_path / "run").exists()


def test_other_backbones_need_a_start(squares, tmp_path):
    settings = TINY | {"start": None}
    with pytest.raises(TrainingError) as error:
        train(squares, out=tmp_path / "run", backbone="resnet50", **settings)
    for way in ("--start FILE", "--start imagenet", "--start none"):
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


def test_frozen_kernels_and_statistics_stay_while_biases_and_norms_learn(same_squares, one_epoch, tmp_path):
    start = one_epoch / "best.safetensors"
    out = train(same_squares, out=tmp_path / "run", epochs=1, **(TINY | {"start": start, "freeze_kernels": True}))
    before, _ = read_checkpoint(start)
    after, _ = read_checkpoint(out / "best.safetensors")
    changed = {key for key, value in before.items() if (value != after[key]).any()}
    assert {before[key].ndim for key in changed} == {1}
    assert not any("running" in key for key in changed)
    assert {"conf.0.bias", "loc.0.bias", "additional_blocks.0.1.weight"} <= changed


@pytest.mark.parametrize("frozen", [{"freeze": "stem"}, {"freeze_norm": True}])
def test_a_frozen_trunk_needs_a_trained_one(squares, tmp_path, frozen):
    with pytest.raises(TrainingError, match=r"--start none has no trained trunk.*: add --freeze none --no-freeze-norm"):
        train(squares, out=tmp_path / "run", **TINY | frozen)
    assert not (tmp_path / "run").exists()


def test_frozen_kernels_need_trained_ones(squares, tmp_path):
    with pytest.raises(TrainingError, match=r"--freeze-kernels trains no new classes, but 2 of 2 have no trained"):
        train(squares, out=tmp_path / "run", freeze_kernels=True, **TINY)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("recipe", ["published", "modern"])
def test_small_pictures_first_and_then_maps_that_had_no_gradient(squares, tmp_path, recipe):
    settings = TINY | {"recipe": recipe, "size_milestones": (0.5,)}
    out = train(squares, out=tmp_path / "run", epochs=2, **settings)
    assert len(results(out)) == 2


def test_a_progress_bar_does_not_read_the_loss_of_every_step(squares, tmp_path, monkeypatch):
    """Reading one waits for the device, on a terminal as in a log."""
    terminal, reads, read = io.StringIO(), [], LossMeter.read
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(LossMeter, "read", lambda self: reads.append(self.batches) or read(self))
    train(squares, out=tmp_path / "run", epochs=1, log_every=100, **TINY)
    assert len(reads) == 2  # after the first of two steps, and at the end
    assert "pictures/s" in terminal.getvalue()


def test_a_set_without_any_box_is_refused(squares, tmp_path):
    with pytest.raises(DatasetError, match="none of the 1 pictures has a box"):
        train(squares.subset([0]), out=tmp_path / "run", epochs=1, **TINY)
    assert not (tmp_path / "run").exists()


def test_a_set_that_lost_most_of_its_boxes_is_refused_unless_allowed(squares, tmp_path):
    """And what was met while reading stands in recipe.json."""
    note = Note("box outside", "refused", "squares.json", "3", "7", "the box lies outside")
    lossy = replace(squares, notes=(note,) * 5)
    with pytest.raises(DatasetError, match=r"5 of 12 boxes were left out, more than a third.*--allow-lost"):
        train(lossy, out=tmp_path / "run", epochs=1, **TINY)
    out = train(lossy, out=tmp_path / "run", epochs=1, allow_lost=True, **TINY)
    notes = json.loads((out / "recipe.json").read_text())["notes"]
    assert notes["data"]["cases"] == {"box outside (refused)": 5}
    assert "the box lies outside" in notes["data"]["first"][0]


def test_the_model_says_where_it_came_from(same_squares, one_epoch, tmp_path):
    start = one_epoch / "best.safetensors"
    out = train(same_squares, out=tmp_path / "run", epochs=1, **(TINY | {"start": start}))
    _, metadata = read_checkpoint(out / "best.safetensors")
    assert metadata.parent_sha256 == sha256_of(start)
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
    with pytest.raises(TrainingError, match="no pictures to validate on"):
        train(squares, squares.subset([]), out=tmp_path / "run", **TINY)


def test_no_classes(squares, tmp_path):
    bare = replace(squares.subset([0]), classes=ClassList((), ()))
    with pytest.raises(TrainingError, match="has no classes"):
        train(bare, out=tmp_path / "run", **TINY)


def test_settings_change_a_recipe_that_is_given_whole(squares, tmp_path):
    recipe = resolve_recipe("modern", epochs=2, batch_size=4, warmup=2)
    rest = {key: value for key, value in TINY.items() if key not in ("recipe", "batch_size", "warmup")}
    out = train(squares, out=tmp_path / "run", recipe=recipe, epochs=1, **rest)
    assert len(results(out)) == 1
    with pytest.raises(ArgumentError, match="did you mean 'epochs'"):
        train(squares, out=tmp_path / "run", recipe=recipe, epoch=1, **rest)


def test_trains_in_a_thread(same_squares, one_epoch, tmp_path):
    """Only the main thread receives signals; in another one a run works without them, with the same result."""
    with ThreadPoolExecutor(1) as pool:
        out = pool.submit(train, same_squares, out=tmp_path / "run", epochs=1, **TINY).result()
    assert (out / "best.safetensors").exists()
    assert states_equal(out, one_epoch)


def test_trainings_in_two_threads_start_from_the_weights_of_their_seed(same_squares, tmp_path, monkeypatch):
    settings, both = TINY | {"start": "none"}, threading.Barrier(2)

    def wait_in_the_middle(*arguments):
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)
        return make_starting_network(*arguments)

    alone = train(same_squares, out=tmp_path / "alone", epochs=1, **settings)
    monkeypatch.setattr("ssd300.learn.train.make_starting_network", wait_in_the_middle)
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(train, same_squares, out=tmp_path / name, epochs=1, **settings) for name in "ab"]
    assert all(states_equal(run.result(), alone) for run in runs)


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="no such signal here")
def test_the_handler_of_ended_children_stays(squares, tmp_path):
    def handler(number, frame):
        pass

    before = signal.signal(signal.SIGCHLD, handler)
    try:
        train(squares, out=tmp_path / "run", epochs=1, **TINY | {"workers": 1})
        assert signal.getsignal(signal.SIGCHLD) is handler
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="no such signal here")
def test_a_handler_that_python_does_not_know_is_left_out(monkeypatch):
    """In a program that embeds Python, such as R, `getsignal` gives None, and `signal` refuses it."""
    get = signal.getsignal
    monkeypatch.setattr(signal, "getsignal", lambda number: None if number == signal.SIGCHLD else get(number))
    before = get(signal.SIGINT)
    with stop_signals():
        assert get(signal.SIGINT) is not before
    assert get(signal.SIGINT) is before


def test_the_seconds_of_the_best_weights_have_the_validation_that_chose_them(squares, tmp_path, monkeypatch):
    monkeypatch.setattr("ssd300.learn.report.time", SimpleNamespace(monotonic=count(0, 1000).__next__))
    out = train(squares, squares, out=tmp_path / "run", epochs=1, **TINY)
    assert read_checkpoint(out / "best.safetensors")[1].training["wall_seconds"] >= 1000


def test_a_loss_that_is_not_a_number_names_the_pictures(squares, tmp_path):
    with pytest.raises(TrainingError, match=r"batch of pictures .*square\d\.png"):
        train(squares, out=tmp_path / "run", epochs=9, **TINY | {"lr": 1e12, "clip_norm": 0.0, "warmup": 0})


def test_weights_that_are_not_numbers_name_the_learning_rate(squares, tmp_path):
    """The loss of the only step was one."""
    diverging = TINY | {"lr": 1e12, "clip_norm": 0.0, "warmup": 0, "batch_size": 8}
    with pytest.raises(TrainingError, match=r"diverged in training.*: start again with a lower --lr and another --out"):
        train(squares, squares, out=tmp_path / "run", epochs=1, **diverging)


def test_another_seed_gives_another_result(same_squares, one_epoch, tmp_path):
    """The same seed gives the same: `test_trains_in_a_thread`."""
    out = train(same_squares, out=tmp_path / "run", epochs=1, seed=1, **TINY)
    assert not states_equal(out, one_epoch)

"""A disk that fills up, or an output folder that goes away, while a training runs: said in words, nothing lost."""

import shutil

import pytest

from full_disk import files_of_at_most
from learn.short_runs import TINY, results
from ssd300.errors import OutputError
from ssd300.learn.learner import Learner
from ssd300.learn.run import load_state
from ssd300.learn.train import train
from ssd300.weights.checkpoint import read_checkpoint

pytestmark = pytest.mark.slow


def after_steps(monkeypatch, number, action) -> None:
    """Do something after the step of this number."""
    step, taken = Learner.step, []

    def watched(self, lr):
        step(self, lr)
        taken.append(lr)
        if len(taken) == number:
            action()

    monkeypatch.setattr(Learner, "step", watched)


@pytest.mark.parametrize("at_most", [20_000, 100_000])  # bytes: small files alone are written
def test_a_disk_that_fills_up_keeps_the_epoch_before(same_squares, tmp_path, monkeypatch, at_most):
    out = tmp_path / "run"
    limit = files_of_at_most(at_most)
    with monkeypatch.context() as patched:
        after_steps(patched, 3, limit.__enter__)  # in the second of three epochs
        try:
            with pytest.raises(OutputError, match=r"cannot be written: File too large"):
                train(same_squares, same_squares, out=out, epochs=3, **TINY)
        finally:
            limit.__exit__(None, None, None)
    assert load_state(out)["progress"]
    read_checkpoint(out / "best.safetensors")
    assert not [path.name for path in out.iterdir() if path.name.endswith(".tmp")]
    train(same_squares, same_squares, out=out, epochs=3, resume=True, **TINY)
    assert [row["epoch"] for row in results(out)] == ["1", "2", "3"]


def test_an_output_folder_that_goes_away_is_named(same_squares, tmp_path, monkeypatch):
    out = tmp_path / "run"
    after_steps(monkeypatch, 1, lambda: shutil.rmtree(out))
    with pytest.raises(OutputError, match=r"run/\S+: cannot be written: No such file or directory"):
        train(same_squares, same_squares, out=out, epochs=2, **TINY)

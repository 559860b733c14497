"""A run of a few steps, and what is asked of the folder that it leaves."""

import csv
import signal
from pathlib import Path

import pytest
import torch

from ssd300.data.dataset import Dataset
from ssd300.learn.run import load_state
from ssd300.learn.train import train

TINY = {
    "recipe": "modern",
    "start": "none",
    "workers": 0,
    "device": "cpu",
    "precision": "f32",
    "batch_size": 4,
    "warmup": 2,
    "image_sizes": (96, 300),  # a tenth of the pixels; steps of 300 come at 1.0, which no run reaches
    "size_milestones": (1.0,),
}


def results(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "results.csv").read_text().splitlines()))


def states_equal(a: Path, b: Path) -> bool:
    one, two = load_state(a), load_state(b)
    return all(torch.equal(value, two["network"][key]) for key, value in one["network"].items()) and all(
        torch.equal(value, two["averaged"][0][key]) for key, value in one["averaged"][0].items()
    )


def stopped_after(steps: int, monkeypatch, data: Dataset, out: Path | None, **settings) -> str:
    """A run that gets SIGTERM in the step of this number, and what it says."""
    from ssd300.learn.learner import Learner

    step, taken = Learner.step, []

    def interrupted(self, lr):
        step(self, lr)
        taken.append(lr)
        if len(taken) == steps:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(Learner, "step", interrupted)
        with pytest.raises(KeyboardInterrupt, match="--resume") as stop:
            train(data, out=out, **settings)
    return str(stop.value)

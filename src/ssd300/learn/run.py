"""The folder of a training run: settings, results, and the state from which it goes on bit for bit.

recipe.json       everything that was set, and versions
results.csv       one line an epoch
last.pt           the resumable state: weights, optimizer, averages, place in the run, best result so far
best.safetensors  the best weights so far, with metadata: detects at once
curves.png, samples.jpg   losses and AP by epoch; validation pictures with true (left) and found boxes (right)
"""

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ssd300.errors import TrainingError
from ssd300.files import replacing

STATE, RECIPE, RESULTS, BEST = "last.pt", "recipe.json", "results.csv", "best.safetensors"


@dataclass
class Progress:
    """Where a run stands: the next step to take, the clock, the epoch's losses so far, and the best result.

    epoch_losses: sums of box and class loss, and the number of batches.
    conditions: start, data and the like in words, so that the run does not go on with anything else.
    """

    epoch: int = 0
    step_in_epoch: int = 0
    step: int = 0
    pictures_seen: int = 0
    seconds: float = 0.0
    epoch_losses: tuple[float, float, int] = (0.0, 0.0, 0)
    best_ap: float = -1.0
    conditions: dict[str, str] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)

    def advance(self, pictures: int, seconds: float) -> None:
        """One step was taken."""
        self.step, self.step_in_epoch = self.step + 1, self.step_in_epoch + 1
        self.pictures_seen, self.seconds = self.pictures_seen + pictures, self.seconds + seconds

    def next_epoch(self) -> None:
        """An epoch is done."""
        self.epoch, self.step_in_epoch, self.epoch_losses = self.epoch + 1, 0, (0.0, 0.0, 0)


def next_folder(parent: Path) -> Path:
    """parent/1, parent/2, ...: the first that does not exist yet."""
    number = 1
    while (parent / str(number)).exists():
        number += 1
    return parent / str(number)


def save_state(folder: Path, state: dict[str, Any]) -> None:
    with replacing(folder / STATE) as part:
        torch.save(state, part)


def refuse_used(folder: Path) -> None:
    """Raises TrainingError where a run lies in the folder: a new one would leave a state that is not its own."""
    if (folder / STATE).exists():
        raise TrainingError(f"{folder} holds a run already: go on with it (--resume), remove it, or give another --out")


def remove_unfinished(folder: Path) -> None:
    """Delete what a killed process left of a checkpoint that it was writing."""
    for part in folder.glob(f".{STATE}.*.tmp"):
        part.unlink(missing_ok=True)


def load_state(folder: Path) -> dict[str, Any]:
    """The state of an interrupted run. Read with `weights_only`: it holds tensors and plain values, never code."""
    path = folder / STATE
    if not path.exists():
        raise TrainingError(f"{path} does not exist: there is no run to resume in {folder}; start one without --resume")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def write_recipe(folder: Path, settings: dict[str, Any]) -> None:
    with replacing(folder / RECIPE) as part:
        part.write_text(json.dumps(settings, indent=2) + "\n")


def write_results(folder: Path, history: list[dict[str, float]]) -> None:
    """All epochs so far, rewritten whole: a resumed run never repeats a line."""
    columns = list(dict.fromkeys(key for row in history for key in row))
    with replacing(folder / RESULTS) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(history)

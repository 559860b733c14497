"""The folder of a training run: settings, results, and the state from which it goes on bit for bit.

recipe.json       everything that was set, and versions
results.csv       one line an epoch
last.pt           the resumable state: weights, optimizer, averages, place in the run, best result so far
best.safetensors  the best weights so far, with metadata: detects at once
curves.png, samples.jpg   losses and AP by epoch; validation pictures with true (left) and found boxes (right)
"""

import csv
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ssd300.errors import TrainingError

STATE, RECIPE, RESULTS, BEST = "last.pt", "recipe.json", "results.csv", "best.safetensors"


@dataclass
class Progress:
    """Where a run stands: the next step to take, the clock, and the best validation result."""

    epoch: int = 0
    step_in_epoch: int = 0
    step: int = 0
    pictures_seen: int = 0
    seconds: float = 0.0
    best_ap: float = -1.0
    history: list[dict[str, float]] = field(default_factory=list)

    def advance(self, pictures: int, seconds: float) -> None:
        """One step was taken."""
        self.step, self.step_in_epoch = self.step + 1, self.step_in_epoch + 1
        self.pictures_seen, self.seconds = self.pictures_seen + pictures, self.seconds + seconds


def next_folder(parent: Path) -> Path:
    """parent/1, parent/2, ...: the first that does not exist yet."""
    number = 1
    while (parent / str(number)).exists():
        number += 1
    return parent / str(number)


def write_atomically(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write beside the file and rename: whoever is killed in between leaves the old file as it was."""
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def save_state(folder: Path, state: dict[str, Any]) -> None:
    write_atomically(folder / STATE, lambda file: torch.save(state, file))


def load_state(folder: Path) -> dict[str, Any]:
    """The state of an interrupted run. Read with `weights_only`: it holds tensors and plain values, never code."""
    path = folder / STATE
    if not path.exists():
        raise TrainingError(f"{path} does not exist: there is no run to resume in {folder}; start one without --resume")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def write_recipe(folder: Path, settings: dict[str, Any]) -> None:
    text = json.dumps(settings, indent=2, default=str) + "\n"
    write_atomically(folder / RECIPE, lambda file: _write(file, text))


def write_results(folder: Path, history: list[dict[str, float]]) -> None:
    """All epochs so far, rewritten whole: a resumed run never repeats a line."""
    columns = list(dict.fromkeys(key for row in history for key in row))
    path = folder / RESULTS
    part = path.with_name(f"{path.name}.part")
    with part.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(history)
    part.replace(path)


def _write(file: BinaryIO, text: str) -> None:
    file.write(text.encode())

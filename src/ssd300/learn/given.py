"""What `train` was given, made ready and refused before any work where it cannot be used."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from ssd300.data.dataset import Dataset
from ssd300.data.load import load_dataset, load_train_val
from ssd300.errors import ArgumentError, TrainingError, unknown_name
from ssd300.learn.recipe import Recipe


def training_data(
    data: Dataset | str | Path | Sequence[str | Path], val: Dataset | str | Path | None, seed: int
) -> tuple[Dataset, Dataset | None]:
    """Training and validation set from what `train` was given."""
    if isinstance(data, Dataset):
        held_out = load_dataset(val) if isinstance(val, str | Path) else val
        return data, held_out and held_out.with_classes(data.classes)
    if isinstance(val, Dataset):
        train_set = load_dataset(data)
        return train_set, val.with_classes(train_set.classes)
    return load_train_val(data, val, seed=seed)


def check_names(settings: Iterable[str], own: Iterable[str]) -> None:
    """Raises ArgumentError for a keyword that is neither one of `train`'s `own` nor a setting of the recipe."""
    known = [*(name for name in own if name != "settings"), *(f.name for f in fields(Recipe))]
    for name in settings:
        if name not in known:
            raise unknown_name("training setting", name, known)


def check_counts(least: int, **counts: int) -> None:
    """Raises ArgumentError for numbers below `least`, which would fail only at the end of an epoch."""
    for name, value in counts.items():
        if value < least:
            raise ArgumentError(f"{name} is {value}: expected {least} or more")


def check_usable(data: Dataset, val: Dataset | None) -> None:
    """Raises TrainingError where there is nothing to learn from, or nothing to measure on."""
    if len(data) == 0:
        raise TrainingError(f"{data.name} has no pictures to learn from")
    if not data.classes.names:
        raise TrainingError(f"{data.name} has no classes: none of its {len(data)} pictures has a box with a name")
    if val is not None and len(val) == 0:
        raise TrainingError(f"{val.name} has no pictures to measure on; leave --val out to draw a fifth of the data")

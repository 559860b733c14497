"""What `train` was given, made ready and refused before any work where it cannot be used."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ssd300.data.dataset import Dataset
from ssd300.data.load import load_dataset
from ssd300.data.usable import refuse_unusable, usable_sets
from ssd300.errors import ArgumentError, TrainingError, unknown_name
from ssd300.learn.recipe import Recipe

SHOWN_NOTES = 20  # of a data set, in recipe.json


def training_data(
    data: Dataset | str | Path | Sequence[str | Path],
    val: Dataset | str | Path | None,
    seed: int,
    *,
    allow_lost: bool = False,
) -> tuple[Dataset, Dataset | None, tuple[str, ...]]:
    """Training set, validation set, and what the user should know of the choice, in sentences.

    Raises TrainingError or DatasetError where they cannot be used; `allow_lost`: not where many boxes were left out.
    """
    if not isinstance(data, Dataset) and not isinstance(val, Dataset):
        sets = usable_sets(data, val, seed=seed, allow_lost=allow_lost)
        return sets.train, sets.val, sets.said
    train_set = data if isinstance(data, Dataset) else load_dataset(data)
    held_out = load_dataset(val) if isinstance(val, str | Path) else val
    check_usable(train_set, held_out)
    for dataset in filter(None, (train_set, held_out)):
        refuse_unusable(dataset, allow_lost=allow_lost)
    return train_set, held_out and held_out.with_classes(train_set.classes), ()


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


def noted(dataset: Dataset | None) -> dict[str, Any]:
    """What reading a data set met: how many cases of each kind, and the first ones in words."""
    notes = dataset.notes if dataset else ()
    counts = Counter(f"{note.kind} ({note.action})" for note in notes)
    return {"cases": dict(counts), "first": [str(note) for note in notes[:SHOWN_NOTES]]}

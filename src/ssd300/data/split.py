"""Draw a training and a validation set with a seed, stratified by class."""

import hashlib
import os
from collections import defaultdict
from contextlib import suppress

import numpy as np

from ssd300.arrays import Bool, Int64
from ssd300.data.dataset import Dataset, Picture
from ssd300.digits import counted
from ssd300.errors import ArgumentError, DatasetError

AT_LEAST_ONE_FROM = 3  # a class in this many pictures or more has at least one in the validation set


def split_dataset(
    dataset: Dataset, share: float = 0.2, seed: int = 0, groups: list[list[int]] | None = None
) -> tuple[Dataset, Dataset]:
    """(train, val): about `share` of the pictures of every class, and of those without boxes, go to val.

    The rarest class is distributed first (after Sechidis et al., On the Stratification of Multi-Label Data, 2011).
    Pictures with identical files stay together. The same pictures, share and seed give the same split. Both keep the
    order of the whole. `groups` is the result of `groups_of_equal_files`, if known.
    """
    if not 0 < share < 1:
        raise ArgumentError(f"the validation share must lie between 0 and 1, got {share}")
    if len(dataset) < 2:
        number = counted(len(dataset), "picture")
        raise DatasetError(
            f"{dataset.name}: {number} cannot be split into training and validation; add some, or name a validation set"
        )
    groups = groups_of_equal_files(dataset) if groups is None else groups
    held_out = draw(dataset, share, seed, groups)
    for group in groups:
        held_out[group] = held_out[group[0]]
    if held_out.all() or not held_out.any():  # very few pictures: move one, so that neither side is empty
        first = next((group for group in groups if 0 in group), [0])
        held_out[:] = False
        held_out[first] = True
        if held_out.all():
            raise DatasetError(
                f"{dataset.name}: all {len(dataset)} pictures are one file; nothing is left to measure on"
            )
    train = dataset.subset(np.flatnonzero(~held_out).tolist(), f"{dataset.name} (train)")
    return train, dataset.subset(np.flatnonzero(held_out).tolist(), f"{dataset.name} (val)")


def groups_of_equal_files(dataset: Dataset) -> list[list[int]]:
    """Positions of pictures with the same file or identical bytes: groups of two and more, in order."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    for positions in _positions_by_size(dataset).values():
        for position in positions if len(positions) > 1 else ():
            if digest := _digest(dataset.pictures[position]):
                groups[digest].append(position)
    return sorted(group for group in groups.values() if len(group) > 1)


def count_shared(train: Dataset, val: Dataset) -> int:
    """The number of pictures of `val` whose file, or a copy, is in `train`. Only files of equal sizes are read."""
    ours, theirs = _positions_by_size(train), _positions_by_size(val)
    shared = 0
    for size in ours.keys() & theirs.keys():
        known = {_digest(train.pictures[position]) for position in ours[size]} - {b""}
        shared += sum(_digest(val.pictures[position]) in known for position in theirs[size])
    return shared


def _positions_by_size(dataset: Dataset) -> dict[int, list[int]]:
    """Positions of the pictures by the size of their files in bytes, in order."""
    by_size: dict[int, list[int]] = defaultdict(list)
    for position, picture in enumerate(dataset.pictures):
        if picture.payload is not None:
            by_size[picture.payload.size].append(position)
        elif os.path.isfile(picture.path):
            by_size[picture.path.stat().st_size].append(position)
    return by_size


def _digest(picture: Picture) -> bytes:
    """The sha256 of a picture's bytes; empty if they cannot be read, which is reported where it is used."""
    if picture.payload is not None:
        return hashlib.sha256(picture.payload.stored()).digest()
    with suppress(OSError), picture.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
    return b""


def draw(dataset: Dataset, share: float, seed: int, groups: list[list[int]]) -> Bool:
    """The mask [pictures] of those that go to the validation set; of a group only the first, which stands for it."""
    count = len(dataset)
    holds = np.zeros((count, len(dataset.classes) + 1), bool)  # the last column: no boxes at all
    for row, picture in enumerate(dataset.pictures):
        holds[row, [dataset.classes.position_of_id[i] for i in set(picture.annotations.class_ids.tolist())]] = True
    for group in groups:
        holds[group[0]] = holds[group].any(axis=0)
    holds[:, -1] = ~holds.any(axis=1)
    holds[[position for group in groups for position in group[1:]]] = False
    shuffled = np.random.default_rng(seed).permutation(count)
    held_out, dealt = np.zeros(count, bool), np.zeros(count, bool)
    totals = holds.sum(axis=0)
    for column in np.argsort(totals, kind="stable"):
        total = int(totals[column])
        wanted = max(round(share * total), 1 if total >= AT_LEAST_ONE_FROM else 0)
        free = shuffled[(holds[:, column] & ~dealt)[shuffled]]
        if total >= AT_LEAST_ONE_FROM and not len(free) and not held_out[holds[:, column]].any():
            free = _least_missed(holds, held_out, shuffled[holds[shuffled, column]])
        missing = max(wanted - int((held_out & holds[:, column]).sum()), 0)
        held_out[free[:missing]] = True
        dealt[free] = True
    return held_out


def _least_missed(holds: Bool, held_out: Bool, rows: Int64) -> Int64:
    """Of pictures that rarer classes left to training, the one [1] whose rarest class has most pictures left there."""
    left = np.where(holds[rows], holds[~held_out].sum(axis=0), len(holds))
    return rows[[int(left.min(axis=1).argmax())]]

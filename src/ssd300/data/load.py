"""Load a data set of any format as one `Dataset`: all of it, the part to train on, or the part to evaluate on."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ssd300.data.dataset import Dataset, join
from ssd300.data.look import find_parts, read_part
from ssd300.data.parts import Part, choose_parts, training_parts, validation_parts
from ssd300.digits import counted
from ssd300.errors import DatasetError

_SHOWN_FAULTS = 3


def load_dataset(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    format: str | None = None,
    split: str | None = None,
) -> Dataset:
    """Load the data set at a path: a file or folder in any format of docs/data.md.

    The format is detected unless `format` names it ("coco", "yolo", "voc", "pack", ...). `split` selects one of several
    parts ("train", "val", ...); "train+val" and "all" join some or all of them. A list of paths is joined, classes by
    name. Boxes that reach a little outside the picture are clipped, those beyond the tolerance left out;
    `Dataset.notes` lists each, and `Dataset.summary()` counts them. Any other fault (an unknown id, a missing picture,
    a malformed line) raises DatasetError with file, picture and annotation: nothing is dropped silently.
    """
    paths = each_path(path)
    return join([load_parts(choose_parts(find_parts(one, format), one, split), one) for one in paths])


def each_path(paths: Any) -> list[Any]:
    """The paths of a data set: one, or several. `find_parts` checks each."""
    one = isinstance(paths, str | bytes | os.PathLike) or not isinstance(paths, Iterable)
    return [paths] if one else list(paths)


def load_parts(parts: Sequence[Part], path: str | Path) -> Dataset:
    """Load and join some parts of a path. Raises DatasetError with the faults of each."""
    datasets = [read_part(part) for part in parts]
    for dataset in datasets:
        raise_faults(dataset, path)
    return join(datasets)


def load_training(path: str | Path | Sequence[str | Path]) -> Dataset:
    """Load the part to train on from one or several paths: train, or the only one. It may be without boxes."""
    return join([load_parts(training_parts(find_parts(one, None), one), one) for one in each_path(path)])


def load_validation(path: str | Path) -> Dataset:
    """Load the part to evaluate on: val, or the only one."""
    return load_parts(validation_parts(find_parts(path, None), path, alone=True), path)


def raise_faults(dataset: Dataset, path: str | Path) -> None:
    """Raises DatasetError with the first faults of a set, if there are any."""
    faults = [note for note in dataset.notes if note.action == "fault"]
    if not faults:
        return
    lines = [f"  {fault.kind}: {fault}" for fault in faults[:_SHOWN_FAULTS]]
    if len(faults) > _SHOWN_FAULTS:
        lines.append(f"  and {len(faults) - _SHOWN_FAULTS} more")
    raise DatasetError(
        "\n".join(
            [
                f"{dataset.name} has {counted(len(faults), 'fault')}; `ssd300 data check {path}` lists every case:",
                *lines,
            ]
        )
    )

"""Any data set, whatever its format, as one `Dataset`: all of it, the part to learn from, or the part to measure on."""

from collections.abc import Sequence
from pathlib import Path

from ssd300.data.dataset import Dataset, join
from ssd300.data.look import find_parts, read_part
from ssd300.data.parts import Part, choose_parts, training_parts, validation_parts
from ssd300.data.usable import raise_faults


def load_dataset(
    path: str | Path | Sequence[str | Path], *, format: str | None = None, split: str | None = None
) -> Dataset:
    """The data set at a path: a file or folder of any format of docs/data.md, found by looking.

    `format` names it ("coco", "yolo", "voc", "pack", ...) instead. `split` picks one of several parts ("train", "val",
    ...); "train+val" and "all" join some or all of them. A list of paths is joined, classes by name.

    Boxes that reach a little outside are clipped, those beyond the tolerance left out; `Dataset.notes` lists each, and
    `Dataset.summary()` counts them. Anything else that is wrong (an unknown id, a missing picture, a malformed line)
    raises DatasetError with file, picture and annotation: whatever is dropped is reported.
    """
    if not isinstance(path, str | Path):
        return join([load_dataset(one, format=format, split=split) for one in path])
    return load_parts(choose_parts(find_parts(path, format), path, split), path)


def load_parts(parts: Sequence[Part], path: str | Path) -> Dataset:
    """Some parts of what lies at a path, joined. Raises DatasetError naming the faults of each."""
    datasets = [read_part(part) for part in parts]
    for dataset in datasets:
        raise_faults(dataset, path)
    return datasets[0] if len(datasets) == 1 else join(datasets)


def load_training(path: str | Path | Sequence[str | Path]) -> Dataset:
    """The part to learn from of what lies at a path, or at several: train, or the only one; boxes are not asked for."""
    paths = [path] if isinstance(path, str | Path) else path
    found = [load_parts(training_parts(find_parts(one, None), one), one) for one in paths]
    return found[0] if len(found) == 1 else join(found)


def load_validation(path: str | Path) -> Dataset:
    """The part to measure on of what lies at a path: val, or the only one."""
    return load_parts(validation_parts(find_parts(path, None), path, alone=True), path)

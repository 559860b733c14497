"""Any data set, whatever its format, as one `Dataset`; and a training and a validation set from what is given."""

from collections.abc import Sequence
from pathlib import Path

from ssd300.data.coco import read_coco
from ssd300.data.dataset import Dataset, Note, join
from ssd300.data.look import Part, find_parts
from ssd300.data.pack import read_pack
from ssd300.data.split import split_dataset
from ssd300.data.voc import read_voc, split_lists
from ssd300.data.yolo import read_yolo
from ssd300.errors import DatasetError

SHOWN_FAULTS = 3


def load_dataset(
    path: str | Path | Sequence[str | Path], *, format: str | None = None, split: str | None = None
) -> Dataset:
    """The data set at a path: COCO JSON, YOLO data.yaml, a VOC folder or a packed file, found by looking.

    `format` names it ("coco", "yolo", "voc", "pack") instead. `split` picks one of several ("train", "val", ...);
    "train+val" and "all" join some or all of them. A list of paths is joined, classes by name.

    Boxes that reach a little outside are clipped, those beyond the tolerance left out; `Dataset.notes` lists each, and
    `Dataset.summary()` counts them. Anything else that is wrong (an unknown id, a missing picture, a malformed line)
    raises DatasetError with file, picture and annotation: nothing is dropped unsaid.
    """
    if not isinstance(path, str | Path):
        return join([load_dataset(one, format=format, split=split) for one in path])
    parts = choose(find_parts(path, format), path, split)
    datasets = [read_part(part) for part in parts]
    for dataset in datasets:
        _raise_faults(dataset, path)
    return datasets[0] if len(datasets) == 1 else join(datasets)


def load_train_val(
    path: str | Path | Sequence[str | Path],
    val: str | Path | None = None,
    *,
    format: str | None = None,
    share: float = 0.2,
    seed: int = 0,
) -> tuple[Dataset, Dataset]:
    """Training and validation set: given by two paths, by the splits of `path`, or drawn from it with a seed.

    Of several paths the training sets are joined, and so are the validation sets of those that have one. The drawn
    split is stratified by class (see `split_dataset`). The validation set speaks the training set's classes; a class
    of it that training does not know raises ArgumentError.
    """
    train, held_out = [], []
    for one in [path] if isinstance(path, str | Path) else path:
        splits = [part.split for part in find_parts(one, format)]
        both = {"train", "val"} <= set(splits)
        train.append(load_dataset(one, format=format, split="train" if len(splits) > 1 and "train" in splits else None))
        if both and val is None:
            held_out.append(load_dataset(one, format=format, split="val"))
    if val is not None:
        splits = [part.split for part in find_parts(val, format)]
        held_out = [load_dataset(val, format=format, split="val" if len(splits) > 1 and "val" in splits else None)]
    whole = train[0] if len(train) == 1 else join(train)
    if not held_out:
        return split_dataset(whole, share, seed)
    return whole, (held_out[0] if len(held_out) == 1 else join(held_out)).with_classes(whole.classes)


def choose(parts: Sequence[Part], path: str | Path, split: str | None) -> list[Part]:
    """The parts of the asked split. Raises DatasetError naming those there are."""
    names = [part.split for part in parts]
    if split is None:
        if len(parts) == 1:
            return list(parts)
        ways = ", ".join(sorted({str(part.source) for part in parts}))
        raise DatasetError(
            f"{path} has the splits {', '.join(names)}; name one (split={names[0]!r}), join them (split='all'), "
            f"or give the path of one ({ways})"
        )
    if split == "all":
        return list(parts)
    wanted = split.split("+")
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise DatasetError(f"{path} has no split {', '.join(unknown)}; it has {', '.join(names)}")
    return [part for part in parts if part.split in wanted]


def read_part(part: Part) -> Dataset:
    """One split as it is, its faults in `notes` instead of raised (for `check`)."""
    if part.format == "coco":
        return read_coco(part.source)
    if part.format == "yolo":
        return read_yolo(part.source, part.split)
    if part.format == "voc":
        return read_voc(part.source, part.split if part.split in split_lists(part.source) else None)
    return read_pack(part.source)


def _raise_faults(dataset: Dataset, path: str | Path) -> None:
    faults: list[Note] = [note for note in dataset.notes if note.action == "fault"]
    if not faults:
        return
    number = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    lines = [f"  {fault.kind}: {fault}" for fault in faults[:SHOWN_FAULTS]]
    if len(faults) > SHOWN_FAULTS:
        lines.append(f"  and {len(faults) - SHOWN_FAULTS} more")
    raise DatasetError(
        "\n".join([f"{dataset.name} has {number}; `ssd300 data check {path}` lists every case:", *lines])
    )

"""The parts of a data set (train, val, test): which name means which, and which are trained and measured on.

One rule for every format, whatever the letter case: train or training; trainval, where there is no train; val, valid,
validation or dev; test or testing. Files and folders may have more in their names ("instances_train2017.json").
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ssd300.errors import DatasetError

WHOLE = "all"  # the name of a data set that has no parts
PARTS = ("train", "val", "test")  # the names that parts are written under
MEANINGS = {
    "train": "train", "training": "train", "trainval": "trainval", "val": "val", "valid": "val", "validation": "val",
    "dev": "val", "test": "test", "testing": "test",
}  # fmt: skip
_SAY_NOTHING = {"annotations", "annotation", "instances", "default", "labels", "coco", "result", "dataset", "data"}


@dataclass(frozen=True)
class Part:
    """One part of a data set as it lies on the disk: `source` is its JSON, YAML, packed file or folder.

    `split` is train, trainval, val, test, "all" (there are no parts), or the part's own name. `detail` is what the
    format's reader has found out already.
    """

    format: str
    split: str
    source: Path
    detail: Any = field(default=None, compare=False)


def meaning(name: str, *, alone: bool = False) -> str | None:
    """train, trainval, val or test where a name means one of them; `alone`: only where it says nothing else.

    >>> meaning("instances_train2017"), meaning("Validation"), meaning("cat_train", alone=True), meaning("summer")
    ('train', 'val', None, None)
    """
    words = re.findall("[a-z]+", name.casefold())
    found = [MEANINGS[word] for word in words if word in MEANINGS]
    if alone and len(words) != 1:
        return None
    if found == ["train", "val"]:
        return "trainval"
    return found[0] if len(set(found)) == 1 else None


def part_names(names: Sequence[str], *, alone: bool = False) -> list[str]:
    """The part that each name stands for; of two that mean the same only the one that says it exactly.

    >>> part_names(["Training", "valid", "val", "summer"])
    ['train', 'valid', 'val', 'summer']
    """
    meant = [meaning(name, alone=alone) for name in names]
    told = []
    for name, what in zip(names, meant, strict=True):
        exact = [other for other, theirs in zip(names, meant, strict=True) if theirs == what]
        best = [other for other in exact if other.casefold() == what] or exact
        told.append(what if what and best == [name] else name)
    return told


def part_of_file(file: Path, given: Path) -> str:
    """The part that an annotation file is of: by its name, or by its folder's where that lies within the `given` path.

    >>> part_of_file(Path("pets/annotations.json"), Path("pets"))
    'all'
    >>> part_of_file(Path("pets/valid/_annotations.coco.json"), Path("pets"))
    'val'
    """
    words = [word for word in re.findall("[a-z]+", file.stem.casefold()) if word not in ("coco", "createml")]
    says_nothing = set(words) <= _SAY_NOTHING
    if meaning(file.stem) or not says_nothing:
        return meaning(file.stem) or file.stem.lower()
    if file.parent == given or file == given:
        return WHOLE
    return meaning(file.parent.name, alone=True) or (
        file.parent.name.lower() if file.stem.startswith("_annotations") else WHOLE
    )


def splits_of(parts: Sequence[Part]) -> list[str]:
    """The names of the parts, each once."""
    return list(dict.fromkeys(part.split for part in parts))


def distinct(parts: Sequence[Part]) -> list[Part]:
    """The parts without trainval where train is there: the same pictures again."""
    return [part for part in parts if part.split != "trainval" or "train" not in splits_of(parts)]


def choose_parts(parts: Sequence[Part], path: str | Path, split: str | None) -> list[Part]:
    """The parts of the asked name: "train", "train+val", "all". Raises DatasetError naming those there are."""
    names = splits_of(parts)
    if split is None:
        if len(names) == 1:
            return list(parts)
        ways = ", ".join(sorted({str(part.source) for part in parts}))
        raise DatasetError(
            f"{path} has the splits {', '.join(names)}; name one with --split, join them with --split all, or give the "
            f"path of one ({ways})"
        )
    if split == "all":
        return distinct(parts)
    wanted = [name if name in names else meaning(name, alone=True) or name for name in split.split("+")]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise DatasetError(f"{path} has no split {', '.join(unknown)}; it has {', '.join(names)}")
    return [part for part in parts if part.split in wanted]


def training_parts(parts: Sequence[Part], path: str | Path) -> list[Part]:
    """The parts to learn from: train, else trainval, else the only one if it is no other's.

    Raises DatasetError naming the parts where none of them is meant for training.
    """
    names = splits_of(parts)
    for name in ("train", "trainval"):
        if name in names:
            return [part for part in parts if part.split == name]
    only = parts[0]
    given_itself = only.source == Path(path) and only.format != "yolo" and only.source.is_file()
    if len(names) == 1 and (given_itself or names[0] not in ("val", "test")):
        return list(parts)
    raise DatasetError(
        f"{path} has the {_listed(parts)}, and none is called train; name one so, or give the path of the one to "
        "learn from"
    )


def validation_parts(parts: Sequence[Part], path: str | Path, *, alone: bool) -> list[Part]:
    """The parts to measure on: val; where the path was given for that `alone`, also the only one.

    Raises DatasetError for a path given alone that has several parts, none of them val.
    """
    names = splits_of(parts)
    if "val" in names:
        return [part for part in parts if part.split == "val"]
    if not alone:
        return []
    if len(names) == 1:
        return list(parts)
    raise DatasetError(f"{path} has the {_listed(parts)}, and none is called val; give the path of the one to use")


def _listed(parts: Sequence[Part]) -> str:
    names = splits_of(parts)
    sources = sorted({str(part.source) for part in parts})
    where = f" ({', '.join(sources)})" if len(sources) <= 6 else ""
    return f"{'splits' if len(names) > 1 else 'split'} {', '.join(names)}{where}"

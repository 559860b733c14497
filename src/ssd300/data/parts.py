"""The parts of a data set (train, val, test): the meaning of names, and the parts to train and evaluate on.

One rule for every format, whatever the letter case: train or training; trainval, where there is no train; val, valid,
validation or dev; test or testing. Files and folders may have more in their names ("instances_train2017.json").
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ssd300.errors import ArgumentError, DatasetError

WHOLE = "all"  # the name of a data set that has no parts
PARTS = ("train", "val", "test")  # the names of written parts
MEANINGS = {
    "train": "train", "training": "train", "trainval": "trainval", "val": "val", "valid": "val", "validation": "val",
    "dev": "val", "test": "test", "testing": "test",
    "trainset": "train", "valset": "val", "validset": "val", "testset": "test",
}  # fmt: skip
_GENERIC_WORDS = {"annotations", "annotation", "instances", "default", "labels", "coco", "result", "dataset", "data"}


@dataclass(frozen=True)
class Part:
    """One part of a data set on disk: `source` is its JSON, YAML, packed file or folder.

    `split` is train, trainval, val, test, "all" (there are no parts), or the part's own name. `detail` is what the
    format's `find` has already read.
    """

    format: str
    split: str
    source: Path
    detail: Any = field(default=None, compare=False)


def parse_part(name: str, *, alone: bool = False) -> str | None:
    """train, trainval, val or test if a name means one of them; `alone`: only if it has no other words.

    >>> parse_part("instances_train2017"), parse_part("Validation"), parse_part("summer")
    ('train', 'val', None)
    >>> parse_part("cat_train"), parse_part("cat_train", alone=True)
    ('train', None)
    """
    words = re.findall("[a-z]+", name.casefold())
    found = [MEANINGS[word] for word in words if word in MEANINGS]
    if alone and len(words) != 1:
        return None
    if found == ["train", "val"]:
        return "trainval"
    return found[0] if len(set(found)) == 1 else None


def part_names(names: Sequence[str], *, alone: bool = False) -> list[str]:
    """The part that each name means; if two mean the same, only the exact one is translated.

    >>> part_names(["Training", "valid", "val", "summer"])
    ['train', 'valid', 'val', 'summer']
    """
    meant = [parse_part(name, alone=alone) for name in names]
    alike: dict[str | None, list[str]] = defaultdict(list)
    for name, part in zip(names, meant, strict=True):
        alike[part].append(name)
    best = {part: [name for name in same if name.casefold() == part] or same for part, same in alike.items()}
    return [part if part and best[part] == [name] else name for name, part in zip(names, meant, strict=True)]


def meant_parts(names: Sequence[str]) -> list[str | None]:
    """The part that each name means, as `part_names`; one with other words, too, only where no plain name means it.

    >>> meant_parts(["train", "training", "train_v1", "test_v1", "summer"])
    ['train', None, None, 'test', None]
    """
    plain = [part if part in MEANINGS.values() else None for part in part_names(names, alone=True)]
    taken = set(plain)
    pairs = zip(names, plain, strict=True)
    return [part or (wide if (wide := parse_part(name)) not in taken else None) for name, part in pairs]


def _names_of(file: Path, given: Path) -> list[str]:
    """The names that may say the part of a file: its own, then those of its folders inside the `given` path."""
    inside = file.parent.relative_to(given).parts if file.parent.is_relative_to(given) else ()
    return [file.stem, *reversed(inside)]


def part_of_file(file: Path, given: Path) -> str:
    """The part of an annotation file: by its name, or by that of a folder inside the `given` path.

    >>> part_of_file(Path("pets/annotations.json"), Path("pets"))
    'all'
    >>> part_of_file(Path("pets/valid_set/annotations/boxes.json"), Path("pets"))
    'val'
    """
    words = [word for word in re.findall("[a-z]+", file.stem.casefold()) if word not in ("coco", "createml")]
    names = _names_of(file, given)
    meant = next((part for name in names if (part := parse_part(name))), None)
    if meant or not set(words) <= _GENERIC_WORDS:
        return meant or file.stem.lower()
    return file.parent.name.lower() if len(names) > 1 and file.stem.startswith("_annotations") else WHOLE


def files_of_parts(files: Sequence[Path], given: Path) -> list[tuple[str, Path]]:
    """(part, file) of annotation files at the `given` path; of several files of a part, that of the exact name.

    The others, or all if none is named exactly, have their own names.

    >>> [part for part, _ in files_of_parts([Path("a/train.json"), Path("a/train_1.json")], Path("a"))]
    ['train', 'a/train_1']
    """
    alike: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        alike[part_of_file(file, given)].append(file)
    named: dict[Path, str] = {}
    for part, same in alike.items():
        exact = [file for file in same if part in map(str.casefold, _names_of(file, given))] or same
        named |= {file: part if exact == [file] else f"{file.parent.name}/{file.stem}" for file in same}
    names = list(named.values())
    return [(named[file] if names.count(named[file]) == 1 else str(file), file) for file in files]


def part_lists(files: Sequence[Path]) -> dict[str, Path]:
    """Part -> file of the lists of pictures among text files: train.txt, val_list.txt, autosplit_val.txt."""
    plain = {file: re.sub("(?i)^autosplit_|[_-]?list$", "", file.stem) for file in files}
    named = [file for file, name in plain.items() if parse_part(name, alone=True)]
    meant = part_names([plain[file] for file in named], alone=True)
    return {part: file for part, file in zip(meant, named, strict=True) if part in MEANINGS.values()}


def splits_of(parts: Sequence[Part]) -> dict[str, list[Part]]:
    """Name -> the parts of this name."""
    named: dict[str, list[Part]] = defaultdict(list)
    for part in parts:
        named[part.split].append(part)
    return dict(named)


def drop_trainval(parts: Sequence[Part]) -> list[Part]:
    """The parts, without trainval if there is train, which has the same pictures."""
    return [part for part in parts if part.split != "trainval" or "train" not in splits_of(parts)]


def choose_parts(parts: Sequence[Part], path: str | Path, split: str | None) -> list[Part]:
    """The parts of a requested name: "train", "train+val", "all".

    Raises DatasetError, which lists the parts, and ArgumentError for what is no name.
    """
    names = splits_of(parts)
    if split is None:
        if len(names) == 1:
            return list(parts)
        places = _places_of_one(parts)
        one = f"name one with --split, or give its path ({places})" if places else "name one with --split"
        raise DatasetError(f"{path} has the splits {', '.join(names)}; {one}; --split all joins them")
    if not isinstance(split, str):
        raise ArgumentError(f"split is {split!r}: expected the name of a part, or several as train+val")
    if split == "all":
        return drop_trainval(parts)
    wanted = [name if name in names else parse_part(name, alone=True) or name for name in split.split("+")]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise DatasetError(f"{path} has no split {', '.join(unknown)}; it has {', '.join(names)}")
    return [part for part in parts if part.split in wanted]


def training_parts(parts: Sequence[Part], path: str | Path) -> list[Part]:
    """The parts to train on: train, else trainval, else the only one unless it is val or test.

    Raises DatasetError, which lists the parts, if none of them is for training.
    """
    named = splits_of(parts)
    for name in ("train", "trainval"):
        if name in named:
            return named[name]
    only = parts[0]
    given_itself = only.source == Path(path) and only.format != "yolo" and only.source.is_file()
    if len(named) == 1 and (given_itself or only.split not in ("val", "test")):
        return list(parts)
    able = [part for part in parts if part.format != "yolo" and part.source != Path(path)]  # which given alone are used
    raise DatasetError(f"{path} has the {_describe_splits(parts)}, and none is named train; {_choose_remedy(able)}")


def validation_parts(parts: Sequence[Part], path: str | Path, *, alone: bool) -> list[Part]:
    """The parts to evaluate on: val, beside the part to train on; with `alone` (the path is only for that) also a
    single part.

    Raises DatasetError with `alone` for several parts without val.
    """
    named = splits_of(parts)
    if len(named) == 1:  # it is what is trained on, whatever its name
        return list(parts) if alone else []
    if "val" in named or not alone:
        return named.get("val", [])
    raise DatasetError(f"{path} has the {_describe_splits(parts)}, and none is named val; {_choose_remedy(parts)}")


def _describe_splits(parts: Sequence[Part]) -> str:
    names = splits_of(parts)
    return f"{'splits' if len(names) > 1 else 'split'} {', '.join(names)}"


def _choose_remedy(parts: Sequence[Part]) -> str:
    places = _places_of_one(parts)
    return f"rename one, or give the path of the one to use ({places})" if places else "rename one"


def _places_of_one(parts: Sequence[Part]) -> str:
    """The paths that stand for a single split, at most six; a data.yaml has several and is none."""
    splits: dict[str, set[str]] = defaultdict(set)
    for part in parts:
        splits[str(part.source)].add(part.split)
    places = sorted(place for place, held in splits.items() if len(held) == 1)
    return ", ".join([*places[:6], *["..."] * (len(places) > 6)])

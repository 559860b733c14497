"""What kind of data set lies at a path, and which splits it has: found by looking, or of the format that is named."""

import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ssd300.data.pack import PIECE_NAME, SUFFIX
from ssd300.data.voc import split_lists
from ssd300.data.yolo import is_data_yaml, splits_of_yaml
from ssd300.errors import DatasetError, unknown_name

Format = Literal["coco", "yolo", "voc", "pack"]
FORMATS: tuple[Format, ...] = get_args(Format)
WHOLE = "all"  # the split of a data set that has no splits
_SYNONYMS = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}


@dataclass(frozen=True)
class Part:
    """One split of a data set as it lies on the disk: `source` is its JSON, YAML, packed file or VOC folder."""

    format: Format
    split: str
    source: Path


def find_parts(path: str | Path, format: str | None = None) -> list[Part]:
    """The splits found at a path, sorted by name within a format. Raises DatasetError where there are none.

    A file: COCO .json, YOLO .yaml or packed .pack. A folder, first match: packed files; data.yaml; COCO JSON files in
    it, in annotations/ or one a subfolder (Roboflow); XML files in it, in Annotations/, or in subfolders of such.
    """
    path = Path(path)
    if format is not None and format not in FORMATS:
        raise unknown_name("data format", format, FORMATS)
    if not path.exists():
        raise DatasetError(
            f"{path}: no such file or folder. A data set is a COCO .json, a data.yaml, a .pack or a folder"
        )
    for name, look in _LOOKS.items():
        if format in (None, name):
            parts = list(look(path))
            if parts:
                return sorted(parts, key=lambda part: part.split)
    raise DatasetError(_nothing_found(path, format))


def _nothing_found(path: Path, format: str | None) -> str:
    wanted = f"a {format} data set" if format else "a data set"
    if path.is_file():
        return f"{path}: not {wanted}. Known files: COCO .json, YOLO data.yaml, {SUFFIX}; for VOC give the folder"
    holds = ", ".join(sorted(entry.name + "/" * entry.is_dir() for entry in path.iterdir())[:12])
    hint = ""
    if (path / "labels").is_dir():
        hint = " There is a labels/ folder: YOLO needs a data.yaml with `names` beside it."
    return (
        f"{path}: {wanted} was not found in this folder. Looked for *{SUFFIX}, a *.yaml with `names`, COCO *.json "
        "(here, in annotations/, */_annotations.coco.json) and VOC *.xml (here, in Annotations/, in subfolders)."
        f"{hint} The folder holds: {holds or 'nothing'}"
    )


def _pack_parts(path: Path) -> Iterator[Part]:
    files = [path] if path.is_file() else sorted(path.glob(f"*{SUFFIX}"))
    seen = set()
    for file in (file for file in files if file.name.endswith(SUFFIX)):
        match = PIECE_NAME.fullmatch(file.name)
        split = match["stem"] if match else file.name.removesuffix(SUFFIX)
        if split not in seen:
            seen.add(split)
            yield Part("pack", split, file)


def _yolo_parts(path: Path) -> Iterator[Part]:
    if path.is_file():
        files = [path] if path.suffix in (".yaml", ".yml") else []
    else:
        files = [file for suffix in ("yaml", "yml") for file in sorted(path.glob(f"*.{suffix}")) if is_data_yaml(file)]
        if len(files) > 1:
            names = ", ".join(file.name for file in files)
            raise DatasetError(f"{path}: several YAML files describe a data set: {names}; give the path of one of them")
    for file in files:
        for split in splits_of_yaml(file):
            yield Part("yolo", split, file)


def _coco_parts(path: Path) -> Iterator[Part]:
    if path.is_file():
        if path.suffix == ".json":
            yield Part("coco", split_name(path), path)
        return
    for pattern in ("*.json", "annotations/instances_*.json", "annotations/*.json", "*/_annotations.coco.json"):
        files = [file for file in sorted(path.glob(pattern)) if _looks_like_coco(file)]
        if files:
            names = [split_name(file) for file in files]
            for file, name in zip(files, names, strict=True):
                unique = names.count(name) == 1
                yield Part("coco", name if unique else f"{file.parent.name}/{file.stem}", file)
            return


def split_name(file: Path) -> str:
    """The split that an annotation file is of: "instances_train2017.json" -> "train", "annotations.json" -> "all"."""
    stem = file.stem.removeprefix("instances_").lower()
    if stem == "_annotations.coco":  # one folder a split, as Roboflow writes them
        stem = file.parent.name.lower()
    if stem in ("annotations", "instances", "default", "labels", "coco"):
        return WHOLE
    bare = stem.rstrip("0123456789")
    return _SYNONYMS.get(bare, bare if bare in ("train", "val", "test") else stem)


def _looks_like_coco(file: Path) -> bool:
    if file.stat().st_size == 0:
        return False
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return all(content.find(f'"{key}"'.encode()) >= 0 for key in ("images", "annotations", "categories"))


def _voc_parts(path: Path) -> Iterator[Part]:
    if not path.is_dir():
        return
    if (path / "Annotations").is_dir() or next(path.glob("*.xml"), None):
        lists = split_lists(path)
        for split in lists or (WHOLE,):
            yield Part("voc", split, path)
        return
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir()):
        if next(folder.glob("*.xml"), None) or next(folder.glob("Annotations/*.xml"), None):
            name = folder.name.lower()
            yield Part("voc", _SYNONYMS.get(name, name), folder)


_LOOKS: dict[str, Callable[[Path], Iterator[Part]]] = {
    "pack": _pack_parts,
    "yolo": _yolo_parts,
    "coco": _coco_parts,
    "voc": _voc_parts,
}

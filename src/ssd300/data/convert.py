"""A data set in another format, pictures included, without loss: there and back gives the same boxes bit for bit.

What YOLO and VOC have no place for goes to the sidecar `ssd300.json`. The new folder appears under its name only when
all of it is written.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

import numpy as np
from PIL import Image

from ssd300.data.dataset import Dataset, Picture, join
from ssd300.data.files import SPLITS
from ssd300.data.sidecar import Sidecar
from ssd300.data.write import write_coco, write_labels, write_xml, write_yaml
from ssd300.errors import ArgumentError, DatasetError, unknown_name

Target = Literal["coco", "yolo", "voc"]


@dataclass(frozen=True)
class Conversion:
    """What a conversion wrote, and what it could not take along (`lost`) or had to rename."""

    pictures: int
    boxes: int
    renamed: tuple[tuple[str, str], ...]
    lost: tuple[str, ...]


def convert_dataset(
    splits: dict[str, Dataset],
    out: Path,
    format: Target,
    *,
    link: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> Conversion:
    """Write the splits (name -> Dataset) as one data set of a format into the new folder `out`.

    coco: SPLIT.json beside SPLIT/ with its pictures; yolo: data.yaml, images/SPLIT, labels/SPLIT; voc: JPEGImages,
    Annotations, ImageSets/Main/SPLIT.txt. A single data set without splits has the name "all": annotations.json and
    images/ in COCO, "train" in YOLO (which knows no other way), no lists in VOC. `link` makes hard links
    of the pictures instead of copies. Pictures of a packed set are written as PNG.
    """
    if format not in get_args(Target):
        raise unknown_name("data format", format, get_args(Target))
    unnamed = [split for split in splits if split not in SPLITS]
    if len(splits) > 1 and unnamed:
        raise ArgumentError(f"splits to convert together must be of {', '.join(SPLITS)}; got {', '.join(unnamed)}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(f"{out} exists already; give a new folder, or remove it first")
    classes = join(list(splits.values())).classes
    splits = {split: dataset.with_classes(classes) for split, dataset in splits.items()}
    pictures = [picture for dataset in splits.values() for picture in dataset.pictures]
    names = new_names(pictures)
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.", suffix=".part"))
    try:
        copy = _Copier(link, progress)
        _WRITERS[format](splits, _cut(names, [len(dataset) for dataset in splits.values()]), work, copy)
        if out.exists():
            out.rmdir()
        work.chmod(0o755)
        work.replace(out)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    renamed = [
        (picture.file_name, name) for picture, name in zip(pictures, names, strict=True) if name != picture.file_name
    ]
    notes = [note for dataset in splits.values() for note in dataset.notes]
    lost = [str(note) for note in notes if note.kind == "field not used" or note.action in ("clipped", "refused")]
    return Conversion(len(pictures), sum(d.num_boxes for d in splits.values()), tuple(renamed), tuple(lost))


def new_names(pictures: Sequence[Picture]) -> list[str]:
    """File names [pictures] below one folder: the user's own, made relative, unlike in more than case or ending."""
    taken: set[str] = set()
    names = []
    for picture in pictures:
        parts = [part for part in PurePosixPath(picture.file_name.replace("\\", "/")).parts if part not in ("/", "..")]
        name = PurePosixPath(*[part.replace(":", "_") for part in parts])
        if picture.payload is not None:
            name = name.with_suffix(".png")
        wanted, number = name, 1
        while str(name.with_suffix("")).casefold() in taken:
            number += 1
            name = wanted.with_stem(f"{wanted.stem}-{number}")
        taken.add(str(name.with_suffix("")).casefold())
        names.append(str(name))
    return names


def _cut(names: list[str], counts: list[int]) -> list[list[str]]:
    ends = np.cumsum(counts).tolist()
    return [names[end - count : end] for end, count in zip(ends, counts, strict=True)]


@dataclass
class _Copier:
    link: bool
    progress: Callable[[int], None]
    done: int = 0

    def __call__(self, picture: Picture, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if picture.payload is not None:
                Image.fromarray(picture.read()).save(path)
            elif self.link:
                os.link(picture.path, path)
            else:
                shutil.copyfile(picture.path, path)
        except OSError as error:
            raise DatasetError(
                f"{picture.path}: cannot be {'linked' if self.link else 'copied'} to {path}: {error}"
            ) from error
        self.done += 1
        self.progress(self.done)


def _write_coco(splits: dict[str, Dataset], names: list[list[str]], out: Path, copy: _Copier) -> None:
    for (split, dataset), own in zip(splits.items(), names, strict=True):
        file, folder = ("annotations.json", "images") if split not in SPLITS else (f"{split}.json", split)
        for picture, name in zip(dataset.pictures, own, strict=True):
            copy(picture, out / folder / name)
        write_coco(out / file, dataset, own)


def _write_yolo(splits: dict[str, Dataset], names: list[list[str]], out: Path, copy: _Copier) -> None:
    sidecar = Sidecar(out / "ssd300.json")
    folders = {}
    for (split, dataset), own in zip(splits.items(), names, strict=True):
        split = split if split in SPLITS else "train"
        folders[split] = f"images/{split}"
        (out / "images" / split).mkdir(parents=True)
        for picture, name in zip(dataset.pictures, own, strict=True):
            copy(picture, out / "images" / split / name)
            key = f"labels/{split}/{PurePosixPath(name).with_suffix('.txt')}"
            write_labels(out / key, picture, dataset.classes)
            sidecar.add(key, picture, held=set())
        classes = dataset.classes
    write_yaml(out / "data.yaml", classes, folders)
    sidecar.write(classes)


def _write_voc(splits: dict[str, Dataset], names: list[list[str]], out: Path, copy: _Copier) -> None:
    sidecar = Sidecar(out / "ssd300.json")
    for folder in ("Annotations", "JPEGImages"):
        (out / folder).mkdir()
    for (split, dataset), own in zip(splits.items(), names, strict=True):
        stems = [str(PurePosixPath(name).with_suffix("")) for name in own]
        for picture, name, stem in zip(dataset.pictures, own, stems, strict=True):
            copy(picture, out / "JPEGImages" / name)
            write_xml(out / "Annotations" / f"{stem}.xml", PurePosixPath(name).name, picture, dataset.classes)
            sidecar.add(f"{stem}.xml", picture, held={"ignore"})
        if split in SPLITS:
            lists = out / "ImageSets" / "Main"
            lists.mkdir(parents=True, exist_ok=True)
            (lists / f"{split}.txt").write_text("".join(f"{stem}\n" for stem in stems), encoding="utf-8")
        classes = dataset.classes
    sidecar.write(classes)


_WRITERS: dict[str, Callable[[dict[str, Dataset], list[list[str]], Path, _Copier], None]] = {
    "coco": _write_coco,
    "yolo": _write_yolo,
    "voc": _write_voc,
}

"""A data set in another format, pictures included, without loss: there and back gives the same boxes bit for bit.

What YOLO and VOC have no place for goes to the sidecar `ssd300.json`. The new folder appears under its name only when
all of it is written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ssd300.data.copying import FIRST_BYTES, Copier
from ssd300.data.dataset import Dataset, Picture, join
from ssd300.data.files import is_file
from ssd300.data.look import ROOMS, WRITING_ROOMS
from ssd300.data.parts import PARTS
from ssd300.data.values import is_writable_name
from ssd300.data.yolo.labels import PICTURE_FOLDERS
from ssd300.errors import ArgumentError, DatasetError, unknown_name
from ssd300.files import new_folder
from ssd300.images.extensions import has_picture_extension
from ssd300.images.signatures import picture_format

_SAME = 1e-6  # pixels: next to an edge a float32 can be finer than fractions in double precision are
EXTENSION_OF = {
    "JPEG": ".jpg", "PNG": ".png", "WebP": ".webp", "AVIF": ".avif", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif",
}  # fmt: skip


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
    format: str,
    *,
    link: bool = False,
    allow_outside: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> Conversion:
    """Write the splits (name -> Dataset) as one data set of a format into the new folder `out`.

    coco: SPLIT.json beside SPLIT/ with its pictures; yolo: data.yaml, images/SPLIT, labels/SPLIT; voc: JPEGImages,
    Annotations, ImageSets/Main/SPLIT.txt. A single data set without splits has the name "all": annotations.json and
    images/ in COCO, "train" in YOLO (which knows no other way), no lists in VOC. `link` makes hard links
    of the pictures instead of copies. Pictures of a packed set are written as PNG.

    Only pictures are copied, and only from inside the data folders unless `allow_outside`. What was written is read
    back and compared. Raises DatasetError, and leaves nothing, where that is not possible.
    """
    if format not in WRITING_ROOMS:
        raise unknown_name("data format", format, WRITING_ROOMS)
    unnamed = [split for split in splits if split not in PARTS]
    if len(splits) > 1 and unnamed:
        raise ArgumentError(f"splits to convert together must be of {', '.join(PARTS)}; got {', '.join(unnamed)}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(f"{out} exists already; give a new folder, or remove it first")
    whole = join(list(splits.values()))
    classes = whole.classes
    unwritable = [name for name in classes.names if not is_writable_name(name)]
    if unwritable:
        shown = ", ".join(map(repr, unwritable))
        raise DatasetError(
            f"class names with control characters or line breaks cannot be written: {shown}; rename them"
        )
    splits = {split: dataset.with_classes(classes) for split, dataset in splits.items()}
    pictures = [picture for dataset in splits.values() for picture in dataset.pictures]
    names = new_names(pictures)
    with new_folder(out) as work:
        inside = () if allow_outside else tuple(folder.resolve() for folder in whole.folders)
        own_names = _cut(names, [len(dataset) for dataset in splits.values()])
        WRITING_ROOMS[format].write(splits, own_names, work, Copier(link, progress, inside))
        _compare(splits, work, format)
    renamed = [
        (picture.file_name, name) for picture, name in zip(pictures, names, strict=True) if name != picture.file_name
    ]
    notes = [note for dataset in splits.values() for note in dataset.notes]
    lost = [str(note) for note in notes if note.kind == "field not used" or note.action in ("clipped", "refused")]
    return Conversion(len(pictures), sum(d.num_boxes for d in splits.values()), tuple(renamed), tuple(lost))


def _compare(splits: dict[str, Dataset], folder: Path, format: str) -> None:
    """Raises DatasetError where the data set that was just written does not read back as it was."""
    parts = {part.split: part for part in ROOMS[format].find(folder)}
    for split, dataset in splits.items():
        if not dataset.pictures:
            continue
        part = parts.get(split) or (next(iter(parts.values())) if len(parts) == 1 else None)
        if part is None:
            raise DatasetError(f"the new data set has no part {split}; nothing was written")
        again = ROOMS[format].read(part)
        faults = [note for note in again.notes if note.action in ("fault", "refused", "clipped")]
        mine = {picture.image_id: picture for picture in dataset.pictures}
        theirs = {picture.image_id: picture for picture in again.pictures}
        different = [
            str(mine[key].file_name) if key in mine else str(theirs[key].file_name)
            for key in {**mine, **theirs}
            if key not in mine or key not in theirs or not _equal(mine[key], theirs[key])
        ]
        if faults or again.classes != dataset.classes or different:
            what = str(faults[0]) if faults else f"of {', '.join(different[:5])}" if different else "the class names"
            raise DatasetError(
                f"{dataset.name} cannot be written as {format}: it would read back otherwise ({what}); "
                "nothing was written"
            )


def _equal(one: Picture, other: Picture) -> bool:
    """Equal in size and in every field of the boxes but their ids, which may be numbered anew."""
    fields = ("boxes_xyxy", "class_ids", "crowd", "ignore", "area", "scores")
    return (one.width, one.height) == (other.width, other.height) and all(
        len(one.annotations) == len(other.annotations)
        and np.allclose(getattr(one.annotations, name), getattr(other.annotations, name), rtol=0, atol=_SAME)
        for name in fields
    )


def new_names(pictures: Sequence[Picture]) -> list[str]:
    """File names [pictures] below one folder: the user's own, made relative, unlike in more than case or extension.

    They have the extension of a picture, and nothing in them that a list or a reader would take otherwise.
    """
    taken: set[str] = set()
    names = []
    for picture in pictures:
        parts = [_plain(part) for part in PurePosixPath(picture.file_name.replace("\\", "/")).parts]
        folders = [part for part in parts[:-1] if part and part.casefold() not in (*PICTURE_FOLDERS, "labels")]
        name = PurePosixPath(*folders, parts[-1] if parts and parts[-1] else "picture")
        if picture.payload is not None:
            name = name.with_suffix(".png")
        elif not has_picture_extension(name.name):
            name = name.with_name(name.name + _extension(picture))
        wanted, number = name, 1
        while str(name.with_suffix("")).casefold() in taken:
            number += 1
            name = wanted.with_stem(f"{wanted.stem}-{number}")
        taken.add(str(name.with_suffix("")).casefold())
        names.append(str(name))
    return names


def _plain(part: str) -> str:
    """One part of a path as every system and list can hold it."""
    plain = "".join(letter if letter.isprintable() and letter not in ':*?"<>|' else "_" for letter in part)
    return plain.strip().lstrip(".").removeprefix("/") if plain not in ("/", "..") else ""


def _extension(picture: Picture) -> str:
    """The extension that a picture's content asks for; none where it is no picture, which the copying says."""
    if not is_file(picture.path):
        return ".jpg"
    with picture.path.open("rb") as file:
        return EXTENSION_OF.get(picture_format(file.read(FIRST_BYTES)) or "", ".jpg")


def _cut(names: list[str], counts: list[int]) -> list[list[str]]:
    ends = np.cumsum(counts).tolist()
    return [names[end - count : end] for end, count in zip(ends, counts, strict=True)]

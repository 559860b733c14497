"""Convert a data set to another format, pictures included, without loss: converting back gives the same boxes exactly.

Fields that YOLO and VOC lack go to the sidecar `ssd300.json`. The new folder appears under its name only when it is
complete.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np

from ssd300.data.dataset import Dataset, Picture, join
from ssd300.data.files import local_name
from ssd300.data.load import FORMATS_BY_NAME, WRITABLE_FORMATS
from ssd300.data.parts import PARTS, parse_part
from ssd300.data.sidecar import NAME as SIDECAR
from ssd300.data.values import is_writable_name
from ssd300.data.voc.find import ANNOTATIONS
from ssd300.data.writing import FIRST_BYTES, Copier
from ssd300.data.yolo.labels import PICTURE_FOLDERS
from ssd300.digits import Distinct
from ssd300.errors import ArgumentError, DatasetError, unknown_name
from ssd300.files import is_filled, new_folder
from ssd300.images.folders import has_picture_extension, name_on_disk, portable_name
from ssd300.images.signatures import picture_format
from ssd300.terminal import is_harmless

_FOLDERS = {name.casefold() for name in (*PICTURE_FOLDERS, *ANNOTATIONS)}
_SAME = 1e-6  # pixels: near an edge float32 can be finer than fractions in double precision
EXTENSION_OF = {
    "JPEG": ".jpg", "PNG": ".png", "WebP": ".webp", "AVIF": ".avif", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif",
}  # fmt: skip


@dataclass(frozen=True)
class Conversion:
    """The counts of a conversion, and what was not converted (`lost`) or was renamed."""

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
    images/ in COCO, "train" in YOLO (which requires it), no lists in VOC. `link` makes hard links of the pictures
    instead of copies. Pictures of a packed set are written as PNG.

    Only pictures are copied, and only from inside the data folders unless `allow_outside`. The output is read
    back and compared. On failure raises DatasetError and leaves nothing.
    """
    if format not in WRITABLE_FORMATS:
        raise unknown_name("data format", format, WRITABLE_FORMATS)
    unnamed = [split for split in splits if split not in PARTS]
    if len(splits) > 1 and unnamed:
        raise ArgumentError(
            f"splits to convert together must be of {', '.join(PARTS)}; got {', '.join(unnamed)}: name those to "
            "convert (--split train+val), or one alone"
        )
    if out.exists() and (not out.is_dir() or is_filled(out)):
        raise DatasetError(f"{out} exists already; give a new folder")
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
    if link and any(picture.payload is not None for picture in pictures):
        raise ArgumentError("--link links files, and pictures of a packed set are written as PNG: leave it out")
    names = new_names(pictures)
    with new_folder(out) as work:
        inside = () if allow_outside else tuple(folder.resolve() for folder in whole.folders)
        left = iter(names)
        own_names = [list(islice(left, len(dataset))) for dataset in splits.values()]
        WRITABLE_FORMATS[format].write(splits, own_names, work, Copier(link, progress, inside))
        _compare(splits, work, format)
    renamed = [
        (picture.file_name, name) for picture, name in zip(pictures, names, strict=True) if name != picture.file_name
    ]
    notes = [note for dataset in splits.values() for note in dataset.notes]
    unused = ("field not used", "numbers not used")
    left_out = [str(note) for note in notes if note.kind in unused or note.action in ("clipped", "refused")]
    lost = [*_marks_lacked(whole, format), *left_out]
    return Conversion(len(pictures), sum(d.num_boxes for d in splits.values()), tuple(renamed), tuple(lost))


def _marks_lacked(dataset: Dataset, format: str) -> list[str]:
    """A sentence for each mark of boxes that a format lacks, so that only the sidecar has it."""
    boxes = [picture.annotations for picture in dataset.pictures]
    marks = {
        "crowd": sum(int(one.crowd.sum()) for one in boxes),
        "ignore": 0 if format == "voc" else sum(int(one.ignore.sum()) for one in boxes),
        "a score below 1": sum(int((one.scores < 1).sum()) for one in boxes),
    }
    words = f"only in {SIDECAR}: other programs take these for ordinary boxes"
    return [f"{mark} of {count} boxes is {words}" for mark, count in marks.items() if count and format != "coco"]


def _compare(splits: dict[str, Dataset], folder: Path, format: str) -> None:
    """Raises DatasetError if the data set that was just written reads back differently."""
    parts = {part.split: part for part in FORMATS_BY_NAME[format].find(folder)}
    for split, dataset in splits.items():
        if not dataset.pictures:
            continue
        part = parts.get(split) or (next(iter(parts.values())) if len(parts) == 1 else None)
        if part is None:
            raise DatasetError(f"the new data set has no part {split}; nothing was written")
        again = FORMATS_BY_NAME[format].read(part)
        faults = [note for note in again.notes if note.action in ("fault", "refused", "clipped")]
        mine = {picture.image_id: picture for picture in dataset.pictures}
        theirs = {picture.image_id: picture for picture in again.pictures}
        both = mine.keys() & theirs.keys()
        different = [f"the picture {one.file_name}" for key, one in (mine | theirs).items() if key not in both]
        different += filter(None, (_difference(one, theirs[key]) for key, one in mine.items() if key in both))
        if faults or again.classes != dataset.classes or different:
            what = [*map(str, faults), *different, "the class names"][0]
            raise DatasetError(
                f"{dataset.name} cannot be written as {format}: it would read back differently ({what}); "
                "nothing was written"
            )


def _difference(one: Picture, other: Picture) -> str:
    """What differs in a picture that was read back: its size, or a field of the boxes other than their ids, which may
    be renumbered. Empty if nothing does."""
    if (one.width, one.height) != (other.width, other.height):
        return (
            f"{one.file_name} is {other.width}x{other.height}, its annotations are for {one.width}x{one.height}: see "
            "`ssd300 data check`"
        )
    fields = ("boxes_xyxy", "class_ids", "crowd", "ignore", "area", "scores")
    same = len(one.annotations) == len(other.annotations) and all(
        np.allclose(getattr(one.annotations, name), getattr(other.annotations, name), rtol=0, atol=_SAME)
        for name in fields
    )
    return "" if same else f"boxes of {one.file_name}"


def new_names(pictures: Sequence[Picture]) -> list[str]:
    """File names [pictures] below one folder: the user's own, made relative, and distinct, as their labels are, too.

    They have a picture's extension and no characters with a meaning in lists or for readers.
    """
    distinct = Distinct[str](name_on_disk)
    names = []
    for picture in pictures:
        parts = [_clean_part(part) for part in PurePosixPath(local_name(picture.file_name)).parts]
        # Without folders whose names have a meaning in a set that is written: pictures, labels, or a part.
        folders = [part for part in parts[:-1] if part and part.casefold() not in _FOLDERS and not parse_part(part)]
        name = PurePosixPath(*folders, parts[-1] if parts and parts[-1] else "picture")
        if picture.payload is not None:
            name = name.with_suffix(".png")
        elif not has_picture_extension(name.name):
            name = name.with_name(name.name + _extension(picture))
        names.append(distinct(str(name.with_suffix(""))) + name.suffix)
    return names


def _clean_part(part: str) -> str:
    """One part of a path, valid on every system and in every list."""
    plain = "".join(letter if is_harmless(letter) and letter not in ':*?"<>|' else "_" for letter in part)
    return portable_name(plain.strip().lstrip(".").removeprefix("/")) if plain not in ("/", "..") else ""


def _extension(picture: Picture) -> str:
    """The extension for a picture's content; empty if it is not a picture, which `Copier` reports."""
    if not os.path.isfile(picture.path):
        return ".jpg"
    with picture.path.open("rb") as file:
        return EXTENSION_OF.get(picture_format(file.read(FIRST_BYTES)) or "", ".jpg")

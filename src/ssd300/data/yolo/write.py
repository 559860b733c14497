"""Write YOLO: data.yaml, images/PART, labels/PART. Numbers have the fewest digits that read back the same float32."""

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from ssd300.arrays import Bool, Float32, Float64
from ssd300.boxes import xyxy_to_cxcywh
from ssd300.data.dataset import Dataset, Picture
from ssd300.data.parts import PARTS, Part
from ssd300.data.sidecar import NAME, Sidecar
from ssd300.data.writing import Copier, round_shortest
from ssd300.data.yolo.describe import Description
from ssd300.data.yolo.labels import label_path, relative_path, to_pixels
from ssd300.files import path_from, write_whole
from ssd300.labels import ClassList

FRACTION_DIGITS = (6, 7, 8, 9, 10, 12, 14)  # after the point, tried in turn: other tools write six


def write(splits: dict[str, Dataset], names: list[list[str]], out: Path, copy: Copier) -> None:
    """Write a whole set; one without parts is named train, because YOLO requires it."""
    sidecar = Sidecar(out / NAME)
    folders = {}
    for (split, dataset), own in zip(splits.items(), names, strict=True):
        split = split if split in PARTS else "train"
        folders[split] = f"images/{split}"
        (out / "images" / split).mkdir(parents=True)
        for picture, name in zip(dataset.pictures, own, strict=True):
            copy(picture, out / "images" / split / name)
            key = f"labels/{split}/{PurePosixPath(name).with_suffix('.txt')}"
            write_labels(out / key, picture, dataset.classes)
            sidecar.add(key, picture, out / key, held=set())
        classes = dataset.classes
    write_yaml(out / "data.yaml", dict(enumerate(classes.names)), folders)
    sidecar.write(classes)


def split_files(part: Part, splits: Iterable[str], out: Path) -> list[Path]:
    """The files that `write_split` writes, one for each part and then others."""
    return [*(out / f"{split}.txt" for split in splits), out / "data.yaml", out / NAME]


def write_split(part: Part, splits: dict[str, Dataset], out: Path) -> None:
    """Write PART.txt for each part and a data.yaml to `out`, with relative paths of the pictures.

    The label files stay as they are, and so do the indices of the classes, and what the set's own sidecar says.
    """
    described: Description = part.detail
    known, sidecar = Sidecar.beside(described.folder), Sidecar(out / NAME)
    for split, dataset in splits.items():
        lines = []
        for picture in dataset.pictures:
            place = path_from(out, picture.path)
            here = "" if os.path.isabs(place) else "./"  # makes it relative to the list elsewhere, too
            lines.append(f"{here}{place}\n")
            labels = label_path(picture.path)
            entry = known.pictures.get(relative_path(labels, described.folder), {})
            own = {"image_id": picture.image_id, "file_name": picture.file_name}
            sidecar.pictures[path_from(out, labels)] = entry | own
        write_whole(out / f"{split}.txt", "".join(lines).encode(errors="surrogateescape"))
        classes = dataset.classes
    names = dict(zip(described.classes.ids, classes.names, strict=True))
    write_yaml(out / "data.yaml", names, {split: f"{split}.txt" for split in splits}, described.kpt_shape)
    sidecar.write(classes)


def to_fractions(boxes_xyxy: Float32, width: int, height: int) -> Float64:
    """Boxes [M, 4] in pixels -> rows [M, 4] of a label file: center and size as fractions of the picture."""
    limit = np.array([width, height, width, height], np.float64)
    rows = xyxy_to_cxcywh(boxes_xyxy.astype(np.float64) / limit)

    def reads_back(candidate: Float64) -> Bool:
        back = np.clip(to_pixels(candidate, width, height), 0, limit).astype(np.float32)
        return np.asarray(np.all(back == boxes_xyxy, axis=1))

    return round_shortest(rows, reads_back, FRACTION_DIGITS)


def write_labels(path: Path, picture: Picture, classes: ClassList) -> None:
    boxes = picture.annotations
    lines = []
    rows = to_fractions(boxes.boxes_xyxy, picture.width, picture.height)
    for class_id, row in zip(boxes.class_ids.tolist(), rows, strict=True):
        numbers = " ".join(np.format_float_positional(value, trim="0") for value in row)
        lines.append(f"{classes.position_of_id[class_id]} {numbers}\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(lines).encode())


def write_yaml(path: Path, names: dict[int, str], splits: dict[str, str], kpt_shape: tuple[int, ...] = ()) -> None:
    """Write a data.yaml: parts (name -> folder or list, relative to it) and class names (index -> name)."""
    lines = [f"{split}: {_quote(place)}" for split, place in splits.items()]
    lines += [f"kpt_shape: {list(kpt_shape)}"] if kpt_shape else []
    lines += ["names:", *(f"  {index}: {_quote(name)}" for index, name in names.items())]
    write_whole(path, ("\n".join(lines) + "\n").encode())


def _quote(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)  # valid YAML, but for control characters that JSON leaves as they are
    return re.sub("[\x7f-\x9f]", lambda one: f"\\u{ord(one[0]):04x}", quoted)

"""The file `ssd300.json` beside YOLO and VOC labels, for fields that these formats lack.

These are ids, crowd flags, areas and scores. It is written and read together with the labels, so that a conversion
there and back loses nothing. Other programs ignore it. Its rows are in the order of the boxes in the label file; if
the words of that file are others than when it was written, the labels were edited since, which is a fault.
"""

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ssd300.data.dataset import Annotations, Picture
from ssd300.data.notes import Fault, Note
from ssd300.data.reading import read_text
from ssd300.errors import ArgumentError, DatasetError
from ssd300.files import write_whole
from ssd300.formats import shortest
from ssd300.labels import ClassList
from ssd300.limits import JSON_BYTES

NAME = "ssd300.json"
_VERSION = 1
_INTEGERS = np.iinfo(np.int64)
_LARGEST = float(np.finfo(np.float32).max)
_RANGES: dict[str, tuple[float, float]] = {  # of the fields
    "crowd": (0, 1), "ignore": (0, 1), "area": (0, _LARGEST), "scores": (-_LARGEST, _LARGEST), "ids": (-(2**62), 2**62),
}  # fmt: skip


@dataclass
class Sidecar:
    """The classes with their ids, and for each label file (by its relative path) the fields that it lacks."""

    path: Path
    classes: ClassList | None = None
    pictures: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def beside(cls, folder: Path) -> "Sidecar":
        """The sidecar of a folder; empty if there is none."""
        path = folder / NAME
        if not path.is_file():
            return cls(path)
        try:
            content = json.loads(read_text(path, "sidecar of the labels", JSON_BYTES))
            if (version := content["version"]) != _VERSION:
                raise DatasetError(f"{path}: version {version!r:.40}, this ssd300 reads {_VERSION}; upgrade ssd300")
            classes = _class_list(content["class_names"], content["class_ids"])
            pictures = dict(content["pictures"])
            for entry in pictures.values():
                _check_entry(entry)
            return cls(path, classes, pictures)
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError, ArgumentError) as error:
            raise DatasetError(
                f"{path}: not a sidecar of ssd300 ({error}); delete it to read the labels alone"
            ) from error

    def add(self, key: str, picture: Picture, labels: Path, held: set[str]) -> None:
        """Add the fields of a picture's boxes that its label file lacks; `held` names the fields that it has."""
        boxes = picture.annotations
        defaults = Annotations.of(boxes.boxes_xyxy, boxes.class_ids)
        entry: dict[str, Any] = {"image_id": picture.image_id, "file_name": picture.file_name, "boxes": len(boxes)}
        for name in sorted(_RANGES.keys() - held):
            values = getattr(boxes, name)
            if not np.array_equal(values, getattr(defaults, name)):
                entry[name] = shortest(values) if values.dtype == np.float32 else values.tolist()
        if entry.keys() & _RANGES.keys():
            entry["labels"] = _sum_of(labels)
        self.pictures[key] = entry

    def write(self, classes: ClassList) -> None:
        content = {
            "version": _VERSION,
            "class_names": classes.names,
            "class_ids": classes.ids,
            "pictures": self.pictures,
        }
        write_whole(self.path, json.dumps(content, ensure_ascii=False).encode(errors="backslashreplace"))

    def fields(self, key: str, count: int, labels: Path) -> dict[str, Any]:
        """The fields of a label file's boxes, as keyword arguments of `Annotations.of`.

        Raises Fault if the label file is not as it was when the sidecar was written.
        """
        entry = self.pictures.get(key, {})
        held = entry.keys() & _RANGES.keys()
        other = held and entry["boxes"] != count
        if other or (held and "labels" in entry and entry["labels"] != _sum_of(labels)):
            found = f"have {count} boxes, {self.path} was written for {entry['boxes']}"
            raise Fault(
                "sidecar out of date",
                f"the labels {found if other else f'were edited after {self.path} was written'}; delete {NAME} (ids, "
                "scores and flags that the format cannot hold are then lost) or convert again",
            )
        return {"areas" if name == "area" else name: entry[name] for name in held}

    def find_repeated_ids(self, pictures: Sequence[Picture]) -> Iterator[Note]:
        """A fault for every picture of a part whose id is that of an earlier one."""
        seen: dict[int | str, str] = {}
        for picture in pictures:
            if picture.image_id in seen:
                words = f"the image id {picture.image_id!r:.60} is that of {seen[picture.image_id]}, too"
                yield Note("duplicate image id", "fault", str(self.path), picture.file_name, "", words)
            seen[picture.image_id] = picture.file_name

    def identity(self, key: str, image_id: str, file_name: str) -> tuple[int | str, str]:
        """(image id, file name) as the user's first format had them."""
        entry = self.pictures.get(key, {})
        return entry.get("image_id", image_id), entry.get("file_name", file_name)


def _sum_of(labels: Path) -> int:
    """A checksum of the words of a label file; line ends do not matter. 0 if it cannot be read."""
    try:
        return zlib.crc32(b" ".join(labels.read_bytes().split()))
    except OSError:
        return 0


def _class_list(names: Any, ids: Any) -> ClassList:
    """Raises ValueError or TypeError where these are not a list of texts and as many ids."""
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise TypeError("class_names is not a list of texts")
    if not (isinstance(ids, list) and all(_is_integer(one) for one in ids)):
        raise TypeError("class_ids is not a list of integers")
    return ClassList(tuple(names), tuple(ids))


def _is_integer(value: Any) -> bool:
    return type(value) is int and _INTEGERS.min <= value <= _INTEGERS.max


def _check_entry(entry: dict[str, Any]) -> None:
    """Raises ValueError or TypeError if a picture's entry does not have the form that `Sidecar.add` writes."""
    if not isinstance(entry, dict):
        raise TypeError(f"a picture's entry is {entry!r:.60}")
    image_id, name = entry.get("image_id", ""), entry.get("file_name", "")
    if not (isinstance(image_id, str) or _is_integer(image_id)) or not isinstance(name, str):
        raise TypeError(f"a picture's id and name are {image_id!r:.60} and {name!r:.60}")
    for field_name in entry.keys() & _RANGES.keys():
        values = np.array(entry[field_name], np.float64)
        if values.shape != (entry["boxes"],):
            raise ValueError(f"{field_name} is not one number for each of {entry['boxes']} boxes")
        low, high = _RANGES[field_name]
        if not ((values >= low) & (values <= high)).all():  # NaN is neither
            raise ValueError(f"{field_name} has numbers outside of {low:g} to {high:g}")
        if field_name not in ("area", "scores") and not (values == np.round(values)).all():
            raise ValueError(f"{field_name} has numbers that are not whole")

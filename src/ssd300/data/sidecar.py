"""The file `ssd300.json` beside YOLO and VOC labels, for fields that these formats lack (ids, crowd flags, areas,

scores). It is written and read together with the labels, so that a conversion there and back loses nothing. Other
programs ignore it. Its rows are in the order of the boxes in the label file; if the numbers of boxes differ, the
labels were edited since, which is a fault.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ssd300.data.dataset import Annotations, Picture
from ssd300.data.files import read_text
from ssd300.errors import DatasetError
from ssd300.files import write_whole
from ssd300.formats import shortest
from ssd300.labels import ClassList

NAME = "ssd300.json"
_VERSION = 1


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
            content = json.loads(read_text(path, "sidecar of the labels"))
            if content["version"] != _VERSION:
                raise DatasetError(
                    f"{path}: version {content['version']}, this ssd300 reads {_VERSION}; upgrade ssd300"
                )
            names, ids = content["class_names"], content["class_ids"]
            pictures = dict(content["pictures"])
            for entry in pictures.values():
                _check_entry(entry)
            return cls(path, ClassList(tuple(names), tuple(ids)), pictures)
        except (KeyError, TypeError, ValueError, RecursionError) as error:  # ValueError: JSON, or class names twice
            raise DatasetError(
                f"{path}: not a sidecar of ssd300 ({error}); delete it to read the labels alone"
            ) from error

    def add(self, key: str, picture: Picture, held: set[str]) -> None:
        """Add the fields of a picture's boxes that the format lacks; `held` names the fields that it has."""
        boxes = picture.annotations
        defaults = Annotations.of(boxes.boxes_xyxy, boxes.class_ids)
        entry: dict[str, Any] = {"image_id": picture.image_id, "file_name": picture.file_name, "boxes": len(boxes)}
        for name in {"crowd", "ignore", "area", "scores", "ids"} - held:
            values = getattr(boxes, name)
            if not np.array_equal(values, getattr(defaults, name)):
                entry[name] = shortest(values) if values.dtype == np.float32 else values.tolist()
        self.pictures[key] = entry

    def write(self, classes: ClassList) -> None:
        content = {
            "version": _VERSION,
            "class_names": classes.names,
            "class_ids": classes.ids,
            "pictures": self.pictures,
        }
        write_whole(self.path, json.dumps(content, ensure_ascii=False).encode())

    def fields(self, key: str, count: int) -> dict[str, Any]:
        """The fields of a label file's boxes, as keyword arguments of `Annotations.of`.

        Raises DatasetError if the label file has another number of boxes than when the sidecar was written.
        """
        entry = self.pictures.get(key)
        if entry is None:
            return {}
        if entry.get("boxes") != count:
            raise DatasetError(
                f"the labels have {count} boxes, {self.path} was written for {entry.get('boxes')}; delete {NAME} (ids "
                "and flags that the format cannot hold are then lost) or convert again"
            )
        return {"areas" if name == "area" else name: entry[name] for name in entry.keys() & _FIELDS}

    def identity(self, key: str, image_id: str, file_name: str) -> tuple[int | str, str]:
        """(image id, file name) as the user's first format had them."""
        entry = self.pictures.get(key, {})
        return entry.get("image_id", image_id), entry.get("file_name", file_name)


_FIELDS = {"crowd", "ignore", "area", "scores", "ids"}


def _check_entry(entry: dict[str, Any]) -> None:
    """Raises ValueError or TypeError if a picture's entry does not have the form that `Sidecar.add` writes."""
    if not isinstance(entry, dict):
        raise TypeError(f"a picture's entry is {entry!r:.60}")
    for name in entry.keys() & _FIELDS:
        if np.array(entry[name], np.float64).shape != (entry["boxes"],):
            raise ValueError(f"{name} is not one number for each of {entry['boxes']} boxes")

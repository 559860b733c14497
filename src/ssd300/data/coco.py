"""COCO JSON: {"images": [...], "annotations": [...], "categories": [...]}, boxes as [x, y, width, height] in pixels.

Read: ids as they are (sparse is fine), `area` = width * height where missing, `iscrowd` and `ignore` as flags, `score`
where an annotation has one (a teacher's box), `source_id` as the picture's id where `write_coco` had to number anew.
Pictures without annotations are kept. Masks, key points and other fields are not used; a note says how many there were.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from ssd300.data.dataset import Action, Annotations, Dataset, Note, Picture
from ssd300.data.files import PictureFinder, folder_name, picture_size
from ssd300.data.fitting import fit_with_notes
from ssd300.errors import DatasetError, ImageError
from ssd300.labels import ClassList

KEYS = ("images", "annotations", "categories")
LARGEST = 2**63  # of an integer that numpy holds
USED = {
    "images": {"id", "file_name", "width", "height", "source_id"},
    "annotations": {"id", "image_id", "category_id", "bbox", "area", "iscrowd", "ignore", "score"},
    "categories": {"id", "name"},
}


def parse(path: Path) -> dict[str, Any]:
    """The JSON object of an annotation file. Raises DatasetError if it is not one of the COCO kind."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"{path}: the annotation file cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not a text file; a COCO annotation file is JSON in UTF-8") from error
    except json.JSONDecodeError as error:
        raise DatasetError(f"{path}, line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}") from error
    except (RecursionError, ValueError) as error:  # nested without end, or a number of thousands of digits
        raise DatasetError(f"{path}: not an annotation file: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in KEYS):
        found = ", ".join(content) if isinstance(content, dict) else f"a {type(content).__name__}"
        raise DatasetError(
            f"{path}: a COCO annotation file has the lists {', '.join(KEYS)}; found {found or 'nothing'}"
        )
    return content


def read_coco(path: Path, name: str | None = None) -> Dataset:
    """One COCO annotation file -> Dataset. Faults of single entries stand in its `notes`.

    Raises DatasetError where the file as a whole cannot be used.
    """
    content = parse(path)
    reader = _Reader(path)
    classes = reader.classes(content["categories"])
    pictures = reader.pictures(content["images"])
    reader.annotations(content["annotations"], classes)
    for key in content:
        if key not in KEYS:
            reader.note("field not used", "noted", "", "", f"{key!r} of the file is not used")
    for what, used in USED.items():
        others = Counter(
            key for record in content[what] if isinstance(record, dict) for key in record if key not in used
        )
        for key, count in sorted(others.items()):
            reader.note("field not used", "noted", "", "", f"{key!r} of {count} {what} is not used")
    boxes = reader.fitted()
    whole = tuple(
        Picture(*stub, boxes[position], file_name, labels=path) for position, (stub, file_name) in enumerate(pictures)
    )
    return Dataset(name or default_name(path), classes, whole, tuple(reader.notes))


def default_name(path: Path) -> str:
    """What a data set is called: its folder, and the file where that says more ("bccd/train", "coco_dev")."""
    folder = folder_name(path.parent)
    generic = path.stem in ("annotations", "_annotations.coco", "labels", "instances_default")
    return folder if generic else f"{folder}/{path.stem.removeprefix('instances_')}"


@dataclass
class _Rows:
    """The usable annotations of a file, one entry each, before they are fitted to their pictures."""

    picture: list[int] = field(default_factory=list)
    box_xywh: list[list[float]] = field(default_factory=list)
    class_id: list[int] = field(default_factory=list)
    crowd: list[bool] = field(default_factory=list)
    ignore: list[bool] = field(default_factory=list)
    area: list[float] = field(default_factory=list)
    score: list[float] = field(default_factory=list)
    id: list[int] = field(default_factory=list)


Stub = tuple[Path, int | str, int, int]  # path, image id, width, height


class _Reader:
    """One pass over one file: the pictures seen so far, the rows, and the notes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[Note] = []
        self.stubs: list[tuple[Stub, str]] = []
        self.position_of: dict[int | str, int | None] = {}  # None: the image entry itself was faulty, and noted
        self.rows = _Rows()

    def note(self, kind: str, action: Action, picture: str, annotation: str, words: str) -> None:
        self.notes.append(Note(kind, action, str(self.path), picture, annotation, words))

    def classes(self, categories: list[Any]) -> ClassList:
        kept: dict[int, str] = {}
        for position, category in enumerate(categories):
            match category:
                case {"id": int(class_id), "name": str(class_name)} if abs(class_id) < LARGEST:
                    if class_id in kept or class_name in kept.values():
                        words = f"category {position}: the id {class_id} or the name {class_name!r} is given twice"
                        self.note("duplicate class", "fault", "", "", words)
                    else:
                        kept[class_id] = class_name
                case _:
                    words = f"category {position} is {_short(category)}; want an integer `id` and a `name`"
                    self.note("malformed entry", "fault", "", "", words)
        if not kept:
            raise DatasetError(f'{self.path}: no usable categories; list each class as {{"id": 1, "name": "cat"}}')
        return ClassList(tuple(kept.values()), tuple(kept))

    def pictures(self, images: list[Any]) -> list[tuple[Stub, str]]:
        finder = PictureFinder.for_coco(self.path)
        for position, image in enumerate(images):
            match image:
                case {"id": int() | str() as image_id, "file_name": str(file_name)} if (
                    file_name and "\0" not in file_name
                ):
                    if image_id in self.position_of:
                        words = f"the image id {image_id} is given twice"
                        self.note("duplicate image id", "fault", file_name, "", words)
                        continue
                case _:
                    words = f"image {position} is {_short(image)}; want an `id` and a `file_name`"
                    self.note("malformed entry", "fault", "", "", words)
                    continue
            found = finder.find(file_name)
            if found is None:
                tried = finder.tried(file_name)
                words = f"the picture is missing; tried {', '.join(map(str, tried))}"
                self.note("missing picture", "fault", file_name, "", words)
            size = self._size(image, found)
            self.position_of[image_id] = len(self.stubs) if size else None
            if size:
                own_id = image.get("source_id", image_id)
                self.stubs.append(((found or finder.tried(file_name)[0], own_id, *size), file_name))
        return self.stubs

    def _size(self, image: dict[str, Any], found: Path | None) -> tuple[int, int] | None:
        """(width, height) as the file says; from the picture itself where the file says nothing."""
        width, height = image.get("width"), image.get("height")
        if width is None and height is None:
            try:
                return picture_size(found) if found else None
            except ImageError as error:
                self.note("corrupt picture", "fault", image["file_name"], "", str(error))
                return None
        if type(width) is int and type(height) is int and 0 < min(width, height) <= max(width, height) < LARGEST:
            return width, height
        words = f"width {_short(width)} and height {_short(height)}; want positive integers, or neither"
        self.note("wrong picture size", "fault", image["file_name"], "", words)
        return None

    def annotations(self, annotations: list[Any], classes: ClassList) -> None:
        rows, seen = self.rows, set[int]()
        for position, annotation in enumerate(annotations):
            number = str(annotation.get("id", f"#{position}") if isinstance(annotation, dict) else f"#{position}")
            problem = _problem(annotation, self.position_of, classes)
            if problem is not None:
                self.note(problem[0], "fault", self._picture_name(annotation), number, problem[1])
                continue
            at = self.position_of[annotation["image_id"]]
            if at is None:
                words = f"left out: its picture, image_id {_short(annotation['image_id'])}, cannot be used"
                self.note("box without picture", "refused", self._picture_name(annotation), number, words)
                continue
            annotation_id = annotation.get("id", 0)
            if annotation_id in seen:
                words = f"the annotation id {annotation_id} is given twice; both boxes are kept"
                self.note("duplicate annotation id", "noted", self._picture_name(annotation), number, words)
            if annotation_id:
                seen.add(annotation_id)
            box, area, score = annotation["bbox"], annotation.get("area"), annotation.get("score")
            rows.picture.append(at)
            rows.box_xywh.append(box)
            rows.class_id.append(annotation["category_id"])
            rows.crowd.append(bool(annotation.get("iscrowd")))
            rows.ignore.append(bool(annotation.get("ignore")))
            rows.area.append(box[2] * box[3] if area is None else area)
            rows.score.append(1.0 if score is None else score)
            rows.id.append(annotation_id)

    def _picture_name(self, annotation: Any) -> str:
        image_id = annotation.get("image_id") if isinstance(annotation, dict) else None
        at = self.position_of.get(image_id) if isinstance(image_id, int | str) else None
        return self.stubs[at][1] if at is not None else f"with id {image_id}"

    def fitted(self) -> list[Annotations]:
        """The rows as one Annotations per picture, in the order of the file."""
        rows = self.rows
        picture = np.array(rows.picture, np.int64)
        box_xywh = np.array(rows.box_xywh, np.float64).reshape(-1, 4)
        box_xyxy = np.concatenate([box_xywh[:, :2], box_xywh[:, :2] + box_xywh[:, 2:]], axis=1)
        sizes = np.array([stub[2:] for stub, _ in self.stubs], np.float64).reshape(-1, 2)[picture]
        places = [(str(self.path), self.stubs[p][1], str(i)) for p, i in zip(rows.picture, rows.id, strict=True)]
        fitted, used = fit_with_notes(box_xyxy, sizes, places, self.notes)
        whole = Annotations.of(
            fitted,
            np.array(rows.class_id, np.int64),
            crowd=np.array(rows.crowd, bool),
            ignore=np.array(rows.ignore, bool),
            areas=np.array(rows.area, np.float32),
            scores=np.array(rows.score, np.float32),
            ids=np.array(rows.id, np.int64),
        )
        order = np.argsort(picture, kind="stable")
        order = order[used[order]]
        ends = np.searchsorted(picture[order], np.arange(len(self.stubs) + 1))
        return [whole.select(order[ends[i] : ends[i + 1]]) for i in range(len(self.stubs))]


def _problem(annotation: Any, known: dict[int | str, int | None], classes: ClassList) -> tuple[str, str] | None:
    """(kind, words) of what makes an annotation unusable, or None."""
    if not isinstance(annotation, dict):
        return "malformed entry", f"the annotation is {_short(annotation)}; want an object"
    image_id, class_id, box = (annotation.get(key) for key in ("image_id", "category_id", "bbox"))
    if not isinstance(image_id, int | str) or image_id not in known:
        return "unknown image id", f"image_id {_short(image_id)} is not the id of any entry of `images`"
    if type(class_id) is not int or class_id not in classes.position_of_id:
        known_ids = ", ".join(map(str, classes.ids[:10])) + (", ..." if len(classes) > 10 else "")
        return "unknown class id", f"category_id {_short(class_id)} is not the id of any category (known: {known_ids})"
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(value) for value in box):
        return "malformed box", f"bbox is {_short(box)}; want four numbers [x, y, width, height] in pixels"
    for key in ("area", "score"):
        if annotation.get(key) is not None and not _is_number(annotation[key]):
            return "malformed entry", f"{key} is {_short(annotation[key])}; want a number"
        if key == "area" and (annotation.get(key) or 0) < 0:
            return "malformed entry", f"area is {annotation[key]}; want 0 or more square pixels"
        if not isfinite(annotation.get(key) or 0):
            return "non-finite number", f"{key} is {annotation[key]}; want a finite number"
    for key in ("iscrowd", "ignore"):
        if annotation.get(key) not in (None, 0, 1):
            return "malformed entry", f"{key} is {_short(annotation[key])}; want 0 or 1"
    if type(annotation.get("id", 0)) is not int or abs(annotation.get("id", 0)) >= LARGEST:
        return "malformed entry", f"the annotation id is {_short(annotation['id'])}; want an integer"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (type(value) is int and abs(value) < LARGEST)


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."

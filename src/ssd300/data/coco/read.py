"""COCO JSON: {"images": [...], "annotations": [...], "categories": [...]}, boxes as [x, y, width, height] in pixels.

Ids are kept (they may be sparse; "7" and 7.0 are 7), `area` defaults to width * height, `iscrowd` and `ignore` are
flags, `score` is optional (a teacher's box), and `source_id` is the picture's id if `write_coco` renumbered. An
annotation without `bbox`, or with zeros, gets the box around its `segmentation`. `bbox_mode` is Detectron2's: 0 for
corners. Pictures without annotations are kept. Key points and other fields are not used; a note counts them.
"""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ssd300.data.coco import entries
from ssd300.data.coco.find import default_name, picture_folders
from ssd300.data.dataset import Annotations, Dataset, Picture
from ssd300.data.files import stated_size
from ssd300.data.finder import PictureFinder, data_folder
from ssd300.data.fitting import check_format, fit_with_notes, to_corners
from ssd300.data.notes import Fault, Notes, Place
from ssd300.data.parts import Part
from ssd300.data.reading import read_json
from ssd300.data.values import flag, number, whole
from ssd300.errors import DatasetError
from ssd300.labels import ClassList
from ssd300.limits import BOXES_PER_PICTURE

KEYS = ("images", "annotations", "categories")
_USED = {
    "images": {"id", "file_name", "coco_url", "width", "height", "source_id"},
    "annotations": {"id", "image_id", "category_id", "bbox", "bbox_mode", "area", "iscrowd", "ignore", "score"},
    "categories": {"id", "name"},
}


def parse(path: Path) -> dict[str, Any]:
    """The JSON object of an annotation file. Raises DatasetError if it is not a COCO file."""
    content = read_json(path)
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in KEYS):
        found = ", ".join(content) if isinstance(content, dict) else f"a {type(content).__name__}"
        raise DatasetError(
            f"{path}: a COCO annotation file has the lists {', '.join(KEYS)}; found {found or 'nothing'}"
        )
    return content


def read(part: Part) -> Dataset:
    """One annotation file -> Dataset, with the faults of entries in `notes`. Raises DatasetError for the file's."""
    path = part.source
    content = parse(path)
    entries.refuse_several_parts(path, content["images"])
    entries.refuse_panoptic(path, content["annotations"])
    reader = _Reader(part)
    classes = entries.read_classes(path, content["categories"], content["annotations"], reader.notes)
    reader.read_images(content["images"])
    reader.read_annotations(content["annotations"], classes)
    for key in content:
        if key not in KEYS and content[key]:
            reader.notes.add("field not used", "noted", f"{key!r} of the file is not used", path)
    for what, used in _USED.items():
        records = (record for record in content[what] if isinstance(record, dict))
        unused = ((record, key) for record in records for key in record if key not in used)
        others = Counter(key for record, key in unused if key != "segmentation" or not entries.is_outlined(record))
        for key, count in sorted(others.items()):
            reader.notes.add("field not used", "noted", f"{key!r} of {count} {what} is not used", path)
    boxes = reader.fit_rows()
    pictures = tuple(replace(picture, annotations=own) for picture, own in zip(reader.pictures, boxes, strict=True))
    return Dataset(default_name(path), classes, pictures, tuple(reader.notes), (data_folder(path),))


class _Row(NamedTuple):
    """A usable box, before it is clipped to its picture."""

    picture: int  # its position
    id: int
    box_xywh: list[float]
    class_id: int
    crowd: bool
    ignore: bool
    area: float
    score: float


class _Reader:
    """One pass over one file: the pictures, still without boxes, one row for each usable box, and the notes."""

    def __init__(self, part: Part) -> None:
        self.path, self.split = part.source, part.split
        self.notes = Notes()
        self.pictures: list[Picture] = []
        self.position_of: dict[int | str, int | None] = {}  # None: the image entry itself was faulty, and noted
        self.rows: list[_Row] = []
        self.seen = set[int]()  # ids of annotations
        self.boxes_of = Counter[int]()  # position of a picture -> number of its boxes

    def read_images(self, images: list[Any]) -> None:
        finder, renumbered = PictureFinder(*picture_folders(self.path, self.split)), entries.has_source_ids(images)
        first: dict[int | str, Any] = {}
        none = Annotations.empty()
        for position, image in enumerate(images):
            image_id = entries.picture_id(image.get("id")) if isinstance(image, dict) else None
            file_name = entries.named_picture(image)
            if image_id is None or not file_name.strip() or "\0" in file_name:
                words = f"image {position} is {entries.short(image)}; expected an `id` and a `file_name`"
                self.notes.add("malformed entry", "fault", words, self.path)
                continue
            if image != first.setdefault(image_id, image):
                words = f"the image id {image_id} is given twice"
                self.notes.add("duplicate image id", "fault", words, self.path, file_name)
            if image_id in self.position_of:
                continue
            found = finder.find(file_name)
            if found is None:
                words = f"the picture is missing; {finder.describe_missing(file_name)}"
                self.notes.add("missing picture", "fault", words, self.path, file_name)
            self.position_of[image_id] = size = None
            with self.notes.faults_at(self.path, file_name):
                size = stated_size(image.get("width"), image.get("height"), found)
            if size:
                self.position_of[image_id] = len(self.pictures)
                path = found or finder.list_candidates(file_name)[0]
                source_id = entries.picture_id(image["source_id"]) if renumbered else None
                own_id = image_id if source_id is None else source_id
                self.pictures.append(Picture(path, own_id, *size, none, file_name, labels=self.path))

    def read_annotations(self, annotations: list[Any], classes: ClassList) -> None:
        for position, annotation in enumerate(annotations):
            try:
                self._add(annotation, position, classes)
            except Fault as fault:
                self.notes.add(fault.kind, "fault", str(fault), *self._place(annotation, position))

    def _add(self, annotation: Any, position: int, classes: ClassList) -> None:
        """Add an annotation to the rows. Raises Fault if it cannot be used."""
        if not isinstance(annotation, dict):
            raise Fault("malformed entry", f"the annotation is {entries.short(annotation)}; expected an object")
        box = entries.box_of(annotation)
        entries.check_annotation(annotation, box, self.position_of, classes)
        at = self.position_of[entries.known_id(annotation["image_id"], self.position_of)]  # type: ignore[index]
        if at is None:
            words = f"left out: its picture, image_id {entries.short(annotation['image_id'])}, cannot be used"
            self.notes.add("box without picture", "refused", words, *self._place(annotation, position))
            return
        picture = self.pictures[at]
        entries.check_mask(annotation, (picture.width, picture.height))
        self.boxes_of[at] += 1
        if self.boxes_of[at] > BOXES_PER_PICTURE:
            if self.boxes_of[at] == BOXES_PER_PICTURE + 1:
                raise Fault("too many boxes", f"more than {BOXES_PER_PICTURE:,} boxes in one picture")
            return
        annotation_id = whole(annotation.get("id", 0)) or 0
        if annotation_id in self.seen:
            words = f"the annotation id {annotation_id} is given twice; both boxes are kept"
            self.notes.add("duplicate annotation id", "noted", words, *self._place(annotation, position))
        if annotation_id:
            self.seen.add(annotation_id)
        box_xywh = entries.turned(annotation, box or [], (picture.width, picture.height))
        area, score = number(annotation.get("area")), number(annotation.get("score"))
        crowd, ignore = bool(flag(annotation.get("iscrowd"))), bool(flag(annotation.get("ignore")))
        area = box_xywh[2] * box_xywh[3] if area is None else area
        class_id, score = whole(annotation["category_id"]) or 0, 1.0 if score is None else score
        self.rows.append(_Row(at, annotation_id, box_xywh, class_id, crowd, ignore, area, score))

    def _place(self, annotation: Any, position: int) -> Place:
        given = annotation if isinstance(annotation, dict) else {}
        known = entries.known_id(given.get("image_id"), self.position_of)
        at = None if known is None else self.position_of[known]
        picture = self.pictures[at].file_name if at is not None else f"with id {given.get('image_id')}"
        return str(self.path), picture, str(given.get("id", f"#{position}"))

    def fit_rows(self) -> list[Annotations]:
        """Clip the boxes; one Annotations per picture, in the order of the file."""
        columns = list(zip(*self.rows, strict=True)) or [()] * len(_Row._fields)
        at, ids, boxes, class_ids, crowd, ignore, areas, scores = columns
        picture = np.array(at, np.int64)
        box_xywh = np.array(boxes, np.float64).reshape(-1, 4)
        sizes = np.array([(one.width, one.height) for one in self.pictures], np.float64).reshape(-1, 2)[picture]
        places = [(str(self.path), self.pictures[p].file_name, str(i)) for p, i in zip(at, ids, strict=True)]
        self.notes += check_format(box_xywh, "xywh", sizes, str(self.path))
        fitted, used = fit_with_notes(to_corners(box_xywh, "xywh"), sizes, places, self.notes)
        fields: dict[str, Any] = {"crowd": crowd, "ignore": ignore, "areas": areas, "scores": scores, "ids": ids}
        every = Annotations.of(fitted, np.array(class_ids, np.int64), **fields)
        order = np.argsort(picture, kind="stable")
        order = order[used[order]]
        ends = np.searchsorted(picture[order], np.arange(len(self.pictures) + 1))
        return [every.select(order[start:end]) for start, end in pairwise(ends)]

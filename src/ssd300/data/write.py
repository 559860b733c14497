"""Annotations into files of the three formats. Numbers have the fewest digits that read back the same float32."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

import numpy as np
from numpy.typing import NDArray

from ssd300.arrays import Float32, Float64
from ssd300.data.dataset import Annotations, Dataset, Picture
from ssd300.data.numbers import rounded, shortest
from ssd300.data.voc import EDGES
from ssd300.data.yolo import to_pixels
from ssd300.files import write_whole
from ssd300.labels import ClassList

SIZE_DIGITS = (0, 1, 2, 3, 4, 6, 8, 10)  # after the point, tried in turn: COCO's widths and heights
FRACTION_DIGITS = (6, 7, 8, 9, 10, 12, 14)  # the same for YOLO, whose tools write six


def write_coco(path: Path, dataset: Dataset, names: Sequence[str]) -> None:
    """A COCO JSON file; `names` [pictures] are the file names to write.

    COCO's programs want integers: picture ids that are not become 1, 2, ... with the user's own in `source_id`, and
    annotation ids are numbered anew where a box has none or two have the same.
    """
    numbered = all(isinstance(picture.image_id, int) for picture in dataset.pictures)
    images: list[dict[str, Any]] = []
    for number, (picture, name) in enumerate(zip(dataset.pictures, names, strict=True), 1):
        image = {"id": picture.image_id, "file_name": name, "width": picture.width, "height": picture.height}
        images.append(image if numbered else image | {"id": number, "source_id": picture.image_id})
    ids = [i for picture in dataset.pictures for i in picture.annotations.ids.tolist()]
    renumber = 0 in ids or len(set(ids)) < len(ids)
    next_ids = iter(range(1, len(ids) + 1)) if renumber else iter(ids)
    annotations = [
        {"id": next(next_ids), "image_id": image["id"], **record}
        for image, picture in zip(images, dataset.pictures, strict=True)
        for record in _coco_records(picture.annotations)
    ]
    pairs = zip(dataset.classes.names, dataset.classes.ids, strict=True)
    categories = [{"id": class_id, "name": name} for name, class_id in pairs]
    content = {"images": images, "annotations": annotations, "categories": categories}
    write_whole(path, json.dumps(content, ensure_ascii=False).encode())


def _coco_records(boxes: Annotations) -> list[dict[str, Any]]:
    low = np.array(shortest(boxes.boxes_xyxy[:, :2].ravel()), np.float64).reshape(-1, 2)
    high = boxes.boxes_xyxy[:, 2:]

    def reads_back(size: Float64) -> NDArray[np.bool_]:
        return np.asarray(np.all((low + size).astype(np.float32) == high, axis=1))

    boxes_xywh = np.concatenate([low, rounded(high - low, reads_back, SIZE_DIGITS)], axis=1)
    areas, scores = shortest(boxes.area), shortest(boxes.scores)
    records = []
    for i, box in enumerate(boxes_xywh.tolist()):
        record = {"category_id": int(boxes.class_ids[i]), "bbox": box, "area": areas[i], "iscrowd": int(boxes.crowd[i])}
        record |= {"ignore": 1} if boxes.ignore[i] else {}
        records.append(record | ({"score": scores[i]} if scores[i] != 1 else {}))
    return records


def to_fractions(boxes_xyxy: Float32, width: int, height: int) -> Float64:
    """Boxes [M, 4] in pixels -> rows [M, 4] of a YOLO label file: centre and size as fractions of the picture."""
    limit = np.array([width, height, width, height], np.float64)
    exact = boxes_xyxy.astype(np.float64) / limit
    rows = np.concatenate([(exact[:, :2] + exact[:, 2:]) / 2, exact[:, 2:] - exact[:, :2]], axis=1)

    def reads_back(candidate: Float64) -> NDArray[np.bool_]:
        back = np.clip(to_pixels(candidate, width, height), 0, limit).astype(np.float32)
        return np.asarray(np.all(back == boxes_xyxy, axis=1))

    return rounded(rows, reads_back, FRACTION_DIGITS)


def write_labels(path: Path, picture: Picture, classes: ClassList) -> None:
    """The YOLO label file of one picture."""
    boxes = picture.annotations
    lines = []
    rows = to_fractions(boxes.boxes_xyxy, picture.width, picture.height)
    for class_id, row in zip(boxes.class_ids.tolist(), rows, strict=True):
        numbers = " ".join(np.format_float_positional(value, trim="0") for value in row)
        lines.append(f"{classes.position_of_id[class_id]} {numbers}\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8", newline="\n")


def write_yaml(path: Path, classes: ClassList, splits: dict[str, str]) -> None:
    """A YOLO data.yaml: splits (name -> folder or list, relative to it) and class names."""
    lines = [f"{split}: {_quoted(place)}" for split, place in splits.items()]
    lines += ["names:", *(f"  {i}: {_quoted(name)}" for i, name in enumerate(classes.names))]
    write_whole(path, ("\n".join(lines) + "\n").encode())


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # YAML reads a JSON string as it is


def write_xml(path: Path, name: str, picture: Picture, classes: ClassList) -> None:
    """The VOC file of one picture, which is called `name`."""
    root = Element("annotation")
    SubElement(root, "filename").text = name
    size = SubElement(root, "size")
    for tag, value in (("width", picture.width), ("height", picture.height), ("depth", 3)):
        SubElement(size, tag).text = str(value)
    boxes = picture.annotations
    for box, class_id, ignore in zip(boxes.boxes_xyxy, boxes.class_ids.tolist(), boxes.ignore.tolist(), strict=True):
        thing = SubElement(root, "object")
        SubElement(thing, "name").text = classes.name_of_id(class_id)
        SubElement(thing, "difficult").text = str(int(ignore))
        edges = SubElement(thing, "bndbox")
        for tag, number in zip(EDGES, shortest(box), strict=True):
            SubElement(edges, tag).text = repr(number).removesuffix(".0")
    indent(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree(root).write(path, encoding="utf-8")

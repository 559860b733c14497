"""The entries of a COCO file: their ids, boxes and classes, and the reasons why one cannot be used."""

import json
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from types import NoneType
from typing import Any

from ssd300.data.notes import Fault, Notes
from ssd300.data.parts import parse_part
from ssd300.data.shapes import box_of_segmentation, mask_size, turned_box, visible_part
from ssd300.data.values import class_name, flag, number, numbers, whole
from ssd300.errors import DatasetError
from ssd300.labels import ClassList
from ssd300.limits import CLASSES

_CORNERS, _WIDTH_HEIGHT = 0, 1  # Detectron2's `bbox_mode`


def picture_id(value: Any) -> int | str | None:
    """The id of a picture: text, or a whole number; None for anything else."""
    return value if isinstance(value, str) else whole(value)


def named_picture(image: Any) -> str:
    """The name of a picture: `file_name`, or the end of `coco_url` (LVIS); empty if neither is text."""
    given = image if isinstance(image, dict) else {}
    names = [given.get(key) for key in ("file_name", "coco_url")]
    return next((name for name in names if isinstance(name, str)), "")


def refuse_several_parts(path: Path, images: Sequence[Any]) -> None:
    """Raises DatasetError if the images say that they are of different parts, which a COCO file is not."""
    for key in ("split", "subset"):
        given = [image[key] for image in images if isinstance(image, dict) and isinstance(image.get(key), str)]
        parts = list(filter(None, dict.fromkeys(map(parse_part, given))))
        if len(parts) > 1:
            raise DatasetError(f"{path}: its images are of {', '.join(parts)} (`{key}`); write one file for each part")


def refuse_panoptic(path: Path, annotations: Sequence[Any]) -> None:
    """Raises DatasetError for a panoptic file, which has one entry per picture instead of one per object."""
    if annotations and isinstance(annotations[0], dict) and "segments_info" in annotations[0]:
        raise DatasetError(f"{path}: a panoptic file; give the file of the instances, usually instances_*.json")


def has_source_ids(images: Sequence[Any]) -> bool:
    """Whether every image has a `source_id` of its own, as `write_coco` gives; others use this field as they like."""
    ids = [picture_id(image.get("source_id")) if isinstance(image, dict) else None for image in images]
    return None not in ids and len(set(ids)) == len(ids)


def known_id(value: Any, known: "dict[int | str, Any] | set[int | str]") -> int | str | None:
    """The key among `known` that matches a value: 7, "7" and 7.0 match one another unless the exact value exists."""
    if type(value) is int and value in known:
        return value
    if not isinstance(value, str | int | float):
        return None
    number = whole(value)
    keys = (picture_id(value), number, None if number is None else str(number))
    return next((key for key in keys if key is not None and key in known), None)


def is_outlined(annotation: dict[str, Any]) -> bool:
    """Whether the box of an annotation is that around its `segmentation`: `bbox` is missing, or all 0."""
    return annotation.get("bbox") in (None, [], [0, 0, 0, 0]) and bool(annotation.get("segmentation"))


def box_of(annotation: dict[str, Any]) -> list[float] | None:
    """[x, y, width, height]: from `bbox`, else from the segmentation; None without both."""
    if is_outlined(annotation):
        return box_of_segmentation(annotation["segmentation"])
    box = annotation.get("bbox")
    values = numbers(box) if isinstance(box, list) and len(box) == 4 else None
    mode = annotation.get("bbox_mode")
    if values and mode == _CORNERS:
        return [*values[:2], values[2] - values[0], values[3] - values[1]]
    return values if mode in (None, _WIDTH_HEIGHT) else None


def check_mask(annotation: dict[str, Any], size_wh: tuple[int, int]) -> None:
    """Raises Fault if the box is that around a mask of another size than the picture's."""
    size = mask_size(annotation["segmentation"]) if is_outlined(annotation) else None
    if size and size != size_wh:
        given, expected = (f"{width}x{height}" for width, height in (size, size_wh))
        raise Fault(
            "wrong picture size", f"the mask in `segmentation` is {given}, its picture {expected}; give a `bbox`"
        )


def turned(annotation: dict[str, Any], box_xywh: list[float], size_wh: tuple[int, int]) -> list[float]:
    """The box, or what is visible of it around its center turned by the `rotation` that CVAT gives."""
    attributes = annotation.get("attributes")
    turn = number(attributes.get("rotation")) if isinstance(attributes, dict) else None
    if not turn:
        return box_xywh
    x, y, width, height = box_xywh
    left, top, right, bottom = visible_part(turned_box([x, y, x + width, y + height], turn), size_wh)
    return [left, top, right - left, bottom - top]


def check_annotation(
    annotation: dict[str, Any], box: list[float] | None, known: dict[int | str, int | None], classes: ClassList
) -> None:
    """Raises Fault if an annotation cannot be used."""
    image_id, class_id = annotation.get("image_id"), annotation.get("category_id")
    if known_id(image_id, known) is None:
        raise Fault("unknown image id", f"image_id {short(image_id)} is not the id of any entry of `images`")
    if whole(class_id) not in classes.position_of_id:
        known_ids = ", ".join(map(str, classes.ids[:10])) + (", ..." if len(classes) > 10 else "")
        words = f"category_id {short(class_id)} is not the id of any category (known: {known_ids})"
        raise Fault("unknown class id", words)
    if box is None:
        raise Fault("malformed box", _describe_missing_box(annotation))
    for key in ("area", "score"):
        if annotation.get(key) is None:
            continue
        value = number(annotation[key])
        if value is None:
            raise Fault("malformed entry", f"{key} is {short(annotation[key])}; expected a number")
        if not isfinite(value):
            raise Fault("non-finite number", f"{key} is {annotation[key]}; expected a finite number")
        if key == "area" and value < 0:
            raise Fault("malformed entry", f"area is {annotation[key]}; expected 0 or more square pixels")
    for key in ("iscrowd", "ignore"):
        if flag(annotation.get(key)) is None:
            raise Fault("malformed entry", f"{key} is {short(annotation[key])}; expected 0 or 1")
    if whole(annotation.get("id", 0)) is None:
        raise Fault("malformed entry", f"the annotation id is {short(annotation['id'])}; expected an integer")


def _describe_missing_box(annotation: dict[str, Any]) -> str:
    given = annotation.get("bbox")
    if annotation.get("bbox_mode") not in (None, _CORNERS, _WIDTH_HEIGHT):
        return f"bbox_mode is {short(annotation['bbox_mode'])}; 0 (corners) and 1 are read"
    if is_outlined(annotation) or (given is None and "segmentation" in annotation):
        return f"no `bbox`, and no outline in `segmentation`: {short(annotation['segmentation'])}"
    return f"bbox is {short(given)}; expected four numbers [x, y, width, height] in pixels"


def short(value: Any) -> str:
    """A value as written in the file, truncated for a message."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def read_classes(path: Path, categories: Sequence[Any], annotations: Sequence[Any], notes: Notes) -> ClassList:
    """The class list: duplicates are merged, with a note for each. Raises DatasetError if no entry can be used."""
    if len(categories) > CLASSES:
        raise DatasetError(f"{path}: {len(categories):,} categories; at most {CLASSES:,} are read")
    used = {whole(one.get("category_id")) for one in annotations if isinstance(one, dict)}
    entries = _entries(path, categories, notes)
    root = _unused_root(categories, entries, used)
    by_name: dict[str, list[int]] = {}
    for class_id, name in entries:
        by_name.setdefault(name, []).append(class_id)
    kept: dict[int, str] = {}
    for class_id, name in entries:
        same = by_name[name]
        of_boxes = [other for other in same if other in used]
        if class_id == root:
            words = f"category {class_id}, {name!r}, is the unused root of the others; left out"
            notes.add("class left out", "noted", words, path)
        elif class_id == (of_boxes or same)[0]:
            kept[class_id] = name
        elif class_id in used:
            words = f"the name {name!r} is given twice: boxes use the ids {', '.join(map(str, of_boxes))}"
            notes.add("duplicate class", "fault", words, path)
        else:
            words = (
                f"the name {name!r} has the ids {', '.join(map(str, same))}; {class_id} has no boxes and is left out"
            )
            notes.add("class left out", "noted", words, path)
    if not kept:
        raise DatasetError(f'{path}: no usable categories; list each class as {{"id": 1, "name": "cat"}}')
    return ClassList(tuple(kept.values()), tuple(kept))


def _entries(path: Path, categories: Sequence[Any], notes: Notes) -> list[tuple[int, str]]:
    """(id, name) of the valid categories, each once; a fault for the others."""
    entries: dict[int, str] = {}
    for position, category in enumerate(categories):
        given = category if isinstance(category, dict) else {}
        class_id, name = whole(given.get("id")), class_name(given.get("name"))
        if class_id is None or name is None:
            shown = f"{given.get('id', 'none')!r:.40} and {given.get('name', 'none')!r:.40}"
            words = f"category {position} has the id and name {shown}; expected an integer `id` and a text `name`"
            notes.add("malformed entry", "fault", words, path)
        elif class_id not in entries:
            entries[class_id] = name
        elif entries[class_id] != name:
            words = f"category {position}: the id {class_id} is given twice, as {entries[class_id]!r} and {name!r}"
            notes.add("duplicate class", "fault", words, path)
    return list(entries.items())


def _unused_root(categories: Sequence[Any], entries: list[tuple[int, str]], used: set[int | None]) -> int | None:
    """The id of a category without boxes that is the `supercategory` of all others (Roboflow's exports)."""
    given = [one for one in categories if isinstance(one, dict)]
    if not all(isinstance(one.get("supercategory", ""), str | NoneType) for one in given):
        return None
    above = {whole(one.get("id")): one.get("supercategory") for one in given}
    names = {name for class_id, name in entries if class_id == 0 and class_id not in used}
    others = [class_id for class_id, _ in entries if class_id != 0]
    is_above = names and others and {above.get(other) for other in others} == names
    return 0 if is_above and above.get(0) in (None, "none", "") else None

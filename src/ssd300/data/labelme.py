"""The labelme format: one .json per picture, with `shapes` and `imagePath`, beside the pictures or in a part's folder.

The picture is that of `imagePath`, else the one named like the file.
Rectangles, polygons, circles and lines count as their enclosing boxes; single points are not used. Shapes with the same
label and `group_id` are parts of one object. Where folders are named as parts, files outside of them are not used.
"""

import os
from collections import Counter
from collections.abc import Iterator
from math import hypot
from pathlib import Path
from typing import Any

from ssd300.data.dataset import Dataset
from ssd300.data.files import child, folders_in, folders_named, walk, with_suffix
from ssd300.data.finder import PictureFinder
from ssd300.data.parts import WHOLE, Part, meant_parts, parse_part
from ssd300.data.reading import contains, read_json, refuse_damaged
from ssd300.data.records import LabeledObject, Record, RecordReader
from ssd300.data.shapes import box_around, circle_box
from ssd300.data.values import number
from ssd300.errors import DatasetError

FOLDERS = ("annotations", "labels", "json", "labelme")


def find(path: Path) -> list[Part]:
    """The folder of the .json files, or one folder per part."""
    if not path.is_dir():
        return []
    places = [path, *folders_named(path, *FOLDERS)]
    loose = [file for folder in places for file in with_suffix(folder, ".json")]
    named = [folder for place in places for folder in folders_in(place) if parse_part(folder.name)]
    inside = {folder: walk(folder, _is_json)[:5] for folder in named}
    folders = [folder for folder in named if any(map(_is_labelme, inside[folder]))]
    for file in [file for folder in named if folders and folder not in folders for file in inside[folder]]:
        refuse_damaged(file)
    meant = list(zip(meant_parts([folder.name for folder in folders]), folders, strict=True))
    others = loose + [file for split, folder in meant if not split for file in walk(folder, _is_json)]
    parts = [Part("labelme", split, folder, len(others)) for split, folder in meant if split]
    deeper = [file for folder in folders_in(path) for file in with_suffix(folder, ".json", most=5)]
    return parts or ([Part("labelme", WHOLE, path)] if any(map(_is_labelme, loose[:20] + deeper)) else [])


def _is_json(path: Path) -> bool:
    return path.suffix.lower() == ".json"


def _is_labelme(file: Path) -> bool:
    return contains(file, '"shapes"', '"imagePath"')


def read(part: Part) -> Dataset:
    """Read all .json files of a folder; a picture without one is left out (`ssd300 data check` lists it)."""
    folder = part.source
    places = [child(folder, "images") or folder / "images", child(folder, "JPEGImages") or folder / "JPEGImages"]
    beside = child(folder.parent.parent, "images") if part.split != WHOLE else None
    places += [found] if beside and (found := child(beside, folder.name)) else []  # labels/train, images/train
    whole = folder.parent.parent if len(places) > 2 else folder
    reader = RecordReader(part, whole, PictureFinder([folder, *places]))
    reader.unused.update({"files outside of the folders of parts": part.detail} if part.detail else {})
    files: list[Path] = []
    for file in walk(folder, _is_json):
        with reader.notes.faults_at(file, file.stem):
            if _is_labelme(file):
                files.append(file)
            else:
                refuse_damaged(file)
    return reader.read(_records(files, reader))


def _records(files: list[Path], reader: RecordReader) -> Iterator[Record]:
    for file in files:
        try:
            content = read_json(file)
            objects = _objects(content["shapes"], reader.unused)
        except (DatasetError, TypeError, KeyError, AttributeError) as error:
            words = f"not a labelme file: {str(error).removeprefix(str(file)).lstrip(':, ')}"
            reader.notes.add("malformed entry", "fault", words, file, file.stem)
            continue
        name = content.get("imagePath")
        own = file.parent.relative_to(reader.folder).as_posix()
        given = str(name).replace("\\", "/") if isinstance(name, str) and name.strip() else f"{file.stem}.jpg"
        beside = file.parent / given
        named = given if own == "." or not os.path.isfile(beside) else f"{own}/{given}"
        stem = file.stem if own == "." else f"{own}/{file.stem}"
        remedy = "; its imageData is not read: save that picture beside the file" if content.get("imageData") else ""
        yield Record(named, objects, file, content.get("imageWidth"), content.get("imageHeight"), stem, remedy)


def _objects(shapes: Any, unused: Counter[str]) -> list[LabeledObject]:
    """The objects of a file: shapes of one label and `group_id` are parts of one; points are only counted."""
    objects: dict[object, LabeledObject] = {}
    for n, shape in enumerate(shapes, 1):
        if shape.get("shape_type") == "point":
            unused["points"] += 1
            continue
        labeled, group = _object(shape, f"shape {n}"), shape.get("group_id")
        key = n if group is None or labeled.box is None else (str(labeled.name), str(group))
        if key in objects:
            corners = [*(objects[key].box or ()), *(labeled.box or ())]
            labeled = objects[key]._replace(box=box_around([corners[i : i + 2] for i in range(0, len(corners), 2)]))
        objects[key] = labeled
    return list(objects.values())


def _object(shape: dict[str, Any], place: str) -> LabeledObject:
    points = shape.get("points")
    points = points if isinstance(points, list) and all(isinstance(point, list) for point in points) else []
    box = box_around(points)
    if shape.get("shape_type") == "circle" and box and len(points) == 2:
        (x, y), (edge_x, edge_y) = ((number(point[0]) or 0, number(point[1]) or 0) for point in points)
        radius = hypot(edge_x - x, edge_y - y)
        box = circle_box(x, y, radius, radius)
    return LabeledObject(shape.get("label"), box, place, points, around=shape.get("shape_type") == "circle")

"""The VGG Image Annotator format: a project .json, or its exported regions as .json or .csv.

Rectangles, polygons, circles and ellipses count as their enclosing boxes; points are not used. The class is a region's
attribute of a usual name, or the only one.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ssd300.data.dataset import Dataset
from ssd300.data.finder import find_files
from ssd300.data.parts import Part
from ssd300.data.reading import begins_with, contains, read_json, read_table
from ssd300.data.records import LabeledObject, Record, RecordReader
from ssd300.data.shapes import box_around, circle_box
from ssd300.data.values import number, numbers
from ssd300.errors import DatasetError

_MAX_FILES = 50  # of a folder that are examined
FAVORITES = ("class", "label", "name", "type", "category", "object")


def find(path: Path) -> list[Part]:
    """A .json or .csv itself, those of a folder, or one in each part's folder."""
    return find_files("via", path, _is_via, ".json", ".csv", most=_MAX_FILES)


def _is_via(file: Path) -> bool:
    if file.suffix.lower() == ".csv":
        return begins_with(file, "region_shape_attributes")
    named = contains(file, '"regions"', '"filename"')
    return named and (contains(file, '"size"') or contains(file, '"shape_attributes"'))


def read(part: Part) -> Dataset:
    """Read one file. Raises DatasetError if it is not from VIA."""
    reader = RecordReader.of_file(part)
    pictures = _pictures_of_table(part.source) if part.source.suffix.lower() == ".csv" else _pictures(part.source)
    return reader.read(_records(pictures, part.source, reader))


def _pictures(file: Path) -> list[tuple[Any, list[Any]]]:
    """(name, regions) of every picture of a .json."""
    content = read_json(file)
    entries = content.get("_via_img_metadata", content) if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        raise DatasetError(f"{file}: a VIA file has an entry for each picture, got a {type(content).__name__}")
    pictures = []
    for entry in entries.values():
        given = entry if isinstance(entry, dict) else {}
        regions = given.get("regions") or []
        pictures.append((given.get("filename"), list(regions.values()) if isinstance(regions, dict) else regions))
    return pictures


def _pictures_of_table(file: Path) -> list[tuple[Any, list[Any]]]:
    """The same from a .csv with one region per row."""
    pictures: dict[str, list[Any]] = {}
    head, *rows = read_table(file, "table of regions")
    columns = [name.lstrip("#").strip() for name in head]
    for cells in rows:
        row = dict(zip(columns, cells, strict=False))
        regions = pictures.setdefault(row.get("filename") or "", [])
        try:
            shape = json.loads(row.get("region_shape_attributes") or "{}")
            attributes = json.loads(row.get("region_attributes") or "{}")
        except (ValueError, RecursionError):
            shape, attributes = {"name": "unreadable"}, {}
        if shape:
            regions.append({"shape_attributes": shape, "region_attributes": attributes})
    return list(pictures.items())


def _records(pictures: list[tuple[Any, list[Any]]], file: Path, reader: RecordReader) -> Iterator[Record]:
    for name, regions in pictures:
        if not isinstance(name, str) or not isinstance(regions, list):
            words = f"a picture's `filename` is {name!r:.60}; expected a text, and a list of `regions`"
            reader.notes.add("malformed entry", "fault", words, file)
            continue
        objects = [labeled for n, region in enumerate(regions, 1) if (labeled := _object(region, f"region {n}"))]
        reader.unused["points"] += len(regions) - len(objects)
        yield Record(name, objects, file)


def _object(region: Any, place: str) -> LabeledObject | None:
    given = region if isinstance(region, dict) else {}
    shape, attributes = given.get("shape_attributes"), given.get("region_attributes")
    shape = shape if isinstance(shape, dict) else {}
    if shape.get("name") == "point":
        return None
    around = shape.get("name") in ("circle", "ellipse")
    name = _class_of(attributes if isinstance(attributes, dict) else {})
    return LabeledObject(name, _box(shape), place, shape, around=around)


def _class_of(attributes: dict[str, Any]) -> Any:
    """The class among a region's attributes: by the usual names, else the only one; of check boxes the checked one.

    What is ambiguous is returned as it is, and is no class name.
    """
    lower = {str(key).casefold(): value for key, value in attributes.items()}
    only: Any = next(iter(lower.values())) if len(lower) == 1 else attributes
    value = next((lower[key] for key in FAVORITES if key in lower), only)
    checked = [key for key, is_checked in value.items() if is_checked] if isinstance(value, dict) else []
    return checked[0] if len(checked) == 1 and value is not attributes else value


def _box(shape: dict[str, Any]) -> list[float] | None:
    kind = shape.get("name")
    if kind == "rect":
        values = numbers(shape.get(key) for key in ("x", "y", "width", "height"))
        if values is None:
            return None
        x, y, width, height = values
        return [x, y, x + width, y + height]
    if kind in ("circle", "ellipse"):
        radii = [shape.get("r")] * 2 if kind == "circle" else [shape.get("rx"), shape.get("ry")]
        return circle_box(shape.get("cx"), shape.get("cy"), *radii, turn=number(shape.get("theta")) or 0)
    xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
    if not (isinstance(xs, list) and isinstance(ys, list) and len(xs) == len(ys)):
        return None
    return box_around(list(zip(xs, ys, strict=True)))

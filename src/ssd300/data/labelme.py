"""The labelme format: one .json per picture, with `shapes` and `imagePath`, beside the pictures or in a part's folder.

Rectangles, polygons, circles and lines count as their enclosing boxes; single points are not used.
"""

from collections.abc import Iterator
from math import hypot
from pathlib import Path
from typing import Any

from ssd300.data.dataset import Dataset, Note
from ssd300.data.files import PictureFinder, child, folders_in, walk, with_suffix
from ssd300.data.parts import WHOLE, Part, parse_part
from ssd300.data.records import Record, RecordReader, Thing, box_around, circle_box
from ssd300.data.toolfiles import contains, read_json
from ssd300.data.values import number
from ssd300.errors import DatasetError

FOLDERS = ("annotations", "labels", "json", "labelme")


def find(path: Path) -> list[Part]:
    """The folder of the .json files, or one folder per part."""
    if not path.is_dir():
        return []
    inner = [found for name in FOLDERS if (found := child(path, name)) and found.is_dir()]
    if any(_is_labelme(file) for folder in (path, *inner) for file in with_suffix(folder, ".json")[:5]):
        return [Part("labelme", WHOLE, path)]
    parts = [folder for folder in folders_in(path) if parse_part(folder.name, alone=True)]
    return [
        Part("labelme", parse_part(folder.name, alone=True) or folder.name, folder)
        for folder in parts
        if any(_is_labelme(file) for file in walk(folder, _is_json)[:5])
    ]


def _is_json(path: Path) -> bool:
    return path.suffix.lower() == ".json"


def _is_labelme(file: Path) -> bool:
    return contains(file, '"shapes"', '"imagePath"')


def read(part: Part) -> Dataset:
    """Read all .json files of a folder; a picture without one is left out (`ssd300 data check` lists it)."""
    folder = part.source
    places = [child(folder, "images") or folder / "images", child(folder, "JPEGImages") or folder / "JPEGImages"]
    reader = RecordReader(part, folder, PictureFinder([folder, *places]))
    return reader.dataset(_records([file for file in walk(folder, _is_json) if _is_labelme(file)], reader))


def _records(files: list[Path], reader: RecordReader) -> Iterator[Record]:
    for file in files:
        try:
            content = read_json(file)
            shapes = content["shapes"]
            things = [_thing(shape, f"shape {n}") for n, shape in enumerate(shapes, 1) if not _is_point(shape)]
        except (DatasetError, TypeError, KeyError, AttributeError) as error:
            words = f"not a labelme file: {error}"
            reader.notes.append(Note("malformed entry", "fault", str(file), file.stem, "", words))
            continue
        name = content.get("imagePath")
        own = file.parent.relative_to(reader.folder).as_posix()
        given = str(name).replace("\\", "/") if isinstance(name, str) and name.strip() else f"{file.stem}.jpg"
        beside = file.parent / given
        named = given if own == "." or not beside.is_file() else f"{own}/{given}"
        yield Record(named, things, file, content.get("imageWidth"), content.get("imageHeight"))


def _is_point(shape: Any) -> bool:
    return bool(shape.get("shape_type") == "point")


def _thing(shape: dict[str, Any], place: str) -> Thing:
    points = shape.get("points")
    points = points if isinstance(points, list) and all(isinstance(point, list) for point in points) else []
    box = box_around(points)
    if shape.get("shape_type") == "circle" and box and len(points) == 2:
        (x, y), (edge_x, edge_y) = ((number(point[0]) or 0, number(point[1]) or 0) for point in points)
        radius = hypot(edge_x - x, edge_y - y)
        box = circle_box(x, y, radius, radius)
    return Thing(shape.get("label"), box, place, points)

"""The CreateML format: a JSON list of {"image": ..., "annotations": [{"label": ..., "coordinates": ...}]}.

Coordinates are x, y, width, height; x and y are the box's center in pixels.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ssd300.data.dataset import Dataset
from ssd300.data.finder import find_files
from ssd300.data.parts import Part
from ssd300.data.reading import begins_with, first_line, read_json
from ssd300.data.records import LabeledObject, Record, RecordReader
from ssd300.errors import DatasetError


def find(path: Path) -> list[Part]:
    """A .json itself, those of a folder, or one in each part's folder."""
    return find_files("createml", path, _is_createml, ".json")


def _is_createml(file: Path) -> bool:
    """Whether a file is a list of pictures with annotations, and not the tasks of Label Studio."""
    if not first_line(file).startswith("[") or begins_with(file, '"result"'):
        return False
    return begins_with(file, '"image"', '"annotations"') or begins_with(file, '"imagefilename"', '"annotation"')


def read(part: Part) -> Dataset:
    """Read one file. Raises DatasetError if it is not a list."""
    content = read_json(part.source)
    if not isinstance(content, list):
        raise DatasetError(f"{part.source}: a CreateML file is a list of pictures, got {type(content).__name__}")
    reader = RecordReader.of_file(part, box_format="cxcywh")
    return reader.read(_records(content, part.source, reader))


def _records(content: list[Any], file: Path, reader: RecordReader) -> Iterator[Record]:
    for position, entry in enumerate(content):
        given = entry if isinstance(entry, dict) else {}
        name = given.get("image", given.get("imagefilename"))
        annotations = given.get("annotations", given.get("annotation", []))
        if not isinstance(name, str) or not isinstance(annotations, list):
            words = f"picture {position} is {entry!r:.60}; expected `image` and a list of `annotations`"
            reader.notes.add("malformed entry", "fault", words, file)
            continue
        yield Record(name, [_object(one, f"annotation {n}") for n, one in enumerate(annotations, 1)], file)


def _object(annotation: Any, place: str) -> LabeledObject:
    given = annotation if isinstance(annotation, dict) else {}
    box = given.get("coordinates")
    values = [box.get(key) for key in ("x", "y", "width", "height")] if isinstance(box, dict) else None
    return LabeledObject(given.get("label"), values, place, box)

"""Find COCO annotation files: in a folder, its annotations/, or one folder per part."""

import mmap
import os
from pathlib import Path

from ssd300.data.files import child, entries, folders_in, with_suffix
from ssd300.data.parts import Part, parse_part, part_names, part_of_file
from ssd300.errors import DatasetError

_MOST_FILES = 200  # of a folder that are examined; more are usually one file per picture, which is not COCO
ANNOTATION_FOLDERS = ("annotations", "labels")


def find(path: Path) -> list[Part]:
    """The parts at a path: a .json file itself, or the annotation files of a folder."""
    if not path.is_dir():
        return (
            [Part("coco", part_of_file(path, path), path)] if path.suffix.lower() == ".json" and is_coco(path) else []
        )
    for files in _layouts(path):
        found = [file for file in files[:_MOST_FILES] if is_coco(file)]
        if found:
            names = part_names([part_of_file(file, path) for file in found])
            unique = [
                name if names.count(name) == 1 else f"{file.parent.name}/{file.stem}"
                for name, file in zip(names, found, strict=True)
            ]
            return [Part("coco", name, file) for name, file in zip(unique, found, strict=True)]
    return []


def _layouts(folder: Path) -> list[list[Path]]:
    """The JSON files of each usual layout; the first layout with annotation files is used."""
    inner = child(folder, *ANNOTATION_FOLDERS)
    inside = with_suffix(inner, ".json") if inner and inner.is_dir() else []
    boxes = [file for file in inside if file.name.lower().startswith("instances_")]
    a_part_each = [
        file
        for place in folders_in(folder)
        for file in entries(place)
        if file.suffix.lower() == ".json" and (file.stem.lower() == "_annotations.coco" or parse_part(place.name))
    ]
    return [with_suffix(folder, ".json"), boxes, inside, a_part_each]


def is_coco(file: Path) -> bool:
    """Whether a JSON file contains the names of the three lists of COCO."""
    try:
        if not os.path.isfile(file) or file.stat().st_size == 0:
            return False
        with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return all(content.find(f'"{key}"'.encode()) >= 0 for key in ("images", "annotations", "categories"))
    except OSError as error:
        raise DatasetError(f"{file}: the annotation file cannot be read: {error.strerror}") from error

"""CSV tables of boxes: Open Images (ImageID, LabelName, XMin, ... as fractions), and files in pixels.

In pixels: filename, class, xmin, ymin, xmax, ymax (TensorFlow's and Roboflow's _annotations.csv), and rows of
path, x1, y1, x2, y2, class without a header (RetinaNet's).
"""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from ssd300.data.dataset import Dataset
from ssd300.data.files import PictureFinder, child, folders_in
from ssd300.data.parts import Part
from ssd300.data.records import Record, RecordReader, Thing
from ssd300.data.toolfiles import begins_with, delimiter_of, find_files, first_line, read_table
from ssd300.data.values import flag, number

_CLASSES = "class-descriptions-boxable.csv"
_HEADS = {  # column -> its names in tables, in lower case
    "name": ("imageid", "image_id", "filename", "file_name", "image", "image_name", "path", "image_path"),
    "label": ("labelname", "class", "label", "class_name", "name", "category"),
    "left": ("xmin", "x_min", "x1", "left"),
    "top": ("ymin", "y_min", "y1", "top"),
    "right": ("xmax", "x_max", "x2", "right"),
    "bottom": ("ymax", "y_max", "y2", "bottom"),
    "width": ("width", "image_width", "img_width"),
    "height": ("height", "image_height", "img_height"),
    "crowd": ("isgroupof",),
}
NEEDED = ("name", "label", "left", "top", "right", "bottom")


def find(path: Path) -> list[Part]:
    """A .csv itself, those of a folder, or one in each part's folder."""
    found = find_files(path, lambda file: file.suffix.lower() == ".csv" and bool(_columns(file)), ".csv")
    names = [name for name, _ in found]
    return [
        Part("csv", name if names.count(name) == 1 else f"{file.parent.name}/{file.stem}", file) for name, file in found
    ]


def _columns(file: Path) -> dict[str, int]:
    """Column -> position; empty if the header does not name the columns of a box, and is not a row with one."""
    if not os.path.isfile(file) or begins_with(file, "region_shape_attributes"):
        return {}
    first = first_line(file, 4096).decode("utf-8-sig", "replace").strip()
    try:
        row = next(csv.reader([first], delimiter=delimiter_of(first)), [])
    except csv.Error:
        return {}
    head = [cell.strip().casefold() for cell in row]
    columns = {what: head.index(name) for what, names in _HEADS.items() for name in reversed(names) if name in head}
    if all(what in columns for what in NEEDED):
        return columns
    bare = len(row) == 6 and "." in row[0] and all(cell == "" or number(cell) is not None for cell in row[1:5])
    return {"name": 0, "left": 1, "top": 2, "right": 3, "bottom": 4, "label": 5, "bare": 0} if bare else {}


def read(part: Part) -> Dataset:
    """Read one table; its rows are grouped by picture. Raises DatasetError if it is not a table."""
    columns = _columns(part.source)
    rows = read_table(part.source, "table of boxes")
    head = [cell.strip() for cell in rows[0]] if rows else []
    fractions = "ImageID" in head and "LabelName" in head
    folder = part.source.parent
    bases = [folder, folder.parent] if folder.name.lower() in ("annotations", "labels") else [folder]
    inside = [part.split, *(name for base in bases for name in ("images", "data")), part.source.stem]
    places = [found for base in bases for name in inside if (found := child(base, name)) and found.is_dir()]
    below = [inner for place in places for inner in folders_in(place)]
    reader = RecordReader(part, bases[-1], PictureFinder([folder, *places, *below, bases[-1]]), fractions=fractions)
    reader.stems = fractions
    described = _descriptions(bases)
    reader.names = list(described.values())
    return reader.dataset(_records(rows, columns, part.source, described))


def _records(rows: list[list[str]], columns: dict[str, int], file: Path, described: dict[str, str]) -> Iterator[Record]:
    by_picture: dict[str, list[tuple[int, list[str]]]] = {}
    for line, row in enumerate(rows, 1):
        if any(cell.strip() for cell in row) and (line > 1 or "bare" in columns):
            padded = [*(cell.strip() for cell in row), *[""] * 30]
            by_picture.setdefault(padded[columns["name"]], []).append((line, padded))
    for name, lines in by_picture.items():
        things = []
        for line, row in lines:
            box = [row[columns[what]] for what in ("left", "top", "right", "bottom")]
            label = row[columns["label"]]
            if not any(box) and not label:
                continue  # a picture without objects
            crowd = bool(flag(row[columns["crowd"]])) if "crowd" in columns else False
            things.append(Thing(described.get(label, label), box, f"line {line}", crowd=crowd))
        first = lines[0][1]
        size = [first[columns[what]] if what in columns else None for what in ("width", "height")]
        yield Record(name, things, file, *size)


def _descriptions(folders: list[Path]) -> dict[str, str]:
    """Label code -> class name, if class-descriptions-boxable.csv is beside the table."""
    for folder in folders:
        file = child(folder, _CLASSES, "class-descriptions.csv")
        if file:
            rows = read_table(file, "list of class names")
            return {row[0].strip(): row[1].strip() for row in rows if len(row) >= 2 and row[0] != "LabelName"}
    return {}

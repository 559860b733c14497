"""CSV tables of boxes: Open Images (ImageID, LabelName, XMin, ... as fractions), and files in pixels.

In pixels: filename, class, xmin, ymin, xmax, ymax (TensorFlow's and Roboflow's _annotations.csv), and rows of
path, x1, y1, x2, y2, class without a header (RetinaNet's).
"""

import csv
import os
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from ssd300.data.dataset import Dataset
from ssd300.data.files import child, with_suffix
from ssd300.data.finder import find_files
from ssd300.data.parts import WHOLE, Part, parse_part, part_names
from ssd300.data.reading import begins_with, delimiter_of, first_line, read_table
from ssd300.data.records import LabeledObject, Record, RecordReader
from ssd300.data.values import flag, number

_CLASSES = ("class-descriptions-boxable", "class-descriptions")  # also with oidv7- before it
_HEADS = {  # column -> its names in tables, in lower case
    "name": ("filename", "file_name", "image_name", "image_path", "path", "image", "imageid", "image_id"),
    "label": ("labelname", "class_name", "label_name", "category_name", "class", "label", "category", "name"),
    "left": ("xmin", "x_min", "x1", "left"),
    "top": ("ymin", "y_min", "y1", "top"),
    "right": ("xmax", "x_max", "x2", "right"),
    "bottom": ("ymax", "y_max", "y2", "bottom"),
    "width": ("width", "image_width", "img_width"),
    "height": ("height", "image_height", "img_height"),
    "crowd": ("isgroupof",),
    "part": ("split", "subset", "partition"),
}
_NOTHING = {"", "nan", "na", "none", "null"}  # an empty cell
NEEDED = ("name", "label", "left", "top", "right", "bottom")


def find(path: Path) -> list[Part]:
    """A .csv itself, those of a folder, or one in each part's folder; of one with a column of parts, its parts."""
    parts = find_files("csv", path, lambda file: bool(columns_of(file)), ".csv")
    if len(parts) == 1 and "part" in (columns := columns_of(parts[0].source)):
        column, file = columns["part"], parts[0].source
        cells = list(
            dict.fromkeys(_cell(row, column) for row in islice(read_table(file, "table of boxes"), 1, None) if any(row))
        )
        names = part_names([cell or WHOLE for cell in cells], alone=True)
        if any(parse_part(cell, alone=True) for cell in cells):
            return [Part("csv", name, file, cell) for name, cell in zip(names, cells, strict=True)]
    return parts


def _cell(row: list[str], column: int) -> str:
    return row[column].strip() if column < len(row) else ""


def columns_of(file: Path) -> dict[str, int]:
    """Column -> position; empty if the header does not name the columns of a box, and is not a row with one.

    x1, y1, x2, y2 with x3 are corners of an outline, not a box.
    """
    if not os.path.isfile(file) or begins_with(file, "region_shape_attributes"):
        return {}
    first = first_line(file)
    try:
        row = next(csv.reader([first], delimiter=delimiter_of(first)), [])
    except csv.Error:
        return {}
    head = [cell.strip().casefold() for cell in row]
    columns = {what: head.index(name) for what, names in _HEADS.items() for name in reversed(names) if name in head}
    if all(what in columns for what in NEEDED):
        return {} if "x3" in head else columns
    bare = len(row) == 6 and "." in row[0] and all(cell == "" or number(cell) is not None for cell in row[1:5])
    return {"name": 0, "left": 1, "top": 2, "right": 3, "bottom": 4, "label": 5, "bare": 0} if bare else {}


def read(part: Part) -> Dataset:
    """Read one table; its rows are grouped by picture. Raises DatasetError if it is not a table."""
    columns = columns_of(part.source)
    rows = read_table(part.source, "table of boxes")
    first = next(rows, [])
    fractions = {"ImageID", "LabelName"} <= {cell.strip() for cell in first}
    reader = RecordReader.of_file(part, fractions=fractions, stems=fractions)
    described = _descriptions([part.source.parent, reader.folder]) if fractions else {}
    reader.names = list(described.values())
    return reader.read(_records(chain([first], rows), columns, reader, described))


def _records(
    rows: Iterable[list[str]], columns: dict[str, int], reader: RecordReader, described: dict[str, str]
) -> Iterator[Record]:
    part = reader.part
    by_picture: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
    for line, row in enumerate(rows, 1):
        if any(cell.strip() for cell in row) and (line > 1 or "bare" in columns):
            cells = tuple(map(str.strip, row)) + ("",) * (max(columns.values()) + 1 - len(row))
            if part.detail is not None and cells[columns["part"]] != part.detail:
                continue
            by_picture.setdefault(cells[columns["name"]], []).append((line, cells))
    for name in list(by_picture):
        objects, lines = [], by_picture.pop(name)  # a table may have millions of rows: each is in memory once
        for line, cells in lines:
            box = [cells[columns[what]] for what in ("left", "top", "right", "bottom")]
            label = cells[columns["label"]]
            if all(cell.casefold() in _NOTHING for cell in box):
                reader.unused["rows with a class and without a box"] += label.casefold() not in _NOTHING
                continue  # a picture without objects
            group = cells[columns["crowd"]] if "crowd" in columns else ""
            crowd = group.casefold() == "true" or bool(flag(group))
            objects.append(LabeledObject(described.get(label, label), box, f"line {line}", crowd=crowd))
        first = lines[0][1]
        width, height = (first[columns[what]] if what in columns else None for what in ("width", "height"))
        yield Record(name, objects, part.source, width, height)


def _descriptions(folders: list[Path]) -> dict[str, str]:
    """Label code -> class name, if class-descriptions-boxable.csv is beside the table."""
    for folder in folders:
        metadata = child(folder, "metadata") or folder  # as FiftyOne exports
        named = (file for file in with_suffix(folder, ".csv") if file.stem.lower().endswith(_CLASSES))
        file = next(named, None) or child(metadata, "classes.csv")
        if file:
            rows = read_table(file, "list of class names")
            return {row[0].strip(): row[1].strip() for row in rows if len(row) >= 2 and row[0] != "LabelName"}
    return {}

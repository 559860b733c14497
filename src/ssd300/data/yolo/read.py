"""YOLO: pictures in images/, and in labels/ beside it one .txt per picture, with boxes as fractions of the picture.

A picture without a label file, or with an empty one, has no boxes. `path` and the parts are relative to the
description of the set; a part is a folder, a .txt with one picture per line, or a list of these.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ssd300.data.dataset import Action, Dataset, Note, Picture
from ssd300.data.files import folder_name, picture_size
from ssd300.data.finder import AnyCase
from ssd300.data.fitting import Place, fit_picture
from ssd300.data.parts import Part
from ssd300.data.reading import lines_of, read_text
from ssd300.data.sidecar import Sidecar
from ssd300.data.suspicion import check_format
from ssd300.data.values import numbers
from ssd300.data.yolo.describe import Description
from ssd300.data.yolo.labels import (
    HIGHEST_FRACTION,
    KEYPOINTS,
    OUTLINES,
    TRACKS,
    LabelLine,
    box_of_line,
    find_labels,
    kind_of_lines,
    label_path,
    relative_path,
    to_pixels,
)
from ssd300.data.yolo.listing import labels_without_pictures, pictures_of_part
from ssd300.errors import DatasetError, ImageError
from ssd300.labels import ClassList
from ssd300.limits import BOXES_PER_PICTURE

_OUTLINE_USE = "are outlines; the box around the points is used"
_SIX_NUMBERS = " (if these are x y w h and two more numbers, remove those)"


def read(part: Part) -> Dataset:
    """One part -> Dataset. Faults of single files and lines are in its `notes`.

    Raises DatasetError if the part as a whole cannot be found.
    """
    described: Description = part.detail
    if described.fault:
        raise DatasetError(described.fault)
    folder = described.folder
    sidecar = Sidecar.beside(folder)
    classes = sidecar.classes or described.classes
    if classes.names != described.classes.names:
        raise DatasetError(
            f"{described.file}: `names` are not those of {sidecar.path}; make them equal, or delete the latter"
        )
    reader = _Reader(folder, described, classes, sidecar)
    for words in described.unused:
        reader.note("field not used", "noted", (str(described.file), "", ""), words)
    files = dict(pictures_of_part(described, part.split, reader.notes))
    found = [one for file, name in _names(files, folder).items() if (one := reader.read_labels(file, name))]
    pictures = tuple(reader.pictures(found))
    reader.notes += [*sidecar.twice(pictures), *labels_without_pictures(described, part.split, files)]
    name = f"{folder_name(folder)}/{part.split}"
    return Dataset(name, classes, pictures, tuple(reader.notes), (folder,))


def _names(files: dict[Path, Path], folder: Path) -> dict[Path, str]:
    """The name of each picture: relative to the folder or list that names it; to the set's if several have one name."""
    places = {listed: listed if listed.is_dir() else listed.parent for listed in dict.fromkeys(files.values())}
    names = {file: relative_path(file, places[listed]) for file, listed in files.items()}
    if len(places) > 1 and len({Path(name).with_suffix("") for name in names.values()}) < len(names):
        return {file: relative_path(file, folder) for file in files}
    return names


@dataclass
class _Labelled:
    """A picture with the lines of its label file, before their kinds are decided."""

    path: Path
    size_wh: tuple[int, int]
    labels: Path
    name: str
    lines: list[tuple[Place, LabelLine]]


@dataclass
class _Reader:
    folder: Path
    described: Description
    classes: ClassList  # the names of the description with the user's ids
    sidecar: Sidecar
    notes: list[Note] = field(default_factory=list)
    seen: dict[Path, str] = field(default_factory=dict)  # label file -> the picture that had it
    any_case: AnyCase = field(default_factory=AnyCase)

    def note(self, kind: str, action: Action, place: Place, words: str) -> None:
        self.notes.append(Note(kind, action, *place, words))

    def read_labels(self, path: Path, name: str) -> _Labelled | None:
        """One picture with its lines; None, with a note, if it cannot be used."""
        try:
            size = picture_size(path)
        except ImageError as error:
            self.note("corrupt picture", "fault", (str(path), path.name, ""), str(error))
            return None
        labels = find_labels(path, self.any_case)
        if labels is None:
            labels = label_path(path)
            if labels.parent.is_dir() and not os.access(labels.parent, os.R_OK | os.X_OK):
                words = f"the folder {labels.parent} may not be read; change its permissions"
                self.note("unreadable label file", "fault", (str(labels), name, ""), words)
                return None
            words = f"no label file, so it has no boxes; tried {labels}"
            self.note("picture without label file", "noted", (str(labels), name, ""), words)
            return _Labelled(path, size, labels, name, [])
        if labels in self.seen:
            words = f"the label file is also that of {self.seen[labels]}: two pictures differ only in their extensions"
            self.note("label file shared", "fault", (str(labels), name, ""), words)
        self.seen[labels] = name
        return _Labelled(path, size, labels, name, list(self._lines(labels, name)))

    def _lines(self, labels: Path, picture: str) -> Iterator[tuple[Place, LabelLine]]:
        try:
            text = read_text(labels, "label file")
        except DatasetError as error:
            words = str(error).removeprefix(f"{labels}: ")
            self.note("unreadable label file", "fault", (str(labels), picture, ""), words)
            return
        for count, (number, line) in enumerate(lines_of(text)):
            place = (str(labels), picture, f"line {number}")
            if count == BOXES_PER_PICTURE:
                self.note("too many boxes", "fault", place, f"more than {BOXES_PER_PICTURE:,} boxes in one picture")
                return
            found = numbers(line.split())
            if found is None:
                self.note("malformed line", "fault", place, f"{line[:60]!r} is not a row of numbers")
                continue
            index, *values = found
            if index not in self.described.classes.position_of_id:
                words = (
                    f"class index {index:g} is out of range; `names` has {len(self.classes)} classes, indices from 0"
                )
                self.note("unknown class id", "fault", place, words)
                continue
            yield place, LabelLine(int(index), values)

    def pictures(self, labeled: list[_Labelled]) -> Iterator[Picture]:
        """The pictures with their boxes, from all lines of the part."""
        lines = [line for one in labeled for _, line in one.lines]
        kinds = kind_of_lines(lines, prod(self.described.kpt_shape) if self.described.kpt_shape else 0)
        for kind in (KEYPOINTS, TRACKS, OUTLINES):
            if count := sum(kinds.get(len(line.values)) == kind for line in lines):
                words = f"{count} of {len(lines)} lines "
                words += _OUTLINE_USE if kind == OUTLINES else f"have {kind} after the box; only the box is used"
                words += _SIX_NUMBERS if kind == OUTLINES and {len(line.values) for line in lines} == {6} else ""
                self.note("numbers not used", "noted", (str(self.described.file), "", ""), words)
        plain: list[list[float]] = []
        for one in labeled:
            yield self._picture(one, kinds, plain)
        boxes = np.array(plain, np.float64).reshape(-1, 4)
        self.notes += check_format(boxes, "cxcywh", np.ones((len(boxes), 2)), str(self.described.file))

    def _picture(self, one: _Labelled, kinds: dict[int, str], plain: list[list[float]]) -> Picture:
        rows, scores, ids, places = [], [], [], []
        for place, line in one.lines:
            kind = kinds.get(len(line.values))
            found = box_of_line(line.values, kind)
            if isinstance(found, str):
                self.note("malformed line", "fault", place, found)
                continue
            box, score = found
            if max(box) > HIGHEST_FRACTION:
                words = f"the numbers {box} are far above 1; YOLO boxes are fractions of the picture, not pixels"
                self.note("pixels instead of fractions", "fault", place, words)
                continue
            plain += [box] if len(line.values) <= 5 else []
            rows.append(box)
            scores.append(score)
            ids.append(self.classes.ids[self.described.classes.position_of_id[int(line.index)]])
            places.append(place)
        key = relative_path(label_path(one.path), self.folder)
        image_id, file_name = self.sidecar.identity(key, Path(one.name).with_suffix("").as_posix(), one.name)
        fields: dict[str, Any] = {"scores": scores}
        try:
            fields |= self.sidecar.fields(key, len(rows), one.labels)
        except DatasetError as error:
            self.note("sidecar out of date", "fault", (str(one.labels), one.name, ""), str(error))
        fractions = np.array(rows, np.float64).reshape(-1, 4)
        boxes = to_pixels(fractions, *one.size_wh)
        fitted = fit_picture(boxes, np.array(ids, np.int64), one.size_wh, places, self.notes, fields)
        return Picture(one.path, image_id, *one.size_wh, fitted, file_name, labels=one.labels)

"""YOLO: pictures in images/, and in labels/ beside it one .txt per picture, with boxes as fractions of the picture.

A picture without a label file, or with an empty one, has no boxes. `path` and the parts are relative to the
description of the set; a part is a folder, a .txt with one picture per line, or a list of these.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ssd300.data.dataset import Dataset, Picture
from ssd300.data.files import folder_name, picture_size
from ssd300.data.finder import AnyCase
from ssd300.data.fitting import check_format
from ssd300.data.notes import Fault, Note, Notes, Place
from ssd300.data.parts import Part
from ssd300.data.reading import lines_of, read_text
from ssd300.data.records import LabeledObject, LabeledPicture
from ssd300.data.sidecar import Sidecar
from ssd300.data.values import numbers
from ssd300.data.yolo.describe import Description, read_names
from ssd300.data.yolo.labels import (
    KEYPOINTS,
    OUTLINES,
    TRACKS,
    LabelLine,
    box_of_line,
    find_labels,
    kind_of_lines,
    label_path,
    relative_path,
)
from ssd300.data.yolo.listing import labels_without_pictures, pictures_of_part
from ssd300.errors import DatasetError
from ssd300.labels import ClassList
from ssd300.limits import BOXES_PER_PICTURE

_OUTLINE_USE = "are outlines; the box around the points is used"
_SIX_NUMBERS = " (if these are x y w h and two more numbers, remove those)"


def read(part: Part) -> Dataset:
    """One part -> Dataset, with the faults of files and lines in `notes`. Raises DatasetError if it is not found."""
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
        reader.notes.add("field not used", "noted", words, described.file)
    files = dict(pictures_of_part(described, part.split, reader.notes))
    found = [one for file, name in _names(files, folder).items() if (one := reader.read_labels(file, name))]
    pictures = tuple(reader.make_pictures(found))
    reader.notes += _other_class_lists(described, {folder, *(one.labels.parent for one in found)})
    reader.notes += [*sidecar.find_repeated_ids(pictures), *labels_without_pictures(described, part.split, files)]
    name = f"{folder_name(folder)}/{part.split}"
    return Dataset(name, classes, pictures, tuple(reader.notes), (folder,))


def _names(files: dict[Path, Path], folder: Path) -> dict[Path, str]:
    """The name of each picture: relative to the folder or list that names it; to the set's if several have one name."""
    places = {listed: listed if listed.is_dir() else listed.parent for listed in dict.fromkeys(files.values())}
    names = {file: relative_path(file, places[listed]) for file, listed in files.items()}
    if len(places) > 1 and len({Path(name).with_suffix("") for name in names.values()}) < len(names):
        return {file: relative_path(file, folder) for file in files}
    return names


def _other_class_lists(described: Description, places: set[Path]) -> Iterator[Note]:
    """A note for every classes.txt at these places that gives a class another index: labels may be written with it."""
    index = dict(zip(described.classes.names, described.classes.ids, strict=True))
    for file in (place / "classes.txt" for place in sorted(places)):
        other = ClassList((), ())
        with suppress(DatasetError):
            other = read_names(file) if os.path.isfile(file) else other
        pairs = zip(other.names, other.ids, strict=True)
        if moved := [(name, i) for name, i in pairs if index.get(name, i) != i]:
            name, i = moved[0]
            words = f"the class {name!r} has the index {index[name]}, but {i} in {file}; "
            words += "if the labels were written with that list, their classes are mixed up"
            yield Note("other class list", "noted", str(described.file), "", "", words)


@dataclass
class _Labeled:
    """A picture with the lines of its label file, before their kinds are decided."""

    path: Path
    size_wh: tuple[int, int]
    labels: Path
    name: str
    lines: list[LabelLine]


@dataclass
class _Reader:
    folder: Path
    described: Description
    classes: ClassList  # the names of the description with the user's ids
    sidecar: Sidecar
    notes: Notes = field(default_factory=Notes)
    seen: dict[Path, str] = field(default_factory=dict)  # label file -> the picture that had it
    any_case: AnyCase = field(default_factory=AnyCase)

    def read_labels(self, path: Path, name: str) -> _Labeled | None:
        """One picture with its lines; None, with a note, if it cannot be used."""
        size = None
        with self.notes.faults_at(path, path.name):
            size = picture_size(path)
        if size is None:
            return None
        labels = find_labels(path, self.any_case)
        if labels is None:
            labels = label_path(path)
            if labels.parent.is_dir() and not os.access(labels.parent, os.R_OK | os.X_OK):
                words = f"the folder {labels.parent} may not be read; change its permissions"
                self.notes.add("unreadable label file", "fault", words, labels, name)
                return None
            words = f"no label file, so it has no boxes; tried {labels}"
            self.notes.add("picture without label file", "noted", words, labels, name)
            return _Labeled(path, size, labels, name, [])
        if labels in self.seen:
            words = f"the label file is also that of {self.seen[labels]}: two pictures differ only in their extensions"
            self.notes.add("label file shared", "fault", words, labels, name)
        self.seen[labels] = name
        lines: list[LabelLine] = []
        with self.notes.faults_at(labels, name, kind="unreadable label file"):
            lines += self._read_lines(labels, name)
        return _Labeled(path, size, labels, name, lines)

    def _read_lines(self, labels: Path, picture: str) -> Iterator[LabelLine]:
        for count, (number, line) in enumerate(lines_of(read_text(labels, "label file"))):
            place = (str(labels), picture, f"line {number}")
            if count == BOXES_PER_PICTURE:
                words = f"more than {BOXES_PER_PICTURE:,} boxes in one picture"
                self.notes.add("too many boxes", "fault", words, *place)
                return
            with self.notes.faults_at(*place):
                yield self._parse_line(place, line)

    def _parse_line(self, place: Place, line: str) -> LabelLine:
        """The class and the numbers of a line. Raises Fault."""
        found = numbers(line.split())
        if found is None:
            raise Fault("malformed line", f"{line[:60]!r} is not a row of numbers")
        index, *values = found
        if index not in self.described.classes.position_of_id:
            count = len(self.classes)
            words = f"class index {index:g} is out of range; `names` has {count} classes, indices from 0"
            raise Fault("unknown class id", words)
        return LabelLine(place, int(index), values)

    def make_pictures(self, labeled: list[_Labeled]) -> Iterator[Picture]:
        """The pictures with their boxes, from all lines of the part."""
        lines = [line for one in labeled for line in one.lines]
        kinds = kind_of_lines(lines, prod(self.described.kpt_shape) if self.described.kpt_shape else 0)
        for kind in (KEYPOINTS, TRACKS, OUTLINES):
            if count := sum(kinds.get(len(line.values)) == kind for line in lines):
                words = f"{count} of {len(lines)} lines "
                words += _OUTLINE_USE if kind == OUTLINES else f"have {kind} after the box; only the box is used"
                words += _SIX_NUMBERS if kind == OUTLINES and {len(line.values) for line in lines} == {6} else ""
                self.notes.add("numbers not used", "noted", words, self.described.file)
        plain: list[list[float]] = []
        for one in labeled:
            yield self._make_picture(one, kinds, plain)
        boxes = np.array(plain, np.float64).reshape(-1, 4)
        self.notes += check_format(boxes, "cxcywh", np.ones((len(boxes), 2)), str(self.described.file))

    def _make_picture(self, one: _Labeled, kinds: dict[int, str], plain: list[list[float]]) -> Picture:
        objects = []
        for line in one.lines:
            with self.notes.faults_at(*line.place):
                box, score = box_of_line(line.values, kinds.get(len(line.values)))
                plain += [box] if len(line.values) <= 5 else []
                name = self.described.classes.name_of_id(line.class_index)
                objects.append(LabeledObject(name, box, line.place[2], score=score))
        key = relative_path(label_path(one.path), self.folder)
        image_id, file_name = self.sidecar.identity(key, Path(one.name).with_suffix("").as_posix(), one.name)
        known: dict[str, Any] = {}
        with self.notes.faults_at(one.labels, one.name):
            known = self.sidecar.fields(key, len(objects), one.labels)
        labeled = LabeledPicture(one.path, one.size_wh, objects, one.name, one.labels)
        fitted = labeled.fit(self.classes, self.notes, "cxcywh", fractions=True, **known)
        return Picture(one.path, image_id, *one.size_wh, fitted, file_name, labels=one.labels)

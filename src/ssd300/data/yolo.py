"""YOLO: a data.yaml with `names` and splits, pictures in images/, and beside them in labels/ one .txt a picture.

A line is `class x y width height`: the class's position in `names` from 0, the box's centre and size as fractions of
the picture. Also read: a sixth number (a score) and outlines `class x1 y1 x2 y2 x3 y3 ...`, of which the enclosing box
is taken. A picture without a label file, or an empty one, has no boxes. `path`, `train`, `val` and `test` are relative
to the data.yaml; a split is a folder, a .txt with one picture a line, or a list of these.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ssd300.arrays import Float64
from ssd300.data.dataset import Annotations, Dataset, Note, Picture
from ssd300.data.files import SPLITS, folder_name, is_picture, picture_size, read_text
from ssd300.data.fitting import fit_picture
from ssd300.data.sidecar import Sidecar
from ssd300.errors import DatasetError, ImageError, MissingExtraError
from ssd300.labels import ClassList

HIGHEST_FRACTION = 2.0  # a number above this is no fraction: the boxes were written in pixels


def _read_yaml(path: Path) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError("reading a YOLO data.yaml", "data") from error
    text = read_text(path, "YOLO data file")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DatasetError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error


def is_data_yaml(path: Path) -> bool:
    """Whether a YAML file describes a data set: it has `names` or a split."""
    content = _read_yaml(path)
    return isinstance(content, dict) and ("names" in content or any(split in content for split in SPLITS))


def splits_of_yaml(path: Path) -> list[str]:
    """The splits that a data.yaml names."""
    content = _read_yaml(path)
    if not isinstance(content, dict) or "names" not in content:
        raise DatasetError(f"{path}: a YOLO data file has `names` (the classes) and `train`, `val` or `test`")
    splits = [split for split in SPLITS if content.get(split)]
    if not splits:
        raise DatasetError(f"{path}: no split; add `train: FOLDER` (and `val: FOLDER`), relative to this file")
    return splits


def read_classes(path: Path, content: dict[str, Any]) -> ClassList:
    """`names`, a list or a mapping from index to name. Raises DatasetError."""
    names = content.get("names")
    pairs = (
        list(enumerate(names)) if isinstance(names, list) else list(names.items()) if isinstance(names, dict) else []
    )
    if not pairs or not all(isinstance(index, int) and not isinstance(name, list | dict) for index, name in pairs):
        found = type(names).__name__  # not its text: aliases make a few lines of YAML gigabytes of it
        raise DatasetError(f"{path}: `names` must list the class names, one text each, got a {found} of other things")
    twice = sorted({str(name) for _, name in pairs if [str(n) for _, n in pairs].count(str(name)) > 1})
    if twice:
        raise DatasetError(f"{path}: class names given twice in `names`: {', '.join(twice)}")
    number = content.get("nc")
    if number is not None and number != len(pairs):
        raise DatasetError(f"{path}: nc is {number}, but `names` has {len(pairs)} names")
    return ClassList(tuple(str(name) for _, name in pairs), tuple(index for index, _ in pairs))


def read_yolo(path: Path, split: str, name: str | None = None) -> Dataset:
    """One split of a data.yaml -> Dataset. Faults of single files and lines stand in its `notes`.

    Raises DatasetError where the split as a whole cannot be found.
    """
    content = _read_yaml(path)
    indices = read_classes(path, content)
    sidecar = Sidecar.beside(path.parent)
    classes = sidecar.classes or indices
    if classes.names != indices.names:
        raise DatasetError(f"{path}: `names` are not those of {sidecar.path}; edit both alike, or delete the latter")
    notes: list[Note] = []
    reader = _Reader(path.parent, indices, classes, sidecar, notes)
    files = dict(_pictures_of_split(path, content, split, notes))
    pictures = tuple(picture for file, listed in files.items() if (picture := reader.picture(file, listed)))
    notes += _labels_without_pictures(files)
    return Dataset(name or f"{folder_name(path.parent)}/{split}", classes, pictures, tuple(notes))


def _pictures_of_split(
    path: Path, content: dict[str, Any], split: str, notes: list[Note]
) -> Iterator[tuple[Path, Path]]:
    """(picture, where it was listed: a folder or a .txt) of every picture of a split."""
    entries = content[split] if isinstance(content[split], list) else [content[split]]
    for entry in entries:
        tried = _candidates(path, content, str(entry))
        found = next((place for place in tried if place.exists()), None)
        if found is None:
            places = ", ".join(map(str, tried))
            raise DatasetError(f"{path}: `{split}: {entry}` was not found. Relative to this file were tried: {places}")
        if found.is_dir():
            yield from ((file, found) for file in sorted(found.rglob("*")) if is_picture(file) and file.is_file())
            continue
        for number, line in enumerate(read_text(found, "list of pictures").splitlines(), 1):
            if line.strip():
                file = found.parent / line.strip()
                if file.is_file():
                    yield file, found
                else:
                    words = f"the picture is missing; tried {file}"
                    notes.append(Note("missing picture", "fault", f"{found}, line {number}", line.strip(), "", words))


def _candidates(path: Path, content: dict[str, Any], entry: str) -> list[Path]:
    """Where a split may lie: below `path`, below the file's folder, and there without its "../" (Roboflow)."""
    folder = path.parent
    bases = [folder / str(content["path"])] if content.get("path") else []
    places = [base / entry for base in [*bases, folder]]
    stripped = entry
    while stripped.startswith("../"):
        stripped = stripped.removeprefix("../")
    places += [folder / stripped] if stripped != entry else []
    return list(dict.fromkeys(places))


def label_path(picture: Path) -> Path:
    """The label file of a picture: its last folder named images/ becomes labels/; or beside it, if it is there."""
    beside = picture.with_suffix(".txt")
    parts = list(picture.parts)
    for position in range(len(parts) - 2, -1, -1):
        if parts[position] == "images":
            parts[position] = "labels"
            break
    usual = Path(*parts).with_suffix(".txt")
    return beside if beside.is_file() and not usual.is_file() else usual


def _labels_without_pictures(pictures: dict[Path, Path]) -> Iterator[Note]:
    """A fault for every label file of a split's folders that no picture belongs to: its boxes would be lost."""
    labels = {label_path(picture) for picture in pictures}
    for folder in dict.fromkeys(pictures.values()):
        labelled = label_path(folder / "any.jpg").parent
        if labelled == folder or not folder.is_dir():
            continue  # beside the pictures may lie other .txt files; a list need not name all pictures of a folder
        for file in sorted(labelled.rglob("*.txt")):
            if file not in labels:
                words = f"no picture belongs to the label file; looked in {folder}"
                yield Note("label file without picture", "fault", str(file), file.stem, "", words)


@dataclass
class _Reader:
    folder: Path
    indices: ClassList  # names with their YOLO indices
    classes: ClassList  # the same names with the user's ids
    sidecar: Sidecar
    notes: list[Note]
    seen: dict[Path, str] = field(default_factory=dict)  # label file -> the picture that had it

    def picture(self, path: Path, listed: Path) -> Picture | None:
        try:
            width, height = picture_size(path)
        except ImageError as error:
            self.notes.append(Note("corrupt picture", "fault", str(path), path.name, "", str(error)))
            return None
        labels = label_path(path)
        key = _below(labels, self.folder)
        name = _below(path, listed if listed.is_dir() else listed.parent)
        image_id, file_name = self.sidecar.identity(key, Path(name).with_suffix("").as_posix(), name)
        boxes = self._boxes(labels, key, name, width, height)
        return Picture(path, image_id, width, height, boxes, file_name, labels=labels)

    def _boxes(self, labels: Path, key: str, picture: str, width: int, height: int) -> Annotations:
        if not labels.is_file():
            words = f"no label file, so it has no boxes; tried {labels}"
            self.notes.append(Note("picture without label file", "noted", str(labels), picture, "", words))
            return Annotations.empty()
        if labels in self.seen:
            words = f"the label file is also that of {self.seen[labels]}: two pictures differ only in their endings"
            self.notes.append(Note("label file shared", "fault", str(labels), picture, "", words))
        self.seen[labels] = picture
        try:
            text = read_text(labels, "label file")
        except DatasetError as error:
            self.notes.append(Note("unreadable label file", "fault", str(labels), picture, "", str(error)))
            return Annotations.empty()
        rows, places = [], []
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            row = self._row(line, (str(labels), picture, f"line {number}"))
            if row is not None:
                rows.append(row)
                places.append((str(labels), picture, f"line {number}"))
        fractions = np.array([row[1:5] for row in rows], np.float64).reshape(-1, 4)
        fields: dict[str, Any] = {"scores": [row[5] for row in rows]}
        try:
            fields |= self.sidecar.fields(key, len(rows))
        except DatasetError as error:
            self.notes.append(Note("sidecar out of date", "fault", str(labels), picture, "", str(error)))
        ids = np.array([row[0] for row in rows], np.int64)
        return fit_picture(to_pixels(fractions, width, height), ids, (width, height), places, self.notes, fields)

    def _row(self, line: str, place: tuple[str, str, str]) -> tuple[int, float, float, float, float, float] | None:
        """(class id, x, y, width, height, score) of a line; None where it is faulty, with a note."""
        try:
            index, *values = (float(word) for word in line.split())
        except ValueError:
            self.notes.append(Note("malformed line", "fault", *place, f"{line.strip()[:60]!r} is not a row of numbers"))
            return None
        if len(values) not in (4, 5) and (len(values) < 6 or len(values) % 2):
            words = f"{len(values) + 1} numbers; want `class x y width height`, or a class and the points of an outline"
            self.notes.append(Note("malformed line", "fault", *place, words))
            return None
        if index not in self.indices.position_of_id:
            words = f"class index {index:g} is out of range; `names` has {len(self.indices)} classes, indices from 0"
            self.notes.append(Note("unknown class id", "fault", *place, words))
            return None
        score = values.pop() if len(values) == 5 else 1.0
        if not 0 <= score <= 1:
            words = f"the score, the last number, is {score:g}; want 0 to 1"
            self.notes.append(Note("malformed line", "fault", *place, words))
            return None
        if len(values) > 4:
            points = np.array(values).reshape(-1, 2)
            low, high = points.min(axis=0), points.max(axis=0)
            values = [*((low + high) / 2).tolist(), *(high - low).tolist()]
        if max(values) > HIGHEST_FRACTION:
            words = (
                f"{line.strip()[:60]!r} has numbers far above 1; YOLO boxes are fractions of the picture, not pixels"
            )
            self.notes.append(Note("pixels instead of fractions", "fault", *place, words))
            return None
        class_id = self.classes.ids[self.classes.names.index(self.indices.name_of_id(int(index)))]
        return (class_id, values[0], values[1], values[2], values[3], score)


def _below(path: Path, folder: Path) -> str:
    """The path as seen from the folder, with slashes; the whole path where it lies elsewhere."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()


def to_pixels(fractions_cxcywh: Float64, width: int, height: int) -> Float64:
    """Rows [M, 4] of a label file -> boxes_xyxy [M, 4] in pixels, in double precision."""
    centre, half = fractions_cxcywh[:, :2], fractions_cxcywh[:, 2:] / 2
    return np.concatenate([centre - half, centre + half], axis=1) * np.array([width, height, width, height], np.float64)

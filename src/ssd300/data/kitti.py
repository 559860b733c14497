"""The KITTI format: label_2/*.txt with image_2/ beside it. A line: class, truncated, occluded, alpha, four edges, ...

The name of a class may have spaces; 14 numbers follow it, and sometimes a score. DontCare regions are left out because
they have no class; a note counts them. Lists in ImageSets/ are parts.
"""

from collections.abc import Iterator
from pathlib import Path

from ssd300.data.dataset import Dataset
from ssd300.data.files import child, folders_in, with_suffix
from ssd300.data.finder import PictureFinder
from ssd300.data.parts import WHOLE, Part, parse_part, part_lists, part_names
from ssd300.data.reading import first_line, lines_of, read_list, read_text
from ssd300.data.records import LabeledObject, Record, RecordReader
from ssd300.data.values import number

LABELS, _PICTURES = ("label_2", "label", "labels"), ("image_2", "image", "images", "data")


def find(path: Path) -> list[Part]:
    """The folder with label_2/ and image_2/, or one such folder per part (training/)."""
    if _label_files(path):
        return [Part("kitti", WHOLE, path)]
    parts = [folder for folder in folders_in(path) if _label_files(folder)]
    lists = part_lists(with_suffix(child(path, "ImageSets"), ".txt"))
    if len(parts) == 1 and parse_part(parts[0].name) == "train" and ("train" in lists or "trainval" in lists):
        listed = {name: file for name, file in lists.items() if name != "test"}  # that of testing/, which has no labels
        return [Part("kitti", name, parts[0], file) for name, file in listed.items()]
    names = part_names([folder.name.lower() for folder in parts])
    return [Part("kitti", name, folder) for name, folder in zip(names, parts, strict=True)]


def _label_files(folder: Path) -> list[Path]:
    """The label files of a folder, if they are in KITTI's format."""
    files = with_suffix(child(folder, *LABELS), ".txt")
    for file in files:
        if line := first_line(file, 1000):
            return files if _columns(line) else []
    return []


def _columns(line: str) -> tuple[str, list[str]] | None:
    """The name of a line's class, and its 14 or 15 numbers; None if it has others.

    >>> _columns("stop sign 0 0 -10 1 2 3 4 -1 -1 -1 -1 -1 -1 -1")[0], _columns("car 1 2 3 4")
    ('stop sign', None)
    """
    words = line.split()
    first = max((at for at, word in enumerate(words, 1) if number(word) is None), default=0)
    name, columns = " ".join(words[:first]), words[first:]
    if not name or len(columns) not in (14, 15):
        return None
    truncated, occluded = float(columns[0]), float(columns[1])
    usual = -1 <= truncated <= 2 and occluded in (-1, 0, 1, 2, 3)  # else a number belongs to the name
    return (name, columns) if usual else None


def read(part: Part) -> Dataset:
    """Read one folder: one picture per label file."""
    pictures = child(part.source, *_PICTURES) or part.source / _PICTURES[0]
    reader = RecordReader(part, part.source, PictureFinder([pictures]), stems=True)
    files = _label_files(part.source)
    if part.detail is not None:
        known = {file.stem for file in files}
        lines = [line for _, line in read_list(part.detail)]
        stems = {line if line in known else Path(line).stem for line in lines}  # a stem may have a dot: "2011.07"
        files = [file for file in files if file.stem in stems]
        missing = len(stems) - len(files)
        reader.unused.update({f"names in {part.detail.name} without a label file": missing} if missing else {})
    return reader.read(_records(files, reader))


def _records(files: list[Path], reader: RecordReader) -> Iterator[Record]:
    for file in files:
        objects = []
        with reader.notes.faults_at(file, file.stem, kind="unreadable label file"):
            for line_number, line in lines_of(read_text(file, "label file")):
                name, columns = _columns(line) or (line.split()[0], [])
                if name.casefold() == "dontcare":
                    reader.unused["DontCare regions"] += 1
                    continue
                score = number(columns[14]) if len(columns) == 15 else None
                score = score if score is not None and 0 <= score <= 1 else 1.0
                objects.append(LabeledObject(name, columns[3:7], f"line {line_number}", line, score=score))
            yield Record(file.stem, objects, file)

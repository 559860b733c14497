"""`ssd300 data check`: everything that is wrong or doubtful in a data set, every case with its place, and totals."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ssd300.data.check_boxes import BoxShapes, box_notes, class_notes, shapes
from ssd300.data.check_pictures import Seen, look_at, not_listed, repeated
from ssd300.data.dataset import Dataset, Note
from ssd300.data.kinds import KINDS, Level
from ssd300.data.load import read_part
from ssd300.data.look import Part, find_parts
from ssd300.errors import DatasetError
from ssd300.files import write_whole

LEVELS: tuple[Level, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Totals:
    """Counts of one split. `kept` boxes are as written, `clipped` ones cut to the picture, `refused` ones left out."""

    name: str
    format: str
    pictures: int
    without_boxes: int
    kept: int
    clipped: int
    refused: int
    boxes_per_class: dict[str, int]
    shapes: BoxShapes


@dataclass(frozen=True)
class Report:
    """What a check found: totals per split (by name), and the cases, gravest kinds first."""

    path: str
    totals: dict[str, Totals]
    cases: tuple[Note, ...]

    def counts(self) -> dict[str, int]:
        """Kind -> number of cases, gravest first."""
        return dict(Counter(case.kind for case in self.cases))

    def number(self, *levels: Level) -> int:
        """Number of cases of these levels."""
        return sum(KINDS[case.kind].level in levels for case in self.cases)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "path": self.path,
            "splits": {split: asdict(totals) for split, totals in self.totals.items()},
            "errors": self.number("error"),
            "warnings": self.number("warning"),
            "notes": self.number("note"),
            "cases": [{"level": KINDS[case.kind].level, **asdict(case)} for case in self.cases],
        }

    def write_cases(self, path: Path) -> None:
        """A CSV file with one line for every case."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["level", "kind", "action", "file", "picture", "annotation", "words", "remedy"])
        for case in self.cases:
            kind = KINDS[case.kind]
            row = [
                kind.level,
                case.kind,
                case.action,
                case.file,
                case.picture,
                case.annotation,
                case.words,
                kind.remedy,
            ]
            writer.writerow(row)
        write_whole(path, text.getvalue().encode("utf-8-sig"))  # with its mark, so that spreadsheets know the encoding


def check_dataset(
    path: str | Path,
    val: str | Path | None = None,
    *,
    format: str | None = None,
    progress: Callable[[str, int, int], None] = lambda split, done, total: None,
) -> Report:
    """Read every label and every picture of a data set, and of a validation set given apart, and report all cases.

    `progress` is called with the split, the pictures done and their number. Raises DatasetError only where no data set
    is found at all; a split that cannot be used is a case.
    """
    parts = {part.split: part for part in find_parts(path, format)}
    if val is not None:
        parts |= _validation_parts(parts, find_parts(val, format))
    splits: dict[str, Dataset] = {}
    notes: list[Note] = []
    for split, part in parts.items():
        try:
            splits[split] = read_part(part)
        except DatasetError as error:
            notes.append(Note("unusable data set", "fault", str(part.source), "", "", str(error)))
        else:
            notes += splits[split].notes
    seen: dict[str, list[Seen]] = {}
    for split, dataset in splits.items():
        total = len(dataset)
        seen[split] = look_at(dataset, lambda done, split=split, total=total: progress(split, done, total))  # type: ignore[misc]
        notes += [note for one in seen[split] for note in one.notes]
        notes += box_notes(dataset)
    notes += repeated(splits, seen)
    if Path(path).is_dir():  # a single file may be one of several that share a folder of pictures
        notes += not_listed(splits)
    if splits:
        notes += class_notes(splits, "train" if "train" in splits else next(iter(splits)))
    totals = {split: _totals(dataset, parts[split]) for split, dataset in splits.items()}
    return Report(str(path), totals, tuple(_by_gravity(notes)))


def _validation_parts(parts: dict[str, Part], others: Sequence[Part]) -> dict[str, Part]:
    """The splits of a second path under names that the first one does not use."""
    chosen = [part for part in others if part.split == "val"] or list(others)
    names = ["val"] if len(chosen) == 1 else [part.split for part in chosen]
    return {(f"{name} (--val)" if name in parts else name): part for name, part in zip(names, chosen, strict=True)}


def _totals(dataset: Dataset, part: Part) -> Totals:
    actions = Counter(note.action for note in dataset.notes if note.kind != "field not used")
    faulty = sum(note.action == "fault" and bool(note.annotation) for note in dataset.notes)
    return Totals(
        dataset.name,
        part.format,
        len(dataset),
        sum(len(picture.annotations) == 0 for picture in dataset.pictures),
        dataset.num_boxes - actions["clipped"],
        actions["clipped"],
        actions["refused"] + faulty,
        dataset.boxes_per_class(),
        shapes(dataset),
    )


def _by_gravity(notes: Sequence[Note]) -> list[Note]:
    order = {kind: position for position, kind in enumerate(KINDS)}
    return sorted(notes, key=lambda note: (LEVELS.index(KINDS[note.kind].level), order[note.kind]))

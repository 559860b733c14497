"""`ssd300 data check`: all errors and suspicious cases in a data set, each with its place, and totals."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ssd300.data.check_boxes import BoxShapes, box_notes, class_notes, measure_shapes
from ssd300.data.check_pictures import Seen, examine_pictures, find_duplicates, find_unlisted
from ssd300.data.dataset import Dataset, join
from ssd300.data.load import find_parts, raise_faults, read_part
from ssd300.data.notes import KINDS, Fault, Level, Note
from ssd300.data.parts import Part, drop_trainval, splits_of, training_parts, validation_parts
from ssd300.data.usable import arrange, describe_unused
from ssd300.errors import DatasetError
from ssd300.files import write_whole
from ssd300.formats import csv_text

FAULT_LEVELS: tuple[Level, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Totals:
    """Counts of one split. `kept` boxes are unchanged, `clipped` ones cut to the picture, `refused` ones left out."""

    name: str
    format: str
    pictures: int
    without_boxes: int
    kept: int
    clipped: int
    refused: int
    boxes_per_class: dict[str, int]
    shapes: BoxShapes | None


@dataclass(frozen=True)
class Report:
    """The result of a check: totals per split (by name), and the cases, most severe kinds first.

    `reason` is why `ssd300 train` would stop, empty if it would not; `messages` are what it says about the parts.
    """

    path: str
    totals: dict[str, Totals]
    cases: tuple[Note, ...]
    reason: str = ""
    messages: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether `ssd300 train` would take this data set."""
        return not self.reason

    def counts(self) -> dict[str, int]:
        """Kind -> number of cases, most severe first."""
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
            "usable": self.usable,
            "reason": self.reason,
            "cases": [{"level": KINDS[case.kind].level, **asdict(case)} for case in self.cases],
        }

    def write_cases(self, path: Path) -> None:
        """Write a CSV file with one line per case."""
        columns = ("kind", "action", "file", "picture", "annotation", "words")
        rows = [("level", *columns, "remedy")]
        for case in self.cases:
            kind = KINDS[case.kind]
            rows.append((kind.level, *(getattr(case, name) for name in columns), kind.remedy))
        # With a byte order mark, so that spreadsheets detect the encoding.
        write_whole(path, csv_text(rows).encode("utf-8-sig", "backslashreplace"))


def check_dataset(
    path: str | Path,
    val: str | Path | None = None,
    *,
    format: str | None = None,
    progress: Callable[[str, int, int], None] = lambda split, done, total: None,
) -> Report:
    """Read every label and every picture of a data set, and of a separate validation set, and report all cases.

    `progress` is called with the split, the pictures done and their number. Raises DatasetError only if no data set
    is found; a split that cannot be used is a case.
    """
    own = drop_trainval(find_parts(path, format))
    others = find_parts(val, format) if val is not None else []
    parts = splits_of(_without_same(own, others))
    parts |= _validation_parts(parts, others)
    notes: list[Note] = []
    splits, broken = _read_splits(parts, notes)
    seen: dict[str, list[Seen]] = {}
    for split, dataset in splits.items():
        total = len(dataset)
        seen[split] = examine_pictures(dataset, lambda done, split=split, total=total: progress(split, done, total))  # type: ignore[misc]
        notes += [note for one in seen[split] for note in one.notes]
        notes += box_notes(dataset)
    notes += find_duplicates(splits, seen)
    if Path(path).is_dir():  # a single file may be one of several that share a folder of pictures
        notes += find_unlisted(splits)
    if splits:
        training = next((name for name in ("train", "trainval") if name in splits), next(iter(splits)))
        notes += class_notes(splits, training)
    reason, messages = "", tuple[str, ...]()
    try:
        messages = _try_training(_Checked(path, own, val, others, parts, splits, broken, seen))
    except DatasetError as error:
        reason = str(error)
        if isinstance(error, Fault):
            notes.append(Note(error.kind, "noted", str(path), "", "", reason))
    totals = {split: _totals(dataset, parts[split][0]) for split, dataset in splits.items()}
    return Report(str(path), totals, tuple(_sort_by_severity(notes)), reason, messages)


def _read_splits(parts: dict[str, list[Part]], notes: list[Note]) -> tuple[dict[str, Dataset], dict[str, DatasetError]]:
    """The splits that can be read, and the errors of the others."""
    splits: dict[str, Dataset] = {}
    broken: dict[str, DatasetError] = {}
    for split, several in parts.items():
        try:
            splits[split] = join([read_part(part) for part in several])
        except DatasetError as error:
            broken[split] = error
            notes.append(Note("unusable data set", "fault", str(several[0].source), "", "", str(error)))
        else:
            notes += splits[split].notes
    return splits, broken


@dataclass(frozen=True)
class _Checked:
    """The parts found and the splits read, by their names in the report."""

    path: str | Path
    own: Sequence[Part]
    val: str | Path | None
    others: Sequence[Part]
    parts: dict[str, list[Part]]
    splits: dict[str, Dataset]
    broken: dict[str, DatasetError]
    seen: dict[str, list[Seen]]


def _try_training(checked: _Checked) -> tuple[str, ...]:
    """The messages of `train`. Raises DatasetError if it would stop; a Fault, if no other case says why."""
    try:
        train = training_parts(checked.own, checked.path)
        val = validation_parts(checked.own, checked.path, alone=False)
        if checked.val is not None:
            val = validation_parts(checked.others, checked.val, alone=True)
    except DatasetError as error:
        raise Fault("no training part", str(error)) from error
    sets: list[list[Dataset]] = []
    for used in (train, val):
        names = [
            name for name, several in checked.parts.items() if any(part is one for part in several for one in used)
        ]
        for name in names:
            if name in checked.broken:
                raise checked.broken[name]
            raise_faults(checked.splits[name], checked.path)
            faults = [note for one in checked.seen[name] for note in one.notes if note.action == "fault"]
            if faults:
                raise DatasetError(str(faults[0]))
        sets.append([checked.splits[name] for name in names])
    try:
        used = train if checked.val is not None else [*train, *val]
        return arrange(sets[0], sets[1], describe_unused(checked.own, used, checked.path)).messages
    except DatasetError as error:
        raise Fault("unusable for training", str(error)) from error


def _without_same(own: Sequence[Part], others: Sequence[Part]) -> list[Part]:
    """The parts of a path without those that are given as the validation set, too, but for what is trained on."""

    def place(part: Part, parts: Sequence[Part]) -> tuple[str, str]:
        alone = sum(one.source == part.source for one in parts) == 1
        return os.path.realpath(part.source), "" if alone else part.split

    given, alone = {place(part, others) for part in others}, len(splits_of(own)) == 1
    return [part for part in own if alone or part.split in ("train", "trainval") or place(part, own) not in given]


def _validation_parts(parts: dict[str, list[Part]], others: Sequence[Part]) -> dict[str, list[Part]]:
    """The parts of a second path, renamed where the first one uses the name."""
    given = splits_of([part for part in others if part.split == "val"] or others)
    shown = {name: "val" if len(given) == 1 else name for name in given}
    return {f"{shown[n]} (--val)" if shown[n] in parts else shown[n]: several for n, several in given.items()}


def _totals(dataset: Dataset, part: Part) -> Totals:
    actions = Counter(note.action for note in dataset.notes)
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
        measure_shapes(dataset),
    )


def _sort_by_severity(notes: Sequence[Note]) -> list[Note]:
    order = {kind: position for position, kind in enumerate(KINDS)}
    return sorted(notes, key=lambda note: (FAULT_LEVELS.index(KINDS[note.kind].level), order[note.kind]))

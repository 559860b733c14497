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
from ssd300.data.dataset import Dataset, Note, join
from ssd300.data.kinds import KINDS, Level
from ssd300.data.look import find_parts, read_part
from ssd300.data.parts import Part, distinct, splits_of, training_parts, validation_parts
from ssd300.data.usable import arrange, parts_not_used, raise_faults
from ssd300.errors import DatasetError
from ssd300.files import write_whole

FAULT_LEVELS: tuple[Level, ...] = ("error", "warning", "note")


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
    """What a check found: totals per split (by name), and the cases, gravest kinds first.

    `reason` is why `ssd300 train` would stop, empty where it would not; `said` what it would say of its parts.
    """

    path: str
    totals: dict[str, Totals]
    cases: tuple[Note, ...]
    reason: str = ""
    said: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether `ssd300 train` would take this data set."""
        return not self.reason

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
            "usable": self.usable,
            "reason": self.reason,
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
        write_whole(
            path, text.getvalue().encode("utf-8-sig", "backslashreplace")
        )  # with its mark, so that spreadsheets know the encoding


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
    own = distinct(find_parts(path, format))
    parts = {split: [part for part in own if part.split == split] for split in splits_of(own)}
    others = find_parts(val, format) if val is not None else []
    parts |= _validation_parts(parts, others)
    splits: dict[str, Dataset] = {}
    broken: dict[str, str] = {}
    notes: list[Note] = []
    for split, several in parts.items():
        try:
            read = [read_part(part) for part in several]
            splits[split] = read[0] if len(read) == 1 else join(read)
        except DatasetError as error:
            broken[split] = str(error)
            notes.append(Note("unusable data set", "fault", str(several[0].source), "", "", str(error)))
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
        notes += class_notes(
            splits, next((name for name in ("train", "trainval") if name in splits), next(iter(splits)))
        )
    verdict = _verdict(_Checked(path, own, val, others, parts, splits, broken, seen))
    notes += verdict.notes
    totals = {split: _totals(dataset, parts[split][0]) for split, dataset in splits.items()}
    return Report(str(path), totals, tuple(_by_gravity(notes)), verdict.reason, verdict.said)


@dataclass(frozen=True)
class _Checked:
    """What was found and read; `parts` and `splits` by the names of the report."""

    path: str | Path
    own: Sequence[Part]
    val: str | Path | None
    others: Sequence[Part]
    parts: dict[str, list[Part]]
    splits: dict[str, Dataset]
    broken: dict[str, str]
    seen: dict[str, list[Seen]]


@dataclass(frozen=True)
class _Verdict:
    """Why `train` would stop, or nothing; the note on it, where no other case says so; what it would say."""

    reason: str = ""
    notes: tuple[Note, ...] = ()
    said: tuple[str, ...] = ()


def _verdict(checked: _Checked) -> _Verdict:
    """What `usable_sets` would do with the parts that were read, and training with their pictures."""
    place = (str(checked.path), "", "")
    try:
        train = training_parts(checked.own, checked.path)
        val = validation_parts(checked.own, checked.path, alone=False)
        if checked.val is not None:
            val = validation_parts(checked.others, checked.val, alone=True)
    except DatasetError as error:
        return _Verdict(str(error), (Note("no training part", "noted", *place, str(error)),))
    sets: list[list[Dataset]] = []
    for used in (train, val):
        names = [name for name, several in checked.parts.items() if any(part in used for part in several)]
        for name in names:
            reason = checked.broken.get(name, "") or _faults(checked.splits[name], checked.seen[name], checked.path)
            if reason:
                return _Verdict(reason)
        sets.append([checked.splits[name] for name in names])
    try:
        usable = arrange(sets[0], sets[1], parts_not_used(checked.own, [*train, *val], checked.path))
    except DatasetError as error:
        return _Verdict(str(error), (Note("unusable for training", "noted", *place, str(error)),))
    return _Verdict(said=usable.said)


def _faults(dataset: Dataset, seen: Sequence[Seen], path: str | Path) -> str:
    """The first thing that stops training: a fault of an entry, or of a picture."""
    try:
        raise_faults(dataset, path)
    except DatasetError as error:
        return str(error)
    return next((str(note) for one in seen for note in one.notes if note.action == "fault"), "")


def _validation_parts(parts: dict[str, list[Part]], others: Sequence[Part]) -> dict[str, list[Part]]:
    """The parts of a second path under names that the first one does not use."""
    chosen = [part for part in others if part.split == "val"] or list(others)
    names = splits_of(chosen)
    given = {name: [part for part in chosen if part.split == name] for name in names}
    shown = {name: "val" if len(names) == 1 else name for name in names}
    return {f"{shown[n]} (--val)" if shown[n] in parts else shown[n]: several for n, several in given.items()}


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
    return sorted(notes, key=lambda note: (FAULT_LEVELS.index(KINDS[note.kind].level), order[note.kind]))

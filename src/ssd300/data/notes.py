"""Cases found in a data set: their kinds, their places, and faults of single entries, which do not end the reading."""

from dataclasses import dataclass
from typing import Literal

from ssd300.errors import DatasetError

Level = Literal["error", "warning", "note"]
Action = Literal["noted", "clipped", "refused", "fault"]
Place = tuple[str, str, str]  # file, picture, annotation
LEAST_SCORE = 0.35  # a box with a lower score is neither object nor background in training


@dataclass(frozen=True)
class Note:
    """One case found while reading a data set, with its place.

    `action` is its consequence: "noted" (kept unchanged), "clipped" (the box was clipped to the picture), "refused"
    (the box is left out) or "fault" (`load_dataset` raises; only `check` continues and collects them all).
    """

    kind: str
    action: Action
    file: str
    picture: str
    annotation: str
    words: str

    def __post_init__(self) -> None:
        """Drop the name with which the words of a reader's error begin: the place has it."""
        words = self.words.removeprefix(f"{self.file}: ").removeprefix(f"{self.picture}: ")
        object.__setattr__(self, "words", words)

    def __str__(self) -> str:
        parts = (("", self.file), ("picture ", self.picture), ("annotation ", self.annotation))
        return f"{', '.join(what + name for what, name in parts if name)}: {self.words}"


class Fault(DatasetError):
    """An entry cannot be used. It has the kind of case, but not its place, which the reader knows."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind = kind


class Notes(list[Note]):
    """The notes of a reader."""

    def add(self, kind: str, action: Action, words: str, file: object, picture: str = "", annotation: str = "") -> None:
        self.append(Note(kind, action, str(file), picture, annotation, words))

    def faults_at(
        self, file: object, picture: str = "", annotation: str = "", *, kind: str = "malformed entry"
    ) -> "_FaultsAt":
        """Around the reading of one entry: a Fault inside becomes a note; any other DatasetError, too, of this kind."""
        return _FaultsAt(self, (file, picture, annotation), kind)


@dataclass(slots=True)
class _FaultsAt:
    notes: Notes
    place: tuple[object, str, str]
    kind: str

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, DatasetError):
            self.notes.add(error.kind if isinstance(error, Fault) else self.kind, "fault", str(error), *self.place)
        return isinstance(error, DatasetError)


@dataclass(frozen=True)
class Kind:
    level: Level  # error: training would refuse or lose something; warning: it would probably suffer
    remedy: str


KINDS: dict[str, Kind] = {  # of cases in reports: the level, and how to fix it
    # the data set as a whole
    "unusable data set": Kind("error", "fix the named file; nothing of this split was read"),
    "no boxes": Kind("error", "label some pictures, or check whether the labels are in another folder"),
    "unusable for training": Kind("error", "`ssd300 train` stops with this message; fix what it names"),
    "no training part": Kind("warning", "nothing, if it is only for evaluation; else name one part train"),
    "suspected box format": Kind(
        "error", "write the boxes as the format requires, or choose the format that they have"
    ),
    "too many boxes": Kind("error", "fix the file; a picture does not have this many distinct objects"),
    # entries of annotation files
    "malformed entry": Kind("error", "fix or delete the entry"),
    "malformed line": Kind("error", "fix or delete the line"),
    "malformed XML": Kind("error", "write the file again"),
    "malformed box": Kind("error", "give the box four numbers"),
    "non-finite number": Kind("error", "draw the box again; check the program that wrote it"),
    "unreadable label file": Kind("error", "write the file again as UTF-8 text"),
    "missing label file": Kind("error", "remove the picture from the list, or write its label file"),
    "sidecar out of date": Kind("error", "convert again, or delete ssd300.json"),
    "field not used": Kind("note", "nothing; training needs only boxes, classes, flags, areas and scores"),
    "numbers not used": Kind("note", "nothing, if they are what the case says; else write only boxes"),
    # ids and names
    "unknown image id": Kind("error", "add the picture to the file, or delete the box"),
    "unknown class id": Kind("error", "add the class to the list, or fix the class of the box"),
    "duplicate class": Kind("error", "give every class one id and one name"),
    "other class list": Kind("warning", "keep the list with which the labels were written, and delete the other"),
    "class left out": Kind("note", "nothing; the entry has no boxes"),
    "duplicate image id": Kind("error", "give every picture its own id"),
    "duplicate annotation id": Kind("warning", "renumber the annotations; both boxes are kept"),
    "similar class names": Kind("warning", "merge them if they are the same class"),
    "unused class": Kind("warning", "label some objects, or remove it from the list"),
    "rare class": Kind("warning", "label more objects; so few are hardly learned, and their AP is mostly noise"),
    "unbalanced classes": Kind("note", "expect lower recall on rare classes; more pictures of them help most"),
    "class unknown in training": Kind("error", "move some of its pictures to training, or remove its boxes"),
    "class only in validation": Kind("warning", "it cannot be learned: move pictures, or split again"),
    "class not in validation": Kind("note", "its AP cannot be measured: move pictures, or split again"),
    # pictures
    "missing picture": Kind("error", "add the picture, or delete its entry"),
    "corrupt picture": Kind("error", "replace the file, or delete it and its entry"),
    "wrong picture size": Kind("error", "fix width and height, and check that the boxes fit the picture"),
    "EXIF-rotated picture": Kind(
        "error", "rotate the pixels and drop the tag, or draw the boxes on the upright picture"
    ),
    "EXIF-turned picture": Kind("warning", "check with `ssd300 data view` that the boxes fit the upright picture"),
    "duplicate picture": Kind("warning", "delete one of them"),
    "similar pictures": Kind(
        "note", "nothing within one split; a drawn validation set may separate them, which inflates its AP: give --val"
    ),
    "train/validation leakage": Kind("error", "move the picture; memorized pictures inflate the validation AP"),
    "picture listed twice": Kind("error", "merge the entries: objects labeled in only one train as background"),
    "picture not listed": Kind("note", "list it to train on it; it is not read"),
    "picture without label file": Kind("warning", "it trains as empty: write its label file if it has objects"),
    "label file without picture": Kind("error", "add the picture, or delete the label file"),
    "label file shared": Kind("error", "give each picture its own name"),
    # boxes
    "box without picture": Kind("error", "fix the entry of its picture, with which it was left out"),
    "box over the edge": Kind("warning", "nothing; the box was clipped to the picture"),
    "box outside": Kind("error", "draw the box again; it is left out, and its object trains as background"),
    "degenerate box": Kind("error", "draw the box again; it is left out, and its object trains as background"),
    "pixels instead of fractions": Kind("error", "divide by the picture's width and height"),
    "tiny box": Kind("warning", "cut the pictures into tiles, or mark it `ignore`: at 300x300 it is hardly visible"),
    "duplicate box": Kind("warning", "delete one of them"),
    "one box, two classes": Kind("warning", "keep the right class, if it is one object"),
    "no matching prior": Kind("note", "nothing; it is matched to its best default box, but learned slowly"),
}

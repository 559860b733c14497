"""Cases found while reading a data set, and faults of single entries, which do not end the reading."""

from dataclasses import dataclass
from typing import Literal

from ssd300.errors import DatasetError

Action = Literal["noted", "clipped", "refused", "fault"]
Place = tuple[str, str, str]  # file, picture, annotation


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

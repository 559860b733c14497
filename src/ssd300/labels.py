"""Class lists: the class names of a model, with the user's ids. The background is internal and never listed."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ssd300.arrays import Int64
from ssd300.digits import as_plain, whole_number
from ssd300.errors import ArgumentError, unknown_name


@dataclass(frozen=True)
class ClassList:
    """Names and ids of the K-1 object classes of a model. Position i belongs to the network's label i + 1.

    Lists and arrays become tuples. Raises ArgumentError for names that are no texts, ids that are no whole numbers, and
    what is given twice.

    Examples:
        >>> ClassList(("cat", "dog"), (7, 9)).ids_of_labels(np.array([2, 1])).tolist()
        [9, 7]
    """

    names: tuple[str, ...]
    ids: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", _as_names(self.names))
        ids = as_plain(self.ids)
        if not isinstance(ids, tuple) or not all(type(i) is int and abs(i) < 2**63 for i in ids):
            raise ArgumentError(f"class ids must be a list of whole numbers of 64 bits, got {self.ids!r:.80}")
        object.__setattr__(self, "ids", ids)
        if len(self.names) != len(self.ids):
            raise ArgumentError(f"a class list needs one id per name: {len(self.names)} names, {len(self.ids)} ids")
        for what, values in (("name", self.names), ("id", self.ids)):
            twice = sorted({str(v) for v, times in Counter(values).items() if times > 1})
            if twice:
                raise ArgumentError(f"class {what}s must be unique; given more than once: {', '.join(twice)}")

    @classmethod
    def from_names(cls, names: Sequence[str]) -> "ClassList":
        """Names with ids 1, 2, 3, ... Raises ArgumentError for what is not a list of texts."""
        names = _as_names(names)
        return cls(names, tuple(range(1, len(names) + 1)))

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def position_of_id(self) -> dict[int, int]:
        return {class_id: position for position, class_id in enumerate(self.ids)}

    @cached_property
    def position_of_name(self) -> dict[str, int]:
        return {name: position for position, name in enumerate(self.names)}

    def ids_of_labels(self, labels: Int64) -> Int64:
        """Network labels 1..K-1 [N] -> ids [N]."""
        return np.asarray(self.ids, np.int64)[np.asarray(labels, np.int64) - 1]

    def to_lines(self) -> str:
        """The text of a file with one name per line, by position; a line break in a name becomes a space.

        Examples:
            >>> ClassList(("cat", "two\\nwords"), (7, 9)).to_lines()
            'cat\\ntwo words\\n'
        """
        return "".join(" ".join(name.splitlines()) + "\n" for name in self.names)

    def name_of_id(self, class_id: int) -> str:
        return self.names[self.position_of_id[int(class_id)]]

    def position_of(self, label: str | int) -> int:
        """The position of a class name, in any letter case, or of an id (17 or "17").

        Accents may be composed or not. An exact match comes before another spelling, and names come before ids. Raises
        ArgumentError, which suggests the nearest name, if the label is not in the list.

        Examples:
            >>> classes = ClassList(("cat", "Dog"), (7, 9))
            >>> classes.position_of("dog"), classes.position_of("7")
            (1, 0)
        """
        if isinstance(label, str):
            if label in self.names:
                return self.names.index(label)
            folded, wanted = [label_key(name) for name in self.names], label_key(label)
            if folded.count(wanted) == 1:
                return folded.index(wanted)
        number = whole_number(label) if isinstance(label, str) else as_plain(label)
        if number is not None and number in self.position_of_id:
            return self.position_of_id[number]
        kind, known = ("class name", self.names) if number is None else ("class id", tuple(map(str, self.ids)))
        raise unknown_name(kind, str(label)[:80], known)

    def mirrored_pairs(self) -> list[tuple[str, str]]:
        """Pairs of names that differ in left and right only.

        Examples:
            >>> ClassList.from_names(["Left-turn", "u-turn", "right-turn"]).mirrored_pairs()
            [('Left-turn', 'right-turn')]
        """
        other = {"left": "right", "right": "left"}
        names = {name.casefold(): name for name in self.names}
        twins = {name: re.sub("left|right", lambda side: other[side[0]], name) for name in names}
        return [(names[name], names[twin]) for name, twin in twins.items() if name < twin and twin in names]

    def positions_of_names(self, names: Sequence[str]) -> list[int]:
        """Positions of names in this list. Raises ArgumentError with the nearest name for an unknown one."""
        for name in names:
            if name not in self.position_of_name:
                raise unknown_name("class name", name, self.names)
        return [self.position_of_name[name] for name in names]


def label_key(name: str) -> str:
    """A key that is equal for names that differ in letter case, or in whether accents are composed, only."""
    return unicodedata.normalize("NFC", name.casefold())


def _as_names(given: object) -> tuple[str, ...]:
    names = tuple(map(as_plain, given)) if isinstance(given, Iterable) and not isinstance(given, str) else (None,)
    if not all(isinstance(name, str) for name in names):
        raise ArgumentError(f"class names must be a list of texts, got {given!r}")
    return names


def parse_labels(texts: Iterable[str], known: Sequence[str]) -> list[str]:
    """The labels in texts with commas; a text that is a known name, which may have a comma, is one label.

    >>> parse_labels(["cat, dog", "bag, small", " bag"], ("cat", "dog", "bag, small", " bag"))
    ['cat', 'dog', 'bag, small', ' bag']
    """
    parts = (part for text in texts for part in ([text] if text in known else map(str.strip, text.split(","))))
    return [part for part in parts if part]


# fmt: off
COCO_NAMES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear",
    "hair drier", "toothbrush",
)
_COCO_GAPS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}  # ids 1..90 that COCO never used
# fmt: on
COCO = ClassList(COCO_NAMES, tuple(i for i in range(1, 91) if i not in _COCO_GAPS))

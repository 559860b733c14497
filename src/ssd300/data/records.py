"""From the labeled objects of each picture, as annotation tools write them, to a data set."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ssd300.data.dataset import Annotations, Dataset, Picture
from ssd300.data.files import folder_name, stated_size
from ssd300.data.finder import PictureFinder, data_folder, places_of_label_file
from ssd300.data.fitting import check_format, fit_picture, to_corners
from ssd300.data.notes import Fault, Note, Notes
from ssd300.data.parts import WHOLE, Part
from ssd300.data.shapes import visible_part
from ssd300.data.values import class_name, numbers
from ssd300.errors import DatasetError
from ssd300.images.folders import has_picture_extension
from ssd300.labels import ClassList
from ssd300.limits import BOXES_PER_PICTURE, CLASSES


class LabeledObject(NamedTuple):
    """One labeled object. `box` is in the box format of its set ("xyxy", ...); None if missing or malformed.

    `place` is its place ("box 3"); `given` the original value if the box is malformed. `around`: the box is around a
    turned or round shape, of which only the part inside the picture counts.
    """

    name: Any  # a text, once it is checked
    box: Sequence[Any] | None  # four numbers, once it is checked
    place: str
    given: object = None
    crowd: bool = False
    ignore: bool = False
    score: float = 1.0
    around: bool = False


@dataclass(frozen=True)
class Record:
    """One picture with its objects from a file: its name (or stem), and its size if given.

    `beside`: the stem of a picture to take where the named one is missing; `remedy`: what to add to that message.
    """

    file_name: str
    objects: Sequence[LabeledObject]
    file: Path
    width: object = None
    height: object = None
    beside: str = ""
    remedy: str = ""


class LabeledPicture(NamedTuple):
    """A picture with its size, and the objects that can be used; `labels` is the file with these."""

    path: Path
    size_wh: tuple[int, int]
    objects: list[LabeledObject]
    file_name: str
    labels: Path

    def fit(
        self, classes: ClassList, notes: Notes, box_format: str, *, fractions: bool = False, **known: Any
    ) -> Annotations:
        """The objects with their boxes fitted to the picture; `known` are fields that differ from the objects'."""
        boxes = to_corners(np.array([one.box for one in self.objects], np.float64).reshape(-1, 4), box_format)
        if fractions:
            boxes = boxes * np.array([*self.size_wh, *self.size_wh], np.float64)
        ids = np.array([classes.ids[classes.position_of_name[one.name]] for one in self.objects], np.int64)
        places = [(str(self.labels), self.file_name, one.place) for one in self.objects]
        flags = {name: [getattr(one, name) for one in self.objects] for name in ("crowd", "ignore")}
        fields = {**flags, "scores": [one.score for one in self.objects], **known}
        return fit_picture(boxes, ids, self.size_wh, places, notes, fields)


def classes_of(pictures: Sequence[LabeledPicture], source: Path, listed: Sequence[str] = ()) -> ClassList:
    """The listed classes, then the others of the objects. Raises DatasetError for more than the limit."""
    found = {labeled.name for one in pictures for labeled in one.objects}
    names = [*dict.fromkeys(listed), *sorted(found - set(listed))]
    if len(names) > CLASSES:
        raise DatasetError(f"{source}: {len(names):,} class names; at most {CLASSES:,} are read")
    return ClassList.from_names(names)


def format_notes(
    pictures: Sequence[LabeledPicture], source: Path, box_format: str, *, fractions: bool = False
) -> list[Note]:
    """`check_format` of the boxes of all pictures."""
    boxes = np.array([labeled.box for one in pictures for labeled in one.objects], np.float64).reshape(-1, 4)
    each = [(1, 1) if fractions else one.size_wh for one in pictures for _ in one.objects]
    return check_format(boxes, box_format, np.array(each, np.float64).reshape(-1, 2), str(source))


@dataclass
class RecordReader:
    """Turns records into a data set. `fractions`: boxes are in fractions of the picture instead of pixels."""

    part: Part
    folder: Path
    finder: PictureFinder
    box_format: str = "xyxy"
    fractions: bool = False
    stems: bool = False  # names have no extension, even if they contain a dot; a name with one is also tried
    names: Sequence[str] = ()  # the classes, if there is a list of them
    notes: Notes = field(default_factory=Notes)
    unused: Counter[str] = field(default_factory=Counter)  # what is not used -> how many

    @classmethod
    def of_file(cls, part: Part, *, folders_of: str = "", **options: Any) -> "RecordReader":
        """A reader of a file of labels that is beside its pictures, or in a folder of labels.

        `folders_of`: the part whose folders are searched, if it is not that of the file.
        """
        places = places_of_label_file(part.source, folders_of or part.split)
        return cls(part, data_folder(part.source), PictureFinder(*places), **options)

    def read(self, records: Iterable[Record]) -> Dataset:
        """Read all records. Raises DatasetError for more classes than the limit."""
        usable: list[LabeledPicture] = []
        for record in records:
            with self.notes.faults_at(record.file, record.file_name):
                usable += filter(None, [self._locate(record)])
        classes = classes_of(usable, self.part.source, self.names)
        self.notes += format_notes(usable, self.part.source, self.box_format, fractions=self.fractions)
        for what, count in (+self.unused).items():
            self.notes.add("field not used", "noted", f"{count} {what} are not used", self.part.source)
        pictures = [self._make_picture(one, classes) for one in usable]
        name = folder_name(self.folder)
        name = name if self.part.split == WHOLE else f"{name}/{self.part.split}"
        return Dataset(name, classes, tuple(_make_ids_unique(pictures)), tuple(self.notes), (self.folder,))

    def _locate(self, record: Record) -> LabeledPicture | None:
        """The picture of a record with its usable objects; None without a size. Raises Fault."""
        name = record.file_name
        clean = bool(name.strip()) and "\0" not in name
        bare = not has_picture_extension(name)
        found = self.finder.find_stem(name) if clean and self.stems else None
        found = found or (self.finder.find(name) if clean else None)
        found = found or (self.finder.find_stem(name) if clean and bare else None)
        found = found or (self.finder.find_stem(record.beside) if record.beside else None)
        tried = self.finder.list_candidates(f"{name}.*" if bare else name) if clean else [Path(repr(name))]
        if found is None:
            words = self.finder.describe_missing(f"{name}.*" if bare else name) if clean else f"tried {name!r}"
            words = f"it is missing; {words}{record.remedy}"
            self.notes.add("missing picture", "fault", words, record.file, record.file_name)
        size = stated_size(record.width, record.height, found)
        if size is None:
            return None
        if len(record.objects) > BOXES_PER_PICTURE:
            words = f"{len(record.objects):,} boxes; at most {BOXES_PER_PICTURE:,} are read of one picture"
            raise Fault("too many boxes", words)
        objects: list[LabeledObject] = []
        for labeled in record.objects:
            with self.notes.faults_at(record.file, record.file_name, labeled.place):
                objects.append(_check(labeled, size))
        return LabeledPicture(found or tried[0], size, objects, record.file_name, record.file)

    def _make_picture(self, one: LabeledPicture, classes: ClassList) -> Picture:
        fitted = one.fit(classes, self.notes, self.box_format, fractions=self.fractions)
        bare = not has_picture_extension(one.file_name)
        name = one.path.name if bare and os.path.isfile(one.path) else one.file_name
        return Picture(one.path, one.file_name, *one.size_wh, fitted, name, labels=one.labels)


def _check(labeled: LabeledObject, size: tuple[int, int]) -> LabeledObject:
    """The object with its class name as a text and its box as numbers. Raises Fault."""
    name = class_name(labeled.name)
    if name is None:
        raise Fault("unknown class id", f"the class name is {labeled.name!r:.60}; expected a text")
    box = numbers(labeled.box or ())
    if box is None or len(box) != 4:
        given = labeled.box if labeled.given is None else labeled.given
        raise Fault("malformed box", f"the box is {given!r:.80}; expected four numbers")
    return labeled._replace(name=name, box=visible_part(box, size) if labeled.around else box)


def _make_ids_unique(pictures: Sequence[Picture]) -> Iterable[Picture]:
    """The pictures with unique ids; the second of one name gets "NAME (2)"."""
    seen: dict[int | str, int] = {}
    for picture in pictures:
        seen[picture.image_id] = seen.get(picture.image_id, 0) + 1
        times = seen[picture.image_id]
        yield picture if times == 1 else replace(picture, image_id=f"{picture.image_id} ({times})")

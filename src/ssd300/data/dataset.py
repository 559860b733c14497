"""The type of every data set: pictures as paths, boxes in pixels, classes with the user's names and ids."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from ssd300.arrays import Bool, Float32, Int64, UInt8
from ssd300.boxes import area
from ssd300.data.notes import Note
from ssd300.digits import counted, numbered
from ssd300.errors import ArgumentError, DatasetError
from ssd300.images.decode import DecodeMode
from ssd300.images.source import read_picture
from ssd300.labels import ClassList
from ssd300.result import rows_of


@dataclass(frozen=True, eq=False)
class Annotations:
    """The M true boxes of one picture. All arrays have length M.

    `boxes_xyxy` float32 [M, 4] in pixels of the picture after EXIF orientation; `class_ids` int64, the user's ids;
    `crowd` a region of many objects; `ignore` neither object nor background (VOC's `difficult`);
    `area` float32 in square pixels (COCO: of the mask; else width * height); `scores` float32, 1 where a person drew
    the box; `ids` int64, the annotation ids of the file, or 0 where the format has none.
    """

    boxes_xyxy: Float32
    class_ids: Int64
    crowd: Bool
    ignore: Bool
    area: Float32
    scores: Float32
    ids: Int64

    def __post_init__(self) -> None:
        if self.boxes_xyxy.shape != (len(self.class_ids), 4):
            raise ArgumentError(
                f"boxes of shape {self.boxes_xyxy.shape} for {len(self.class_ids)} class ids: expected [M, 4]"
            )

    @classmethod
    def of(
        cls,
        boxes_xyxy: Float32,
        class_ids: Int64,
        *,
        crowd: Bool | None = None,
        ignore: Bool | None = None,
        areas: Float32 | None = None,
        scores: Float32 | None = None,
        ids: Int64 | None = None,
    ) -> "Annotations":
        """From boxes [M, 4] and class ids [M]; other fields have defaults (no flags, area w * h, score 1, id 0).

        >>> Annotations.of(np.zeros((0, 4)), np.zeros(0)).boxes_xyxy.shape
        (0, 4)
        """
        boxes = np.ascontiguousarray(boxes_xyxy, np.float32).reshape(-1, 4)
        count = len(boxes)
        return cls(
            boxes,
            np.asarray(class_ids, np.int64),
            np.zeros(count, bool) if crowd is None else np.asarray(crowd, bool),
            np.zeros(count, bool) if ignore is None else np.asarray(ignore, bool),
            area(boxes) if areas is None else np.asarray(areas, np.float32),
            np.ones(count, np.float32) if scores is None else np.asarray(scores, np.float32),
            np.zeros(count, np.int64) if ids is None else np.asarray(ids, np.int64),
        )

    @classmethod
    def empty(cls) -> "Annotations":
        """No boxes: the picture trains as a negative."""
        return cls.of(np.zeros((0, 4), np.float32), np.zeros(0, np.int64))

    def __len__(self) -> int:
        return len(self.class_ids)

    def __eq__(self, other: object) -> bool:
        """Equal to the last bit in every field."""
        return isinstance(other, Annotations) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__
        )

    def select(self, index: Bool | Int64) -> "Annotations":
        """Select by a mask [M] or an index array, in every field."""
        return Annotations(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


class Payload(Protocol):
    """The location of a packed picture, a slice of a file, read on demand."""

    @property
    def size(self) -> int: ...  # bytes

    def stored(self) -> bytes: ...

    def read(self) -> UInt8: ...


@dataclass(frozen=True)
class Picture:
    """One picture: its path, its size after EXIF orientation in pixels, and its boxes.

    `file_name` is the name as the user wrote it; `path` the file found under it; `labels` the file with its boxes. A
    picture of a packed file has a `payload`, and `path` is the packed file. Cheap to pickle, as it holds no pixels.
    """

    path: Path
    image_id: int | str
    width: int
    height: int
    annotations: Annotations
    file_name: str
    payload: Payload | None = None
    labels: Path | None = None

    @property
    def name(self) -> str:
        """Its name in messages and results: its path, or its file name if it is in a packed file."""
        return str(self.path) if self.payload is None else self.file_name

    def read(self) -> UInt8:
        """The pixels, uint8 RGB [H, W, 3] after EXIF orientation.

        Raises ImageError if the file cannot be read and DatasetError if its size differs from the annotations,
        because then the boxes are wrong.
        """
        return self.read_pixels()[0]

    def read_pixels(
        self, *, decode: DecodeMode = "exact", scratch: UInt8 | None = None
    ) -> tuple[UInt8, tuple[int, int]]:
        """The pixels, and their (height, width): what makes it a source of `Detector.detect`. Errors as of `read`."""
        if self.payload is not None:
            rgb = self.payload.read()
            return rgb, rgb.shape[:2]
        rgb, (height, width) = read_picture(self.path, decode=decode, scratch=scratch)  # [H, W, 3]
        if (height, width) != (self.height, self.width):
            raise DatasetError(
                f"{self.path}: the picture is {width}x{height} after EXIF orientation, but its annotations were made "
                f"for {self.width}x{self.height}. See `ssd300 data check`"
            )
        return rgb, (height, width)


@dataclass(frozen=True)
class Dataset:
    """Pictures with their boxes and classes; `notes` lists every case found while reading.

    The pictures should be in `folders`, at any depth; empty means anywhere.
    """

    name: str
    classes: ClassList
    pictures: tuple[Picture, ...]
    notes: tuple[Note, ...] = ()
    folders: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def num_boxes(self) -> int:
        return sum(len(picture.annotations) for picture in self.pictures)

    def subset(self, indices: Iterable[int], name: str | None = None) -> "Dataset":
        """The pictures at these positions, in this order, or of a mask [N], with the notes on them and on the set.
        Raises ArgumentError or IndexError for what is neither."""
        pictures = tuple(self.pictures[i] for i in rows_of(list(indices), len(self), "pictures").tolist())
        shared = Counter(str(picture.labels) for picture in self.pictures)

        def places(pictures: Sequence[Picture]) -> set[tuple[str, str]]:
            own = {(str(p.labels), "") for p in pictures if shared[str(p.labels)] == 1}  # label files of one picture
            return own | {(str(p.labels), p.file_name) for p in pictures}

        mine, known = places(pictures), places(self.pictures)
        placed = ((note, {(note.file, note.picture), (note.file, "")} & known) for note in self.notes)
        notes = tuple(note for note, at in placed if not at or at & mine)
        return Dataset(name or self.name, self.classes, pictures, notes, self.folders)

    def boxes_per_class(self) -> dict[str, int]:
        """Class name -> number of boxes, in the order of the class list, zeros included."""
        counts = Counter(label for picture in self.pictures for label in picture.annotations.class_ids.tolist())
        return {name: counts[i] for name, i in zip(self.classes.names, self.classes.ids, strict=True)}

    def summary(self) -> str:
        """One line of text: pictures, boxes, classes, and the number of clipped and refused boxes."""
        negatives = sum(len(picture.annotations) == 0 for picture in self.pictures)
        actions = Counter(note.action for note in self.notes)
        kept, clipped, refused = self.num_boxes - actions["clipped"], actions["clipped"], actions["refused"]
        return (
            f"{self.name}: {counted(len(self), 'picture')} ({negatives} without boxes), {len(self.classes)} classes; "
            f"boxes: {kept} kept, {clipped} clipped, {refused} refused"
        )

    def __repr__(self) -> str:
        return f"Dataset({self.summary()})"

    def with_classes(self, classes: ClassList) -> "Dataset":
        """The same boxes with another class list, by name. Raises ArgumentError where it lacks a class with boxes."""
        if classes == self.classes:
            return self
        classes.positions_of_names([name for name, count in self.boxes_per_class().items() if count])
        new_ids = dict(zip(classes.names, classes.ids, strict=True))
        new_id = {i: new_ids.get(name, -1) for name, i in zip(self.classes.names, self.classes.ids, strict=True)}

        def moved(annotations: Annotations) -> Annotations:
            ids = np.array([new_id[i] for i in annotations.class_ids.tolist()], np.int64)
            return replace(annotations, class_ids=ids)

        pictures = tuple(replace(picture, annotations=moved(picture.annotations)) for picture in self.pictures)
        return replace(self, classes=classes, pictures=pictures)


def join(datasets: Sequence[Dataset], name: str | None = None) -> Dataset:
    """Join data sets; a single one stays as it is. Classes are joined by name: the first set's, then new ones.

    If ids of two lists collide, a new name takes the next free id. If image ids collide between the sets, those of
    the later one become "NAME/ID", with -2 and so on if that is taken.
    """
    if not datasets:
        raise ArgumentError("no data set given to join")
    if len(datasets) == 1:
        return datasets[0] if name is None else replace(datasets[0], name=name)
    ids = dict(zip(datasets[0].classes.names, datasets[0].classes.ids, strict=True))
    taken = set(ids.values())
    for other in datasets[1:]:
        for class_name, class_id in zip(other.classes.names, other.classes.ids, strict=True):
            if class_name not in ids:
                ids[class_name] = class_id if class_id not in taken else max(taken) + 1
                taken.add(ids[class_name])
    classes = ClassList(tuple(ids), tuple(ids.values()))
    pictures: list[Picture] = []
    seen: set[int | str] = set()
    for dataset in (d.with_classes(classes) for d in datasets):
        for picture in dataset.pictures:
            if picture.image_id in seen:
                others = numbered(f"{dataset.name}/{picture.image_id}")  # sets may have one name, too
                picture = replace(picture, image_id=next(one for one in others if one not in seen))
            seen.add(picture.image_id)
            pictures.append(picture)
    notes = tuple(note for dataset in datasets for note in dataset.notes)
    folders = tuple(dict.fromkeys(folder for dataset in datasets for folder in dataset.folders))
    return Dataset(name or "+".join(d.name for d in datasets), classes, tuple(pictures), notes, folders)

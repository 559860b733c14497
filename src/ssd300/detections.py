"""What was found in one picture: a small frozen dataclass of arrays. Exporters are functions in `formats.py`."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from ssd300.arrays import Float32, Int64, UInt8
from ssd300.errors import ArgumentError
from ssd300.labels import ClassList

if TYPE_CHECKING:
    import pandas
    import PIL.Image
    import supervision

Index = slice | list[int] | list[bool] | NDArray[np.integer] | NDArray[np.bool_]


@dataclass(frozen=True)
class Detection:
    """One object: its box in pixels of the original picture, its score, and the model's id and name of its class."""

    box_xyxy: tuple[float, float, float, float]
    score: float
    class_id: int
    name: str


@dataclass(frozen=True, eq=False)
class Detections:
    """The N objects of one picture, best first.

    boxes_xyxy     float32 [N, 4], pixels of the ORIGINAL picture after EXIF orientation, not clipped to it
    scores         float32 [N], descending
    class_ids      int64 [N], ids of `classes` (COCO: 1..90 with gaps)
    classes        the class list of the model
    image_size_hw  (height, width) of the original picture
    source         the path or URL of the picture, or a word for what it was; None if not known

    The arrays are copies that cannot be written to. Wrong shapes, not finite numbers, scores out of order and unknown
    ids raise ArgumentError.

    >>> from ssd300.labels import COCO
    >>> found = Detections([[10, 20, 30, 60], [0, 0, 5, 5]], [0.9, 0.5], [17, 1], COCO, (480, 640))
    >>> found.names, len(found[found.scores > 0.6])
    (('cat', 'person'), 1)
    """

    boxes_xyxy: Float32
    scores: Float32
    class_ids: Int64
    classes: ClassList
    image_size_hw: tuple[int, int]
    source: str | None = None

    def __post_init__(self) -> None:
        boxes = _frozen("boxes_xyxy", self.boxes_xyxy, np.float32)
        scores = _frozen("scores", self.scores, np.float32)
        class_ids = _frozen("class_ids", self.class_ids, np.int64)
        _check_shapes(boxes, scores, class_ids)
        _check_values(boxes, scores)
        unknown = sorted(set(class_ids.tolist()) - self.classes.position_of_id.keys())
        if unknown:
            raise ArgumentError(f"class_ids must be ids of the class list; not in it: {', '.join(map(str, unknown))}")
        height, width = (int(side) for side in self.image_size_hw)
        if height < 1 or width < 1:
            raise ArgumentError(f"image_size_hw must be (height, width) of at least 1 pixel, got {(height, width)}")
        for name, value in (("boxes_xyxy", boxes), ("scores", scores), ("class_ids", class_ids)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "image_size_hw", (height, width))

    @classmethod
    def empty(cls, classes: ClassList, image_size_hw: tuple[int, int], source: str | None = None) -> "Detections":
        """Nothing found: the same shapes and dtypes with N = 0."""
        return cls(
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            np.zeros(0, np.int64),
            classes,
            image_size_hw,
            source,
        )

    @cached_property
    def positions(self) -> Int64:
        """Dense 0-based positions [N] in `classes`, as YOLO txt and supervision want them."""
        position_of_id = self.classes.position_of_id
        return np.array([position_of_id[class_id] for class_id in self.class_ids.tolist()], np.int64)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The class name of each detection."""
        return tuple(self.classes.names[position] for position in self.positions.tolist())

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[Detection]:
        rows = zip(self.boxes_xyxy.tolist(), self.scores.tolist(), self.class_ids.tolist(), self.names, strict=True)
        return (Detection(tuple(box), score, class_id, name) for box, score, class_id, name in rows)

    @overload
    def __getitem__(self, index: int) -> Detection: ...
    @overload
    def __getitem__(self, index: Index) -> "Detections": ...
    def __getitem__(self, index: int | Index) -> "Detection | Detections":
        """One Detection for an int; Detections for a slice, a bool mask [N] or indices in ascending order."""
        if isinstance(index, int | np.integer):
            if not -len(self) <= index < len(self):
                raise IndexError(f"index {index} of {len(self)} detections")
            box = tuple(self.boxes_xyxy[index].tolist())
            position = self.positions[index]
            return Detection(box, float(self.scores[index]), int(self.class_ids[index]), self.classes.names[position])
        rows = np.arange(len(self))[index if isinstance(index, slice) else _rows(index, len(self))]
        if (np.diff(rows) < 0).any():
            raise ArgumentError(
                "indices must ascend, because detections stay in order of score: sort list(...) instead"
            )
        return Detections(
            self.boxes_xyxy[rows],
            self.scores[rows],
            self.class_ids[rows],
            self.classes,
            self.image_size_hw,
            self.source,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Detections):
            return NotImplemented
        return (
            np.array_equal(self.boxes_xyxy, other.boxes_xyxy)
            and np.array_equal(self.scores, other.scores)
            and np.array_equal(self.class_ids, other.class_ids)
            and (self.classes, self.image_size_hw, self.source) == (other.classes, other.image_size_hw, other.source)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Through the constructor, because numpy forgets when it pickles that an array is read-only.
        return Detections, tuple(getattr(self, field.name) for field in fields(self))

    def __repr__(self) -> str:
        found = ", ".join(f"{name} {score:.2f}" for name, score in zip(self.names[:5], self.scores[:5], strict=True))
        more = f", {len(self) - 5} more" if len(self) > 5 else ""
        height, width = self.image_size_hw
        return f"Detections({found or 'nothing found'}{more}; {self.source or 'picture'}, {width}x{height})"

    def to_dict(self) -> dict[str, Any]:
        """See `formats.to_dict`."""
        from ssd300 import formats

        return formats.to_dict(self)

    def to_json(self, *, indent: int | None = None) -> str:
        """See `formats.to_json`."""
        from ssd300 import formats

        return formats.to_json(self, indent=indent)

    def to_coco(self, image_id: int | str | None = None) -> list[dict[str, Any]]:
        """See `formats.to_coco`."""
        from ssd300 import formats

        return formats.to_coco(self, image_id)

    def to_csv(self, *, header: bool = True) -> str:
        """See `formats.to_csv`."""
        from ssd300 import formats

        return formats.to_csv(self, header=header)

    def to_yolo(self, *, scores: bool = True) -> str:
        """See `formats.to_yolo`."""
        from ssd300 import formats

        return formats.to_yolo(self, scores=scores)

    def to_pandas(self) -> "pandas.DataFrame":
        """See `formats.to_pandas`."""
        from ssd300 import formats

        return formats.to_pandas(self)

    def to_supervision(self) -> "supervision.Detections":
        """See `formats.to_supervision`."""
        from ssd300 import formats

        return formats.to_supervision(self)

    def crop(self, picture: Any = None) -> list[UInt8]:
        """The N pieces uint8 [h, w, 3] of the picture, see `draw.crop`. Without a picture the file `source` is read."""
        from ssd300 import draw

        return draw.crop(draw.pixels_of(self, picture), self.boxes_xyxy)

    def draw(self, picture: Any = None) -> "PIL.Image.Image":
        """A copy of the picture with boxes and names on it. Without a picture the file `source` is read."""
        from ssd300 import draw

        return draw.draw_detections(draw.pixels_of(self, picture), self)

    def save(self, path: str | Path, picture: Any = None) -> None:
        """Write to a file whose ending says what: a drawn picture (.jpg .png .webp), .json, .csv or .txt (YOLO)."""
        from ssd300 import formats

        formats.save(self, Path(path), picture)


def _frozen(name: str, values: Any, dtype: type) -> NDArray[Any]:
    """A read-only copy of the array; ids given as fractions are refused rather than cut."""
    array = np.asarray(values)
    kinds = "iu" if dtype is np.int64 else "iuf"
    if array.size and array.dtype.kind not in kinds:
        raise ArgumentError(f"{name} must be {dtype.__name__}, got {array.dtype}")
    array = np.array(array, dtype)
    array.setflags(write=False)
    return array


def _check_shapes(boxes: Float32, scores: Float32, class_ids: Int64) -> None:
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ArgumentError(f"boxes_xyxy must have shape [N, 4], got {list(boxes.shape)}")
    for name, array in (("scores", scores), ("class_ids", class_ids)):
        if array.shape != (len(boxes),):
            raise ArgumentError(
                f"{name} must have shape [{len(boxes)}], one for each of the {len(boxes)} boxes_xyxy, "
                f"got {list(array.shape)}"
            )


def _check_values(boxes: Float32, scores: Float32) -> None:
    if not np.isfinite(boxes).all():
        raise ArgumentError("boxes_xyxy must be finite, got NaN or infinity")
    if (boxes[:, :2] > boxes[:, 2:]).any():
        row = int(np.flatnonzero((boxes[:, :2] > boxes[:, 2:]).any(1))[0])
        raise ArgumentError(f"boxes_xyxy must be left, top, right, bottom, got {boxes[row].tolist()} in row {row}")
    if not np.isfinite(scores).all():
        raise ArgumentError("scores must be finite, got NaN or infinity")
    if (scores[1:] > scores[:-1]).any():
        raise ArgumentError("scores must descend, best first: sort the detections before")


def _rows(index: Any, count: int) -> Int64:
    """Mask [N] or indices -> ascending rows; a wrong shape, dtype or range says so."""
    array = np.asarray(index)
    if array.size == 0 and array.dtype != bool:
        return np.zeros(0, np.int64)
    if array.dtype == bool:
        if array.shape != (count,):
            raise ArgumentError(f"a mask must have shape [{count}], got {list(array.shape)}")
        return np.flatnonzero(array)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise ArgumentError(f"an index must be an int, slice, mask [N] or indices [M], got {array.dtype} {array.shape}")
    if ((array < -count) | (array >= count)).any():
        raise IndexError(f"indices {array.tolist()} of {count} detections")
    return array.astype(np.int64)

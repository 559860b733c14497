"""The objects detected in one picture: a frozen dataclass of arrays. Exporters are functions in `formats.py`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike, fsdecode
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from ssd300 import formats
from ssd300.arrays import Float32, Int64, UInt8
from ssd300.boxes import clip, xyxy_to_xywh
from ssd300.errors import ArgumentError, SSD300Error
from ssd300.labels import ClassList
from ssd300.result import check_ids, check_shapes, check_values, freeze_array, height_and_width, rows_of

if TYPE_CHECKING:
    import pandas
    import PIL.Image
    import supervision

Index = slice | list[int] | list[bool] | NDArray[np.integer] | NDArray[np.bool_]


@dataclass(frozen=True)
class Detection:
    """One object: its box in pixels of the original picture, score, class, and track id if it was tracked."""

    box_xyxy: tuple[float, float, float, float]
    score: float
    class_id: int
    name: str
    track_id: int | None = None


@dataclass(frozen=True, eq=False)
class Detections:
    """The N objects of one picture; a `Detector` gives them best first.

    Attributes:
        boxes_xyxy: float32 [N, 4], pixels of the ORIGINAL picture after EXIF orientation, not clipped to it
        scores: float32 [N]
        class_ids: int64 [N], ids of `classes` (COCO: 1..90 with gaps)
        classes: the class list of the model
        image_size_hw: (height, width) of the original picture
        source: the path or URL of the picture, or a description such as `"<array>"`; None if not known
        track_ids: int64 [N], the same id for the same object of a class in every frame of a video; None if not tracked
        picture: for `draw` and `crop`: a picture in memory, not copied, compared or pickled; None: reads `source` again

    The arrays are read-only copies. Wrong shapes, numbers that are not finite and unknown ids raise ArgumentError.

    Examples:
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
    track_ids: Int64 | None = None
    picture: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        boxes = freeze_array("boxes_xyxy", self.boxes_xyxy, np.float32)
        others = {
            "scores": freeze_array("scores", self.scores, np.float32),
            "class_ids": freeze_array("class_ids", self.class_ids, np.int64),
        }
        if self.track_ids is not None:
            others["track_ids"] = freeze_array("track_ids", self.track_ids, np.int64)
        check_shapes(boxes, others)
        check_values(boxes, others["scores"])
        check_ids(others["class_ids"], self.classes)
        size_hw = height_and_width(self.image_size_hw)
        source = None if self.source is None else fsdecode(self.source)  # a Path is no JSON
        for name, value in {"boxes_xyxy": boxes, **others, "image_size_hw": size_hw, "source": source}.items():
            object.__setattr__(self, name, value)

    @classmethod
    def empty(cls, classes: ClassList, image_size_hw: tuple[int, int], source: str | None = None) -> "Detections":
        """No objects: the same shapes and dtypes with N = 0."""
        scores = np.zeros(0, np.float32)
        return cls(scores.reshape(0, 4), scores, scores.astype(np.int64), classes, image_size_hw, source)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], classes: ClassList) -> "Detections":
        """Detections from the output of `to_dict`; `classes` is the class list of the model that made it.

        Without objects, `track_ids` is None, also of a tracked video: `to_dict` has ids only in the rows of objects.
        Raises ArgumentError if a part is missing or wrong, or if the names are those of another class list.
        """
        try:
            rows = data["detections"]
            tracks = [row["track_id"] for row in rows if "track_id" in row]
            found = cls(
                np.array([row["box_xyxy"] for row in rows] or np.zeros((0, 4))),
                np.array([row["score"] for row in rows]),
                np.array([row["class_id"] for row in rows]),
                classes,
                (data["height"], data["width"]),
                data["source"],
                np.array(tracks) if tracks else None,
            )
            names = tuple(row["name"] for row in rows)
        except (KeyError, TypeError, ValueError) as error:
            raise ArgumentError(f"not a row as `to_dict` gives it: {type(error).__name__}: {error}") from error
        if names != found.names:
            raise ArgumentError(
                f"these are {names}, and {found.names} in `classes`: pass the class list of their model"
            )
        return found

    @property
    def boxes_xywh(self) -> Float32:
        """The boxes [N, 4] as left, top, width, height, in pixels."""
        return xyxy_to_xywh(self.boxes_xyxy)

    def clipped(self) -> "Detections":
        """The same objects with boxes clipped to the picture; one outside of it becomes an empty box at its edge."""
        return replace(self, boxes_xyxy=clip(self.boxes_xyxy, *reversed(self.image_size_hw)))

    @cached_property
    def positions(self) -> Int64:
        """Dense 0-based positions [N] in `classes`, as YOLO txt and supervision want them."""
        found = [self.classes.position_of_id[class_id] for class_id in self.class_ids.tolist()]
        return freeze_array("positions", found, np.int64)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The class name of each detection."""
        return tuple(self.classes.names[position] for position in self.positions.tolist())

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[Detection]:
        return (self[row] for row in range(len(self)))

    def __contains__(self, item: object) -> bool:
        """Whether an object of this class name was found, or this Detection is one of these."""
        return item in (self.names if isinstance(item, str) else tuple(self))

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Detection: ...
    @overload
    def __getitem__(self, index: Index) -> "Detections": ...
    def __getitem__(self, index: int | np.integer[Any] | Index) -> "Detection | Detections":
        """One Detection for an int; Detections for a slice, a bool mask [N] or indices [M] in any order."""
        if isinstance(index, int | np.integer) and not isinstance(index, bool):
            if not -len(self) <= index < len(self):
                raise IndexError(f"index {index} of {len(self)} detections")
            track_id = None if self.track_ids is None else int(self.track_ids[index])
            box, score, class_id = self.boxes_xyxy[index], float(self.scores[index]), int(self.class_ids[index])
            return Detection(tuple(box.tolist()), score, class_id, self.names[index], track_id)
        rows = np.arange(len(self))[index if isinstance(index, slice) else rows_of(index, len(self))]
        return replace(
            self,
            boxes_xyxy=self.boxes_xyxy[rows],
            scores=self.scores[rows],
            class_ids=self.class_ids[rows],
            track_ids=None if self.track_ids is None else self.track_ids[rows],
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Detections):
            return NotImplemented
        arrays = ("boxes_xyxy", "scores", "class_ids", "track_ids")
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in arrays) and (
            (self.classes, self.image_size_hw, self.source) == (other.classes, other.image_size_hw, other.source)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Through the constructor, because numpy forgets when it pickles that an array is read-only.
        arrays = (self.boxes_xyxy, self.scores, self.class_ids)
        return Detections, (*arrays, self.classes, self.image_size_hw, self.source, self.track_ids)

    def __repr__(self) -> str:
        found = ", ".join(f"{name} {score:.2f}" for name, score in zip(self.names[:5], self.scores[:5], strict=True))
        more = f", {len(self) - 5} more" if len(self) > 5 else ""
        height, width = self.image_size_hw
        return f"Detections({found or 'nothing found'}{more}; {self.source or 'picture'}, {width}x{height})"

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values: source, width and height, and the objects in order."""
        return formats.to_dict(self)

    def to_json(self, *, indent: int | None = None) -> str:
        """`to_dict` as JSON text, one line unless `indent` is given."""
        return formats.to_json(self, indent=indent)

    def to_coco(self, image_id: int | str | None = None) -> list[dict[str, Any]]:
        """Rows of a COCO results file; `image_id` defaults to the number in the file name, else its stem."""
        return formats.to_coco(self, image_id)

    def to_csv(self, *, header: bool = True) -> str:
        """One line per object, coordinates in pixels; without objects only the header."""
        return formats.to_csv(self, header=header)

    def to_yolo(self, *, scores: bool = True) -> str:
        """YOLO txt: `class cx cy width height [score]`, one line per object, in fractions of the picture."""
        return formats.to_yolo(self, scores=scores)

    def to_pandas(self) -> "pandas.DataFrame":
        """A data frame with the columns of `to_csv`."""
        return formats.to_pandas(self)

    def to_supervision(self) -> "supervision.Detections":
        """supervision.Detections: class_id is the 0-based position in the class list; see `formats.to_supervision`."""
        return formats.to_supervision(self)

    def crop(self, picture: Any = None) -> list[UInt8]:
        """The N crops uint8 [h, w, 3] of the picture, see `draw.crop` and `draw.load_pixels`."""
        from ssd300 import draw

        return draw.crop(draw.load_pixels(self, picture), self.boxes_xyxy)

    def draw(self, picture: Any = None, *, font: str | Path | None = None) -> "PIL.Image.Image":
        """A copy of the picture with boxes and names on it.

        Without `picture`, the picture of the detection is used: from memory, or read again from the file `source`.
        `font` is a font file for names with characters that neither the package's font nor the system's fonts have.
        """
        from ssd300 import draw

        return draw.draw_detections(draw.load_pixels(self, picture), self, font=font)

    def show(self) -> None:
        """Open the drawn picture in the system's viewer."""
        self.draw().show()

    def _repr_png_(self) -> bytes | None:
        """The drawn picture, which notebooks show; None if the picture can no longer be read."""
        from ssd300.images.encode import encode_picture

        try:
            return encode_picture(self.draw(), ".png")
        except SSD300Error:
            return None

    def save(self, path: str | PathLike[str], picture: Any = None) -> None:
        """Write a file, by its extension: a drawn picture (.jpg .png .webp), .json, .csv or .txt (YOLO)."""
        formats.save(self, Path(path), picture)

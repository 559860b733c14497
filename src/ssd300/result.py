"""The protocol of a result, for exporters and drawing, and the checks of its arrays."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ssd300.arrays import Float32, Int64
from ssd300.errors import ArgumentError
from ssd300.labels import ClassList


class Found(Protocol):
    """The N objects of one picture. `Detections` documents the fields."""

    @property
    def boxes_xyxy(self) -> Float32: ...  # [N, 4]
    @property
    def scores(self) -> Float32: ...  # [N]
    @property
    def class_ids(self) -> Int64: ...  # [N]
    @property
    def classes(self) -> ClassList: ...
    @property
    def image_size_hw(self) -> tuple[int, int]: ...
    @property
    def source(self) -> str | None: ...
    @property
    def track_ids(self) -> Int64 | None: ...  # [N]
    @property
    def picture(self) -> Any: ...
    @property
    def positions(self) -> Int64: ...  # [N]
    @property
    def names(self) -> tuple[str, ...]: ...  # N
    def __len__(self) -> int: ...


def freeze_array(name: str, values: Any, dtype: type) -> NDArray[Any]:
    """A read-only copy of the array; ids with fractions are an error rather than truncated."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ArgumentError(f"{name} must be an array, got rows of different lengths") from error
    kinds = "iu" if dtype is np.int64 else "iuf"
    if array.size and array.dtype.kind not in kinds:
        raise ArgumentError(f"{name} must be {dtype.__name__}, got {array.dtype}")
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and is refused
        array = np.array(array, dtype)
    array.setflags(write=False)
    return array


def check_shapes(boxes: Float32, others: dict[str, NDArray[Any]]) -> None:
    """Raise ArgumentError unless boxes are [N, 4] and the others [N]."""
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ArgumentError(f"boxes_xyxy must have shape [N, 4], got {list(boxes.shape)}")
    for name, array in others.items():
        if array.shape != (len(boxes),):
            raise ArgumentError(
                f"{name} must have shape [{len(boxes)}], one for each of the {len(boxes)} boxes_xyxy, "
                f"got {list(array.shape)}"
            )


def check_values(boxes: Float32, scores: Float32) -> None:
    """Raise ArgumentError unless all numbers are finite and no box is inverted."""
    if not np.isfinite(boxes).all():
        raise ArgumentError("boxes_xyxy must be finite, got NaN or infinity")
    if (boxes[:, :2] > boxes[:, 2:]).any():
        row = int(np.flatnonzero((boxes[:, :2] > boxes[:, 2:]).any(1))[0])
        raise ArgumentError(f"boxes_xyxy must be left, top, right, bottom, got {boxes[row].tolist()} in row {row}")
    if not np.isfinite(scores).all():
        raise ArgumentError("scores must be finite, got NaN or infinity")


def check_ids(class_ids: Int64, classes: Any) -> None:
    """Raise ArgumentError unless `classes` is a ClassList, and the ids are in it."""
    if not isinstance(classes, ClassList):
        raise ArgumentError(
            f"classes must be a ClassList, such as detector.classes or ssd300.COCO, got {classes!r:.80}"
        )
    unknown = sorted(set(class_ids.tolist()) - classes.position_of_id.keys())
    if unknown:
        raise ArgumentError(f"class_ids must be ids of the class list; not in it: {', '.join(map(str, unknown))}")


def height_and_width(image_size_hw: Any) -> tuple[int, int]:
    """(height, width). Raises ArgumentError for what is not two sides of at least 1 pixel."""
    try:
        height, width = (int(side) for side in image_size_hw)
        whole = (height, width) == tuple(image_size_hw)
    except (TypeError, ValueError, OverflowError):
        whole = False
    if not whole or height < 1 or width < 1:
        raise ArgumentError(f"image_size_hw must be (height, width) in whole pixels, at least 1, got {image_size_hw!r}")
    return height, width


def check_size(found: Found, size_hw: tuple[int, ...]) -> None:
    """Raise ArgumentError unless a picture of this (H, W) can be that of the detections."""
    if size_hw != found.image_size_hw:
        (height, width), (h, w) = found.image_size_hw, size_hw
        raise ArgumentError(f"the detections belong to a picture of {width}x{height} pixels, got one of {w}x{h}")


def rows_of(index: Any, count: int, what: str = "detections") -> Int64:
    """Mask [N] or indices -> rows. Raises ArgumentError or IndexError for a wrong shape, dtype or range."""
    array = np.asarray(index)
    if array.size == 0 and array.dtype != bool:
        return np.zeros(0, np.int64)
    if array.dtype == bool:
        if array.shape != (count,):
            hint = "; compare arrays: np.array(found.names) == 'cat'" if array.ndim == 0 else ""
            raise ArgumentError(f"a mask must have shape [{count}], got {list(array.shape)}{hint}")
        return np.flatnonzero(array)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        found = repr(index)[:60] if array.dtype.kind in "OSU" else f"{array.dtype} {array.shape}"
        raise ArgumentError(f"an index must be an int, slice, mask [N] or indices [M], got {found}")
    if ((array < -count) | (array >= count)).any():
        raise IndexError(f"indices {array.tolist()} of {count} {what}")
    return array.astype(np.int64)

"""The options of a detection: one frozen dataclass, checked when it is created."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, TypedDict

import numpy as np

from ssd300.arrays import Int64
from ssd300.digits import as_plain
from ssd300.errors import ArgumentError, unknown_name
from ssd300.labels import ClassList
from ssd300.postprocess import check_thresholds
from ssd300.tiles import Tiles, check_tiles

Label = str | int  # a class name in any letter case, or a class id


class DetectKeywords(TypedDict, total=False):
    """The fields of `DetectOptions` as keyword arguments of `Detector.detect` and similar methods."""

    score_threshold: float
    iou_threshold: float
    max_detections: int
    labels: Sequence[Label] | Label | None
    color: Literal["rgb", "bgr"]
    decode: Literal["exact", "fast"]
    agnostic_nms: bool
    clip: bool
    keep_pixels: bool
    tiles: Tiles | None
    overlap: float


class VideoKeywords(DetectKeywords, total=False):
    """Those of `Detector.detect_video`, but for `on_error`."""

    every: int
    start: float | None
    end: float | None
    tell: Callable[[str], None]


@dataclass(frozen=True)
class DetectOptions:
    """How the pictures of a call are read and which objects are selected.

    Attributes:
        score_threshold: objects must score above this, 0 to 1
        iou_threshold: boxes of a class overlap less than this, 0 to 1; boxes that do not overlap are always kept
        max_detections: at most this many objects are kept, best first, after `labels`
        labels: classes to look for: names in any letter case, or ids; None looks for all
        color: channel order of arrays and tensors: "rgb", or "bgr" for OpenCV frames
        decode: "exact", or "fast": large JPEGs are read at reduced scale, which moves boxes slightly
        agnostic_nms: NMS across classes; the published rule applies it within each class
        clip: clip boxes to the picture (published boxes may reach outside)
        keep_pixels: keep the decoded pixels in the result, so that drawing and cropping do not read the source again
        tiles: also detect in tiles of large pictures: "auto", N for N by N, or (width, height) in pixels
        overlap: the fraction of a tile that adjacent tiles share, 0 to 0.8

    Raises ArgumentError for a value that is unknown or out of range.
    """

    score_threshold: float = 0.4
    iou_threshold: float = 0.5
    max_detections: int = 200
    labels: Sequence[Label] | Label | None = None
    color: Literal["rgb", "bgr"] = "rgb"
    decode: Literal["exact", "fast"] = "exact"
    agnostic_nms: bool = False
    clip: bool = False
    keep_pixels: bool = False
    tiles: Tiles | None = None
    overlap: float = 0.2

    def __post_init__(self) -> None:
        for name in {field.name for field in fields(self)} - {"labels"}:
            object.__setattr__(self, name, as_plain(getattr(self, name)))
        check_thresholds(self.score_threshold, self.iou_threshold, self.max_detections)
        for name, value, known in (("color", self.color, ("rgb", "bgr")), ("decode", self.decode, ("exact", "fast"))):
            if value not in known:
                raise unknown_name(name, value, known)
        for name in ("agnostic_nms", "clip", "keep_pixels"):
            if not isinstance(getattr(self, name), bool):
                raise ArgumentError(f"{name} must be True or False, got {getattr(self, name)!r}")
        check_tiles(self.tiles, self.overlap)
        if self.tiles is not None and self.decode == "fast":
            raise ArgumentError("tiles show more of a picture, decode fast reads less of it: choose one")
        if self.labels is not None:
            object.__setattr__(self, "labels", _as_labels(self.labels))

    def rows(self, classes: ClassList) -> Int64 | None:
        """The rows of the probabilities (K, n) to select from, background first; None for all.

        Raises ArgumentError for a label that is not one of the classes.
        """
        if self.labels is None:
            return None
        labels = self.labels if isinstance(self.labels, tuple) else (self.labels,)
        positions = sorted({classes.position_of(label) for label in labels})
        return np.array([0, *(position + 1 for position in positions)], np.int64)


def make_options(options: DetectOptions | None, changes: DetectKeywords) -> DetectOptions:
    """The options of a call: `options`, or the defaults, with the changes. Raises ArgumentError."""
    if not isinstance(options, DetectOptions | None):
        raise ArgumentError(f"options must be a DetectOptions, got {options!r}: name single ones, score_threshold=0.5")
    known = [field.name for field in fields(DetectOptions)]
    for name in changes:
        if name not in known:
            raise unknown_name("option", name, known)
    return replace(options or DetectOptions(), **changes) if changes or options is None else options


def _as_labels(labels: object) -> tuple[Label, ...]:
    given = as_plain(labels)
    if isinstance(given, str | int):
        given = (given,)
    found = tuple(map(as_plain, given)) if isinstance(given, Iterable) and not isinstance(given, bytes) else (None,)
    if not all(isinstance(label, str | int) and not isinstance(label, bool) for label in found):
        raise ArgumentError(f"labels must be class names or ids, got {labels!r}")
    if not found:
        raise ArgumentError("labels is empty: give names or ids, or None for all")
    return found

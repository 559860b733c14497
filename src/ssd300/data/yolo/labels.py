"""YOLO label files: finding that of a picture, and the meaning of the numbers in its lines.

A line is `class x y width height`, as fractions of the picture. Also read: a score after it, outlines of three or more
points, key points (if `kpt_shape` is given, or all lines have their form) and track ids. A note counts the last three,
of which only the box is used.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ssd300.arrays import Float64
from ssd300.boxes import cxcywh_to_xyxy
from ssd300.data.finder import AnyCase
from ssd300.data.notes import Fault, Place

PICTURE_FOLDERS = ("images", "image", "imgs", "img", "jpegimages")
OUTLINE = (-0.1, 1.1)  # range of the points of an outline, in fractions
HIGHEST_FRACTION = 2.0  # a number above this is not a fraction: the boxes are in pixels
OFF_CENTER, SPANNED = 0.4, 0.3  # of key points: how far from the middle of their box, and their share of its side
SCORE, OUTLINES, KEYPOINTS, TRACKS = "score", "outline", "key points", "track ids"


class LabelLine(NamedTuple):
    """One line of a label file: its place, the class's index and the numbers after it."""

    place: Place
    class_index: int
    values: list[float]


def label_path(picture: Path) -> Path:
    """The label file of a picture: the first of its usual places that has it, else the first of them."""
    places = usual_places(picture)
    return next(filter(os.path.isfile, places), places[0])


def label_folder(folder: Path) -> Path | None:
    """The folder of the label files of a folder of pictures, in any letter case; None if they are beside these."""
    places = (place.parent for place in usual_places(folder / "any.jpg")[:-1])
    return next(filter(None, map(AnyCase().path, places)), None)


def usual_places(picture: Path) -> list[Path]:
    """A folder named images/ becomes labels/, the last one first (images/train/img/a.jpg); then beside the picture."""
    parts, name = picture.parts[:-1], picture.with_suffix(".txt").name
    named = [at for at, folder in enumerate(parts) if folder.casefold() in PICTURE_FOLDERS]
    return [*(Path(*parts[:at], "labels", *parts[at + 1 :], name) for at in reversed(named)), picture.with_name(name)]


def find_labels(picture: Path, any_case: AnyCase) -> Path | None:
    """The label file of a picture, also one in labels/ beside or within its folder, and in any letter case."""
    name = picture.with_suffix(".txt").name
    others = (folder / "labels" / name for folder in (picture.parent, picture.parent.parent))
    return next(filter(None, map(any_case.file, (*usual_places(picture), *others))), None)


def kind_of_lines(lines: Sequence[LabelLine], keypoints: int) -> dict[int, str]:
    """The kind of lines of each length: number of values -> SCORE, OUTLINES, KEYPOINTS or TRACKS.

    Decided from all lines of a set, because a single line can be ambiguous. Lengths of no kind are missing.
    """
    by_length: dict[int, list[list[float]]] = {}
    for line in lines:
        by_length.setdefault(len(line.values), []).append(line.values)
    longer = {length: np.array(values, np.float64) for length, values in by_length.items() if length > 4}
    kinds = {length: kind for length, values in longer.items() if (kind := _kind(values, keypoints))}
    counts = {length: len(values) for length, values in by_length.items() if length > 5}
    outlines = sum(count for length, count in counts.items() if kinds.get(length) == OUTLINES)
    if outlines > sum(counts.values()) / 2:
        kinds |= {length: OUTLINES for length in counts if length % 2 == 0}  # also a lone triangle at the lower edge
    return kinds


def _kind(values: Float64, keypoints: int) -> str | None:
    """The same for lines [M, length] of one length above 4."""
    count, length = values.shape
    if keypoints:
        return KEYPOINTS if length >= 4 + keypoints else SCORE if length == 5 else None
    last = values[:, -1]
    numbered = bool((np.isfinite(last) & (last == np.round(last)) & (last >= 0)).all())
    if length == 5:
        return TRACKS if numbered and (last != 1).any() else SCORE  # 0 and 1 are flags, not scores
    if length == 6 and numbered and bool(((values[:, 4] >= 0) & (values[:, 4] <= 1)).all()):
        return TRACKS
    visibility = length >= 7 and (length - 4) % 3 == 0 and bool(np.isin(values[:, 6::3], (0, 1, 2)).all())
    if visibility and (length % 2 or (count > 1 and _are_boxes(values))):
        return KEYPOINTS
    if length % 2:
        return None
    return KEYPOINTS if count > 2 and length > 6 and _are_boxes(values) and _are_points_of(values) else OUTLINES


def _are_boxes(values: Float64) -> bool:
    """Whether the first four numbers are a box inside the picture, in all lines."""
    box = cxcywh_to_xyxy(values[:, :4])
    return bool((values[:, 2:4] > 0).all() and (box >= -0.02).all() and (box <= 1.02).all())


def _are_points_of(values: Float64) -> bool:
    """Whether all numbers after the fourth are points inside the box of the first four (or 0, 0: not visible).

    An outline in the middle of the picture may look so, too. But its first point, as a center, is at the edge of
    the others, and these span little of the "box", whose size is the second point.
    """
    center, size = values[:, None, :2], values[:, None, 2:4]
    points = values[:, 4:].reshape(len(values), -1, 2)
    points = np.where((points == 0).all(axis=2, keepdims=True), center, points)
    low, high = points.min(axis=1), points.max(axis=1)  # [M, 2]
    off_center = np.abs(values[:, :2] - (low + high) / 2) / np.maximum(high - low, 1e-9)
    spanned = (high - low) / values[:, 2:4]
    inside = bool((np.abs(points - center) <= size / 2 + 0.01).all())
    return inside and bool(
        np.minimum(off_center.max(axis=1), 1).mean() < OFF_CENTER and np.median(spanned.max(axis=1)) > SPANNED
    )


def box_of_line(values: list[float], kind: str | None) -> tuple[list[float], float]:
    """((x, y, width, height), score) of the numbers of one line of a kind. Raises Fault."""
    count = f"{len(values) + 1} numbers"
    if len(values) < 4 or (len(values) > 4 and kind is None):
        words = "expected `class x y width height`, or a class and the points of an outline"
        raise Fault("malformed line", f"{count}; {words}")
    score = 1.0
    if kind == SCORE or (kind == TRACKS and len(values) == 6):
        score = values[4]
        if not 0 <= score <= 1:
            words = "expected 0 to 1 (of rotated boxes write the four corners instead of an angle)"
            raise Fault("malformed line", f"the score, the last number, is {score:g}; {words}")
    if kind == OUTLINES:
        points = np.array(values).reshape(-1, 2)
        if max(values) <= HIGHEST_FRACTION and not (OUTLINE[0] <= points.min() and points.max() <= OUTLINE[1]):
            raise Fault("malformed line", f"{count} that are not an outline: points are outside the picture")
        low, high = points.min(axis=0), points.max(axis=0)
        values = [*((low + high) / 2).tolist(), *(high - low).tolist()]
    box = values[:4]
    if max(box) > HIGHEST_FRACTION:
        words = f"the numbers {box} are far above 1; YOLO boxes are fractions of the picture, not pixels"
        raise Fault("pixels instead of fractions", words)
    return box, score


def to_pixels(fractions_cxcywh: Float64, width: int, height: int) -> Float64:
    """Rows [M, 4] of a label file -> boxes_xyxy [M, 4] in pixels, in double precision."""
    return cxcywh_to_xyxy(fractions_cxcywh) * np.array([width, height, width, height], np.float64)


def relative_path(path: Path, folder: Path) -> str:
    """The path relative to the folder, with slashes; the whole path if it is not inside."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()

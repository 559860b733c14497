"""The boxes around shapes that annotation tools draw: points, turned boxes, circles, ellipses, COCO's segmentations."""

from collections.abc import Sequence
from math import cos, hypot, isfinite, radians, sin
from typing import Any

import numpy as np

from ssd300.data.values import number, numbers, whole


def box_around(points: Sequence[Sequence[object]]) -> list[float] | None:
    """The corners of the box around points (x, y); None if there are none or they are malformed."""
    if not points or any(len(point) < 2 for point in points):
        return None
    xs, ys = numbers(point[0] for point in points), numbers(point[1] for point in points)
    return None if xs is None or ys is None else [min(xs), min(ys), max(xs), max(ys)]


def visible_part(edges: list[float], size: tuple[int, int]) -> list[float]:
    """The part of a box (left, top, right, bottom) inside the picture; the box itself if all of it is outside.

    >>> visible_part([-9, 2, 5, 99], (64, 48)), visible_part([-9, 2, -5, 4], (64, 48))
    ([0, 2, 5, 48], [-9, 2, -5, 4])
    """
    inside = [min(max(edge, 0), side) for edge, side in zip(edges, (*size, *size), strict=True)]
    return inside if inside[0] < inside[2] and inside[1] < inside[3] else edges


def turned_box(edges: list[float], degrees: object) -> list[float]:
    """The corners of the box around a box (left, top, right, bottom) that is turned about its center.

    >>> [round(edge) for edge in turned_box([20, 20, 30, 24], "90")], turned_box([1, 2, 3, 4], None)
    ([23, 17, 27, 27], [1, 2, 3, 4])
    """
    turn = radians(number(degrees) or 0)
    if not turn or not isfinite(turn):
        return edges
    left, top, right, bottom = edges
    width, height = (right - left) / 2, (bottom - top) / 2
    across = abs(width * cos(turn)) + abs(height * sin(turn))
    down = abs(width * sin(turn)) + abs(height * cos(turn))
    x, y = (left + right) / 2, (top + bottom) / 2
    return [x - across, y - down, x + across, y + down]


def circle_box(x: object, y: object, rx: object, ry: object, *, turn: float = 0.0) -> list[float] | None:
    """The corners of the box around an ellipse with a center and two radii; None if one is not a number.

    `turn` is in radians.

    >>> circle_box(10, 10, "3", 1), [round(edge, 3) for edge in circle_box(10, 10, 3, 1, turn=radians(90)) or []]
    ([7.0, 9.0, 13.0, 11.0], [9.0, 7.0, 11.0, 13.0])
    """
    values = numbers((x, y, rx, ry))
    if values is None:
        return None
    cx, cy, across, down = values
    if turn and isfinite(turn):
        across, down = hypot(across * cos(turn), down * sin(turn)), hypot(across * sin(turn), down * cos(turn))
    return [cx - across, cy - down, cx + across, cy + down]


def box_of_segmentation(segmentation: Any) -> list[float] | None:
    """[x, y, width, height] in pixels around polygons or a run-length encoded mask; None if they are not valid."""
    if mask := _mask_in(segmentation):
        return _box_of_runs(mask)
    return _box_of_polygons(segmentation) if isinstance(segmentation, list) else None


def mask_size(segmentation: Any) -> tuple[int, int] | None:
    """(width, height) of a mask; None for anything else."""
    size = (_mask_in(segmentation) or {}).get("size")
    sides = [whole(value) for value in size] if isinstance(size, list) and len(size) == 2 else []
    known = [side for side in sides if side is not None and side > 0]
    return (known[1], known[0]) if len(known) == 2 else None


def _mask_in(segmentation: Any) -> dict[str, Any] | None:
    """The run-length encoded mask, also as the only one of a list."""
    one = segmentation[0] if isinstance(segmentation, list) and len(segmentation) == 1 else segmentation
    return one if isinstance(one, dict) else None


def _box_of_polygons(polygons: list[Any]) -> list[float] | None:
    flat = polygons and not isinstance(polygons[0], list)
    lists = [polygons] if flat else polygons
    values = [value for points in lists if isinstance(points, list) for value in points]
    coordinates = numbers(values)
    if len(values) < 6 or len(values) % 2 or coordinates is None or not np.isfinite(coordinates).all():
        return None
    points = np.array(coordinates, np.float64).reshape(-1, 2)
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return [left, top, right - left, bottom - top]


def _box_of_runs(mask: dict[str, Any]) -> list[float] | None:
    """From alternating runs of 0 and 1, down the columns of a mask of size [height, width]."""
    size, counts = mask_size(mask), mask.get("counts")
    if isinstance(counts, str):
        counts = _decompress(counts)
    if size is None or not isinstance(counts, list) or not all(type(n) is int and 0 <= n < 2**40 for n in counts):
        return None
    width, height = size
    ends = np.cumsum(np.array(counts, np.int64))
    if not len(ends) or ends[-1] != height * width:
        return None
    first, last = ends[0::2][: len(ends) // 2], ends[1::2]  # of the runs of 1: [first, last)
    first, last = first[last > first], last[last > first]
    if not len(first):
        return None
    columns, ending = first // height, (last - 1) // height
    left, right = int(columns.min()), int(ending.max()) + 1
    over = ending > columns  # such a run touches the lower edge and the upper edge of the next column
    top = 0 if over.any() else int((first % height).min())
    bottom = height if over.any() else int(((last - 1) % height).max()) + 1
    return [float(left), float(top), float(right - left), float(bottom - top)]


def _decompress(text: str) -> list[int] | None:
    """Decode COCO's compressed runs: groups of five bits; from the third run on differences to the one two before."""
    counts: list[int] = []
    position = 0
    while position < len(text):
        value = shift = 0
        more = True
        while more:
            if position >= len(text) or not 48 <= ord(text[position]) < 112 or shift > 60:
                return None
            bits = ord(text[position]) - 48
            value |= (bits & 31) << shift
            more, shift, position = bool(bits & 32), shift + 5, position + 1
        if bits & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts

"""The boxes around shapes that annotation tools draw: points, turned boxes, circles and ellipses."""

from collections.abc import Sequence
from math import cos, hypot, isfinite, radians, sin

from ssd300.data.values import number, numbers


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

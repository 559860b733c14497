"""Where the label of a box goes in a drawn picture."""

import math
from collections.abc import Iterator
from itertools import islice

import numpy as np

from ssd300.arrays import Bool, Float32
from ssd300.boxes import iou

Rectangle = tuple[int, int, int, int]  # left, top, right, bottom; right and bottom are outside

_NEAR_SPOTS = 8  # those that touch the label's own box
_MOST_HIDDEN = 0.04  # IoU of two labels, a margin around the letters


def place_label(
    box_xyxy: Float32, label: tuple[int, int], size: tuple[int, int], placed_xyxy: Float32, small_xyxy: Float32
) -> Rectangle | None:
    """The position of a label: near its box, not over labels placed before, and if possible not over small boxes.

    None where every position covers much of a more important label, because then both would be illegible.
    """
    positions = _positions(box_xyxy.tolist(), label, size)  # best first
    near = list(islice(positions, _NEAR_SPOTS))
    spots = np.array(near, np.float32)  # [S, 4]
    open_spots = np.flatnonzero(~(_are_covered(spots, placed_xyxy) | _are_covered(spots, small_xyxy)))
    if not len(open_spots):
        spots = np.array(list(dict.fromkeys([*near, *positions])), np.float32)  # those at an edge coincide
        open_spots = np.flatnonzero(~_are_covered(spots, placed_xyxy))
    if len(open_spots):
        choice = open_spots[0]
    else:
        crowded = iou(spots, placed_xyxy).sum(1)
        choice = crowded.argmin()
        if crowded[choice] > _MOST_HIDDEN:
            return None
    left, top, right, bottom = (int(v) for v in spots[choice])
    return left, top, right, bottom


def _are_covered(spots_xyxy: Float32, others_xyxy: Float32) -> Bool:
    """Whether any of the others overlaps a spot [S]. Far faster than IoU, of which a picture needs hundreds."""
    left, top, right, bottom = (others_xyxy[None, :, side] for side in range(4))
    x1, y1, x2, y2 = (spots_xyxy[:, None, side] for side in range(4))
    covered = (x1 < right) & (left < x2) & (y1 < bottom) & (top < y2)
    return np.asarray(covered.any(1))


def _positions(box: list[float], label: tuple[int, int], size: tuple[int, int]) -> Iterator[Rectangle]:
    """Positions of a label, best first: above the box, inside its top, below it, then along its sides."""
    (width, height), (x1, y1, x2, y2) = label, box
    above, below = math.floor(y1) - height, math.ceil(y2)
    columns = (math.floor(x1), math.ceil(x2) - width)
    rows = [above, math.floor(y1), below, below - height]
    if above < 0 and y2 - y1 < 3 * height:  # inside, it would hide a small object
        rows = [below, above, math.floor(y1), below - height]
    spots = [(left, top) for top in rows for left in columns]
    steps = range(1, 1 + size[1] // height)
    spots += [(left, top + step * height) for step in steps for left in columns for top in (rows[1],)]
    spots += [(left, above - step * height) for step in steps for left in columns]
    for left, top in spots:
        left, top = min(max(left, 0), size[0] - width), min(max(top, 0), size[1] - height)
        yield left, top, left + width, top + height

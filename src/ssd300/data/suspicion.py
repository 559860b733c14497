"""Detect boxes in another box format than their file format requires, from all boxes of a set together."""

import numpy as np

from ssd300.arrays import Bool, Float64
from ssd300.boxes import cxcywh_to_xyxy, xywh_to_xyxy
from ssd300.data.fitting import TOLERANCE_PIXELS, TOLERANCE_SHARE
from ssd300.data.notes import Note

MISFITS = 0.1  # fraction of the boxes that must not fit as written ...
FITS = 0.99  # ... and fraction that must fit in the other format
FRACTIONS, EDGE = 0.9, 0.1  # share of the boxes whose numbers are fractions, which may reach so far over the edge
ENOUGH = 3  # boxes; fewer are not conclusive
BOX_FORMATS = {
    "xywh": "left, top, width, height",
    "xyxy": "the corners left, top, right, bottom",
    "cxcywh": "center x, center y, width, height",
}


def to_corners(boxes: Float64, box_format: str) -> Float64:
    """Boxes [M, 4] written in one of BOX_FORMATS -> boxes_xyxy [M, 4]."""
    if box_format == "xyxy":
        return boxes
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large becomes infinite, and fits nowhere
        return xywh_to_xyxy(boxes) if box_format == "xywh" else cxcywh_to_xyxy(boxes)


def _fits(boxes: Float64, box_format: str, sizes_wh: Float64) -> Bool:
    """The mask [M] of boxes with an area inside their picture, up to rounding."""
    box, limit = to_corners(boxes, box_format), np.tile(sizes_wh, 2)
    allowed = np.maximum(np.where(limit > 1, TOLERANCE_PIXELS, 0), TOLERANCE_SHARE * limit)
    inside = np.all((box >= -allowed) & (box <= limit + allowed), axis=1)
    return np.asarray(inside & (box[:, 2] > box[:, 0]) & (box[:, 3] > box[:, 1]))


def describe_mismatch(boxes: Float64, box_format: str, sizes_wh: Float64) -> str | None:
    """A message if boxes [M, 4], supposed to be in one of BOX_FORMATS, seem to be in another one; None otherwise.

    `sizes_wh` [M, 2] are the sizes of their pictures in the unit of the boxes: 1, 1 for fractions.
    """
    kept = np.isfinite(boxes).all(axis=1)
    boxes, sizes_wh = boxes[kept], sizes_wh[kept]
    if not len(boxes):
        return None
    in_pixels = bool((sizes_wh > 2).all())
    small = np.all((boxes >= -EDGE) & (boxes <= 1 + EDGE), axis=1)
    if in_pixels and small.mean() >= FRACTIONS:
        number = f"all {len(boxes)}" if small.all() else f"{small.sum()} of {len(boxes)}"
        return f"{number} boxes have numbers between 0 and 1: fractions of the picture where pixels are expected"
    misfits = ~_fits(boxes, box_format, sizes_wh)
    if misfits.sum() < 2 or misfits.mean() <= MISFITS or len(boxes) < ENOUGH:
        return None
    for other in BOX_FORMATS:
        if other != box_format and _fits(boxes, other, sizes_wh).mean() >= FITS:
            return (
                f"{misfits.sum()} of {len(boxes)} boxes do not fit their picture as {BOX_FORMATS[box_format]}; "
                f"all fit as {BOX_FORMATS[other]}: they seem to be written that way"
            )
    return None


def check_format(boxes: Float64, box_format: str, sizes_wh: Float64, file: str) -> list[Note]:
    """The note on a whole set's boxes, if they are suspicious; arguments as in `describe_mismatch`."""
    words = describe_mismatch(boxes, box_format, sizes_wh)
    return [Note("suspected box format", "noted", file, "", "", words)] if words else []

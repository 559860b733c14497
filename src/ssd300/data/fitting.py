"""Fit boxes to their picture: keep them, clip them within a tolerance, refuse them beyond it.

All boxes of a set together show whether they are in another box format than their file format requires.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssd300.arrays import Bool, Float32, Float64
from ssd300.boxes import cxcywh_to_xyxy, xywh_to_xyxy
from ssd300.data.dataset import Annotations
from ssd300.data.notes import Action, Note, Place

TOLERANCE_PIXELS = 2.0  # a box may reach this far outside the picture ...
TOLERANCE_SHARE = 0.01  # ... or this share of the picture's side, whichever is more; it is then clipped
ROUNDING = 0.0101  # an overshoot from rounding to two decimals, as in COCO, is clipped without a note

KEPT, CLIPPED, OUTSIDE, DEGENERATE, NOT_FINITE = range(5)
_KINDS = ("", "box over the edge", "box outside", "degenerate box", "non-finite number")  # of these verdicts

MISFITS = 0.1  # fraction of the boxes that must not fit as written ...
FITS = 0.99  # ... and fraction that must fit in the other format
FRACTIONS, EDGE = 0.9, 0.1  # share of the boxes whose numbers are fractions, which may reach so far over the edge
ENOUGH = 3  # boxes; fewer are not conclusive
BOX_FORMATS = {
    "xywh": "left, top, width, height",
    "xyxy": "the corners left, top, right, bottom",
    "cxcywh": "center x, center y, width, height",
}


def fit_boxes(boxes_xyxy: Float64, width: Float64, height: Float64) -> tuple[Float32, NDArray[np.int64]]:
    """Boxes [M, 4] in pixels and the sizes [M] of their pictures -> boxes float32 [M, 4] inside them, verdicts [M].

    A verdict is KEPT, CLIPPED, OUTSIDE (exceeds the tolerance), DEGENERATE (no width or no height) or NOT_FINITE; the
    boxes of the last three must be left out, with a note.
    """
    limit = np.stack([width, height, width, height], axis=-1)  # [M, 4]
    finite = np.all(np.isfinite(boxes_xyxy), axis=1)
    boxes = np.where(finite[:, None], boxes_xyxy, 0)
    over = np.maximum(-boxes, boxes - limit)  # pixels outside, per side [M, 4]
    allowed = np.maximum(TOLERANCE_PIXELS, TOLERANCE_SHARE * limit)
    fitted = np.clip(boxes, 0, limit).astype(np.float32)
    verdicts = np.where((over > ROUNDING).any(axis=1), CLIPPED, KEPT)
    verdicts[(fitted[:, 2:] <= fitted[:, :2]).any(axis=1)] = DEGENERATE
    verdicts[(over > allowed).any(axis=1)] = OUTSIDE
    verdicts[(boxes[:, 2:] <= boxes[:, :2]).any(axis=1)] = DEGENERATE
    verdicts[~finite] = NOT_FINITE
    return fitted, verdicts


def describe_box(box_xyxy: Float64, verdict: int, width: float, height: float) -> str:
    """The message for a box that was clipped or refused."""
    box = ", ".join(f"{value:g}" for value in box_xyxy.tolist())
    if verdict == NOT_FINITE:
        return f"the box ({box}) has a number that is not finite; left out"
    if verdict == DEGENERATE:
        return f"the box ({box}) has no width or no height inside the picture of {width:g}x{height:g}; left out"
    sides = np.array([-box_xyxy[0], -box_xyxy[1], box_xyxy[2] - width, box_xyxy[3] - height])
    out = f"the box ({box}) reaches {sides.max():.4g} px outside the picture of {width:g}x{height:g}"
    if verdict == CLIPPED:
        return f"{out}; clipped"
    return f"{out}, more than {TOLERANCE_PIXELS:g} px or {TOLERANCE_SHARE:.0%} of the side; left out"


def fit_with_notes(
    boxes_xyxy: Float64, sizes_wh: Float64, places: Sequence[Place], notes: list[Note]
) -> tuple[Float32, NDArray[np.bool_]]:
    """`fit_boxes` with a note for every box that was clipped or refused.

    boxes [M, 4], sizes [M, 2] (width, height) of their pictures, M places -> boxes float32 [M, 4] and the mask [M] of
    those to use.
    """
    fitted, verdicts = fit_boxes(boxes_xyxy, sizes_wh[:, 0], sizes_wh[:, 1])
    for i in np.flatnonzero(verdicts != KEPT).tolist():
        verdict = int(verdicts[i])
        words = describe_box(boxes_xyxy[i], verdict, *sizes_wh[i].tolist())
        action: Action = "clipped" if verdict == CLIPPED else "refused"
        notes.append(Note(_KINDS[verdict], action, *places[i], words))
    return fitted, verdicts <= CLIPPED


def fit_picture(
    boxes_xyxy: Float64,
    class_ids: NDArray[np.int64],
    size_wh: tuple[int, int],
    places: Sequence[Place],
    notes: list[Note],
    fields: dict[str, Any],
) -> Annotations:
    """Fit the boxes [M, 4] of one picture, as Annotations; `fields` are further arguments of `Annotations.of`."""
    if len(boxes_xyxy) == 0:
        return Annotations.empty()
    sizes = np.tile(np.array(size_wh, np.float64), (len(boxes_xyxy), 1))
    fitted, used = fit_with_notes(boxes_xyxy, sizes, places, notes)
    return Annotations.of(fitted, class_ids, **fields).select(used)


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
        fits = _fits(boxes, other, sizes_wh)
        if other != box_format and fits.mean() >= FITS:
            return (
                f"{misfits.sum()} of {len(boxes)} boxes do not fit their picture as {BOX_FORMATS[box_format]}; "
                f"{'all' if fits.all() else fits.sum()} fit as {BOX_FORMATS[other]}: they seem to be written that way"
            )
    return None


def check_format(boxes: Float64, box_format: str, sizes_wh: Float64, file: str) -> list[Note]:
    """The note on a whole set's boxes, if they are suspicious; arguments as in `describe_mismatch`."""
    words = describe_mismatch(boxes, box_format, sizes_wh)
    return [Note("suspected box format", "noted", file, "", "", words)] if words else []

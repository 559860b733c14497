"""Fit boxes to their picture: keep them, clip them within a tolerance, refuse them beyond it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssd300.arrays import Float32, Float64
from ssd300.data.dataset import Annotations
from ssd300.data.notes import Action, Note, Place

TOLERANCE_PIXELS = 2.0  # a box may reach this far outside the picture ...
TOLERANCE_SHARE = 0.01  # ... or this share of the picture's side, whichever is more; it is then clipped
ROUNDING = 0.0101  # an overshoot from rounding to two decimals, as in COCO, is clipped without a note

KEPT, CLIPPED, OUTSIDE, DEGENERATE, NOT_FINITE = range(5)
_KINDS = {
    CLIPPED: "box over the edge",
    OUTSIDE: "box outside",
    DEGENERATE: "degenerate box",
    NOT_FINITE: "non-finite number",
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

"""Raw network outputs -> boxes, labels and scores by the published rule.

    probability of a class > score threshold, per class: the best 200, greedy NMS that keeps IoU < IoU threshold,
    then the best of all classes

The published code leaves the order of equal scores to an unstable sort; here it is what a stable sort would have given.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ssd300.arrays import Float32, Int64
from ssd300.boxes import area, cxcywh_to_xyxy
from ssd300.errors import ArgumentError, ModelError
from ssd300.priors import NUM_PRIORS, WH_VARIANCE, XY_VARIANCE, default_boxes

TOP_PER_CLASS = 200  # fixed in the published code, before NMS

_CELLS = 4_000_000  # of the tables of all classes at once: 80 classes of 200 candidates have 3.2 million
_BLOCK = 400  # candidates in one table of class-agnostic NMS
_PRIORS_CXCYWH = default_boxes()


def check_thresholds(score_threshold: float, iou_threshold: float, max_detections: int) -> None:
    """Raise ArgumentError unless 0 <= both thresholds <= 1 and max_detections is an int >= 1."""
    for name, value in (("score_threshold", score_threshold), ("iou_threshold", iou_threshold)):
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value <= 1:
            raise ArgumentError(f"{name} must be a number from 0 to 1, got {value!r}")
    whole = isinstance(max_detections, int | np.integer) and not isinstance(max_detections, bool)
    if not whole or max_detections < 1:
        raise ArgumentError(f"max_detections must be a whole number of at least 1, got {max_detections!r}")


def decode_boxes(locs: Float32, priors: Int64 | slice = slice(None)) -> Float32:
    """Offsets (4, P) -> boxes_xyxy [P, 4] in the unit frame, not clipped to it (SSD paper, section 2.2, inverted).

    `priors` says which default boxes the P columns belong to; all 8732 if not given.
    """
    priors_cxcywh = _PRIORS_CXCYWH[priors]
    offsets = np.asarray(locs, np.float32).T  # [P, 4]
    size = priors_cxcywh[:, 2:]
    center = offsets[:, :2] * np.float32(XY_VARIANCE) * size + priors_cxcywh[:, :2]
    with np.errstate(over="ignore"):  # an absurd offset becomes an infinite box, as published
        return cxcywh_to_xyxy(np.concatenate([center, np.exp(offsets[:, 2:] * np.float32(WH_VARIANCE)) * size], 1))


def decode(
    locs: Float32,
    logits: Float32,
    *,
    score_threshold: float = 0.05,
    iou_threshold: float = 0.5,
    max_detections: int = 200,
) -> tuple[Float32, Int64, Float32]:
    """Raw outputs of one picture, locs (4, 8732) and logits (K, 8732), row 0 background -> its objects.

    Returns boxes_xyxy float32 [N, 4] in the unit frame, labels int64 [N] in 1..K-1 and scores float32 [N], descending.
    The inputs are never changed. Raises ArgumentError for other shapes and ModelError for logits that hold NaN.

    Examples:
        >>> boxes_xyxy, labels, scores = decode(np.zeros((4, 8732)), np.zeros((81, 8732)))
        >>> boxes_xyxy.shape, labels.shape, scores.shape
        ((0, 4), (0,), (0,))
    """
    check_thresholds(score_threshold, iou_threshold, max_detections)
    locs, logits = np.asarray(locs, np.float32), np.asarray(logits, np.float32)
    if locs.shape != (4, NUM_PRIORS) or logits.ndim != 2 or logits.shape[1] != NUM_PRIORS or len(logits) < 2:
        raise ArgumentError(
            f"expected locs (4, {NUM_PRIORS}) and logits (K, {NUM_PRIORS}) of one picture with K >= 2, "
            f"got {locs.shape} and {logits.shape}"
        )
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, which is refused
        margin = logits[1:].max(0) - logits[0]
    boxes_xyxy, probabilities = candidates(locs, logits, margin, score_threshold)
    return select(
        boxes_xyxy,
        probabilities,
        score_threshold=score_threshold,
        iou_threshold=iou_threshold,
        max_detections=max_detections,
    )


def candidates(
    locs: Float32, logits: Float32, margin: Float32, score_threshold: float = 0.0
) -> tuple[Float32, Float32]:
    """Raw outputs of one picture -> boxes_xyxy [n, 4] and probabilities (K, n) of the priors that may be selected.

    `margin` (P,) is the best logit of an object minus the logit of the background. A probability is at most
    sigmoid(its logit - the background's), so a prior with a low margin needs no softmax. In a real picture this leaves
    a few dozen of the 8732 priors, in order; at score_threshold 0 it keeps all. Raises ModelError for NaN.
    """
    _refuse_nan(margin)
    if score_threshold <= 0:
        priors = np.arange(len(margin))
    elif score_threshold >= 1:
        priors = np.zeros(0, np.int64)
    else:
        slack = 1e-3  # far above the rounding of float32 softmax
        priors = np.flatnonzero(margin > math.log(score_threshold / (1 - score_threshold)) - slack)
    return decode_boxes(locs[:, priors], priors), _softmax(logits[:, priors])


def _softmax(logits: Float32) -> Float32:
    """Over axis 0; +inf gives NaN, which `select` refuses."""
    with np.errstate(invalid="ignore"):
        exponentials = np.exp(logits - logits.max(0, initial=-np.inf))
        return np.asarray(exponentials / exponentials.sum(0))


def _refuse_nan(values: Float32) -> None:
    if np.isnan(values).any():
        raise ModelError(
            "the network's output holds NaN: its weights are damaged or diverged in training, "
            "or this CPU lacks the chosen precision (try precision f32)"
        )


def select(
    boxes_xyxy: Float32,
    probabilities: Float32,
    *,
    score_threshold: float = 0.05,
    iou_threshold: float = 0.5,
    max_detections: int = 200,
    agnostic: bool = False,
) -> tuple[Float32, Int64, Float32]:
    """Boxes [P, 4] in the unit frame and probabilities (K, P), row 0 background -> the objects of one picture.

    Returns boxes_xyxy float32 [N, 4] in the unit frame, labels int64 [N] in 1..K-1 and scores float32 [N], descending;
    N = 0 keeps these shapes. A prior may appear under several labels, unless `agnostic`: then boxes of different
    classes suppress one another. Raises ModelError if probabilities are NaN.
    """
    check_thresholds(score_threshold, iou_threshold, max_detections)
    boxes_xyxy, probabilities = np.asarray(boxes_xyxy, np.float32), np.asarray(probabilities, np.float32)
    if boxes_xyxy.shape != (probabilities.shape[-1], 4) or probabilities.ndim != 2 or len(probabilities) < 1:
        raise ArgumentError(
            f"expected boxes_xyxy [P, 4] and probabilities (K, P) of the same P, row 0 background, "
            f"got {boxes_xyxy.shape} and {probabilities.shape}"
        )
    _refuse_nan(probabilities[0])  # softmax spreads a NaN over the classes of its prior
    foreground = np.ascontiguousarray(probabilities[1:]).reshape(-1)
    # The threshold is compared in float32, as torch does it.
    found = np.flatnonzero(foreground > np.float32(score_threshold))[::-1]  # highest prior first among equals
    classes, priors = np.divmod(found, max(len(boxes_xyxy), 1))
    scores = foreground[found]
    order = np.lexsort((-scores, classes))
    rank, order = _best_of_each_class(classes, order)
    classes, priors, scores = classes[order], priors[order], scores[order]
    if agnostic:
        best = np.argsort(scores, kind="stable")[::-1]
        best = best[_nms_of_all(boxes_xyxy[priors[best]], iou_threshold, max_detections)]
        return boxes_xyxy[priors[best]], classes[best] + 1, scores[best]
    kept = _nms_per_class(boxes_xyxy[priors], classes, rank, iou_threshold)
    classes, priors, scores = classes[kept], priors[kept], scores[kept]
    best = np.argsort(scores, kind="stable")[::-1][:max_detections]
    return boxes_xyxy[priors[best]], classes[best] + 1, scores[best]


def _best_of_each_class(classes: Int64, order: Int64) -> tuple[Int64, Int64]:
    """(rank, order) of the first TOP_PER_CLASS of each class; `order` sorts the candidates by class, best first."""
    ordered = classes[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return rank[rank < TOP_PER_CLASS], order[rank < TOP_PER_CLASS]


def _nms_per_class(boxes_xyxy: Float32, classes: Int64, rank: Int64, iou_threshold: float) -> NDArray[np.bool_]:
    """Which of the candidates [N], sorted by class and best first, survive greedy NMS within their class.

    Many classes at once: C classes of at most M candidates make tables [C, M]. Greedy NMS is the only solution of
    "kept = overlaps no kept candidate before it". Applied repeatedly, starting from "all kept", the rule is right for
    the first n candidates after n rounds. Chains of overlaps are short, so a few rounds suffice.
    """
    if len(classes) == 0:
        return np.zeros(0, bool)
    row, most = np.cumsum(rank == 0) - 1, rank.max() + 1
    if row[-1] >= (some := max(1, _CELLS // most**2)):
        cuts = np.flatnonzero(rank == 0)[some::some]
        parts = zip(np.split(boxes_xyxy, cuts), np.split(classes, cuts), np.split(rank, cuts), strict=True)
        return np.concatenate([_nms_per_class(b, c, r, iou_threshold) for b, c, r in parts])
    boxes = np.zeros((row[-1] + 1, most, 4), np.float32)  # [C, M, 4]; empty boxes overlap nothing
    boxes[row, rank] = boxes_xyxy
    drops = np.triu(_drops(boxes, boxes, iou_threshold), 1).astype(np.float32)  # [C, M, M]
    kept = np.ones(boxes.shape[:2], np.float32)
    while True:
        dropped = (kept[:, None] @ drops)[:, 0] > 0
        if ((kept == 0) == dropped).all():
            return np.asarray(~dropped[row, rank])
        kept = (~dropped).astype(np.float32)


def _nms_of_all(boxes_xyxy: Float32, iou_threshold: float, most: int) -> Int64:
    """Class-agnostic greedy NMS of boxes [N, 4], best first: the rows of the first `most` that are kept.

    Block by block, so that tables stay small: what the boxes kept so far leave of a block goes through NMS by itself.
    """
    kept = np.zeros(0, np.int64)
    for start in range(0, len(boxes_xyxy), _BLOCK):
        if len(kept) >= most:
            break
        rows = np.arange(start, min(start + _BLOCK, len(boxes_xyxy)))
        for first in range(0, len(kept), _BLOCK):
            before = boxes_xyxy[kept[first : first + _BLOCK]]
            rows = rows[~_drops(before[None], boxes_xyxy[rows][None], iou_threshold)[0].any(0)]
        one_class = np.zeros(len(rows), np.int64)
        rows = rows[_nms_per_class(boxes_xyxy[rows], one_class, np.arange(len(rows)), iou_threshold)]
        kept = np.concatenate([kept, rows])
    return kept[:most]


def _drops(better: Float32, worse: Float32, iou_threshold: float) -> NDArray[np.bool_]:
    """Boxes [C, M, 4] and [C, N, 4] -> [C, M, N]: whether a better one suppresses a worse one.

    It does unless IoU < threshold, so also if NaN. Boxes that do not overlap never suppress one another: the lowest
    threshold is the smallest float above 0.
    """
    threshold = max(np.float32(iou_threshold), np.finfo(np.float32).smallest_subnormal)
    better, worse = better[:, :, None], worse[:, None]
    with np.errstate(invalid="ignore", over="ignore"):
        inter = _shared(better, worse, 0) * _shared(better, worse, 1)
        iou = np.divide(inter, area(better) + area(worse) - inter)
        return np.asarray(~(iou < threshold))


def _shared(a_xyxy: Float32, b_xyxy: Float32, axis: int) -> Float32:
    """The length that boxes share along an axis, at least 0."""
    low, high = axis, axis + 2
    shared = np.minimum(a_xyxy[..., high], b_xyxy[..., high]) - np.maximum(a_xyxy[..., low], b_xyxy[..., low])
    return np.asarray(np.maximum(shared, 0))

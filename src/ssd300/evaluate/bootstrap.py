"""Confidence intervals of AP: bootstrap over pictures.

Pictures are drawn with replacement, which only gives each a weight 0, 1, 2, ...; matches do not change. So a thousand
resamples cost a thousand weighted sums over the match table, not a thousand evaluations.

AP is biased upwards for classes with few boxes, and more so in resamples, which have fewer distinct pictures. So the
resamples are shifted to have the measured AP as their mean. On synthetic sets of 144 and 600 pictures with 80 classes
such intervals contained the expected AP in 89 and 90 % of the cases, plain percentiles in 90 and 78 %.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssd300.arrays import Float64, Int64
from ssd300.errors import ArgumentError
from ssd300.evaluate.coco import IOU_THRESHOLDS, RECALL_POINTS
from ssd300.evaluate.matches import MatchTable

Weights = NDArray[np.uint8]  # [B, pictures] how often each resample has each picture: few have it more than five times

RESAMPLES = 1000
CONFIDENCE = 0.95
_CELLS = 4_000_000  # weights in memory at a time: 16 MB


@dataclass(frozen=True)
class Interval:
    """A value and its 95 % bounds; NaN where they are not defined. One picture has no bounds: it cannot vary."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if np.isnan(self.value):
            return "undefined"
        if np.isnan(self.low):
            return f"{self.value:z.3f} (no interval)"
        return f"{self.value:z.3f} [{self.low:z.3f}, {self.high:z.3f}]"


@dataclass(frozen=True)
class Difference:
    """Second minus first on the same pictures: AP and AP50, and the fraction of resamples where the second is ahead.

    The fraction is NaN without resamples.
    """

    ap: Interval
    ap50: Interval
    share_ahead: float


def intervals(table: MatchTable, *, resamples: int = RESAMPLES, seed: int = 0) -> tuple[Interval, Interval]:
    """AP and AP50 with their 95 % intervals over pictures. The same seed gives the same interval."""
    ap_50_95, ap50 = _average_classes(table, _draw_weights(table, resamples, seed))
    return _interval(ap_50_95, least=0.0, most=1.0), _interval(ap50, least=0.0, most=1.0)


def difference(first: MatchTable, second: MatchTable, *, resamples: int = RESAMPLES, seed: int = 0) -> Difference:
    """Paired bootstrap: both sets of results are evaluated on the same resamples, so common variation cancels.

    Raises ArgumentError if the two are not of the same pictures.
    """
    if first.boxes.shape != second.boxes.shape or (first.boxes != second.boxes).any():
        raise ArgumentError(
            f"a paired comparison needs results of the same pictures: the first has {first.boxes.shape[0]} pictures "
            f"with {first.boxes.sum()} boxes, the second {second.boxes.shape[0]} with {second.boxes.sum()}"
        )
    weights = _draw_weights(first, resamples, seed)
    gains = [b - a for a, b in zip(_average_classes(first, weights), _average_classes(second, weights), strict=True)]
    drawn = gains[0][1:]
    drawn = drawn[np.isfinite(drawn)]
    return Difference(_interval(gains[0]), _interval(gains[1]), float(np.mean(drawn > 0)) if len(drawn) else np.nan)


def ap_of_resamples(table: MatchTable, weights: Weights) -> Float64:
    """AP [B, T, K] of B resamples given as picture weights [B, pictures]; NaN for a class without boxes."""
    boxes = _weigh(table.boxes, weights)
    out = np.full((len(weights), len(IOU_THRESHOLDS), len(table.classes)), np.nan)
    for k in range(len(table.classes)):
        rows = slice(int(table.first[k]), int(table.first[k + 1]))
        chunk = max(1, _CELLS // max(1, rows.stop - rows.start))
        for start in range(0, len(weights), chunk):
            part = slice(start, start + chunk)
            out[part, :, k] = _class_ap(table, rows, weights[part], boxes[part, k])
    return out


def _weigh(boxes: Int64, weights: Weights) -> Int64:
    """The number of boxes [B, K] in each resample; in float64, which is exact, as NumPy is slow in integers."""
    rows = max(1, _CELLS // max(1, weights.shape[1]))
    counts = boxes.astype(np.float64)
    return np.concatenate([weights[i : i + rows] @ counts for i in range(0, len(weights), rows)]).astype(np.int64)


def _class_ap(table: MatchTable, rows: slice, weights: Weights, boxes: Int64) -> Float64:
    """[B, T] of one class: the 101-point AP with every detection counted as often as its picture was drawn.

    Precision has its maxima at true positives, so it is computed only there.
    """
    drawn = np.take(weights, table.picture[rows], axis=1)  # [B, D]
    seen = drawn.cumsum(axis=1, dtype=np.int32)
    ap = np.zeros((len(weights), len(IOU_THRESHOLDS)))
    for t in range(len(IOU_THRESHOLDS)):
        places = np.flatnonzero(table.right[t, rows])
        if not len(places):
            continue
        hits = np.take(drawn, places, axis=1).cumsum(axis=1, dtype=np.int32)  # [B, hits]
        judged = np.take(seen, places, axis=1)
        unjudged = np.flatnonzero(table.unjudged[t, rows])
        if len(unjudged):
            skipped = np.pad(np.take(drawn, unjudged, axis=1).cumsum(axis=1, dtype=np.int32), ((0, 0), (1, 0)))
            judged = judged - skipped[:, np.searchsorted(unjudged, places)]
        precision = hits / (judged + np.spacing(1))
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        points = np.searchsorted(RECALL_POINTS, hits / np.maximum(boxes, 1)[:, None], side="right")
        ap[:, t] = (envelope * np.diff(points, axis=1, prepend=0)).sum(axis=1) / len(RECALL_POINTS)
    ap[boxes == 0] = np.nan
    return ap


def _draw_weights(table: MatchTable, resamples: int, seed: int) -> Weights:
    """Weights [1 + resamples, pictures]: first all ones, then the draws; none of a single picture."""
    pictures = len(table.boxes)
    rng = np.random.default_rng(seed)
    weights = np.ones((1 + resamples if pictures > 1 else 1, pictures), np.uint8)
    for row in weights[1:]:
        row[:] = np.bincount(rng.integers(0, pictures, pictures), minlength=pictures)
    return weights


def _average_classes(table: MatchTable, weights: Weights) -> tuple[Float64, Float64]:
    """AP and AP50 [B]: means over the classes with boxes in the resample."""
    ap = ap_of_resamples(table, weights)
    counted = np.isfinite(ap[:, 0])  # [B, K]
    classes = counted.sum(axis=1)
    classes_or_nan = np.where(classes > 0, classes, np.nan)
    by_class = np.where(counted, ap.mean(axis=1), 0.0), np.where(counted, ap[:, 0], 0.0)
    return by_class[0].sum(axis=1) / classes_or_nan, by_class[1].sum(axis=1) / classes_or_nan


def _interval(values: Float64, *, least: float = -1.0, most: float = 1.0) -> Interval:
    """From the value itself, followed by its resamples, which are shifted so that their mean is the value."""
    value, drawn = float(values[0]), values[1:][np.isfinite(values[1:])]
    if not len(drawn):
        return Interval(value, np.nan, np.nan)
    bounds = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]) - drawn.mean() + value
    low, high = np.clip(bounds, least, most).tolist()
    return Interval(value, low, high)

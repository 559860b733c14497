"""Error analysis: curves and best thresholds per class, confusion matrix, kinds of error, the worst pictures."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from math import ceil, isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssd300.arrays import Float64, Int64
from ssd300.data.dataset import Dataset
from ssd300.detections import Detections
from ssd300.evaluate.coco import class_numbers, counts_as_crowd, score
from ssd300.evaluate.matches import MatchTable, match_picture, match_table
from ssd300.labels import ClassList

WORST_PICTURES = 12


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision and recall at IoU 0.5 from each of the decreasing scores `thresholds` [S] on, and the highest F1.

    Without boxes or detections both are empty, and without a right detection no threshold is best: then the last four
    are NaN. `best_threshold` is an option of detection, whose results score above it. It is chosen on the same pictures
    that it is reported for: with few boxes it is unreliable.
    """

    thresholds: Float64
    precision: Float64
    recall: Float64
    best_threshold: float
    best_f1: float
    best_precision: float
    best_recall: float


@dataclass(frozen=True, eq=False)
class PictureErrors:
    """One picture at a score threshold and IoU 0.5. Rows of its result, and positions of its true boxes."""

    position: int
    right: Int64
    wrong: Int64
    missed: Int64

    @property
    def errors(self) -> int:
        return len(self.wrong) + len(self.missed)


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """The contents of the report beside the 12 metrics.

    curves              one per class, in the order of the data set's classes; `overall` counts all classes together
    threshold           `overall.best_threshold`; 0 if no detection is right
    confusion           [K + 1, K + 1] rows true, columns found, above `threshold` at IoU 0.5; the last is "nothing":
                        the last column counts boxes without a detection, the last row detections without a box
    tide                error kind -> (gain of AP50 without these errors, their number; None for FP and FN, which
                        sum up others)
    worst               pictures with most errors above `threshold`, worst first
    """

    curves: tuple[Curve, ...]
    overall: Curve
    threshold: float
    confusion: NDArray[np.int64]
    tide: dict[str, tuple[float, int | None]]
    worst: tuple[PictureErrors, ...]


def diagnose(dataset: Dataset, results: Sequence[Detections], *, unread: Container[int] = ()) -> Diagnosis:
    """The whole error analysis. `results` as in `coco_metrics`.

    `unread` are positions of pictures that could not be read: they are not among the worst ones.
    """
    table = match_table(dataset, results)
    overall = _curve(table, np.lexsort((-table.scores,)), int(table.boxes.sum()))
    threshold = 0.0 if isnan(overall.best_threshold) else overall.best_threshold
    scorer = score(*_judged(dataset, results))
    least = float(np.nextafter(np.float32(threshold), np.float32(1)))  # of the scores above the threshold
    confusion = scorer.confusion_matrix(iou_thr=0.5, min_score=least, max_det=max(1, len(table.scores)))
    tide = scorer.tide_errors()
    errors = [picture_errors(dataset, results, i, threshold) for i in range(len(dataset)) if i not in unread]
    errors.sort(key=lambda found: -found.errors)  # stable: equal ones stay in the data set's order
    return Diagnosis(
        curves=class_curves(table),
        overall=overall,
        threshold=threshold,
        confusion=_in_order(confusion, dataset.classes),
        tide={kind: (gain, tide["counts"].get(kind)) for kind, gain in tide["delta_ap"].items()},
        worst=tuple(e for e in errors[:WORST_PICTURES] if e.errors),
    )


def class_curves(table: MatchTable) -> tuple[Curve, ...]:
    """One curve per class, in the order of the table's classes."""
    boxes = table.boxes.sum(axis=0)
    return tuple(
        _curve(table, np.arange(table.first[k], table.first[k + 1]), int(boxes[k])) for k in range(len(table.classes))
    )


def picture_errors(
    dataset: Dataset, results: Sequence[Detections], position: int, score_threshold: float
) -> PictureErrors:
    """The right and wrong detections and missed boxes of one picture, for score > threshold and IoU 0.5."""
    truth, found = dataset.pictures[position].annotations, results[position]
    matches = match_picture(truth, found)
    shown = found.scores[matches.rows] > score_threshold
    rows, box_of = matches.rows[shown], matches.box_of[0, shown]
    crowd = counts_as_crowd(truth)
    hit = box_of >= 0
    right = hit & ~np.append(crowd, True)[box_of]  # -1 selects the appended one
    missed = ~crowd
    missed[box_of[right]] = False
    return PictureErrors(position, rows[right], rows[~hit], np.flatnonzero(missed))


def _curve(table: MatchTable, rows: Int64, boxes: int) -> Curve:
    right, unjudged, scores = table.right[0, rows], table.unjudged[0, rows], table.scores[rows]
    hits, found = right.cumsum(), (~unjudged).cumsum()
    # Equal scores pass the threshold together.
    last = np.append(scores[1:] != scores[:-1], True)[: len(scores)] & (found > 0)
    hits, found, scores = hits[last], found[last], scores[last]
    if not boxes:
        hits, found, scores = hits[:0], found[:0], scores[:0]
    precision, recall, f1 = hits / found, hits / max(boxes, 1), 2 * hits / (found + boxes)
    if not hits.any():
        return Curve(scores, precision, recall, *[float("nan")] * 4)
    best = int(f1.argmax())
    lower = scores[best + 1] if best + 1 < len(scores) else table.scores.min()
    threshold = _threshold_between(float(lower), float(scores[best]))
    return Curve(scores, precision, recall, threshold, *(float(a[best]) for a in (f1, precision, recall)))


def _threshold_between(low: float, high: float) -> float:
    """The shortest decimal, of two digits or more, that is above one float32 score and below another.

    If there is none, it is the float32 below the higher one.

    >>> _threshold_between(0.3, 0.375), _threshold_between(0.3745, 0.375), _threshold_between(0.375, 0.375)
    (0.37, 0.3749, 0.37499997)
    """
    for digits in range(2, 10):
        unit = float(10**digits)
        threshold = (ceil(high * unit) - 1) / unit
        if low < np.float32(threshold) < high:
            return threshold
    return float(str(np.nextafter(np.float32(high), np.float32(0))))


def _judged(dataset: Dataset, results: Sequence[Detections]) -> tuple[Dataset, list[Detections]]:
    """The boxes and detections that count, without those of crowd and ignored boxes at IoU 0.5.

    hotcoco would count detections of such boxes as background errors in its matrix, and detections near them as
    localization errors.
    """
    pictures, judged = [], []
    for picture, found in zip(dataset.pictures, results, strict=True):
        truth = picture.annotations
        crowd, matches = counts_as_crowd(truth), match_picture(truth, found)
        unjudged = np.append(crowd, False)[matches.box_of[0]]  # -1 selects the appended one
        pictures.append(replace(picture, annotations=truth.select(~crowd)))
        judged.append(found[matches.rows[~unjudged]])
    return replace(dataset, pictures=tuple(pictures)), judged


def _in_order(confusion: dict[str, Any], classes: ClassList) -> NDArray[np.int64]:
    """hotcoco's matrix in the order of the classes, "nothing" last."""
    cat_ids = list(confusion["cat_ids"])
    order = [cat_ids.index(number) for number in class_numbers(classes, classes.ids).tolist()] + [len(cat_ids)]
    return np.asarray(confusion["matrix"]).astype(np.int64)[np.ix_(order, order)]

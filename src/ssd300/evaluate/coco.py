"""The 12 COCO metrics of a set of results, computed by hotcoco (bit-equal to pycocotools 2.0.11, checked by a test).

AP is the mean over classes and IoU thresholds, which is also called mAP.
Ignored boxes are treated as crowd boxes: they may be matched any number of times or not at all, without effect.
(pycocotools overwrites `ignore` with `iscrowd`, so there an ignored box is an ordinary one.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssd300.arrays import Float64, Int64
from ssd300.boxes import xyxy_to_xywh
from ssd300.data.dataset import Annotations, Dataset
from ssd300.detections import Detections
from ssd300.errors import ArgumentError, needs
from ssd300.labels import ClassList

STAT_NAMES = (
    *("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"),
    *("AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large"),
)
STAT_WORDS = (
    *("IoU 0.50 to 0.95", "IoU 0.50", "IoU 0.75", "boxes below 32² pixels", "32² to 96² pixels", "above 96² pixels"),
    *("1 box per picture and class", "10 boxes", "100 boxes"),
    *("below 32² pixels", "32² to 96² pixels", "above 96² pixels"),
)
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_POINTS = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = (1, 10, 100)  # per picture and class, as COCO counts


@dataclass(frozen=True, eq=False)
class CocoMetrics:
    """The 12 metrics and the values behind them. -1 (as in COCO) means that a metric is not defined.

    stats               [12] in the order of STAT_NAMES
    classes             the K classes of the data set; all per-class arrays are in their order
    ap_of_class         [K] mean over IoU 0.50:0.95, likewise ap50_of_class (IoU 0.5), recall_of_class (AR, 100 boxes)
    precision           [10, 101, K] at IOU_THRESHOLDS and RECALL_POINTS, all sizes, 100 boxes
    boxes_of_class      [K] boxes that count, without crowd and ignored ones
    crowd, ignored      boxes of the data set marked so; both are matched one-to-many
    """

    stats: Float64
    classes: ClassList
    ap_of_class: Float64
    ap50_of_class: Float64
    recall_of_class: Float64
    precision: Float64
    boxes_of_class: Int64
    pictures: int
    detections: int
    crowd: int
    ignored: int

    @property
    def ap(self) -> float:
        return float(self.stats[0])

    @property
    def ap50(self) -> float:
        return float(self.stats[1])

    @property
    def boxes(self) -> int:
        """The number of boxes, without crowd and ignored ones."""
        return int(self.boxes_of_class.sum())

    def to_dict(self) -> dict[str, float]:
        """The 12 metrics by name."""
        return dict(zip(STAT_NAMES, self.stats.tolist(), strict=True))


def coco_metrics(dataset: Dataset, results: Sequence[Detections]) -> CocoMetrics:
    """The COCO metrics of `results`, one per picture of the data set in its order (empty without detections).

    Raises ArgumentError if the counts differ or a class id is not one of the data set's,
    MissingExtraError without the extra `eval`.
    """
    scorer = score(dataset, results)
    precision, recall = scorer.eval["precision"], scorer.eval["recall"]  # [T, R, K, area, max], [T, K, area, max]
    order = [scorer.params.cat_ids.index(n) for n in class_numbers(dataset.classes, dataset.classes.ids).tolist()]
    precision_100, recall_100 = precision[:, :, order, 0, 2], recall[:, order, 0, 2]
    counted = [p.annotations.class_ids[~counts_as_crowd(p.annotations)] for p in dataset.pictures]
    counted_ids = _concatenate(counted, np.int64, ())
    return CocoMetrics(
        stats=_twelve_numbers(precision, recall),
        classes=dataset.classes,
        ap_of_class=np.array([_mean(precision_100[:, :, k]) for k in range(len(order))]),
        ap50_of_class=np.array([_mean(precision_100[0, :, k]) for k in range(len(order))]),
        recall_of_class=np.array([_mean(recall_100[:, k]) for k in range(len(order))]),
        precision=precision_100,
        boxes_of_class=np.array([np.count_nonzero(counted_ids == i) for i in dataset.classes.ids], np.int64),
        pictures=len(dataset.pictures),
        detections=sum(len(result.scores) for result in results),
        crowd=sum(int(p.annotations.crowd.sum()) for p in dataset.pictures),
        ignored=sum(int((p.annotations.ignore & ~p.annotations.crowd).sum()) for p in dataset.pictures),
    )


def require_hotcoco() -> Any:
    """Import hotcoco; call it before any work. Raises MissingExtraError."""
    with needs("measuring AP", "eval"):
        import hotcoco
    return hotcoco


def score(dataset: Dataset, results: Sequence[Detections]) -> Any:
    """The evaluated and accumulated `hotcoco.COCOeval`. Its ids are `image_numbers` and `class_numbers`."""
    hotcoco = require_hotcoco()
    truth = _ground_truth(hotcoco, dataset)
    scorer = hotcoco.COCOeval(truth, truth.load_res(_result_rows(dataset, results)), "bbox")
    scorer.evaluate()
    scorer.accumulate()
    return scorer


def image_numbers(dataset: Dataset) -> Int64:
    """The number [pictures] of each picture for COCOeval: 1, 2, ... in the order of their integer ids.

    Equal scores in two pictures are ordered by id, so the order of ids must be kept. Text ids keep file order.
    """
    ids = [picture.image_id for picture in dataset.pictures]
    order = list(range(len(ids)))
    if all(isinstance(i, int) for i in ids):
        order.sort(key=ids.__getitem__)
    numbers = np.empty(len(ids), np.int64)
    numbers[order] = np.arange(1, len(ids) + 1)
    return numbers


def class_numbers(classes: ClassList, class_ids: Sequence[int] | Int64) -> Int64:
    """The number [N] of each class id for COCOeval: 1, 2, ... in the order of the ids, which is that of its sums.

    It takes no negative ids, no names that are not UTF-8, and ids only as far as float64 has them all.
    """
    ids = np.sort(np.asarray(classes.ids, np.int64))
    return np.asarray(np.searchsorted(ids, np.asarray(class_ids, np.int64)) + 1, np.int64)


def counts_as_crowd(annotations: Annotations) -> NDArray[np.bool_]:
    """Which boxes [M] may be matched any number of times, or not at all."""
    return np.asarray(annotations.crowd | annotations.ignore, bool)


def _twelve_numbers(precision: Float64, recall: Float64) -> Float64:
    """pycocotools' summary without printing; in the same order of summation, so it is bit-equal."""
    ap = [precision[..., 0, 2], precision[0, ..., 0, 2], precision[5, ..., 0, 2]]
    ap += [precision[..., area, 2] for area in (1, 2, 3)]  # small, medium, large
    ar = [recall[..., 0, most] for most in (0, 1, 2)] + [recall[..., area, 2] for area in (1, 2, 3)]
    return np.array([_mean(values) for values in ap + ar])


def _mean(values: Float64) -> float:
    counted = values[values > -1]
    return float(np.mean(counted)) if len(counted) else -1.0


def _ground_truth(hotcoco: Any, dataset: Dataset) -> Any:
    numbers, pictures = image_numbers(dataset), dataset.pictures
    counts = [len(picture.annotations.class_ids) for picture in pictures]
    return hotcoco.COCO.from_arrays(
        [{"id": int(n), "width": p.width, "height": p.height} for n, p in zip(numbers, pictures, strict=True)],
        [{"id": n, "name": str(n)} for n in class_numbers(dataset.classes, dataset.classes.ids).tolist()],
        np.repeat(numbers, counts),
        class_numbers(dataset.classes, _concatenate([p.annotations.class_ids for p in pictures], np.int64, ())),
        xyxy_to_xywh(_concatenate([p.annotations.boxes_xyxy for p in pictures], np.float64, (4,))),
        ids=np.arange(1, sum(counts) + 1),
        area=_concatenate([p.annotations.area for p in pictures], np.float64, ()),
        iscrowd=_concatenate([counts_as_crowd(p.annotations) for p in pictures], np.bool_, ()),
    )


def _result_rows(dataset: Dataset, results: Sequence[Detections]) -> Float64:
    """Rows [D, 7]: image number, x, y, w, h in pixels, score, class number."""
    if len(results) != len(dataset.pictures):
        raise ArgumentError(
            f"one result per picture is needed, empty or not: {dataset.name} has {len(dataset.pictures)} pictures, "
            f"{len(results)} results were given"
        )
    class_ids = _concatenate([r.class_ids for r in results], np.int64, ())
    numbers = np.repeat(image_numbers(dataset), [len(r.class_ids) for r in results])
    unknown = ~np.isin(class_ids, np.asarray(dataset.classes.ids, np.int64))
    if unknown.any():
        at = int(np.flatnonzero(unknown)[0])
        raise ArgumentError(
            f"a result has class id {class_ids[at]}, which is not one of the {len(dataset.classes)} of {dataset.name}: "
            f"results must have the data set's ids; match a model's classes by name first (`evaluate` does)"
        )
    boxes_xywh = xyxy_to_xywh(_concatenate([r.boxes_xyxy for r in results], np.float64, (4,)))
    scores = _concatenate([r.scores for r in results], np.float64, ())
    return np.column_stack([numbers, boxes_xywh, scores, class_numbers(dataset.classes, class_ids)]).astype(np.float64)


def _concatenate(arrays: Sequence[NDArray[Any]], dtype: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    """Concatenate arrays in one dtype; zero rows of the given shape if there are none."""
    return np.concatenate([np.zeros((0, *shape), dtype), *(np.asarray(a).astype(dtype) for a in arrays)])

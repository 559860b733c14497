"""Match detections to boxes, picture by picture, by the COCO rule; the input of intervals and curves.

hotcoco matches in the same way, but returns its matches as a dict per picture and class (half a minute for COCO val).
A test checks that both agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssd300.arrays import Bool, Float64, Int64
from ssd300.boxes import xyxy_to_xywh
from ssd300.data.dataset import Annotations, Dataset
from ssd300.detections import Detections
from ssd300.evaluate.coco import IOU_THRESHOLDS, MAX_DETECTIONS, counts_as_crowd, image_numbers
from ssd300.labels import ClassList


@dataclass(frozen=True, eq=False)
class PictureMatches:
    """One picture. `rows` [D] are its detections that count (at most 100 per class), best score first.

    `box_of` [T, D] is the true box matched to each detection at each of the T IoU thresholds, -1 for none. A detection
    matched to a crowd or ignored box is neither right nor wrong.
    """

    rows: Int64
    box_of: Int64


@dataclass(frozen=True, eq=False)
class MatchTable:
    """All D detections that count, ordered by class, then score descending, as COCOeval accumulates them.

    first [K + 1]         detections first[k]:first[k + 1] belong to class k
    picture, scores [D]   position of the picture in the data set; score
    right, unjudged [T, D]  matched to a counted box; matched to a crowd or ignored one (all others are wrong)
    boxes [pictures, K]   number of boxes without crowd and ignored ones
    """

    classes: ClassList
    first: Int64
    picture: Int64
    scores: Float64
    right: Bool
    unjudged: Bool
    boxes: Int64


def match_table(dataset: Dataset, results: Sequence[Detections]) -> MatchTable:
    """The matches of all pictures. `results` as in `coco_metrics`, which checks them."""
    matches = [match_picture(p.annotations, r) for p, r in zip(dataset.pictures, results, strict=True)]
    counts = [len(m.rows) for m in matches]
    position_of_id = dataset.classes.position_of_id
    nothing = np.zeros(0, np.int64)
    found_ids = np.concatenate([nothing, *(r.class_ids[m.rows] for r, m in zip(results, matches, strict=True))])
    scores = np.concatenate([nothing, *(r.scores[m.rows] for r, m in zip(results, matches, strict=True))])
    label = np.array([position_of_id[i] for i in found_ids.tolist()], np.int64)
    # Equal scores stay in the order of picture ids, then of results: the order in which COCO accumulates.
    order = np.lexsort((np.repeat(image_numbers(dataset), counts), -scores, label))

    right, unjudged = np.zeros((2, len(IOU_THRESHOLDS), sum(counts)), bool)
    boxes = np.zeros((len(dataset.pictures), len(dataset.classes)), np.int64)
    start = 0
    for i, (picture, match) in enumerate(zip(dataset.pictures, matches, strict=True)):
        columns = slice(start, start + counts[i])
        start = columns.stop
        crowd = counts_as_crowd(picture.annotations)
        found = match.box_of >= 0
        if len(crowd):
            unjudged[:, columns] = found & crowd[match.box_of]
            right[:, columns] = found & ~crowd[match.box_of]
        for class_id in picture.annotations.class_ids[~crowd].tolist():
            boxes[i, position_of_id[class_id]] += 1
    return MatchTable(
        classes=dataset.classes,
        first=np.searchsorted(label[order], np.arange(len(dataset.classes) + 1)),
        picture=np.repeat(np.arange(len(counts)), counts)[order],
        scores=scores[order].astype(np.float64),
        right=right[:, order],
        unjudged=unjudged[:, order],
        boxes=boxes,
    )


def match_picture(truth: Annotations, found: Detections) -> PictureMatches:
    """Greedy matching of one picture, best score first, for each class separately.

    A detection takes the free box with the highest IoU that reaches the threshold; among equal ones the last. Only if
    there is none may it take a crowd or ignored box, which stays free.
    """
    rows = _select_rows(found)
    crowd = counts_as_crowd(truth)
    same_class = found.class_ids[rows][:, None] == truth.class_ids[None, :]  # [D, M]
    overlaps = np.where(same_class, _coco_iou(found.boxes_xyxy[rows], truth.boxes_xyxy, crowd), -1.0)
    box_of = np.full((len(IOU_THRESHOLDS), len(rows)), -1, np.int64)
    free = np.ones((len(IOU_THRESHOLDS), len(truth.class_ids)), bool)
    for row in np.flatnonzero((overlaps >= IOU_THRESHOLDS[0]).any(axis=1)).tolist():
        near = np.flatnonzero(overlaps[row] >= IOU_THRESHOLDS[0])[::-1]  # descending, so that argmax takes the last
        reached = (overlaps[row, near] >= IOU_THRESHOLDS[:, None]) & free[:, near]  # [T, near]
        # A box that counts is preferred at any IoU over crowd boxes.
        rank = np.where(reached, overlaps[row, near] - 2.0 * crowd[near], -9.0)
        best = rank.argmax(axis=1)
        hit = np.flatnonzero(reached.any(axis=1))
        box = near[best[hit]]
        box_of[hit, row] = box
        free[hit, box] = crowd[box]
    return PictureMatches(rows, box_of)


def _select_rows(found: Detections) -> Int64:
    """Rows of the detections by descending score, the best MAX_DETECTIONS[-1] of every class."""
    order = np.argsort(-found.scores.astype(np.float64), kind="stable")
    if len(order) <= MAX_DETECTIONS[-1]:
        return order
    by_class = order[np.argsort(found.class_ids[order], kind="stable")]
    ids = found.class_ids[by_class]
    place = np.arange(len(ids)) - np.searchsorted(ids, ids)  # rank inside its class
    allowed = np.zeros(len(order), bool)
    allowed[by_class[place < MAX_DETECTIONS[-1]]] = True
    return np.asarray(order[allowed[order]])


def _coco_iou(found_xyxy: NDArray[np.floating], true_xyxy: NDArray[np.floating], crowd: Bool) -> Float64:
    """IoU [D, M] as in pycocotools, in float64; for crowd boxes the fraction of the detection inside."""
    a_xywh = xyxy_to_xywh(found_xyxy.astype(np.float64))
    b_xywh = xyxy_to_xywh(true_xyxy.astype(np.float64))
    low = np.maximum(a_xywh[:, None, :2], b_xywh[None, :, :2])
    high = np.minimum((a_xywh[:, :2] + a_xywh[:, 2:])[:, None], (b_xywh[:, :2] + b_xywh[:, 2:])[None])
    size = np.maximum(high - low, 0)
    inter = size[..., 0] * size[..., 1]
    a_area, b_area = a_xywh[:, 2] * a_xywh[:, 3], b_xywh[:, 2] * b_xywh[:, 3]
    union = np.where(crowd[None, :], a_area[:, None], a_area[:, None] + b_area[None, :] - inter)
    return np.asarray(np.divide(inter, union, out=np.zeros_like(inter), where=union > 0))

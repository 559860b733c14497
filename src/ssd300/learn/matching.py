"""Matching of true boxes to the 8732 default boxes (SSD paper, section 2.2), by the published rule to the letter."""

from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray

from ssd300.arrays import Float32, Int64
from ssd300.boxes import area, iou, xyxy_to_cxcywh
from ssd300.priors import default_boxes, default_boxes_xyxy

IGNORED = -1  # the label of a prior that is neither object nor background

_PRIORS_CXCYWH = default_boxes()
_PRIORS_XYXY = default_boxes_xyxy()


@overload
def match(boxes_xyxy: Float32, labels: Int64, iou_threshold: float = 0.5) -> tuple[Float32, Int64]: ...


@overload
def match(
    boxes_xyxy: torch.Tensor, labels: torch.Tensor, iou_threshold: float = 0.5
) -> tuple[torch.Tensor, torch.Tensor]: ...


def match(
    boxes_xyxy: Float32 | torch.Tensor, labels: Int64 | torch.Tensor, iou_threshold: float = 0.5
) -> tuple[Float32, Int64] | tuple[torch.Tensor, torch.Tensor]:
    """Give each default box the true box it has to learn.

    A prior takes its best box if their IoU is above the threshold (strictly). Besides, the best prior of every box is
    forced to that box; when two boxes share a best prior the last one in the list has it. Of equal IoUs the first wins.

    Args:
        boxes_xyxy: [M, 4] in the unit frame; M may be 0.
        labels: [M], 1..K-1.
        iou_threshold: 0.5 as published.

    Returns:
        matched_boxes_cxcywh [8732, 4]: the matched true box, or the prior itself where there is none.
        matched_labels [8732] int64: the label of that box, or 0 (background).
        NumPy arrays in, NumPy arrays out; tensors in, tensors out.
    """
    if isinstance(boxes_xyxy, torch.Tensor):
        device = boxes_xyxy.device
        matched = match(boxes_xyxy.detach().cpu().numpy(), torch.as_tensor(labels).cpu().numpy(), iou_threshold)
        return torch.from_numpy(matched[0]).to(device), torch.from_numpy(matched[1]).to(device)
    boxes = np.asarray(boxes_xyxy, np.float32).reshape(-1, 4)
    matched_boxes_cxcywh = _PRIORS_CXCYWH.copy()
    matched_labels = np.zeros(len(_PRIORS_CXCYWH), np.int64)
    if len(boxes) == 0:
        return matched_boxes_cxcywh, matched_labels
    overlaps = iou(boxes, _PRIORS_XYXY)  # [M, P]
    best_box = overlaps.argmax(0)  # [P]
    best_iou = overlaps.max(0)
    best_prior = overlaps.argmax(1)  # [M]
    best_iou[best_prior] = 2.0
    for box, prior in enumerate(best_prior):  # in order, so that the last box wins a shared prior
        best_box[prior] = box
    positive = best_iou > iou_threshold
    matched_boxes_cxcywh[positive] = xyxy_to_cxcywh(boxes)[best_box[positive]]
    matched_labels[positive] = np.asarray(labels, np.int64)[best_box[positive]]
    return matched_boxes_cxcywh, matched_labels


def ignored_priors(ignored_xyxy: Float32, crowd_xyxy: Float32, threshold: float = 0.5) -> NDArray[np.bool_]:
    """Priors [8732] that must not be taught to be background.

    Args:
        ignored_xyxy: [I, 4] single objects of doubt: a prior with IoU above the threshold is left out.
        crowd_xyxy: [C, 4] regions with many objects: a prior with more than this share of its area inside is left out.
    """
    left_out = np.zeros(len(_PRIORS_XYXY), bool)
    if len(ignored_xyxy):
        left_out |= (iou(ignored_xyxy, _PRIORS_XYXY) > threshold).any(0)
    for crowd in crowd_xyxy:
        low = np.maximum(_PRIORS_XYXY[:, :2], crowd[:2])
        high = np.minimum(_PRIORS_XYXY[:, 2:], crowd[2:])
        inside = np.maximum(high - low, 0).prod(1)
        left_out |= inside > threshold * area(_PRIORS_XYXY)
    return left_out

"""Matching and the published loss, one picture at a time: what those of whole batches must equal."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssd300.boxes import area, iou, xyxy_to_cxcywh
from ssd300.learn.augment import Sample
from ssd300.priors import WH_VARIANCE, XY_VARIANCE, default_boxes, default_boxes_xyxy

IGNORED = -1  # the label of a prior that is neither object nor background

_PRIORS_CXCYWH = default_boxes()
_PRIORS_XYXY = default_boxes_xyxy()


def match(boxes_xyxy: np.ndarray, labels: np.ndarray, iou_threshold: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
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
    """
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


def ignored_priors(ignored_xyxy: np.ndarray, crowd_xyxy: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """Priors [8732] that must not be taught to be background.

    Args:
        ignored_xyxy: [I, 4] single objects of doubt: a prior with IoU above the threshold, or the best, is left out.
        crowd_xyxy: [C, 4] regions with many objects: a prior with more than this share of its area inside is left out.
    """
    left_out = np.zeros(len(_PRIORS_XYXY), bool)
    if len(ignored_xyxy):
        overlaps = iou(ignored_xyxy, _PRIORS_XYXY)  # [I, P]
        left_out |= ((overlaps > threshold) | (overlaps == overlaps.max(1, keepdims=True))).any(0)
    for crowd in crowd_xyxy:
        low = np.maximum(_PRIORS_XYXY[:, :2], crowd[:2])
        high = np.minimum(_PRIORS_XYXY[:, 2:], crowd[2:])
        inside = np.maximum(high - low, 0).prod(1)
        left_out |= inside > threshold * area(_PRIORS_XYXY)
    return left_out


NEGATIVES_PER_POSITIVE = 3


def encode_offsets(boxes_cxcywh: Tensor, priors_cxcywh: Tensor) -> Tensor:
    """Boxes [..., P, 4] as offsets from their priors [P, 4], divided by the variances -> [..., 4, P]."""
    xy = (boxes_cxcywh[..., :2] - priors_cxcywh[:, :2]) / priors_cxcywh[:, 2:] / XY_VARIANCE
    wh = torch.log(boxes_cxcywh[..., 2:] / priors_cxcywh[:, 2:]) / WH_VARIANCE
    return torch.cat([xy, wh], -1).transpose(-1, -2)


class MultiBoxLoss(nn.Module):
    """The published loss. Calling it gives a scalar; `parts` gives its two summands.

    Per picture: (smooth L1 over its positives + cross-entropy over its positives and hardest negatives) / positives;
    the batch's loss is the mean over its pictures. A picture without positives adds 0 and counts in the mean.
    Priors labeled `matching.IGNORED` (-1) are neither positive nor negative.
    """

    priors_cxcywh: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("priors_cxcywh", torch.from_numpy(default_boxes()), persistent=False)

    def forward(self, locs: Tensor, logits: Tensor, matched_boxes_cxcywh: Tensor, matched_labels: Tensor) -> Tensor:
        """locs [B, 4, P], logits [B, K, P], matched_boxes_cxcywh [B, P, 4], matched_labels [B, P] -> scalar."""
        box, label = self.parts(locs, logits, matched_boxes_cxcywh, matched_labels)
        return box + label

    def parts(
        self, locs: Tensor, logits: Tensor, matched_boxes_cxcywh: Tensor, matched_labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(box loss, class loss), two scalars whose sum is the loss."""
        locs, logits = locs.float(), logits.float()
        positive = matched_labels > 0  # [B, P]
        positives = positive.sum(1)  # [B]

        offsets = encode_offsets(matched_boxes_cxcywh, self.priors_cxcywh)  # [B, 4, P]
        # A selection, not a product with the mask: the offsets of a degenerate box are infinite.
        offsets = torch.where(positive[:, None], offsets, locs.detach())
        box = F.smooth_l1_loss(locs, offsets, reduction="none").sum((1, 2))  # [B]

        cross_entropy = F.cross_entropy(logits, matched_labels.clamp(min=0), reduction="none")  # [B, P]
        with torch.no_grad():
            hard = hard_negatives(cross_entropy, matched_labels, positives)
        label = (cross_entropy * (positive | hard)).sum(1)  # [B]

        per_picture = (positives > 0) / positives.clamp(min=1)  # [B]
        return (box * per_picture).mean(), (label * per_picture).mean()


def hard_negatives(cross_entropy: Tensor, matched_labels: Tensor, positives: Tensor) -> Tensor:
    """Mask [B, P] of the priors with the highest background loss, three per positive of the picture.

    Positives rank with a loss of 0, as published, so a picture with too few negatives may name some of them too.
    """
    hardness = torch.where(matched_labels == 0, cross_entropy, torch.zeros_like(cross_entropy))
    rank = hardness.argsort(1, descending=True).argsort(1)
    limit = (NEGATIVES_PER_POSITIVE * positives).clamp(max=cross_entropy.shape[1])
    return (rank < limit[:, None]) & (matched_labels >= 0)


class PublishedCriterion(nn.Module):
    """Match by IoU, then the MultiBox loss. Priors on doubtful objects and in crowds are left out of the negatives."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = MultiBoxLoss()

    def forward(self, locs: Tensor, logits: Tensor, samples: list[Sample]) -> tuple[Tensor, Tensor]:
        boxes_cxcywh, labels = zip(*(self.targets(sample) for sample in samples), strict=True)
        matched = (torch.from_numpy(np.stack(a)).to(locs.device) for a in (boxes_cxcywh, labels))
        return self.loss.parts(locs, logits, *matched)

    @staticmethod
    def targets(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        """matched boxes cxcywh [P, 4] and labels [P] of one sample."""
        boxes_xyxy, object_labels = sample.objects()
        matched_boxes_cxcywh, matched_labels = match(boxes_xyxy, object_labels)
        left_out = ignored_priors(sample.boxes_xyxy[sample.doubtful], sample.boxes_xyxy[sample.crowd])
        matched_labels[left_out & (matched_labels == 0)] = IGNORED
        return matched_boxes_cxcywh, matched_labels

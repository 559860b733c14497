"""Matching and both losses, one picture at a time: what those of whole batches must equal."""

from dataclasses import dataclass

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


CANDIDATES = 13  # priors a true box may have at most
CLASS_POWER, IOU_POWER = 1.0, 6.0  # alignment = probability ** 1 * IoU ** 6
FOCUS = 1.5  # how strongly easy priors are discounted
BOX_WEIGHT = 2.0
EASY = 0.05  # background less doubtful than this can never be reported: it teaches nothing, and `network.py` skips it


@dataclass(frozen=True)
class Truth:
    """What a picture teaches: boxes_xyxy [M, 4] unit frame, labels [M]; `left_out` marks priors [P]."""

    boxes_xyxy: Tensor
    labels: Tensor
    left_out: Tensor


def pair_iou(a_xyxy: Tensor, b_xyxy: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalized IoU of boxes [..., 4] with boxes [..., 4], broadcast."""
    low, high = torch.maximum(a_xyxy[..., :2], b_xyxy[..., :2]), torch.minimum(a_xyxy[..., 2:], b_xyxy[..., 2:])
    inter = (high - low).clamp(min=0).prod(-1)
    area_a, area_b = ((x[..., 2:] - x[..., :2]).clamp(min=0).prod(-1) for x in (a_xyxy, b_xyxy))
    union = (area_a + area_b - inter).clamp(min=1e-9)
    hull = torch.maximum(a_xyxy[..., 2:], b_xyxy[..., 2:]) - torch.minimum(a_xyxy[..., :2], b_xyxy[..., :2])
    hull_area = hull.prod(-1).clamp(min=1e-9)
    return inter / union, inter / union - (hull_area - union) / hull_area


def assign(
    boxes_xyxy: Tensor, probabilities: Tensor, priors: "AlignedLoss", truth: Truth
) -> tuple[Tensor, Tensor, Tensor]:
    """Choose the priors that learn each true box of one picture.

    Args:
        boxes_xyxy: [P, 4] predicted; probabilities: [K, P] predicted. Neither carries a gradient.

    Returns:
        prior indices [A], the index of each one's true box [A], and its quality [A] in 0..1 (the class target).
    """
    m = len(truth.boxes_xyxy)
    none = torch.zeros(0, dtype=torch.int64, device=boxes_xyxy.device)
    if m == 0:
        return none, none, none.float()
    overlap, _ = pair_iou(truth.boxes_xyxy[:, None], boxes_xyxy[None])  # [M, P]
    prior_overlap, _ = pair_iou(truth.boxes_xyxy[:, None], priors.xyxy[None])
    alignment = probabilities[truth.labels] ** CLASS_POWER * overlap**IOU_POWER  # [M, P]
    center = priors.cxcywh[:, None, :2]  # [P, 1, 2]
    inside = ((center >= truth.boxes_xyxy[:, :2]) & (center <= truth.boxes_xyxy[:, 2:])).all(-1).T  # [M, P]
    # Only priors of a like size may learn a box: without this, chance winners far off dominate the first steps.
    score = torch.where(inside & (prior_overlap > 0.2), alignment, torch.zeros_like(alignment))
    # A box without such a prior (tiny, or very elongated) still has its best one, if no other box does better there.
    best = prior_overlap.argmax(1)
    rows = torch.arange(m, device=best.device)
    score[rows, best] = score[rows, best].clamp(min=1e-12)
    top, prior = score.topk(min(CANDIDATES, score.shape[1]), 1)  # [M, k]
    chosen = torch.zeros_like(score).scatter_(1, prior, top)
    owner_score, owner = chosen.max(0)  # a prior wanted by several boxes goes to the one it is best aligned with
    index = owner_score.nonzero()[:, 0]
    box = owner[index]
    # Quality: alignment scaled so that each box's best prior has that box's best IoU.
    aligned = alignment[box, index]
    best_aligned = torch.zeros(m, device=aligned.device).scatter_reduce_(0, box, aligned, "amax")
    best_overlap = torch.zeros(m, device=aligned.device).scatter_reduce_(0, box, overlap[box, index], "amax")
    quality = aligned / best_aligned[box].clamp(min=1e-12) * best_overlap[box]
    return index, box, quality


class AlignedLoss(nn.Module):
    """Sum over the batch of class and box losses, divided by the sum of the targets' quality.

    Class loss of a prior: cross-entropy between the target (quality for the class, the rest for background) and the
    prediction, times (total variation distance of the two) ** 1.5: a prior that is right already counts little, and a
    background prior that is surer than 1 - EASY not at all.
    """

    xyxy: Tensor
    cxcywh: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("cxcywh", torch.from_numpy(default_boxes()), persistent=False)
        self.register_buffer("xyxy", torch.from_numpy(default_boxes_xyxy()), persistent=False)

    def decode(self, locs: Tensor) -> Tensor:
        """locs [B, 4, P] -> boxes_xyxy [B, P, 4] in the unit frame."""
        offsets = locs.transpose(1, 2)
        center = self.cxcywh[:, :2] + offsets[..., :2] * XY_VARIANCE * self.cxcywh[:, 2:]
        # Bounded at e**4 times the prior, so that a wild first step cannot overflow.
        half = (offsets[..., 2:] * WH_VARIANCE).clamp(max=4).exp() * self.cxcywh[:, 2:] / 2
        return torch.cat([center - half, center + half], -1)

    def parts(self, locs: Tensor, logits: Tensor, truths: list[Truth]) -> tuple[Tensor, Tensor]:
        """(box loss, class loss) of locs [B, 4, P] and logits [B, K, P]."""
        boxes_xyxy = self.decode(locs.float())
        log_p = logits.float().log_softmax(1)  # [B, K, P]
        with torch.no_grad():
            p = log_p.exp()
            assigned = [assign(b, q, self, t) for b, q, t in zip(boxes_xyxy.detach(), p, truths, strict=True)]
        picture = torch.cat([torch.full_like(index, i) for i, (index, _, _) in enumerate(assigned)])  # [A]
        prior = torch.cat([index for index, _, _ in assigned])
        true_xyxy = torch.cat([t.boxes_xyxy[box] for t, (_, box, _) in zip(truths, assigned, strict=True)])
        label = torch.cat([t.labels[box] for t, (_, box, _) in zip(truths, assigned, strict=True)])
        quality = torch.cat([quality for _, _, quality in assigned]).clamp(0, 1)
        total = quality.sum().clamp(min=1)

        _, giou = pair_iou(boxes_xyxy[picture, prior], true_xyxy)
        box_loss = BOX_WEIGHT * ((1 - giou) * quality).sum() / total

        background = -log_p[:, 0]  # [B, P]
        distance = 1 - p[:, 0]
        weight = (torch.stack([~t.left_out for t in truths]) & (distance.detach() > EASY)).float()
        weight[picture, prior] = 0
        class_loss = (background * distance**FOCUS * weight).sum()
        p_class, p_background = p[picture, label, prior], p[picture, 0, prior]
        cross_entropy = -(quality * log_p[picture, label, prior] + (1 - quality) * log_p[picture, 0, prior])
        others = (1 - p_class - p_background).clamp(min=0)
        distance = ((quality - p_class).abs() + (1 - quality - p_background).abs() + others) / 2
        class_loss = class_loss + (cross_entropy * distance**FOCUS).sum()
        return box_loss, class_loss / total


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


class AlignedCriterion(nn.Module):
    """Task-aligned assignment and soft targets (`aligned.py`)."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = AlignedLoss()

    def forward(self, locs: Tensor, logits: Tensor, samples: list[Sample]) -> tuple[Tensor, Tensor]:
        return self.loss.parts(locs, logits, [self.truth(sample, locs.device) for sample in samples])

    @staticmethod
    def truth(sample: Sample, device: torch.device) -> Truth:
        boxes_xyxy, labels = sample.objects()
        left_out = ignored_priors(sample.boxes_xyxy[sample.doubtful], sample.boxes_xyxy[sample.crowd])
        return Truth(*(torch.from_numpy(array).to(device) for array in (boxes_xyxy, labels, left_out)))

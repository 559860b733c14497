"""The aligned assignment and loss, one picture at a time: what those of whole batches must equal."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from learn.per_picture import ignored_priors
from ssd300.learn.augment import Sample
from ssd300.priors import WH_VARIANCE, XY_VARIANCE, default_boxes, default_boxes_xyxy

CANDIDATES = 13  # priors a true box may have at most
CLASS_POWER, IOU_POWER = 1.0, 6.0  # alignment = probability ** 1 * IoU ** 6
FOCUS = 1.5  # how strongly easy priors are discounted
BOX_WEIGHT = 1.0
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

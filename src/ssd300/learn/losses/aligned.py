"""The loss of the modern recipe: priors are assigned by the quality of their predictions, which is also the class
target. The network and its outputs are those of the published loss.

Assignment: task alignment (TOOD, Feng et al. 2021, section 3.2). Class loss: quality focal (GFL, Li et al. 2020,
section 3.1) carried over to softmax. Box loss: generalized IoU (Rezatofighi et al. 2019).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ssd300.learn.losses.truths import (
    ROWS,
    Boxes,
    Priors,
    Truths,
    box_areas,
    get_priors,
    intersection,
    pair_iou,
    weighted_entropy,
)
from ssd300.priors import IMAGE_SIZE, WH_VARIANCE, XY_VARIANCE

CANDIDATES = 13  # most priors per true box
IOU_POWER = 6.0  # alignment = probability * IoU ** 6
LEAST_PRIOR_IOU = 0.2  # of a prior and its true box
FOCUS = 1.5  # exponent that down-weights easy priors
BOX_WEIGHT = 1.0
EASY = 0.05  # background with a higher certainty than 1 - EASY has no gradient, so `network.py` skips it


@dataclass(frozen=True)
class Assigned:
    """A pairs of priors and their true boxes. Pairs with quality 0 that were not `chosen` are padding.

    prior [A], picture [A], box [A] (row of the true box), chosen [A] bool, quality [A] in 0..1: the class target.
    """

    prior: Tensor
    picture: Tensor
    box: Tensor
    chosen: Tensor
    quality: Tensor


def aligned_loss(locs: Tensor, logits: Tensor, truths: Truths, image_size: int = IMAGE_SIZE) -> tuple[Tensor, Tensor]:
    """(box loss, class loss) of locs [B, 4, P] and logits [B, K, P]: sums over the batch, divided by the sum of the
    targets' quality.

    Class loss of a prior: cross-entropy between the target (quality for the class, the rest for background) and the
    prediction, times (total variation distance of the two) ** 1.5: a good one has little weight, and a background
    prior with more than 1 - EASY none.
    """
    priors, boxes = get_priors(locs.device, image_size), truths.objects
    offsets = locs.float().transpose(1, 2)  # [B, P, 4]
    with torch.no_grad():
        log_p = logits.log_softmax(1, dtype=torch.float32)  # [B, K, P]
        pairs = assign_priors(decode_offsets(offsets, priors.cxcywh), log_p, boxes, priors)
        total = pairs.quality.sum().clamp(min=1)
        index, weight = _class_targets(log_p, pairs, boxes.labels, truths.left_out(priors))
    predicted_xyxy = decode_offsets(offsets[pairs.picture, pairs.prior], priors.cxcywh[pairs.prior])  # [A, 4]
    distance = 1 - generalized_iou(predicted_xyxy, boxes.xyxy[pairs.box])
    box_loss = BOX_WEIGHT * (distance * pairs.quality).sum() / total
    return box_loss, weighted_entropy(logits, log_p, index, weight / total)


def decode_offsets(offsets: Tensor, priors_cxcywh: Tensor) -> Tensor:
    """offsets [..., P, 4] from priors [P, 4] -> boxes_xyxy [..., P, 4] in the unit frame."""
    center = priors_cxcywh[:, :2] + offsets[..., :2] * XY_VARIANCE * priors_cxcywh[:, 2:]
    # Bounded at e**4 times the prior, so that a wild first step cannot overflow.
    half = (offsets[..., 2:] * WH_VARIANCE).clamp(max=4).exp() * priors_cxcywh[:, 2:] / 2
    return torch.cat([center - half, center + half], -1)


def generalized_iou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """Generalized IoU in -1..1 of boxes [A, 4] with boxes [A, 4]: IoU minus the uncovered fraction of their hull."""
    inter = intersection(a_xyxy, b_xyxy)
    union = (box_areas(a_xyxy) + box_areas(b_xyxy) - inter).clamp(min=1e-9)
    hull = torch.maximum(a_xyxy[:, 2:], b_xyxy[:, 2:]) - torch.minimum(a_xyxy[:, :2], b_xyxy[:, :2])
    hull_area = hull.prod(-1).clamp(min=1e-9)
    return inter / union - (hull_area - union) / hull_area


def assign_priors(boxes_xyxy: Tensor, log_p: Tensor, truths: Boxes, priors: Priors) -> Assigned:
    """Choose the priors that learn each true box of a batch.

    Args:
        boxes_xyxy: [B, P, 4] predicted; log_p: [B, K, P] predicted. Neither carries a gradient.
        truths: N boxes.
    """
    found = [_find_candidates(boxes_xyxy, log_p, part, priors) for part in truths.split(ROWS)]
    top, prior, alignment, overlap = (torch.cat(parts) for parts in zip(*found, strict=True))  # [N, C] each
    box = torch.arange(len(truths), device=log_p.device)[:, None].expand_as(prior)
    chosen = _winners(top, prior, truths.pictures, box, log_p.shape[0], log_p.shape[2])  # [N, C]
    # Quality: alignment scaled so that each box's best prior has that box's best IoU.
    aligned = torch.where(chosen, alignment, 0)
    best_overlap = torch.where(chosen, overlap, 0).amax(1, keepdim=True)
    quality = aligned / aligned.amax(1, keepdim=True).clamp(min=1e-12) * best_overlap
    picture = truths.pictures[:, None].expand_as(prior)
    return Assigned(*(t.reshape(-1) for t in (prior, picture, box, chosen, quality.clamp(0, 1))))


def _find_candidates(boxes_xyxy: Tensor, log_p: Tensor, truths: Boxes, priors: Priors) -> tuple[Tensor, ...]:
    """The best priors of each true box: their scores, their numbers, their alignment and IoU, each [N, C]."""
    row = torch.arange(len(truths), device=log_p.device)  # [N]
    overlap = pair_iou(truths.xyxy[:, None], boxes_xyxy[truths.pictures])  # [N, P]
    alignment = log_p[truths.pictures, truths.labels].exp() * overlap**IOU_POWER  # [N, P]
    prior_overlap = pair_iou(truths.xyxy[:, None], priors.xyxy[None])  # [N, P]
    # Only priors of similar size are candidates: without this, random distant ones dominate the first steps.
    allowed = _centers_inside(truths.xyxy, priors) & (prior_overlap > LEAST_PRIOR_IOU)
    score = torch.where(allowed, alignment, 0)
    # A box without such a prior (tiny, or very elongated) keeps its best one, unless another box is better there.
    best = prior_overlap.argmax(1)
    score[row, best] = score[row, best].clamp(min=1e-12)
    score.masked_fill_((truths.labels == 0)[:, None], 0)
    top, prior = score.topk(min(CANDIDATES, score.shape[1]), 1)  # [N, C]
    return top, prior, alignment.gather(1, prior), overlap.gather(1, prior)


def _centers_inside(boxes_xyxy: Tensor, priors: Priors) -> Tensor:
    """Mask [N, P] of the priors whose center is in a box."""
    x, y = priors.cxcywh[:, 0], priors.cxcywh[:, 1]
    x1, y1, x2, y2 = boxes_xyxy[:, :, None].unbind(1)  # [N, 1] each
    return (x >= x1) & (x <= x2) & (y >= y1) & (y <= y2)


def _winners(top: Tensor, prior: Tensor, pictures: Tensor, box: Tensor, batch: int, size: int) -> Tensor:
    """Mask [N, C]: a prior of several boxes goes to the one with the best alignment, of equal ones the first."""
    place = (pictures[:, None] * size + prior).reshape(-1)  # in [B, P] flattened
    best = top.new_zeros(batch * size).scatter_reduce_(0, place, top.reshape(-1), "amax")[place].reshape(top.shape)
    wins = (top > 0) & (top == best)
    claim = torch.where(wins, box, len(top)).reshape(-1)
    first = torch.full((batch * size,), len(top), device=box.device).scatter_reduce_(0, place, claim, "amin")
    return wins & (first[place].reshape(box.shape) == box)


def _class_targets(log_p: Tensor, pairs: Assigned, labels: Tensor, left_out: Tensor) -> tuple[Tensor, Tensor]:
    """Positions in the flattened [B, K, P] and the weights of their -log p, of all priors with a class target."""
    batch, classes, size = log_p.shape
    label, quality = labels[pairs.box], pairs.quality
    p_background = log_p[:, 0].exp()  # [B, P]
    doubt = 1 - p_background
    weight = doubt**FOCUS * (~left_out & (doubt > EASY))
    taken = torch.zeros_like(weight, dtype=torch.int64).reshape(-1)
    taken.index_add_(0, pairs.picture * size + pairs.prior, pairs.chosen.long())
    weight = weight * (taken.reshape(batch, size) == 0)
    background = torch.arange(batch * size, device=label.device)
    background = background // size * (classes * size) + background % size  # [B * P]

    p_class, p_rest = log_p[pairs.picture, label, pairs.prior].exp(), p_background[pairs.picture, pairs.prior]
    others = (1 - p_class - p_rest).clamp(min=0)
    distance = ((quality - p_class).abs() + (1 - quality - p_rest).abs() + others) / 2
    focus = distance**FOCUS * pairs.chosen
    first = pairs.picture * (classes * size) + pairs.prior
    index = torch.cat([background, first + label * size, first])
    return index, torch.cat([weight.reshape(-1), quality * focus, (1 - quality) * focus])

"""The published loss, unchanged: matching by IoU and the MultiBox loss (SSD paper, section 2.2).

Box loss: smooth L1 on offsets. Class loss: cross-entropy with three hard negatives for each positive.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ssd300.learn.losses.truths import ROWS, Boxes, Priors, Truths, get_priors, pair_iou, weighted_entropy
from ssd300.priors import IMAGE_SIZE, WH_VARIANCE, XY_VARIANCE

IGNORED = -1  # the label of a prior that is neither object nor background
NEGATIVES_PER_POSITIVE = 3


def multibox_loss(locs: Tensor, logits: Tensor, truths: Truths, image_size: int = IMAGE_SIZE) -> tuple[Tensor, Tensor]:
    """(box loss, class loss) of locs [B, 4, P] and logits [B, K, P]."""
    priors = get_priors(locs.device, image_size)
    with torch.no_grad():
        boxes_cxcywh, labels = match(truths.objects, truths.pictures, priors)
        labels = torch.where((labels == 0) & truths.left_out(priors), IGNORED, labels)
    return matched_loss(locs, logits, boxes_cxcywh, labels, priors)


def match(boxes: Boxes, pictures: int, priors: Priors, iou_threshold: float = 0.5) -> tuple[Tensor, Tensor]:
    """Match each default box of each picture to a true box.

    A prior takes its best box if their IoU is strictly above the threshold. In addition, the best prior of every box is
    forced to that box; if two boxes share a best prior, the last one in the list gets it. Of equal IoUs the first wins.

    Returns:
        matched_boxes_cxcywh [B, P, 4]: the matched true box, or the prior itself without a match.
        matched_labels [B, P] int64: the label of that box, or 0 (background).
    """
    shape, device = (pictures, len(priors)), priors.xyxy.device
    if len(boxes) == 0:
        return priors.cxcywh.expand(*shape, 4), torch.zeros(shape, dtype=torch.int64, device=device)
    best_iou, owner = torch.zeros(shape, device=device), torch.zeros(shape, dtype=torch.int64, device=device)  # [B, P]
    forced = torch.full((pictures * len(priors),), -1, device=device)  # [B, P] flattened
    rows = torch.arange(len(boxes), device=device)
    for part, row in zip(boxes.split(ROWS), torch.split(rows, ROWS), strict=True):
        overlap = pair_iou(part.xyxy[:, None], priors.xyxy[None])  # [N, P]
        of_picture = part.pictures[:, None].expand_as(overlap)  # [N, P]
        iou = best_iou.new_zeros(shape).scatter_reduce_(0, of_picture, overlap, "amax")  # [B, P]
        first = torch.where(overlap == iou[part.pictures], row[:, None].float(), float(len(boxes)))  # [N, P]
        first = iou.new_full(shape, len(boxes) - 1).scatter_reduce_(0, of_picture, first, "amin").long()  # [B, P]
        owner, best_iou = torch.where(iou > best_iou, first, owner), torch.maximum(iou, best_iou)
        place = part.pictures * len(priors) + overlap.argmax(1)  # [N], in [B, P] flattened
        forced.scatter_reduce_(0, place, torch.where(part.labels > 0, row, -1), "amax")
    forced = forced.reshape(shape)
    owner = torch.where(forced >= 0, forced, owner)
    positive = (forced >= 0) | (best_iou > iou_threshold)
    center, size = (boxes.xyxy[:, :2] + boxes.xyxy[:, 2:]) * 0.5, boxes.xyxy[:, 2:] - boxes.xyxy[:, :2]
    boxes_cxcywh = torch.where(positive[..., None], torch.cat([center, size], 1)[owner], priors.cxcywh)
    return boxes_cxcywh, torch.where(positive, boxes.labels[owner], 0)


def encode_offsets(boxes_cxcywh: Tensor, priors_cxcywh: Tensor) -> Tensor:
    """Boxes [..., P, 4] as offsets from their priors [P, 4], divided by the variances -> [..., 4, P]."""
    xy = (boxes_cxcywh[..., :2] - priors_cxcywh[:, :2]) / priors_cxcywh[:, 2:] / XY_VARIANCE
    wh = torch.log(boxes_cxcywh[..., 2:] / priors_cxcywh[:, 2:]) / WH_VARIANCE
    return torch.cat([xy, wh], -1).transpose(-1, -2)


def matched_loss(
    locs: Tensor, logits: Tensor, boxes_cxcywh: Tensor, labels: Tensor, priors: Priors
) -> tuple[Tensor, Tensor]:
    """(box loss, class loss) of locs [B, 4, P] and logits [B, K, P] against boxes [B, P, 4] and labels [B, P].

    Per picture: (smooth L1 over its positives + cross-entropy over its positives and hardest negatives) / positives;
    the batch's loss is the mean over its pictures. A picture without positives adds 0 and counts in the mean.
    Priors labeled IGNORED are neither positive nor negative.
    """
    locs, positive = locs.float(), labels > 0  # [B, P]
    positives = positive.sum(1)  # [B]
    share = (positives > 0) / positives.clamp(min=1) / len(labels)  # [B] of the batch's loss

    offsets = encode_offsets(boxes_cxcywh, priors.cxcywh)  # [B, 4, P]
    # Selected, not multiplied with the mask: the offsets of a degenerate box are infinite.
    offsets = torch.where(positive[:, None], offsets, locs.detach())
    box = F.smooth_l1_loss(locs, offsets, reduction="none").sum((1, 2))  # [B]

    with torch.no_grad():
        log_p = logits.log_softmax(1, dtype=torch.float32)  # [B, K, P]
        places = labels.clamp(min=0)
        cross_entropy = -log_p.gather(1, places[:, None])[:, 0]  # [B, P]
        weight = (positive | hard_negatives(cross_entropy, labels, positives)) * share[:, None]  # [B, P]
        batch, classes, size = log_p.shape
        first = torch.arange(batch, device=places.device)[:, None] * classes
        index = (first + places) * size + torch.arange(size, device=places.device)  # [B, P], in [B, K, P] flattened
    return (box * share).sum(), weighted_entropy(logits, log_p, index.reshape(-1), weight.reshape(-1))


def hard_negatives(cross_entropy: Tensor, labels: Tensor, positives: Tensor) -> Tensor:
    """Mask [B, P] of the priors with the highest background loss, three per positive of the picture.

    Positives rank with a loss of 0, as published, so a picture with too few negatives may name some of them too.
    """
    hardness = torch.where(labels == 0, cross_entropy, torch.zeros_like(cross_entropy))
    order = hardness.argsort(1, descending=True)
    limit = (NEGATIVES_PER_POSITIVE * positives).clamp(max=cross_entropy.shape[1])
    within = torch.arange(order.shape[1], device=order.device) < limit[:, None]  # [B, P], by rank
    return torch.zeros_like(within).scatter_(1, order, within) & (labels >= 0)

"""The MultiBox loss (SSD paper, section 2.2): smooth L1 on offsets, cross-entropy with 3:1 hard negatives."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssd300.priors import WH_VARIANCE, XY_VARIANCE, default_boxes

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
    Priors labelled `matching.IGNORED` (-1) are neither positive nor negative.
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

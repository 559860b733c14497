"""The two losses behind one call: locs [B, 4, P], logits [B, K, P] and B samples in, (box loss, class loss) out."""

import numpy as np
import torch
from torch import Tensor, nn

from ssd300.arrays import Float32, Int64
from ssd300.learn.aligned import AlignedLoss, Truth
from ssd300.learn.augment import Sample
from ssd300.learn.loss import MultiBoxLoss
from ssd300.learn.matching import IGNORED, ignored_priors, match
from ssd300.learn.recipe import Recipe


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
    def targets(sample: Sample) -> tuple[Float32, Int64]:
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


def make_criterion(recipe: Recipe) -> PublishedCriterion | AlignedCriterion:
    return PublishedCriterion() if recipe.loss == "multibox" else AlignedCriterion()

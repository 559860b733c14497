"""The true boxes of a whole batch as one padded table, and the default boxes.

Both losses process all boxes of a batch at once: one row per box, with the number of its picture. Rows of padding
(label 0, a box without area) limit the number of rows to a few values, so that allocations have the same sizes every
step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from ssd300.learn.augment import Sample
from ssd300.priors import IMAGE_SIZE, default_boxes, default_boxes_xyxy

PADDED_ROWS = 16  # each kind of row is padded to a multiple of this
ROWS = 1024  # true boxes that are compared with all priors at a time, which bounds memory
LEFT_OUT = 0.5  # IoU with a doubtful box, or fraction inside a crowd, above which a prior is not a negative


@dataclass(frozen=True)
class Boxes:
    """N boxes of a batch: xyxy [N, 4] unit frame, labels [N] (0: padding), pictures [N] (place in the batch)."""

    xyxy: Tensor
    labels: Tensor
    pictures: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def split(self, rows: int) -> "list[Boxes]":
        """The boxes in parts of at most `rows`; one empty part of none."""
        parts = zip(*(torch.split(t, rows) for t in (self.xyxy, self.labels, self.pictures)), strict=True)
        return [Boxes(*part) for part in parts]


@dataclass(frozen=True)
class Truths:
    """The targets of a batch. `rows` float32 [N + D + C, 6] has xyxy, label and picture of each box:

    N objects, then D doubtful boxes (neither object nor background), then C crowds (many objects).
    """

    rows: Tensor
    counts: tuple[int, int, int]
    pictures: int

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> "Truths":
        """The boxes of a batch of samples, in the order of the pictures."""
        parts = [
            np.concatenate([s.boxes_xyxy, s.labels[:, None], np.full((len(s.labels), 1), i)], 1, dtype=np.float32)
            for i, s in enumerate(samples)
        ]
        rows = np.concatenate(parts) if parts else np.zeros((0, 6), np.float32)
        doubtful = np.concatenate([s.doubtful for s in samples]) if parts else np.zeros(0, bool)
        crowd = np.concatenate([s.crowd for s in samples]) if parts else np.zeros(0, bool)
        kinds = [_pad(rows[mask]) for mask in (~doubtful & ~crowd, doubtful, crowd)]
        objects, doubts, crowds = (len(kind) for kind in kinds)
        return cls(torch.from_numpy(np.concatenate(kinds)), (objects, doubts, crowds), len(samples))

    def to(self, device: torch.device) -> "Truths":
        """The targets on another device; from pinned memory the copy is asynchronous."""
        return Truths(self.rows.to(device, non_blocking=True), self.counts, self.pictures)

    def pin_memory(self) -> "Truths":
        return Truths(self.rows.pin_memory(), self.counts, self.pictures)

    @property
    def objects(self) -> Boxes:
        return self._boxes(0)

    def left_out(self, priors: "Priors") -> Tensor:
        """Mask [B, P] of the priors that must not be negatives, among them the best one of each doubtful box."""
        doubtful, crowds = self._boxes(1), self._boxes(2)
        hits = torch.zeros(self.pictures, len(priors), device=self.rows.device)
        for part in doubtful.split(ROWS):
            overlap = pair_iou(part.xyxy[:, None], priors.xyxy[None])  # [D, P]
            best = overlap.amax(1, keepdim=True).clamp(min=1e-9)  # padding has no IoU
            hits.index_add_(0, part.pictures, ((overlap > LEFT_OUT) | (overlap >= best)).float())
        limit = LEFT_OUT * box_areas(priors.xyxy)  # [P]
        for part in crowds.split(ROWS):
            inside = intersection(part.xyxy[:, None], priors.xyxy[None]) > limit  # [C, P]
            hits.index_add_(0, part.pictures, inside.float())
        return hits > 0

    def _boxes(self, kind: int) -> Boxes:
        rows = torch.split(self.rows, list(self.counts))[kind]
        return Boxes(rows[:, :4], rows[:, 4].long(), rows[:, 5].long())


def _pad(rows: np.ndarray) -> np.ndarray:
    """Pad with rows of zeros to the next multiple of PADDED_ROWS; zero rows are not padded."""
    return np.pad(rows, ((0, -len(rows) % PADDED_ROWS), (0, 0)))


@dataclass(frozen=True)
class Priors:
    """The default boxes on a device: cxcywh [P, 4] and xyxy [P, 4] in the unit frame."""

    cxcywh: Tensor
    xyxy: Tensor

    def __len__(self) -> int:
        return len(self.cxcywh)


@lru_cache(maxsize=16)
def get_priors(device: torch.device, image_size: int = IMAGE_SIZE) -> Priors:
    """The default boxes of pictures with `image_size` pixels per side."""
    arrays = default_boxes(image_size), default_boxes_xyxy(image_size)
    return Priors(*(torch.from_numpy(array).to(device) for array in arrays))


def box_areas(boxes_xyxy: Tensor) -> Tensor:
    """Area [...] of boxes [..., 4]; 0 for an inverted box."""
    x1, y1, x2, y2 = boxes_xyxy.unbind(-1)
    return (x2 - x1).clamp(min=0) * (y2 - y1).clamp(min=0)


def intersection(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """Area of the intersection of boxes [..., 4] with boxes [..., 4], broadcast."""
    ax1, ay1, ax2, ay2 = a_xyxy.unbind(-1)
    bx1, by1, bx2, by2 = b_xyxy.unbind(-1)
    width = torch.minimum(ax2, bx2).sub_(torch.maximum(ax1, bx1)).clamp_(min=0)
    return width.mul_(torch.minimum(ay2, by2).sub_(torch.maximum(ay1, by1)).clamp_(min=0))


def pair_iou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """IoU of boxes [..., 4] with boxes [..., 4], broadcast; 0 for a pair without area."""
    inter = intersection(a_xyxy, b_xyxy)
    return inter / (box_areas(a_xyxy) + box_areas(b_xyxy) - inter).clamp_(min=1e-9)


def weighted_entropy(logits: Tensor, log_p: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """Sum of -weight * log_p at the given positions; differentiable with respect to `logits`, not to `weight`.

    Args:
        logits: [B, K, P] in any precision; log_p: their float32 log_softmax(1), without gradient.
        index: [E] positions in the flattened [B, K, P], which may repeat; weight: [E].
    """
    out: Tensor = _WeightedEntropy.apply(logits, log_p, index, weight)  # type: ignore[no-untyped-call]
    return out


class _WeightedEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, logits: Tensor, log_p: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(log_p, index, weight)
        ctx.dtype = logits.dtype  # type: ignore[attr-defined]
        return -(log_p.reshape(-1)[index] * weight).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """d/dlogits = softmax * (sum of a prior's weights) - the weights at their positions."""
        log_p, index, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        batch, classes, priors = log_p.shape
        weight = weight * grads[0]
        prior = index // (classes * priors) * priors + index % priors
        total = torch.zeros(batch * priors, device=weight.device).index_add_(0, prior, weight)
        grad = log_p.exp().mul_(total.reshape(batch, 1, priors))
        grad.reshape(-1).index_add_(0, index, weight, alpha=-1)
        return grad.to(ctx.dtype), None, None, None  # type: ignore[attr-defined]

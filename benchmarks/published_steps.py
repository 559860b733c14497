"""The published decoding steps in plain torch with one loop over the classes, as a baseline for speed.

The order of work is the published one, the code is not: softmax of everything; per class a sort, a cut and greedy NMS
one box at a time; then one sort of all. `tests/parity/test_decode.py` compares it with the reference numbers.
"""

import torch
from torch import Tensor

from ssd300.priors import WH_VARIANCE, XY_VARIANCE, default_boxes

SCORE_THRESHOLD, TOP_PER_CLASS = 0.05, 200


def published_decode(
    locs: Tensor, logits: Tensor, *, criteria: float = 0.45, max_output: int = 200
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """locs [B, 4, P], logits [B, K, P] -> per picture boxes_xyxy [N, 4], labels [N] and scores [N], ASCENDING."""
    boxes_xyxy = _boxes(locs.transpose(1, 2))
    probabilities = logits.transpose(1, 2).softmax(-1)
    return [_one(b, p, criteria, max_output) for b, p in zip(boxes_xyxy, probabilities, strict=True)]


def _boxes(locs: Tensor) -> Tensor:
    priors = torch.from_numpy(default_boxes())
    center = locs[..., :2] * XY_VARIANCE * priors[:, 2:] + priors[:, :2]
    size = (locs[..., 2:] * WH_VARIANCE).exp() * priors[:, 2:]
    return torch.cat([center - size * 0.5, center + size * 0.5], -1)


def _one(boxes_xyxy: Tensor, probabilities: Tensor, criteria: float, max_output: int) -> tuple[Tensor, Tensor, Tensor]:
    out_boxes, out_labels, out_scores = [], [], []
    for label, scores in enumerate(probabilities.split(1, 1)[1:], 1):
        scores = scores.squeeze(1)
        mask = scores > SCORE_THRESHOLD
        boxes, scores = boxes_xyxy[mask], scores[mask]
        if len(scores) == 0:
            continue
        order = scores.sort(stable=True).indices[-TOP_PER_CLASS:]
        picks = []
        while len(order):
            best = order[-1]
            picks.append(best)
            order = order[_iou(boxes[order], boxes[best : best + 1]) < criteria]
        kept = torch.stack(picks)
        out_boxes.append(boxes[kept])
        out_labels.append(torch.full((len(kept),), label))
        out_scores.append(scores[kept])
    if not out_boxes:
        return torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0)
    all_boxes, all_labels, all_scores = torch.cat(out_boxes), torch.cat(out_labels), torch.cat(out_scores)
    best = all_scores.sort(stable=True).indices[-max_output:]
    return all_boxes[best], all_labels[best], all_scores[best]


def _iou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    low = torch.max(a_xyxy[:, :2], b_xyxy[:, :2])
    high = torch.min(a_xyxy[:, 2:], b_xyxy[:, 2:])
    inter = (high - low).clamp(min=0).prod(1)
    area_a = (a_xyxy[:, 2:] - a_xyxy[:, :2]).prod(1)
    area_b = (b_xyxy[:, 2:] - b_xyxy[:, :2]).prod(1)
    return inter / (area_a + area_b - inter)

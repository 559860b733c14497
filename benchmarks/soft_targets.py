"""Training with soft targets of another detector, the teacher, which sees the same augmented pictures.

    python benchmarks/soft_targets.py TEACHER.py train --data ... --recipe modern ...

The words after the file are those of `ssd300`; everything but the class loss is as there. TEACHER.py has a class
`Teacher` with a method `scores_and_boxes(picture)`: a PIL picture -> scores [N, K - 1] in 0..1, in the order of the
data set's classes, and boxes_xyxy [N, 4] in 0..1. For CPUs, and pictures that the loader augments.

A default box whose predicted box overlaps one of the teacher's learns that box's scores times the square of the IoU,
beside the true boxes, instead of being background.
"""

import runpy
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ssd300.__main__ import main
from ssd300.learn import train
from ssd300.learn.device import Compute
from ssd300.learn.loader import Batch
from ssd300.learn.losses import aligned
from ssd300.learn.losses.truths import Truths, get_priors, pair_iou, weighted_entropy
from ssd300.runtime.torch import channel_scale, normalize

WEIGHT = 0.5  # of the teacher's class loss beside that of the true boxes
FLOOR = 0.05  # lowest score of a teacher's box
SAME, MOST = 0.85, 64  # of boxes with a higher IoU only the best is kept, and so many at most
NEAR = 0.6  # least IoU of a predicted box and the teacher's
SMALL = 0.02  # lower targets are none
Found = tuple[Tensor, Tensor]  # scores [N, K - 1], boxes_xyxy [N, 4]


def load_teachers(path: str, count: int) -> list[Any]:
    """One teacher per thread."""
    teacher = runpy.run_path(path)["Teacher"]
    return [teacher() for _ in range(count)]


def ask(teacher: Any, pictures: np.ndarray) -> list[Found]:
    """The teacher's boxes in pictures [B, H, W, 3], best first, without near copies."""
    answers = []
    for rgb in pictures:
        scores, boxes_xyxy = (
            torch.from_numpy(np.asarray(array, np.float32)) for array in teacher.scores_and_boxes(Image.fromarray(rgb))
        )
        best, order = scores.amax(1).topk(min(400, len(scores)))
        order = order[best > FLOOR]
        scores, boxes_xyxy = scores[order], boxes_xyxy[order]
        same, free, kept = pair_iou(boxes_xyxy[:, None], boxes_xyxy[None]) >= SAME, torch.ones(len(order)) > 0, []
        for row in range(len(order)):
            if free[row] and len(kept) < MOST:
                kept.append(row)
                free &= ~same[row]
        answers.append((scores[kept], boxes_xyxy[kept]))
    return answers


def forward_loss(
    teachers: list[Any], model: nn.Module, loss: str, batch: Batch, compute: Compute
) -> tuple[Tensor, Tensor]:
    """As `ssd300.learn.train.forward_loss`, with the teacher's targets."""
    batch = batch.ready(compute.device)
    rgb, count = batch.pictures.numpy(), len(teachers)
    with ThreadPoolExecutor(count) as pool:
        parts = list(pool.map(ask, teachers, (rgb[first::count] for first in range(count))))
    found = [parts[i % count][i // count] for i in range(len(rgb))]
    with compute.autocast():
        locs, logits = model(normalize(batch.pictures, channel_scale(compute.device)))
    return soft_loss(locs, logits, batch.truths, found, batch.image_size)


def soft_loss(
    locs: Tensor, logits: Tensor, truths: Truths, found: list[Found], image_size: int
) -> tuple[Tensor, Tensor]:
    """(box loss, class loss) of locs [B, 4, P] and logits [B, K, P]: `aligned_loss` with the teacher's targets."""
    priors, boxes = get_priors(locs.device, image_size), truths.objects
    offsets = locs.float().transpose(1, 2)  # [B, P, 4]
    batch, classes, size = logits.shape
    with torch.no_grad():
        log_p = logits.log_softmax(1, dtype=torch.float32)  # [B, K, P]
        predicted_xyxy = aligned.decode_offsets(offsets, priors.cxcywh)  # [B, P, 4]
        pairs = aligned.assign_priors(predicted_xyxy, log_p, boxes, priors)
        total = pairs.quality.sum().clamp(min=1)
        taught, targets = soft_targets(predicted_xyxy, priors.xyxy, found, classes)
        left_out = truths.left_out(priors).reshape(-1).index_fill(0, taught, True).reshape(batch, size)
        index, weight = aligned._class_targets(log_p, pairs, boxes.labels, left_out)
        picture, prior = taught // size, taught % size
        p = log_p[picture, :, prior].exp()  # [M, K]
        focus = ((targets - p).abs().sum(1, keepdim=True) / 2) ** aligned.FOCUS
        soft = targets * focus * (WEIGHT / targets[:, 1:].sum().clamp(min=1))
        row, label = (soft > 1e-9).nonzero(as_tuple=True)
        index = torch.cat([index, (picture[row] * classes + label) * size + prior[row]])
        weight = torch.cat([weight / total, soft[row, label]])
    pair_xyxy = aligned.decode_offsets(offsets[pairs.picture, pairs.prior], priors.cxcywh[pairs.prior])
    distance = 1 - aligned.generalized_iou(pair_xyxy, boxes.xyxy[pairs.box])
    box_loss = aligned.BOX_WEIGHT * (distance * pairs.quality).sum() / total
    return box_loss, weighted_entropy(logits, log_p, index, weight)


def soft_targets(
    predicted_xyxy: Tensor, priors_xyxy: Tensor, found: list[Found], classes: int
) -> tuple[Tensor, Tensor]:
    """(M places in [B, P] flattened, targets [M, K]) of the predicted boxes [B, P, 4] near a box of the teacher."""
    places, targets = [torch.zeros(0, dtype=torch.int64)], [torch.zeros(0, classes)]
    for i, (scores, boxes_xyxy) in enumerate(found):
        if not len(scores):
            continue
        overlap = pair_iou(boxes_xyxy[:, None], predicted_xyxy[i][None])  # [N, P]
        overlap *= pair_iou(boxes_xyxy[:, None], priors_xyxy[None]) > aligned.LEAST_PRIOR_IOU
        best, box = (scores.amax(1)[:, None] * overlap**2 * (overlap > NEAR)).max(0)  # [P]
        rows = best.nonzero()[:, 0]
        target = scores[box[rows]] * overlap[box[rows], rows, None] ** 2  # [M, K - 1]
        target *= target > SMALL
        target /= target.sum(1, keepdim=True).clamp(min=1)
        places.append(rows + i * predicted_xyxy.shape[1])
        targets.append(torch.cat([1 - target.sum(1, keepdim=True), target], 1))
    return torch.cat(places), torch.cat(targets)


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    train.forward_loss = partial(forward_loss, load_teachers(sys.argv.pop(1), torch.get_num_threads()))
    sys.exit(main())

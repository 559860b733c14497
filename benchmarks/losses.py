"""CPU time of both losses on a whole batch and on one picture at a time, in one run.

    python benchmarks/losses.py [--rounds 10]

The losses of one picture are those that the tests compare with (`tests/learn/per_picture.py`). One thread, 81 classes,
eight pictures with 0 to 20 boxes, some of them doubtful. Printed is the median CPU time, forward and backward.
"""

import argparse
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ssd300.learn.augment import Sample
from ssd300.learn.device import keep_freed_memory
from ssd300.learn.losses import LOSSES, Truths

BOXES = (7, 3, 1, 12, 20, 5, 0, 9)  # of the pictures of the batch


def sample(rng: np.random.Generator, boxes: int) -> Sample:
    centers, sides = rng.uniform(0, 1, (boxes, 2)), rng.uniform(0.02, 0.6, (boxes, 2)) ** 1.5 + 0.004
    xyxy = np.concatenate([centers - sides / 2, centers + sides / 2], 1).clip(0, 1).astype(np.float32)
    doubtful = rng.random(boxes) < 0.2
    nothing = np.zeros((0, 0, 3), np.uint8)
    return Sample(nothing, xyxy, rng.integers(1, 81, boxes), doubtful, np.zeros(boxes, bool))


def whole(name: str, outputs: list[torch.Tensor], samples: list[Sample]) -> tuple[torch.Tensor, torch.Tensor]:
    return LOSSES[name](*outputs, Truths.of(samples))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from learn.per_picture import PublishedCriterion
    from learn.per_picture_aligned import AlignedCriterion

    keep_freed_memory()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    samples = [sample(rng, boxes) for boxes in BOXES]
    locs, logits = torch.randn(len(BOXES), 4, 8732), torch.randn(len(BOXES), 81, 8732)
    logits[:, 0] += 7
    outputs = [tensor.requires_grad_() for tensor in (locs, logits)]
    print("| loss | one by one, ms | whole batch, ms | ratio |\n|---|---|---|---|")
    for name, one_by_one in (("multibox", PublishedCriterion()), ("aligned", AlignedCriterion())):
        ways = [partial(one_by_one, *outputs, samples), partial(whole, name, outputs, samples)]
        times: list[list[float]] = [[], []]
        for _ in range(rounds + 2):
            for way, spent in zip(ways, times, strict=True):
                start = time.process_time()
                sum(way()).backward()
                spent.append(time.process_time() - start)
                locs.grad = logits.grad = None
        before, now = (1e3 * float(np.median(spent[2:])) for spent in times)
        print(f"| {name} | {before:.0f} | {now:.0f} | {before / now:.2f} |")


if __name__ == "__main__":
    main()

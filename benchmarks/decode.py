"""Time of `postprocess.decode` against the published steps in torch (goals: <= 2 ms typical, >= 15 x for a crowd).

python benchmarks/decode.py
"""

import statistics
import time
from collections.abc import Callable

import torch

from published_steps import published_decode
from seeded_model import load_seeded
from ssd300.postprocess import decode

CASES = {
    "empty_050_200": ("empty", "empty_050_200/0"),
    "sparse_050_200 (typical)": ("sparse", "sparse_050_200/0"),
    "medium_050_200": ("medium", "medium_050_200/0"),
    "crowded_050_200": ("crowded", "crowded_050_200/41"),
}


def median_ms(call: Callable[[], object], rounds: int) -> float:
    """The median wall time of a call in milliseconds, after one warm-up call."""
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def main() -> None:
    seeded = load_seeded()
    print(f"{'picture':<26}{'candidates':>11}{'published ms':>14}{'ours ms':>9}{'ratio':>8}")
    for name, (kind, key) in CASES.items():
        locs, logits = (array[:1] for array in seeded.raw_heads(kind, key))
        tensors = torch.from_numpy(locs), torch.from_numpy(logits)
        candidates = int((tensors[1].softmax(1)[:, 1:] > 0.05).sum())
        published = median_ms(lambda pair=tensors: published_decode(*pair, criteria=0.5), 15)
        ours = median_ms(lambda pair=(locs[0], logits[0]): decode(*pair), 101)
        print(f"{name:<26}{candidates:>11}{published:>14.2f}{ours:>9.2f}{published / ours:>8.1f}")


if __name__ == "__main__":
    main()

"""A rate against the rate of the network alone, in one run. The two alternate, so that other load slows both."""

import statistics
import time
from collections.abc import Callable

import numpy as np

from ssd300.pipeline import in_order
from ssd300.runtime.base import Runtime


def network_alone(runtime: Runtime, count: int) -> None:
    """Run the network and the search for candidates on `count` prepared pictures of noise, on all threads."""
    noise = np.random.default_rng(0).integers(0, 256, (1, 300, 300, 3), np.uint8)
    for _ in in_order(lambda _: runtime.infer(noise, 0.4), range(count), 2 * runtime.threads):
        pass


def shares(runtime: Runtime, count: int, work: Callable[[], object], rounds: int = 7) -> tuple[float, float, float]:
    """The medians of (the network's rate, the rate of `work`, their ratio), each for `count` views of the network.

    The first round is warm-up and is not counted.
    """
    seen = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        network_alone(runtime, count)
        between = time.perf_counter()
        work()
        ended = time.perf_counter()
        alone, whole = count / (between - began), count / (ended - between)
        seen.append((alone, whole, whole / alone))
    alone, whole, share = (statistics.median(values) for values in zip(*seen[1:], strict=True))
    return alone, whole, share

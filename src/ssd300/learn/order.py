"""The order of the pictures: which of them are in each batch, for one process or several."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ssd300.priors import IMAGE_SIZE

Key = tuple[int, int, int]  # epoch, index of the picture, pixels per side


def epoch_order(pictures: int, seed: int, epoch: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The order of the pictures in an epoch."""
    return np.random.default_rng([seed, epoch]).permutation(pictures)


class EpochBatches:
    """The batches of keys (epoch, index, size) of one epoch, for one of several processes, from a given one on.

    Each takes the next `batch_size * world` pictures of the epoch's order, and process `rank` the rank-th part of them.
    Optimizer steps of `accumulate` batches are all complete: the last one wraps around to the first pictures.
    `image_size(epoch, step)`: pixels per side.
    """

    def __init__(
        self, pictures: int, batch_size: int, seed: int, rank: int = 0, world: int = 1, accumulate: int = 1
    ) -> None:
        self.pictures, self.batch_size, self.seed, self.rank, self.world = pictures, batch_size, seed, rank, world
        self.accumulate = accumulate
        self.image_size: Callable[[int, int], int] = lambda epoch, step: IMAGE_SIZE
        self.epoch = self.first_step = 0

    def __len__(self) -> int:
        return -(-self.pictures // (self.batch_size * self.world * self.accumulate)) * self.accumulate

    def __iter__(self) -> Iterator[list[Key]]:
        order = epoch_order(self.pictures, self.seed, self.epoch)
        for step in range(self.first_step, len(self)):
            start = (step * self.world + self.rank) * self.batch_size
            places = np.arange(start, start + self.batch_size) % self.pictures
            size = self.image_size(self.epoch, step)
            yield [(self.epoch, int(index), size) for index in order[places]]

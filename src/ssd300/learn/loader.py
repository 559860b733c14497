"""From a data set to batches. Worker processes read and augment, by chance keyed to (seed, epoch, picture).

Which worker or process does the work, how many there are and where a resumed run starts changes nothing.
"""

import atexit
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from ssd300.data.dataset import Dataset, Picture
from ssd300.errors import SSD300Error, TrainingError
from ssd300.labels import ClassList
from ssd300.learn.augment import AUGMENTS, Sample
from ssd300.learn.losses import Truths


@dataclass(frozen=True)
class Batch:
    """pictures uint8 [B, S, S, 3] RGB, what they teach, and their names."""

    pictures: Tensor
    truths: Truths
    names: list[str]

    def __len__(self) -> int:
        return len(self.names)

    def pin_memory(self) -> "Batch":
        """The same in memory that a GPU copies from without waiting; the loader calls it."""
        return Batch(self.pictures.pin_memory(), self.truths.pin_memory(), self.names)

    def to(self, device: torch.device) -> "Batch":
        """The same on another device; from pinned memory the copy does not wait."""
        return Batch(self.pictures.to(device, non_blocking=True), self.truths.to(device), self.names)


class TrainingPictures(TorchDataset[tuple[Sample, str] | SSD300Error]):
    """Item (epoch, index) -> the augmented sample of a picture in that epoch, and its name.

    A picture that cannot be read gives its error as the item: raised in a worker it would reach the trainer buried in
    that process's traceback. `batches_of` raises it.
    """

    def __init__(self, dataset: Dataset, augment: str, seed: int, min_score: float) -> None:
        self.dataset, self.augment, self.seed, self.min_score = dataset, augment, seed, min_score

    def __getitem__(self, key: tuple[int, int]) -> tuple[Sample, str] | SSD300Error:
        epoch, index = key
        picture = self.dataset.pictures[index]
        try:
            sample = read_sample(picture, self.dataset.classes, self.min_score)
        except SSD300Error as error:
            return error
        return AUGMENTS[self.augment](sample, np.random.default_rng([self.seed, epoch, index])), str(picture.file_name)


def read_sample(picture: Picture, classes: ClassList, min_score: float) -> Sample:
    """A picture with its boxes in the unit frame. Objects whose score is below `min_score` become doubtful ones."""
    rgb = picture.read()
    truth = picture.annotations
    height, width = rgb.shape[:2]
    boxes_xyxy = (truth.boxes_xyxy / np.array([width, height, width, height], np.float32)).clip(0, 1).astype(np.float32)
    labels = np.array([classes.position_of_id[int(i)] + 1 for i in truth.class_ids], np.int64)
    doubtful = truth.ignore | (truth.scores < min_score)
    solid = np.asarray((boxes_xyxy[:, 2:] > boxes_xyxy[:, :2]).all(1))  # without an area there is nothing to learn
    sample = Sample(rgb, boxes_xyxy, labels, doubtful & ~truth.crowd, truth.crowd)
    return sample.with_boxes(solid, boxes_xyxy)


def epoch_order(pictures: int, seed: int, epoch: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The order of the pictures in an epoch."""
    return np.random.default_rng([seed, epoch]).permutation(pictures)


class EpochBatches:
    """The batches of keys (epoch, index) of one epoch, for one of several processes, from a given step on.

    Each step takes `batch_size * world` pictures in a row from the epoch's order, and process `rank` the rank-th part
    of them; the last, incomplete step wraps around to the first pictures.
    """

    def __init__(self, pictures: int, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.pictures, self.batch_size, self.seed, self.rank, self.world = pictures, batch_size, seed, rank, world
        self.epoch = self.first_step = 0

    def __len__(self) -> int:
        return -(-self.pictures // (self.batch_size * self.world))

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = epoch_order(self.pictures, self.seed, self.epoch)
        for step in range(self.first_step, len(self)):
            start = (step * self.world + self.rank) * self.batch_size
            places = np.arange(start, start + self.batch_size) % self.pictures
            yield [(self.epoch, int(index)) for index in order[places]]


def collate(items: list[tuple[Sample, str] | SSD300Error]) -> Batch | SSD300Error:
    """Stack the pictures; their boxes become one table. An error stays one."""
    for item in items:
        if isinstance(item, SSD300Error):
            return item
    samples, names = zip(*(item for item in items if not isinstance(item, SSD300Error)), strict=True)
    pictures = torch.from_numpy(np.stack([sample.picture for sample in samples]))
    return Batch(pictures, Truths.of(samples), list(names))


def batches_of(loader: Iterable[Batch | SSD300Error]) -> Iterator[Batch]:
    """The batches of an epoch. Raises TrainingError for a picture that cannot be read."""
    for batch in loader:
        if isinstance(batch, SSD300Error):
            raise TrainingError(f"{batch}; `ssd300 data check` lists every such picture") from batch
        yield batch


def make_loader(
    pictures: TrainingPictures, batches: EpochBatches, workers: int, *, pin: bool = False
) -> "DataLoader[Any]":
    """A loader for `batches_of` that lives as long as the run. `pin`: a GPU copies the batches.

    Workers are spawned, never forked: OpenMP does not survive a fork.
    """
    return DataLoader(
        pictures,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        multiprocessing_context="spawn" if workers else None,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
        pin_memory=pin,
        worker_init_fn=_prepare_worker,
    )


def _prepare_worker(worker: int) -> None:
    torch.set_num_threads(1)
    if hasattr(os, "setpgrp"):  # what stops a group (Ctrl-C, `timeout`) is for the trainer, which ends its step first
        os.setpgrp()
    # A worker stopped while its queue's thread hands a tensor over would abort as the interpreter takes itself apart.
    atexit.register(os._exit, 0)

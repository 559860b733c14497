"""The speed of training: a step, and the loader that feeds it (needs torch)."""

import time
from collections.abc import Generator, Sequence
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ssd300.benchmark.measure import Budget, Measured, Row, Timing, peak_memory_mib
from ssd300.data.dataset import Annotations, Dataset, Picture
from ssd300.errors import ArgumentError
from ssd300.images.decode import header
from ssd300.images.source import read_bytes
from ssd300.labels import COCO, ClassList
from ssd300.learn.augment import Sample
from ssd300.learn.device import choose_compute, keep_freed_memory
from ssd300.learn.learner import make_learner
from ssd300.learn.loader import Batch, TrainingPictures, batches_of, make_loader
from ssd300.learn.losses import Truths
from ssd300.learn.network import SSD300
from ssd300.learn.order import EpochBatches
from ssd300.learn.recipe import Recipe
from ssd300.learn.train import forward_loss

STEP_PARTS = ("forward and loss", "backward", "update")
_BOXES_XYXY = np.array([[0.1, 0.1, 0.4, 0.5], [0.3, 0.2, 0.9, 0.8], [0.5, 0.6, 0.6, 0.75]], np.float32)
_LABELS = np.array([1, 2, 3])
_LEAST_EPOCH = 4096  # pictures, so that the pause between two epochs does not count


def train_step(
    backbone: str,
    recipe: Recipe,
    budget: Budget,
    *,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    classes: int = 80,
    keep_memory: bool = True,
) -> Measured:
    """Steps of `ssd300 train` on one batch of noise with three boxes per picture and random weights.

    `keep_memory=False` keeps the C library's defaults, unlike `ssd300 train`; use one process for each to compare. A
    step includes moving the batch to the device, not reading it. Raises ArgumentError.
    """
    if keep_memory:
        keep_freed_memory()
    if threads is not None:
        torch.set_num_threads(threads)
    torch.manual_seed(recipe.seed)
    compute = choose_compute(device, precision)
    learner = make_learner(SSD300(backbone, 1 + classes), recipe, compute)
    learner.start_learning()
    batch = _noise(recipe.batch_size)

    def marks() -> list[float]:
        """When the step began, and when each part of it was done."""
        times = [_done(compute.device)]
        box, label = forward_loss(learner.network, recipe.loss, batch, compute)
        times.append(_done(compute.device))
        learner.scaler.scale(box + label).backward()  # type: ignore[no-untyped-call]
        times.append(_done(compute.device))
        learner.step(lr=1e-4)
        return [*times, _done(compute.device)]

    for _ in range(budget.warmup):
        marks()
    parts = np.diff(np.array([marks() for _ in budget.iterate()]))  # [n, 3] seconds
    total = parts.sum()
    rows = [
        Row(name, Timing(tuple(column.tolist()), pictures=0), float(column.sum() / total))
        for name, column in zip(STEP_PARTS, parts.T, strict=True)
    ]
    rows.append(Row("step", Timing(tuple(parts.sum(1).tolist()), recipe.batch_size), 1.0))
    facts = {"device": str(compute.device), "precision": compute.precision, "threads": torch.get_num_threads()}
    return Measured(tuple(rows), "the step", facts, peak_memory_mib())


def _noise(batch_size: int) -> Batch:
    pictures = np.random.default_rng(0).integers(0, 256, (batch_size, 300, 300, 3), dtype=np.uint8)
    off, nothing = np.zeros(len(_LABELS), bool), np.zeros((0, 0, 3), np.uint8)
    sample = Sample(nothing, _BOXES_XYXY, _LABELS, off, off)
    return Batch(torch.from_numpy(pictures), Truths.of([sample] * batch_size), ["noise"] * batch_size)


def _done(device: torch.device) -> float:
    """The time when the device has finished all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def loader(paths: Sequence[Path], recipe: Recipe, budget: Budget, *, workers: int = 1) -> Measured:
    """The training loader alone: reads and decodes files with three boxes each and augments them as the recipe does.

    A call makes one batch. Raises ArgumentError without pictures, ImageError for one that cannot be read.
    """
    dataset = dataset_of(paths)
    pictures = TrainingPictures(dataset, recipe)
    batches = EpochBatches(len(dataset), recipe.batch_size, recipe.seed)
    stream = endless(make_loader(pictures, batches, workers), batches)
    for _ in islice(stream, max(budget.warmup, workers)):  # every worker has started
        pass
    seconds, start = [], time.perf_counter()
    for _ in budget.iterate():
        next(stream)
        now = time.perf_counter()
        seconds.append(now - start)
        start = now
    stream.close()
    row = Row(f"batch of {recipe.batch_size}", Timing(tuple(seconds), recipe.batch_size))
    return Measured((row,), facts={"worker processes": workers}, peak_mib=peak_memory_mib())


def endless(loader: Any, batches: EpochBatches) -> Generator[Batch]:
    for epoch in count():
        batches.epoch = epoch
        yield from batches_of(loader)


def dataset_of(paths: Sequence[Path]) -> Dataset:
    """The pictures with the same boxes in each, repeated to the length of an epoch."""
    if not paths:
        raise ArgumentError("there are no pictures to load: give at least one")
    pictures = []
    for number, path in enumerate(paths):
        height, width = header(read_bytes(path, str(path)), name=str(path)).size_hw
        truth = Annotations.of(_BOXES_XYXY * np.array([width, height, width, height], np.float32), _LABELS)
        pictures.append(Picture(path, number, width, height, truth, path.name))
    classes = ClassList(COCO.names[:3], (1, 2, 3))
    return Dataset("benchmark", classes, tuple(islice(cycle(pictures), max(len(pictures), _LEAST_EPOCH))))

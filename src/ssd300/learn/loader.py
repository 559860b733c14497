"""From a data set to batches. Worker processes read and augment, with random draws keyed to (seed, epoch, picture).

The result does not depend on the number of workers and processes, or on where a resumed run starts.
"""

import atexit
import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, get_worker_info
from torch.utils.data import Dataset as TorchDataset

from ssd300.data.dataset import Dataset, Picture
from ssd300.errors import SSD300Error, TrainingError
from ssd300.labels import ClassList
from ssd300.learn.augment import DRAWS, Plan, Sample, apply_plan, move_boxes
from ssd300.learn.augment_batch import augment_batch, limit_size, pack_plans, stack_padded
from ssd300.learn.blanks import make_blank
from ssd300.learn.losses import Truths
from ssd300.learn.order import EpochBatches, Key
from ssd300.learn.recipe import Recipe
from ssd300.priors import IMAGE_SIZE

_hiding = threading.Lock()  # two threads inside `hidden_main` would restore the other's names


@dataclass(frozen=True)
class Batch:
    """Pictures uint8 [B, S, S, 3] RGB, their targets, and their names.

    With `plans` the pictures are [B, H, W, 3], as read, and `ready` augments them on the device.
    """

    pictures: Tensor
    truths: Truths
    names: list[str]
    image_size: int = IMAGE_SIZE
    plans: Tensor | None = None

    def __len__(self) -> int:
        return len(self.names)

    def pin_memory(self) -> "Batch":
        """The batch in pinned memory, for asynchronous copies to a GPU; called by the loader."""
        plans = None if self.plans is None else self.plans.pin_memory()
        return replace(self, pictures=self.pictures.pin_memory(), truths=self.truths.pin_memory(), plans=plans)

    def share(self) -> "Batch | ReaderLostError":
        """The batch in shared memory, or the error that it is full, which torch would only print in another thread."""
        try:
            for tensor in (self.pictures, self.truths.rows, *([] if self.plans is None else [self.plans])):
                tensor.share_memory_()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            words = f"a batch does not fit into /dev/shm, the shared memory ({str(error).splitlines()[0]})"
            return ReaderLostError(f"{words}; docker run --shm-size 1g gives more, --workers 0 needs none")
        return self

    def ready(self, device: torch.device) -> "Batch":
        """The batch on another device, augmented; from pinned memory the copy is asynchronous."""
        pictures = self.pictures.to(device, non_blocking=True)
        if self.plans is not None:
            pictures = augment_batch(pictures, self.plans.to(device, non_blocking=True), self.image_size)
        return replace(self, pictures=pictures, truths=self.truths.to(device), plans=None)


@dataclass(frozen=True)
class TrainingItem:
    """One picture of a batch: its sample, its name, and its plan if the device applies it."""

    sample: Sample
    name: str
    image_size: int
    plan: Plan | None = None


@dataclass(frozen=True)
class PictureReader(TorchDataset[TrainingItem | SSD300Error]):
    """Item ((epoch, index, size), picture) -> the picture, augmented for that epoch.

    A share of the pictures is replaced by ones without objects (`blanks.py`). If a picture cannot be read, the item is
    the error, which `batches_of` raises: raised in a worker it would arrive inside that process's traceback.
    """

    classes: ClassList
    recipe: Recipe

    def __getitem__(self, wanted: tuple[Key, Picture]) -> TrainingItem | SSD300Error:
        (epoch, index, size), picture = wanted
        recipe = self.recipe
        try:
            sample = read_sample(picture, self.classes, recipe.min_score)
        except SSD300Error as error:
            return TrainingError(f"{error}; `ssd300 data check --cases FILE` lists every such picture")
        name, on_device = str(picture.file_name), recipe.augment_on == "device"
        if recipe.blank_share:
            rng = np.random.default_rng([recipe.seed, epoch, index, 1])  # independent of the draws of the augmentation
            if rng.random() < recipe.blank_share:
                return TrainingItem(make_blank(sample, rng, size), name, size, Plan() if on_device else None)
        plan = DRAWS[recipe.augment](sample.boxes_xyxy, np.random.default_rng([recipe.seed, epoch, index]), size)
        plan = replace(plan, flipped=plan.flipped and recipe.flip)
        sample = move_boxes(sample, plan, size)
        if on_device:
            return TrainingItem(replace(sample, picture=limit_size(sample.picture)), name, size, plan)
        return TrainingItem(replace(sample, picture=apply_plan(sample.picture, plan, size)), name, size)


class TrainingPictures:
    """Item (epoch, index, size) -> the picture of the data set, augmented for that epoch."""

    def __init__(self, dataset: Dataset, recipe: Recipe) -> None:
        self.pictures, self.reader = dataset.pictures, PictureReader(dataset.classes, recipe)

    def __getitem__(self, key: Key) -> TrainingItem | SSD300Error:
        return self.reader[key, self.pictures[key[1]]]


@dataclass(frozen=True)
class PictureBatches:
    """The batches of keys, each with its picture: so no worker needs the whole list, 0.5 GB for those of COCO.

    `sent`: they go to workers. One that cannot be pickled then raises pickle's error here: in the thread that sends
    them it would be lost, and the batch waited for in vain.
    """

    pictures: Sequence[Picture]
    batches: EpochBatches
    sent: bool

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[tuple[Key, Picture]]]:
        for keys in self.batches:
            batch = [(key, self.pictures[key[1]]) for key in keys]
            if self.sent:
                pickle.dumps(batch)
            yield batch


def read_sample(picture: Picture, classes: ClassList, min_score: float) -> Sample:
    """A picture with its boxes in the unit frame. Objects with a score below `min_score` become doubtful."""
    rgb, truth = picture.read(), picture.annotations
    height, width = rgb.shape[:2]
    boxes_xyxy = (truth.boxes_xyxy / np.array([width, height, width, height], np.float32)).clip(0, 1).astype(np.float32)
    labels = np.array([classes.position_of_id[int(i)] + 1 for i in truth.class_ids], np.int64)
    doubtful = truth.ignore | (truth.scores < min_score)
    solid = np.asarray((boxes_xyxy[:, 2:] > boxes_xyxy[:, :2]).all(1))  # boxes without area are left out
    sample = Sample(rgb, boxes_xyxy, labels, doubtful & ~truth.crowd, truth.crowd)
    return sample.with_boxes(solid, boxes_xyxy)


def collate(items: list[TrainingItem | SSD300Error]) -> Batch | SSD300Error:
    """Stack the pictures; their boxes become one table. An error is returned."""
    if bad := next((item for item in items if isinstance(item, SSD300Error)), None):
        return bad
    good = [item for item in items if isinstance(item, TrainingItem)]
    truths, size = Truths.of([item.sample for item in good]), good[0].image_size
    names, arrays = [item.name for item in good], [item.sample.picture for item in good]
    plans = [item.plan for item in good if item.plan]
    numbers = torch.from_numpy(pack_plans(plans, [array.shape[:2] for array in arrays], size)) if plans else None
    pictures = stack_padded(arrays) if plans else np.stack(arrays)
    batch = Batch(torch.from_numpy(pictures), truths, names, size, numbers)
    return batch if get_worker_info() is None else batch.share()


class ReaderLostError(TrainingError):
    """A process that reads pictures was killed, or has no shared memory; the current step had not begun."""


def batches_of(loader: Iterable[Batch | SSD300Error]) -> Iterator[Batch]:
    """The batches of an epoch.

    Raises TrainingError for a picture that cannot be read, ReaderLostError if a process that reads was killed.
    """
    try:
        with hidden_main():
            batches = iter(loader)
    except OSError as error:
        raise TrainingError(f"no process can be started to read pictures ({error}); --workers 0 needs none") from error
    if hasattr(signal, "SIGCHLD") and threading.current_thread() is threading.main_thread():
        # Torch's own handler would raise in the middle of a step. Waiting for a batch also detects the loss.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        for batch in batches:
            if isinstance(batch, SSD300Error):
                raise batch
            yield batch
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        words = f"a process that reads pictures was killed, often because memory ran out ({error})"
        raise ReaderLostError(words) from error


@contextmanager
def hidden_main() -> Iterator[None]:
    """Inside, a process that is spawned does not run the user's script again.

    Python does that in every process, so that a script without `if __name__ == "__main__":` would train in them, too.
    """
    main = sys.modules["__main__"]
    with _hiding:
        before = {name: value for name, value in vars(main).items() if name in ("__file__", "__spec__")}
        try:
            vars(main).update(__file__=None, __spec__=None)
            yield
        finally:
            vars(main).pop("__file__")  # by its absence packages recognize a notebook
            vars(main).update(before)


def make_loader(
    pictures: TrainingPictures, batches: EpochBatches, workers: int, *, pin: bool = False
) -> "DataLoader[Any]":
    """A loader for `batches_of` for the whole run. `pin`: a GPU copies the batches.

    Workers are spawned, never forked: OpenMP does not survive a fork.
    """
    return DataLoader(
        pictures.reader,
        batch_sampler=PictureBatches(pictures.pictures, batches, sent=workers > 0),
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
    # Signals to the group (Ctrl-C, `timeout`) are for the trainer, which ends its step first.
    if sys.platform == "win32":  # every process of a console gets them
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGBREAK, signal.SIG_IGN)
    else:
        os.setpgrp()
    # A worker stopped while its queue's thread transfers a tensor would abort during interpreter shutdown.
    atexit.register(os._exit, 0)

"""The display of a training run: a progress bar on a terminal, log lines with the remaining time elsewhere, and
TensorBoard files on request."""

import sys
import time
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any, Self

import torch
from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from torch import Tensor

from ssd300.digits import counted
from ssd300.errors import TrainingError
from ssd300.learn.device import Compute
from ssd300.learn.run import Position
from ssd300.terminal import printable

LINE_SECONDS = 10.0  # between two lines of the log, at least


class LossMeter:
    """Running sums of the losses of an epoch, and a smoothed loss of the last steps.

    Losses stay on the device until they are read, so that no step waits for it.
    """

    def __init__(self, compute: Compute, sums: tuple[float, float, int] = (0.0, 0.0, 0)) -> None:
        self.compute = compute
        self.box, self.label, self.batches = sums
        self.recent = self.mean()
        self.waiting: list[tuple[Tensor, Tensor, list[str]]] = []  # own losses, those of all processes, names

    def add(self, losses: Tensor, names: list[str]) -> None:
        """Add box and class loss [2] of a batch of pictures, on the device."""
        self.waiting.append((losses, self.compute.mean(losses.clone()), names))

    def read(self) -> tuple[float, float, int]:
        """Sums of box loss and class loss, and number of batches; a resumed epoch continues from them.

        Raises TrainingError with the pictures of the first batch whose loss is not a number.
        """
        waiting, self.waiting = self.waiting, []
        if waiting:
            numbers = torch.stack([torch.cat([own, mean]) for own, mean, _ in waiting]).tolist()
            for (own_box, own_label, box, label), (_, _, names) in zip(numbers, waiting, strict=True):
                if not isfinite(box + label):
                    raise _make_loss_error(own_box, own_label, names)
                self._count(box, label)
        return self.box, self.label, self.batches

    def _count(self, box: float, label: float) -> None:
        self.box, self.label, self.batches = self.box + box, self.label + label, self.batches + 1
        weight = max(0.02, 1 / self.batches)
        for name, value in (("box_loss", box), ("class_loss", label)):
            self.recent[name] += weight * (value - self.recent[name])

    def mean(self) -> dict[str, float]:
        count = max(1, self.batches)
        return {"box_loss": self.box / count, "class_loss": self.label / count}


def _make_loss_error(box: float, label: float, names: list[str]) -> TrainingError:
    if isfinite(box + label):
        return TrainingError("the loss is not a number in another process, which names the pictures")
    return TrainingError(
        f"the loss is not a number (box {box}, class {label}) in the batch of pictures "
        f"{', '.join(names)}: check their boxes with `ssd300 data check`, or lower the learning rate"
    )


class Display:
    """Shows a run on stderr, only in the first process."""

    def __init__(
        self,
        epochs: int,
        steps_per_epoch: int,
        validate_every: int,
        out: Path,
        *,
        shown: bool,
        tensorboard: bool = False,
    ) -> None:
        self.epochs, self.steps_per_epoch, self.validate_every = epochs, steps_per_epoch, validate_every
        self.console = Console(stderr=True, quiet=not shown)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
        self.bar = Bar(*columns, console=self.console, disable=not (shown and sys.stderr.isatty()))
        self.task = self.bar.add_task("training", total=1.0, text="")
        self.board: Any = None
        if shown and tensorboard:
            from tensorboardX import SummaryWriter  # needs neither TensorFlow nor TensorBoard

            self.board = SummaryWriter(str(out / "tensorboard"))
        self.last_reading = -LINE_SECONDS

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()
        if self.board:
            self.board.close()

    def note(self, text: str) -> None:
        self.console.print(printable(text), highlight=False, markup=False, soft_wrap=True)

    def start_epoch(self, position: Position, compute: Compute) -> LossMeter:
        self.first = replace(position)
        return LossMeter(compute, position.epoch_losses)

    def is_reading_due(self, now: float) -> bool:
        """Whether it is time to read the losses, for the next line of the log or for the progress bar."""
        return now - self.last_reading >= LINE_SECONDS

    def step(self, position: Position, lr: float, losses: LossMeter, *, was_read: bool, limit: float | None) -> None:
        """Show a step; `was_read`: its losses have been read. `limit`: the time limit of the run in seconds."""
        taken, seconds = position.step - self.first.step, position.seconds - self.first.seconds
        rate = (position.pictures_seen - self.first.pictures_seen) / max(1e-9, seconds)
        left = self.seconds_left(position, seconds / max(1, taken), limit)
        box, label = losses.recent.values()
        text = (
            f"loss {box + label:.3f} (box {box:.3f}, class {label:.3f}), lr {lr:.2e}, {rate:.1f} pictures/s, "
            f"{format_duration(left)} left"
        )
        done = max(position.step / (self.epochs * self.steps_per_epoch), min(1.0, position.time_share(limit)))
        self.bar.update(self.task, completed=done, text=text, description=f"epoch {position.epoch + 1}/{self.epochs}")
        if not was_read:
            return
        now = time.monotonic()
        if self.is_reading_due(now):
            self.last_reading = now
            if self.bar.disable:
                self.note(f"epoch {position.epoch + 1} step {position.step_in_epoch}/{self.steps_per_epoch}: {text}")
        if self.board:
            for name, value in {**losses.recent, "loss": box + label, "lr": lr, "pictures_per_second": rate}.items():
                self.board.add_scalar(name, value, position.step)

    def seconds_left(self, position: Position, step: float, limit: float | None) -> float:
        """The wall time to the end of the run: a step takes `step` seconds, a validation as long as the longest yet."""
        left = (self.epochs * self.steps_per_epoch - position.step) * step
        validations = -(-self.epochs // self.validate_every) - position.epoch // self.validate_every
        left += validations * position.measuring
        return left if limit is None else min(left, max(0.0, limit - position.wall))

    def end_epoch(self, row: dict[str, float]) -> None:
        self.note(", ".join(f"{key} {value:{'.4g' if value < 1000 else '.0f'}}" for key, value in row.items()))
        if self.board:
            for name, value in row.items():
                self.board.add_scalar(f"epoch/{name}", value, int(row["epoch"]))

    def end_run(self, position: Position, first: int, *, limited: bool) -> None:
        """Say why a run ended before its last epoch, or that nothing was left to do; `first`: the step it began at."""
        if position.step == first:
            self.note(f"This run ended already, after {counted(position.epoch, 'epoch')}: nothing is left to train.")
        elif position.epoch < self.epochs:
            reason = "the time limit is reached" if limited else "AP no longer rises, and --patience is used up"
            self.note(f"Ended in epoch {position.epoch} of {self.epochs}: {reason}.")


def format_duration(seconds: float) -> str:
    """A duration as text.

    >>> format_duration(40), format_duration(725), format_duration(3900)
    ('40 s', '12 min', '1 h 05 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"

"""What is seen of a training: a progress bar on a terminal, lines elsewhere, TensorBoard files if it is installed."""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from ssd300.learn.run import Progress


class LossMeter:
    """Running sums of the losses of an epoch, and a smoothed view of the last steps."""

    def __init__(self, sums: tuple[float, float, int] = (0.0, 0.0, 0)) -> None:
        self.box, self.label, self.batches = sums
        self.recent = self.mean()

    @property
    def sums(self) -> tuple[float, float, int]:
        """Box loss, class loss, batches: what an epoch goes on from after a stop."""
        return self.box, self.label, self.batches

    def add(self, box: float, label: float) -> None:
        self.box, self.label, self.batches = self.box + box, self.label + label, self.batches + 1
        weight = max(0.02, 1 / self.batches)
        for name, value in (("box_loss", box), ("class_loss", label)):
            self.recent[name] += weight * (value - self.recent[name])

    def mean(self) -> dict[str, float]:
        count = max(1, self.batches)
        return {"box_loss": self.box / count, "class_loss": self.label / count}


class Display:
    """Shows a run on stderr. Nothing is shown by processes other than the first."""

    def __init__(self, epochs: int, steps_per_epoch: int, out: Path, shown: bool, log_every: int) -> None:
        self.epochs, self.steps_per_epoch, self.log_every, self.shown = epochs, steps_per_epoch, log_every, shown
        self.console = Console(stderr=True, quiet=not shown)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[words]}"),
            TimeRemainingColumn(),
        )
        self.bar = Bar(*columns, console=self.console, disable=not (shown and sys.stderr.isatty()))
        self.task = self.bar.add_task("training", total=epochs * steps_per_epoch, words="")
        self.board: Any = None
        if shown and find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(str(out / "tensorboard"))

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()
        if self.board:
            self.board.close()

    def note(self, words: str) -> None:
        self.console.print(words, highlight=False, markup=False, soft_wrap=True)

    def start_epoch(self, progress: Progress) -> LossMeter:
        self.first_seconds, self.first_seen = progress.seconds, progress.pictures_seen
        return LossMeter(progress.epoch_losses)

    def step(self, progress: Progress, lr: float, losses: LossMeter) -> None:
        rate = (progress.pictures_seen - self.first_seen) / max(1e-9, progress.seconds - self.first_seconds)
        box, label = losses.recent.values()
        words = f"loss {box + label:.3f} (box {box:.3f}, class {label:.3f}), lr {lr:.2e}, {rate:.1f} pictures/s"
        self.bar.update(
            self.task, completed=progress.step, words=words, description=f"epoch {progress.epoch + 1}/{self.epochs}"
        )
        if progress.step % self.log_every:
            return
        if self.bar.disable:
            self.note(f"epoch {progress.epoch + 1} step {progress.step_in_epoch}/{self.steps_per_epoch}: {words}")
        if self.board:
            for name, value in {**losses.recent, "loss": box + label, "lr": lr, "pictures_per_second": rate}.items():
                self.board.add_scalar(name, value, progress.step)

    def end_epoch(self, row: dict[str, float]) -> None:
        self.note(", ".join(f"{key} {value:.4g}" for key, value in row.items()))
        if self.board:
            for name, value in row.items():
                self.board.add_scalar(f"epoch/{name}", value, int(row["epoch"]))

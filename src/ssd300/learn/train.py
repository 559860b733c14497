"""Training, top to bottom: one plain loop.

ssd300 train --data cells/train.json --val cells/val.json --recipe quick
torchrun --nproc-per-node 4 -m ssd300 train --data coco --recipe published
"""

import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from ssd300 import __version__
from ssd300.data.dataset import Dataset
from ssd300.errors import TrainingError
from ssd300.learn.criterion import make_criterion
from ssd300.learn.device import Compute, choose_compute, keep_freed_memory
from ssd300.learn.inference import TorchNetwork, normalise
from ssd300.learn.loader import Batch, EpochBatches, TrainingPictures, make_loader
from ssd300.learn.network import SSD300
from ssd300.learn.optim import AveragedWeights, freeze, learning_rate, make_optimizer
from ssd300.learn.progress import Display
from ssd300.learn.recipe import Recipe, resolve_recipe
from ssd300.learn.run import Progress, load_state, save_state, write_recipe, write_results
from ssd300.learn.start import starting_network
from ssd300.learn.validate import validate
from ssd300.weights.checkpoint import ModelMetadata, write_checkpoint


def train(
    data: Dataset,
    val: Dataset | None = None,
    *,
    out: str | Path,
    recipe: str | Recipe = "quick",
    backbone: str = "resnet18",
    start: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    precision: str = "auto",
    workers: int = 1,
    validate_every: int = 1,
    checkpoint_minutes: float = 5.0,
    log_every: int = 20,
    **settings: Any,
) -> Path:
    """Train a detector and return the folder of the run, with `best.safetensors` in it.

    Args:
        data: the pictures to learn from.
        val: the pictures to measure on, after every `validate_every` epochs; None keeps the last weights as the best.
        out: the folder of the run; made if it does not exist.
        recipe: "published", "modern", "quick", or a `Recipe`; **settings change single values of it.
        backbone, start: see `start.starting_network`.
        resume: go on with the run in `out`, to the last bit as if it had not stopped (on a CPU, same threads).
        device, precision: see `device.choose_compute`.
        workers: processes that read and augment pictures; 0 does it in this one.
        checkpoint_minutes: how often the resumable state is written within an epoch.

    Raises:
        TrainingError: nothing to learn from, the loss is not a number, nothing to resume, ...
        KeyboardInterrupt: on Ctrl-C or SIGTERM, after the state has been written.
    """
    keep_freed_memory()
    recipe = resolve_recipe(recipe, **settings) if isinstance(recipe, str) else recipe
    compute = choose_compute(device, precision)
    out = Path(out)
    if len(data) == 0:
        raise TrainingError(f"{data.name} has no pictures to learn from")
    torch.manual_seed(recipe.seed)

    network, origin = starting_network(backbone, data.classes, start, recipe.background_prior)
    network.to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recipe.sync_norm and compute.device.type == "cuda":
        network = torch.nn.SyncBatchNorm.convert_sync_batchnorm(network)
    freeze(network, recipe.freeze, recipe.freeze_norm)
    optimizer = make_optimizer(network, recipe)
    scaler = torch.amp.GradScaler(compute.device.type, enabled=compute.precision == "f16")
    averaged = AveragedWeights(network, recipe.ema) if recipe.ema else None
    criterion = make_criterion(recipe).to(compute.device)
    progress = Progress()

    if resume:
        progress = restore(load_state(out), network, optimizer, scaler, averaged, recipe)
    elif compute.rank == 0:
        out.mkdir(parents=True, exist_ok=True)
        write_recipe(out, described(recipe, data, val, backbone, origin, compute))

    batches = EpochBatches(len(data), recipe.batch_size, recipe.seed, compute.rank, compute.world)
    steps_per_epoch = -(-len(batches) // recipe.accumulate)
    pictures_per_step = recipe.batch_size * recipe.accumulate * compute.world
    loader = make_loader(TrainingPictures(data, recipe.augment, recipe.seed, recipe.min_score), batches, workers)
    model: torch.nn.Module = network
    if compute.world > 1:  # statistics of batch norms stay each process's own, as published
        model = DistributedDataParallel(network, broadcast_buffers=False)

    def save() -> None:
        if compute.rank == 0:
            save_state(out, run_state(network, optimizer, scaler, averaged, progress, recipe))

    with (
        stop_signals() as stopped,
        Display(recipe.epochs, steps_per_epoch, out, compute.rank == 0, log_every) as display,
    ):
        display.note(f"{data.summary()}; from {origin}; {compute.device.type} {compute.precision}, out {out}")
        while progress.epoch < recipe.epochs:
            network.train()
            freeze(network, recipe.freeze, recipe.freeze_norm)
            batches.epoch, batches.first_step = progress.epoch, progress.step_in_epoch * recipe.accumulate
            losses = display.start_epoch(progress)
            tick = saved = time.monotonic()
            for group in in_groups(loader, recipe.accumulate):
                lr = learning_rate(recipe, progress.step, steps_per_epoch, pictures_per_step)
                for parameters in optimizer.param_groups:
                    parameters["lr"] = lr

                for i, batch in enumerate(group):
                    last = i == len(group) - 1
                    with nullcontext() if last or compute.world == 1 else model.no_sync():  # type: ignore[operator]
                        box, label = forward_loss(model, criterion, batch, compute)
                        scaler.scale((box + label) / len(group)).backward()
                    losses.add(compute.mean(box.detach()).item(), compute.mean(label.detach()).item(), batch)
                scaler.unscale_(optimizer)
                if recipe.clip_norm:
                    torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()
                if averaged:
                    averaged.update(network)

                now = time.monotonic()
                progress.step += 1
                progress.step_in_epoch += 1
                progress.pictures_seen += pictures_per_step
                progress.seconds, tick = progress.seconds + now - tick, now
                display.step(progress, lr, losses)
                if stopped:
                    save()
                    raise KeyboardInterrupt(f"stopped at step {progress.step}; go on with --resume")
                if now - saved > 60 * checkpoint_minutes:
                    save()
                    saved = now

            progress.epoch, progress.step_in_epoch = progress.epoch + 1, 0
            row = {"epoch": progress.epoch, "lr": lr, **losses.mean(), "seconds": round(progress.seconds, 1)}
            if compute.rank == 0:
                finish_epoch(out, network, averaged, data, val, validate_every, recipe, compute, progress, row)
                display.end_epoch(row)
                save()
    return out


def forward_loss(
    model: torch.nn.Module, criterion: torch.nn.Module, batch: Batch, compute: Compute
) -> tuple[torch.Tensor, torch.Tensor]:
    """(box loss, class loss) of a batch; stops the run where they are not numbers, naming the pictures."""
    with compute.autocast():
        locs, logits = model(normalise(batch.pictures.to(compute.device, non_blocking=True)))
    box, label = criterion(locs, logits, batch.samples)
    if not torch.isfinite(box + label):
        raise TrainingError(
            f"the loss is not a number (box {box.item()}, class {label.item()}) in the batch of pictures "
            f"{', '.join(batch.names)}: look at their boxes with `ssd300 data check`, or lower the learning rate"
        )
    return box, label


def finish_epoch(
    out: Path,
    network: SSD300,
    averaged: AveragedWeights | None,
    data: Dataset,
    val: Dataset | None,
    validate_every: int,
    recipe: Recipe,
    compute: Compute,
    progress: Progress,
    row: dict[str, float],
) -> None:
    """Measure, keep the best weights, and write results.csv."""
    state = averaged.state if averaged else network.state_dict()
    metric = None
    last = progress.epoch == recipe.epochs
    if val is not None and (last or progress.epoch % validate_every == 0):
        measured = SSD300(network.backbone, network.num_classes)
        measured.load_state_dict(state)
        metrics = validate(TorchNetwork(measured, str(compute.device), compute.precision), val, data.classes)
        row |= {"AP": metrics.ap, "AP50": metrics.ap50}
        metric = {"AP": metrics.ap, "AP50": metrics.ap50, "dataset": val.name, "pictures": len(val)}
    progress.history.append(row)
    write_results(out, progress.history)
    if val is None or (metric and metric["AP"] > progress.best_ap):
        progress.best_ap = metric["AP"] if metric else progress.best_ap
        training = {
            "data": data.name,
            "recipe": recipe.to_dict(),
            "epochs_done": progress.epoch,
            "pictures_seen": progress.pictures_seen,
            "wall_seconds": round(progress.seconds),
        }
        metadata = ModelMetadata(network.backbone, data.classes, training=training, metric=metric)
        arrays = {key: value.cpu().numpy() for key, value in state.items()}
        write_checkpoint(out / "best.safetensors", arrays, metadata)


def run_state(
    network: SSD300,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    averaged: AveragedWeights | None,
    progress: Progress,
    recipe: Recipe,
) -> dict[str, Any]:
    """Everything that a resumed run needs. Chance needs nothing: it is keyed to seed, epoch and picture."""
    return {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict(),
        "averaged": (averaged.state, averaged.updates) if averaged else None,
        "progress": vars(progress),
        "recipe": recipe.to_dict(),
    }


def restore(
    state: dict[str, Any],
    network: SSD300,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    averaged: AveragedWeights | None,
    recipe: Recipe,
) -> Progress:
    """Put a saved state back. A run goes on with its own recipe: another one is refused, naming what differs."""
    if state["recipe"] != recipe.to_dict():
        mine = recipe.to_dict()
        differs = [
            f"{k}: {v!r} there, {mine.get(k)!r} asked for" for k, v in state["recipe"].items() if mine.get(k) != v
        ]
        raise TrainingError("the run to resume has other settings: " + "; ".join(differs))
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    scaler.load_state_dict(state["scaler"])
    if averaged and state["averaged"]:
        averaged.state, averaged.updates = state["averaged"]
    return Progress(**state["progress"])


def described(
    recipe: Recipe, data: Dataset, val: Dataset | None, backbone: str, origin: str, compute: Compute
) -> dict[str, Any]:
    """What recipe.json says."""
    return {
        "ssd300": __version__,
        "torch": torch.__version__,
        "backbone": backbone,
        "start": origin,
        "data": data.summary(),
        "val": val.summary() if val else None,
        "device": str(compute.device),
        "precision": compute.precision,
        "processes": compute.world,
        "threads": torch.get_num_threads(),
        "recipe": recipe.to_dict(),
    }


def in_groups(loader: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """Lists of `size` batches; the last may be shorter."""
    batches = iter(loader)
    while group := list(islice(batches, size)):
        yield group


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Within, Ctrl-C and SIGTERM only note themselves in the list, so that the step can end and be saved."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if received:  # the second one is meant
            raise KeyboardInterrupt
        received.append(number)

    old = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)

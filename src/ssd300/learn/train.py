"""Training, top to bottom: one plain loop.

ssd300 train --data cells/train.json --val cells/val.json --recipe quick
torchrun --nproc-per-node 4 -m -- ssd300 train --data coco --recipe published
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from inspect import signature
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ssd300 import __version__
from ssd300.data.dataset import Dataset
from ssd300.learn.device import Compute, choose_compute, keep_freed_memory
from ssd300.learn.given import check_counts, check_names, check_usable, training_data
from ssd300.learn.learner import Learner, conditions_of, make_learner
from ssd300.learn.loader import Batch, EpochBatches, TrainingPictures, batches_of, make_loader
from ssd300.learn.losses import LOSSES
from ssd300.learn.network import SSD300
from ssd300.learn.optim import learning_rate
from ssd300.learn.progress import Display
from ssd300.learn.recipe import Recipe, resolve_recipe
from ssd300.learn.report import draw_curves, draw_samples
from ssd300.learn.run import (
    BEST,
    Progress,
    load_state,
    refuse_used,
    remove_unfinished,
    save_state,
    write_recipe,
    write_results,
)
from ssd300.learn.start import Origin, starting_network
from ssd300.learn.stopping import stop_signals
from ssd300.learn.validate import validate
from ssd300.runtime.torch import TorchRuntime, normalize
from ssd300.weights.checkpoint import ModelMetadata, write_checkpoint


def train(
    data: Dataset | str | Path | Sequence[str | Path],
    val: Dataset | str | Path | None = None,
    *,
    out: str | Path,
    recipe: str | Recipe = "quick",
    backbone: str = "resnet18",
    start: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    precision: str = "auto",
    workers: int | None = None,
    validate_every: int = 1,
    checkpoint_minutes: float = 5.0,
    log_every: int = 20,
    **settings: Any,
) -> Path:
    """Train a detector and return the folder of the run, with `best.safetensors` in it.

    Args:
        data: the pictures to learn from: a `Dataset`, or paths that `load_dataset` reads.
        val: the pictures to measure on, after every `validate_every` epochs. None: if `data` is a path, its own
            validation split or a fifth drawn with the seed; if it is a `Dataset`, nothing: the last weights are kept.
        out: the folder of the run; made if it does not exist.
        recipe: "published", "modern", "quick", or a `Recipe`; **settings change single values of it.
        backbone, start: see `start.starting_network`.
        resume: go on with the run in `out`, to the last bit as if it had not stopped (on a CPU, same threads).
        device, precision: see `device.choose_compute`.
        workers: processes that read and augment pictures; 0 does it in this one. None: one beside a CPU that trains,
            as many as there are cores (up to 16) beside a GPU.
        checkpoint_minutes: how often the resumable state is written within an epoch.

    Raises:
        ArgumentError: a setting that is unknown or outside its range.
        TrainingError: nothing to learn from, the loss is not a number, nothing to resume, ...
        KeyboardInterrupt: on Ctrl-C or SIGTERM, after the state has been written.
    """
    check_counts(workers=workers or 0, validate_every=validate_every, log_every=log_every)
    keep_freed_memory()
    check_names(settings, signature(train).parameters)
    recipe = resolve_recipe(recipe, **settings)
    compute = choose_compute(device, precision)
    data, val = training_data(data, val, recipe.seed)
    out = Path(out)
    check_usable(data, val)
    if not resume:
        refuse_used(out)
    torch.manual_seed(recipe.seed)

    network, origin = starting_network(backbone, data.classes, start, recipe.background_prior)
    learner = make_learner(network, recipe, compute)
    batches = EpochBatches(len(data), recipe.batch_size, recipe.seed, compute.rank, compute.world)
    steps_per_epoch = -(-len(batches) // recipe.accumulate)
    pictures_per_step = recipe.batch_size * recipe.accumulate * compute.world
    conditions = conditions_of(network, origin, data, val, pictures_per_step)
    progress = learner.load(load_state(out), conditions) if resume else Progress(conditions=conditions)
    metadata = described(network, data, recipe, origin)
    if compute.rank == 0 and resume:
        remove_unfinished(out)
    elif compute.rank == 0:
        out.mkdir(parents=True, exist_ok=True)
        write_recipe(out, all_settings(recipe, data, val, backbone, origin, compute))

    pictures = TrainingPictures(data, recipe.augment, recipe.seed, recipe.min_score)
    workers = compute.reading_processes() if workers is None else workers
    loader = make_loader(pictures, batches, workers, pin=compute.device.type == "cuda")
    model: nn.Module = network
    if compute.world > 1:
        model = DistributedDataParallel(network)
        model.broadcast_buffers = False  # statistics of batch norms stay each process's own, as published

    with stop_signals() as stopped, Display(recipe.epochs, steps_per_epoch, out, compute.rank == 0, log_every) as show:
        show.note(f"{data.summary()}; from {origin.words}; {compute.device.type} {compute.precision}, out {out}")
        while progress.epoch < recipe.epochs:
            learner.start_learning()
            batches.epoch, batches.first_step = progress.epoch, progress.step_in_epoch * recipe.accumulate
            losses = show.start_epoch(progress, compute)
            tick = saved = time.monotonic()
            for group in in_groups(batches_of(loader), recipe.accumulate):
                lr = learning_rate(recipe, progress.step, steps_per_epoch, pictures_per_step)
                for batch in group:
                    waits = compute.world > 1 and batch is not group[-1]  # gradients meet at the last batch of a step
                    with model.no_sync() if waits else nullcontext():  # type: ignore[operator]
                        box, label = forward_loss(model, recipe.loss, batch, compute)
                        learner.scaler.scale((box + label) / len(group)).backward()  # type: ignore[no-untyped-call]
                    losses.add(torch.stack([box.detach(), label.detach()]), batch.names)
                learner.step(lr)

                now = time.monotonic()
                progress.advance(pictures_per_step, now - tick)
                tick = now
                looks = progress.step % log_every == 0 or (compute.world == 1 and show.due(now))
                if looks:
                    losses.look()
                show.step(progress, lr, losses, looks)
                stops = compute.any(bool(stopped)) if looks or compute.world == 1 else False
                due = now - saved > 60 * checkpoint_minutes
                if compute.rank == 0 and (due or stops):
                    progress.epoch_losses = losses.look()
                    save_state(out, learner.state(progress))
                    saved = now
                if stops:
                    if compute.rank == 0 and not (out / BEST).exists():
                        write_best(out, learner, progress, metadata)  # unmeasured, but it detects
                    raise KeyboardInterrupt(
                        f"stopped at step {progress.step}; go on with the same command and --out {out} --resume"
                    )

            measured = progress.epoch + 1 == recipe.epochs or (progress.epoch + 1) % validate_every == 0
            progress.epoch_losses = losses.look()
            if compute.rank == 0 and measured:
                save_state(out, learner.state(progress))  # measuring takes time, and may fail on a damaged picture
            progress.next_epoch()
            if compute.rank == 0:
                lr = learning_rate(recipe, progress.step - 1, steps_per_epoch, pictures_per_step)
                row = {"epoch": progress.epoch, "lr": lr, **losses.mean(), "seconds": round(progress.seconds, 1)}
                show.end_epoch(finish_epoch(out, learner, progress, row, metadata, val if measured else None, compute))
                save_state(out, learner.state(progress))
    if compute.rank == 0:
        draw_curves(progress.history, out / "curves.png")
    return out


def forward_loss(model: nn.Module, loss: str, batch: Batch, compute: Compute) -> tuple[torch.Tensor, torch.Tensor]:
    """(box loss, class loss) of a batch. Does not wait for the device: whether they are numbers is looked at later."""
    batch = batch.to(compute.device)
    with compute.autocast():
        locs, logits = model(normalize(batch.pictures))
    return LOSSES[loss](locs, logits, batch.truths, batch.pictures.shape[1])


def finish_epoch(
    out: Path,
    learner: Learner,
    progress: Progress,
    row: dict[str, float],
    metadata: ModelMetadata,
    val: Dataset | None,
    compute: Compute,
) -> dict[str, float]:
    """Measure (if `val` is given), keep the weights if they are the best so far, and write results.csv."""
    metric = None
    if val is not None:
        measured = SSD300(metadata.backbone, metadata.num_classes)
        measured.load_state_dict(learner.best_weights())
        runtime = TorchRuntime(measured, metadata, device=str(compute.device), precision=compute.precision)
        metrics, results = validate(runtime, val)
        draw_samples(val, results, out / "samples.jpg", min_score=learner.recipe.min_score)
        row = row | {"AP": metrics.ap, "AP50": metrics.ap50}
        metric = {"AP": metrics.ap, "AP50": metrics.ap50, "dataset": val.name, "pictures": len(val)}
    progress.history.append(row)
    write_results(out, progress.history)
    ap = row.get("AP", -1.0)
    if ap > progress.best_ap or progress.best_ap < 0:
        progress.best_ap = ap
        write_best(out, learner, progress, replace(metadata, metric=metric))
    return row


def write_best(out: Path, learner: Learner, progress: Progress, metadata: ModelMetadata) -> None:
    """Write the weights of now as those that detect."""
    done = {
        "epochs_done": progress.epoch,
        "pictures_seen": progress.pictures_seen,
        "wall_seconds": round(progress.seconds),
    }
    arrays = {key: value.cpu().numpy() for key, value in learner.best_weights().items()}
    write_checkpoint(out / BEST, arrays, replace(metadata, training=(metadata.training or {}) | done))


def described(network: SSD300, data: Dataset, recipe: Recipe, origin: Origin) -> ModelMetadata:
    """What `best.safetensors` says of itself."""
    training: dict[str, Any] = {"data": data.name, "start": origin.words, "recipe": recipe.to_dict()}
    if origin.licence:
        training["licence_of_start"] = origin.licence
    return ModelMetadata(network.backbone, data.classes, training=training, parent_sha256=origin.sha256)


def all_settings(
    recipe: Recipe, data: Dataset, val: Dataset | None, backbone: str, origin: Origin, compute: Compute
) -> dict[str, Any]:
    """What recipe.json says."""
    return {
        "ssd300": __version__,
        "torch": torch.__version__,
        "backbone": backbone,
        "start": origin.words,
        "data": data.summary(),
        "val": val.summary() if val else None,
        "device": str(compute.device),
        "precision": compute.precision,
        "processes": compute.world,
        "threads": torch.get_num_threads(),
        "recipe": recipe.to_dict(),
    }


def in_groups(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    """Lists of `size` batches; the last may be shorter."""
    while group := list(islice(batches, size)):
        yield group

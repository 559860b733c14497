"""Training, top to bottom: one plain loop.

ssd300 train --data cells/train.json --val cells/val.json --recipe quick
torchrun --nproc-per-node 4 -m -- ssd300 train --data coco --recipe published
"""

import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ssd300.data.dataset import Dataset
from ssd300.digits import as_plain
from ssd300.errors import ArgumentError
from ssd300.learn import report, run
from ssd300.learn.device import Compute, FreedMemory, choose_compute, keep_freed_memory
from ssd300.learn.display import Display, LossMeter
from ssd300.learn.learner import Learner, describe_conditions, lacks_maps, make_learner, prepare_for_steps
from ssd300.learn.loader import Batch, ReaderLostError, TrainingPictures, batches_of, make_loader
from ssd300.learn.losses import LOSSES
from ssd300.learn.order import EpochBatches
from ssd300.learn.recipe import Recipe, image_size, learning_rate, resolve_recipe, run_share
from ssd300.learn.start import (
    check_counts,
    check_names,
    describe_inputs,
    folder_to_resume,
    interval_in_seconds,
    limit_in_seconds,
    load_training_sets,
    make_starting_network,
    refuse_untrained,
)
from ssd300.pipeline import chunked
from ssd300.runtime.torch import channel_scale, normalize
from ssd300.terminal import as_argument

_RUNS = Path("runs/train")
_scale = cache(channel_scale)
_drawing = threading.Lock()  # torch has one generator for all threads


def train(
    data: Dataset | str | Path | Sequence[str | Path],
    val: Dataset | str | Path | None = None,
    *,
    out: str | Path | None = None,
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
    time_limit: float | None = None,
    patience: int = 0,
    tensorboard: bool = False,
    compiled: bool = False,
    allow_lost: bool = False,
    **settings: Any,
) -> Path:
    """Train a detector and return the folder of the run, with `best.safetensors` in it.

    Args:
        data: the pictures to learn from: a `Dataset`, or paths that `load_dataset` reads.
        val: the pictures to measure on, after every `validate_every` epochs. None: if `data` is a path, its own
            validation split or a fifth drawn with the seed; if it is a `Dataset`, nothing: the last weights are kept.
        out: the folder of the run; made if it does not exist. None: runs/train/1, 2, ..., the first that is free.
        recipe: "published", "modern", "quick", or a `Recipe`; **settings change single values of it.
        backbone: the trunk of the network: resnet18, resnet34, resnet50, resnet101 or resnet152.
        start: the first weights: None (the bundled `default`, ResNet-18 only), "imagenet" (downloads torchvision's
            file), "none" (random), a name that `ssd300 models` lists, an SSD300 checkpoint, or a ResNet of torchvision.
        resume: continue the run in `out`; equal to an uninterrupted one to the bit (on a CPU, same threads).
        device: "cpu", "cuda", or "auto": CUDA if there is one.
        precision: "f32", "bf16", "f16" (CUDA only), or "auto": bf16 if the hardware has it, else f16 on CUDA and f32
            on a CPU.
        workers: processes that read and augment pictures; 0 does it in this one. None: one beside a CPU that trains,
            one fewer than there are cores (up to 16) beside a GPU.
        checkpoint_minutes: how often the resumable state is written within an epoch; 0: after every step.
        log_every: steps between two reads of the loss; each waits for the device.
        time_limit: minutes of wall time for the run, resumed parts included; the learning rate reaches its end in time.
            The run ends with whichever comes first, this or `epochs`.
        patience: end after this many validations in a row without a better AP; 0 never does.
        tensorboard: write TensorBoard's files into the folder (needs tensorboardX).
        allow_lost: train although more than a third of the boxes of a set was left out.
        compiled: translate the network with torch.compile first (CUDA only; it takes about a minute).

    Raises:
        ArgumentError: a setting that is unknown or outside its range.
        TrainingError: nothing to learn from, the loss is not a number, nothing to resume, ...
        KeyboardInterrupt: on Ctrl-C, SIGTERM or a closed terminal, after the state has been written.
    """
    began = time.monotonic()
    workers, patience, validate_every, log_every = as_plain((workers, patience, validate_every, log_every))
    check_counts(0, workers=workers or 0, patience=patience)
    check_counts(1, validate_every=validate_every, log_every=log_every)
    limit, interval = limit_in_seconds(as_plain(time_limit)), interval_in_seconds(as_plain(checkpoint_minutes))
    keep_freed_memory()
    check_names(settings, signature(train).parameters)
    recipe = resolve_recipe(recipe, **settings)
    report.require_measuring(tensorboard=tensorboard)
    compute = choose_compute(device, precision)
    data, val, messages = load_training_sets(data, val, recipe, allow_lost=allow_lost)
    if patience and val is None:
        raise ArgumentError(f"patience is {patience}: it counts validations, and data is a Dataset: give val, too")
    if not resume and out is not None:
        run.refuse_used(Path(out))
    with _drawing:
        torch.manual_seed(recipe.seed)
        network, origin = make_starting_network(backbone, data.classes, start, recipe.background_prior)
    refuse_untrained(recipe, origin, data.classes)
    learner = make_learner(network, recipe, compute)
    parts = compute.rank, compute.world, recipe.accumulate
    batches = EpochBatches(len(data), recipe.batch_size, recipe.seed, *parts)
    steps_per_epoch = len(batches) // recipe.accumulate
    batches.image_size = lambda epoch, step: image_size(
        recipe, run_share(recipe, epoch * steps_per_epoch + step // recipe.accumulate, steps_per_epoch, time_share)
    )
    pictures_per_step = recipe.batch_size * recipe.accumulate * compute.world
    conditions = describe_conditions(network, origin, data, val, pictures_per_step)
    position = run.Position(conditions=conditions)
    if resume:
        position = learner.load(run.load_state(folder_to_resume(out)), conditions)
    metadata = report.describe_model(network, data, recipe, origin)
    model = prepare_for_steps(network, compute, compiled)
    again = "continue with the same command and --resume"
    if out is None:
        out = compute.of_first(run.numbered_folder(_RUNS) if compute.is_first else _RUNS)
        again = f"continue with the same command and --out {as_argument(out)} --resume"
    out, earlier, first = Path(out), position.wall, position.step

    pictures = TrainingPictures(data, recipe)
    workers = compute.reading_processes() if workers is None else workers
    loader = make_loader(pictures, batches, workers, pin=compute.device.type == "cuda")
    if compute.world > 1:
        model = DistributedDataParallel(model, find_unused_parameters=lacks_maps(recipe))
        model.broadcast_buffers = False  # statistics of batch norms stay each process's own, as published

    memory, time_share = FreedMemory(), position.time_share(limit)
    with (
        run.lock_folder(out) if compute.is_first else nullcontext(),
        run.stop_signals() as stopped,
        Display(
            recipe.epochs, steps_per_epoch, validate_every, out, shown=compute.is_first, tensorboard=tensorboard
        ) as show,
    ):
        if compute.is_first and resume:
            run.remove_unfinished(out)
        elif compute.is_first:
            run.refuse_used(out)
            run.write_recipe(
                out, report.collect_settings(recipe, data, val, backbone, origin, compute) | {"messages": messages}
            )
        for message in (*messages, describe_inputs(data, val, origin, compute, out)):
            show.note(message)
        ended = position.is_over(time_share, patience)
        while position.epoch < recipe.epochs and not ended:
            learner.start_learning()
            batches.epoch, batches.first_step = position.epoch, position.step_in_epoch * recipe.accumulate
            losses = show.start_epoch(position, compute)
            tick = saved = time.monotonic()
            try:
                for group in chunked(batches_of(loader), recipe.accumulate):
                    lr = learning_rate(recipe, position.step, steps_per_epoch, pictures_per_step, time_share)
                    for batch in group:
                        waits = compute.world > 1 and batch is not group[-1]  # gradients meet at a step's last batch
                        with model.no_sync() if waits else nullcontext():  # type: ignore[operator]
                            box, label = forward_loss(model, recipe.loss, batch, compute)
                            learner.scaler.scale((box + label) / len(group)).backward()  # type: ignore[no-untyped-call]
                        losses.add(torch.stack([box.detach(), label.detach()]), batch.names)
                    learner.step(lr)

                    now = time.monotonic()
                    position.advance(sum(len(batch.names) for batch in group) * compute.world, now - tick)
                    position.wall, tick = earlier + now - began, now
                    was_read = position.step % log_every == 0 or (compute.world == 1 and show.is_reading_due(now))
                    if was_read:
                        losses.read()
                        memory.check()
                    show.step(position, lr, losses, was_read=was_read, limit=limit)
                    stops = False
                    if was_read or compute.device.type == "cpu" or compute.world == 1:  # to agree, processes wait
                        time_share = compute.of_first(position.time_share(limit))
                        stops = compute.any(bool(stopped))
                    due = now - saved > interval
                    if compute.is_first and (due or stops):
                        save_now(out, learner, position, losses)
                        saved = now
                    if stops:
                        if compute.is_first and not (out / run.BEST).exists():
                            report.write_best(out, learner, position, metadata)  # unmeasured, but it detects
                        raise KeyboardInterrupt(f"stopped at step {position.step}; {again}")
                    if time_share >= 1:
                        break
            except ReaderLostError as error:
                outcome = "the state is that of the last checkpoint"
                if compute.is_first:
                    save_now(out, learner, position, losses)
                    outcome = "the state is saved"
                raise ReaderLostError(f"{error}; {outcome}: {again}") from error

            last = position.epoch + 1 == recipe.epochs or time_share >= 1
            measured = last or (position.epoch + 1) % validate_every == 0
            position.epoch_losses = losses.read()
            if compute.is_first and measured:
                run.save_state(out, learner.state(position))  # measuring takes time, and may fail on a damaged picture
            position.next_epoch(measured=measured)
            if compute.is_first:
                lr = learning_rate(recipe, position.step - 1, steps_per_epoch, pictures_per_step, time_share)
                row = {"epoch": position.epoch, "lr": lr, **losses.mean(), "seconds": round(position.seconds, 1)}
                show.end_epoch(
                    report.finish_epoch(out, learner, position, row, metadata, val if measured else None, compute)
                )
                position.wall = earlier + time.monotonic() - began
                run.save_state(out, learner.state(position))
            time_share = compute.of_first(position.time_share(limit))
            ended = compute.any(position.is_over(time_share, patience))
        show.end_run(position, first, limited=time_share >= 1)
    if compute.is_first:
        report.draw_curves(position.history, out / run.CURVES)
    return out


def forward_loss(model: nn.Module, loss: str, batch: Batch, compute: Compute) -> tuple[torch.Tensor, torch.Tensor]:
    """(box loss, class loss) of a batch. Does not wait for the device; `LossMeter` checks them later."""
    batch = batch.ready(compute.device)
    with compute.autocast():
        locs, logits = model(normalize(batch.pictures, _scale(compute.device)))
    return LOSSES[loss](locs, logits, batch.truths, batch.image_size)


def save_now(out: Path, learner: Learner, position: run.Position, losses: LossMeter) -> None:
    """Save the current state, after checking that the losses are finite."""
    position.epoch_losses = losses.read()
    run.save_state(out, learner.state(position))

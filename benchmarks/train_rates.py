"""Training speed on a device: pictures per second of step, loader and both, and the share of the device's peak.

`train_step.py --device ...` prints it. A step waits for the device only at its end, as in `ssd300 train`. The peak is
that of a large matrix product in the precision of the step, measured in the same run. The operations of a step are
those of direct convolutions, so the share can exceed 100 % where Winograd's method needs fewer.
"""

import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ssd300.benchmark.pictures import write_jpegs
from ssd300.data.dataset import Dataset
from ssd300.data.load import load_dataset
from ssd300.learn.device import Compute, choose_compute, keep_freed_memory
from ssd300.learn.learner import Learner, make_learner, prepare_for_steps
from ssd300.learn.loader import Batch, TrainingPictures, make_loader
from ssd300.learn.losses import LOSSES
from ssd300.learn.network import SSD300
from ssd300.learn.order import EpochBatches
from ssd300.learn.recipe import Recipe
from ssd300.learn.train import forward_loss
from training import dataset_of, endless

WARMUP = 3


def done(compute: Compute) -> float:
    """The time when the device has finished all its work."""
    if compute.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def steps(model: nn.Module, learner: Learner, batches: list[Batch], count: int, compute: Compute) -> float:
    """Seconds of `count` steps over the batches, without waiting between them."""
    start = done(compute)
    for k in range(count):
        queue(model, learner, batches[k % len(batches)], compute)
    return done(compute) - start


def queue(model: nn.Module, learner: Learner, batch: Batch, compute: Compute) -> None:
    """Start one step on the device without waiting for it."""
    box, label = forward_loss(model, learner.recipe.loss, batch, compute)
    learner.scaler.scale(box + label).backward()
    learner.step(1e-5)


def empty_queue(stream: Iterator[Batch], workers: int) -> None:
    """Take what the reading processes have prepared ahead, so that only what they make from now on is timed."""
    for _ in islice(stream, 4 * max(workers, 1)):
        pass


def criterion_seconds(network: SSD300, recipe: Recipe, batch: Batch, compute: Compute, count: int) -> float:
    """Seconds of the loss alone: forward, and backward to the outputs of the network."""
    with torch.no_grad(), compute.autocast():
        size = batch.image_size
        pictures = torch.zeros(len(batch), 3, size, size, device=compute.device)
        outputs = [output.detach().requires_grad_() for output in network(pictures)]
    truths = batch.truths.to(compute.device)

    def once() -> None:
        sum(LOSSES[recipe.loss](*outputs, truths, size)).backward()
        for output in outputs:
            output.grad = None

    once()
    start = done(compute)
    for _ in range(count):
        once()
    return (done(compute) - start) / count


def peak_flops(compute: Compute) -> float:
    """Floating-point operations per second of a large matrix product in the precision of the step."""
    side = 8192 if compute.device.type == "cuda" else 1024
    a = torch.randn(side, side, device=compute.device)
    with compute.autocast():
        a = a @ a  # now of the type in which a step multiplies
    best = 0.0
    for _ in range(5):
        start = done(compute)
        product: Tensor = a
        for _ in range(10):
            product = a @ a
        best = max(best, 10 * 2 * side**3 / (done(compute) - start))
    assert product.shape == a.shape
    return best


def step_flops(backbone: str, pictures: int) -> float:
    """Operations of a step: three times those of the forward pass."""
    network = SSD300(backbone).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 300, 300))
    return 3.0 * counter.get_total_flops() * pictures


def rates(backbone: str, recipe: Recipe, compute: Compute, dataset: Dataset, workers: int, count: int, compiled: bool):
    """One line of the table: rates of step, loader and both, share of the peak, share of the criterion."""
    torch.manual_seed(0)
    learner = make_learner(SSD300(backbone, len(dataset.classes) + 1), recipe, compute)
    model = prepare_for_steps(learner.network, compute, compiled)
    learner.start_learning()
    batches = EpochBatches(len(dataset), recipe.batch_size, recipe.seed)
    loader = make_loader(TrainingPictures(dataset, recipe), batches, workers, pin=compute.device.type == "cuda")
    stream = endless(loader, batches)
    ready = list(islice(stream, 4))
    steps(model, learner, ready, WARMUP, compute)
    seconds = steps(model, learner, ready, count, compute) / count
    criterion = criterion_seconds(learner.network, recipe, ready[0], compute, count)

    timed = max(2 * count, 8 * workers)
    empty_queue(stream, workers)
    start = time.perf_counter()
    loaded = sum(len(batch) for batch in islice(stream, timed))
    loader_rate = loaded / (time.perf_counter() - start)
    start, seen = done(compute), 0
    for batch in islice(stream, timed):
        queue(model, learner, batch, compute)
        seen += len(batch)
    both = seen / (done(compute) - start)
    share = step_flops(backbone, recipe.batch_size) / seconds / peak_flops(compute)
    return (
        f"| {backbone} | {recipe.batch_size} | {recipe.batch_size / seconds:.1f} | {loader_rate:.1f} | {both:.1f} | "
        f"{share:.0%} | {criterion / seconds:.1%} |"
    )


def print_rates(device: str, backbones: list[str], recipe: Recipe, data: str | None, workers: int | None, count: int,
                compiled: bool) -> None:  # fmt: skip
    """The table for these backbones. Without `data` the pictures are synthetic JPEGs of 640x480."""
    keep_freed_memory()
    compute = choose_compute(device)
    workers = compute.reading_processes() if workers is None else workers
    with tempfile.TemporaryDirectory() as folder:
        dataset = load_dataset(data) if data else dataset_of(write_jpegs(Path(folder)))
        print(f"{compute.device}, {compute.precision}, {torch.get_num_threads()} threads, {workers} reading processes")
        print(f"| network | batch | step, pictures/s | loader | both | share of {compute.precision} peak | criterion |")
        print("|---|---|---|---|---|---|---|")
        for backbone in backbones:
            print(rates(backbone, recipe, compute, dataset, workers, count, compiled), flush=True)

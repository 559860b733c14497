"""Training speed: our step against the same step in plain eager torch, and the loader against what a step consumes.

    python benchmarks/train_step.py [--backbone resnet50] [--batch-size 16] [--steps 5]

Both steps: bf16 autocast where the CPU has it, channels-last, published loss, SGD. "plain" is the network and loss as
one would write them, "ours" adds what `ssd300 train` does. Each runs in a process of its own; the median step counts.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image


def step_seconds(kind: str, backbone: str, batch_size: int, steps: int, recipe_name: str) -> list[float]:
    """Seconds of each step after one for warm-up."""
    import torch

    from ssd300.learn.augment import Sample
    from ssd300.learn.criterion import make_criterion
    from ssd300.learn.device import choose_compute, keep_freed_memory
    from ssd300.learn.inference import normalise
    from ssd300.learn.learner import make_learner
    from ssd300.learn.network import SSD300
    from ssd300.learn.recipe import resolve_recipe

    if kind == "ours":
        keep_freed_memory()
    compute, recipe = choose_compute(), resolve_recipe(recipe_name)
    learner, criterion = make_learner(SSD300(backbone), recipe, compute), make_criterion(recipe)
    learner.start_learning()
    rng = np.random.default_rng(0)
    pictures = torch.from_numpy(rng.integers(0, 255, (batch_size, 300, 300, 3), dtype=np.uint8))
    boxes = np.array([[0.1, 0.1, 0.4, 0.5], [0.3, 0.2, 0.9, 0.8], [0.5, 0.6, 0.6, 0.75]], np.float32)
    off = np.zeros(3, bool)
    samples = [Sample(pictures[0].numpy(), boxes, np.array([1, 2, 3]), np.ones(3, np.float32), off, off)] * batch_size
    seconds = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        with compute.autocast():
            locs, logits = learner.network(normalise(pictures))
        sum(criterion(locs, logits, samples)).backward()
        learner.step(1e-4)
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def loader_rate(batch_size: int, pictures: int = 400) -> float:
    """Pictures a second from JPEG files of 640x480 through the published augmentation, one worker process."""
    from ssd300.data.dataset import Annotations, Dataset, Picture
    from ssd300.labels import ClassList
    from ssd300.learn.loader import EpochBatches, TrainingPictures, make_loader

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.jpg"
        noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((640, 480), Image.Resampling.BICUBIC).save(path, quality=90)
        truth = Annotations.of(np.array([[64, 48, 256, 240], [200, 100, 580, 400]]), np.array([1, 2]))
        one = Picture(path, 0, 640, 480, truth, path.name)
        dataset = Dataset("copies", ClassList(("a", "b"), (1, 2)), (one,) * pictures)
        batches = EpochBatches(pictures, batch_size, seed=0)
        loader = iter(make_loader(TrainingPictures(dataset, "published", 0, 0.35), batches, workers=1))
        next(loader)  # the worker has started
        start, count = time.perf_counter(), 0
        for batch in loader:
            count += len(batch)
        return count / (time.perf_counter() - start)


def measured(kind: str, options: argparse.Namespace, backbone: str, recipe: str) -> float:
    """Median seconds of a step, in a process of its own."""
    command = [sys.executable, __file__, "--run", kind, "--backbone", backbone, "--recipe", recipe]
    command += ["--batch-size", str(options.batch_size), "--steps", str(options.steps)]
    return statistics.median(json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--recipe", default="published")
    parser.add_argument("--run", choices=["plain", "ours"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(
            json.dumps(step_seconds(options.run, options.backbone, options.batch_size, options.steps, options.recipe))
        )
        return
    plain, ours = (measured(kind, options, options.backbone, options.recipe) for kind in ("plain", "ours"))
    rate = options.batch_size / ours
    print(f"{options.backbone}, batch {options.batch_size}: plain {plain:.2f} s, ours {ours:.2f} s a step")
    print(f"ratio {plain / ours:.2f}")
    print(f"ours: {rate:.1f} pictures/s, {1000 / rate:.0f} ms a picture")
    small = options.batch_size / measured("ours", options, "resnet18", options.recipe)
    loaded = loader_rate(options.batch_size)
    print(f"loader alone: {loaded:.0f} pictures/s; a resnet18 step consumes {small:.1f}: ratio {loaded / small:.1f}")


if __name__ == "__main__":
    main()

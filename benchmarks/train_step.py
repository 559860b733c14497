"""Training speed: the step of ssd300 against the same step in plain eager torch, and the rate of the loader.

    python benchmarks/train_step.py [--backbone resnet50] [--batch-size 16] [--classes 80] [--steps 7]
    python benchmarks/train_step.py --device cuda [--data PACK] [--batch-size 64] [--compile] [--augment-on device]

Both steps: bf16 autocast where the CPU has it, channels-last, published loss, SGD. "plain" is the network and its
update in usual torch code. "ours" adds what `ssd300 train` does: freed memory is kept, the heads skip gradients of
zero, 3x3 convolutions in float32 take Winograd's method, shortcuts are added in place, the update is one fused pass.
"direct" is ours with torch's own convolutions. Each runs in its own process; the result is the median step after
warm-up steps.

With --device it measures that device instead (`train_rates.py`): pictures per second of step, loader and both for
ResNet-18 and 50, the share of the device's peak in matrix products, and the share of a step that the loss takes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from ssd300.benchmark.measure import Budget
from ssd300.benchmark.pictures import write_jpegs
from ssd300.learn.recipe import Recipe, resolve_recipe


def step_ms(kind: str, backbone: str, classes: int, recipe: Recipe, steps: int) -> float | None:
    """The median step in milliseconds, after three warm-up steps."""
    from ssd300.learn import winograd
    from training import train_step

    if kind != "ours":
        winograd.is_faster = lambda x, out_channels: False
    if kind == "plain":
        write_plainly()
    measured = train_step(backbone, recipe, Budget(0, steps, warmup=3), classes=classes, keep_memory=kind != "plain")
    return measured.rows[-1].timing.median_ms


def write_plainly() -> None:
    """Replace ssd300's optimizations by plain torch."""
    import torch

    from ssd300.learn import learner, network
    from ssd300.learn.learner import make_optimizer, parameter_groups

    def residual(self, x):
        out = x
        for i in range(1, self.depth + 1):
            out = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(out))
            if i < self.depth:
                out = torch.relu_(out)
        return torch.relu_(out + self.downsample(x))

    def plain_optimizer(model, recipe):
        if recipe.optimizer != "sgd":
            return make_optimizer(model, recipe)
        return torch.optim.SGD(parameter_groups(model, recipe.weight_decay), lr=recipe.lr, momentum=recipe.momentum)

    network.Residual.forward = residual
    network.both_heads = lambda x, loc, conf: (loc(x), conf(x))
    learner.make_optimizer = plain_optimizer


def loader_rate(recipe: Recipe, pictures: int = 400) -> float | None:
    """Pictures per second from JPEG files of 640x480 through the recipe's augmentation, one worker process."""
    from training import loader

    with tempfile.TemporaryDirectory() as folder:
        budget = Budget(0, -(-pictures // recipe.batch_size), warmup=1)
        return loader(write_jpegs(Path(folder)), recipe, budget).rows[0].timing.rate


def measured_ms(kind: str, options: argparse.Namespace, backbone: str) -> float:
    """`step_ms` in its own process."""
    command = [sys.executable, __file__, "--run", kind, "--backbone", backbone, "--recipe", options.recipe]
    command += ["--batch-size", str(options.batch_size), "--steps", str(options.steps)]
    command += ["--classes", str(options.classes)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", help="resnet50; with --device resnet18 and resnet50")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--classes", type=int, default=80, help="at least 3, without --device")
    parser.add_argument("--device", help="cpu, cuda: the rates of this device")
    parser.add_argument("--data", help="a packed data set; else synthetic JPEGs")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--augment-on", choices=["loader", "device"], default="loader")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--recipe", default="published")
    parser.add_argument("--run", choices=["plain", "direct", "ours"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    recipe = resolve_recipe(options.recipe, batch_size=options.batch_size, augment_on=options.augment_on)
    if options.device:
        from train_rates import print_rates

        backbones = [options.backbone] if options.backbone else ["resnet18", "resnet50"]
        print_rates(options.device, backbones, recipe, options.data, options.workers, options.steps, options.compile)
        return
    options.backbone = options.backbone or "resnet50"
    if options.run:
        print(json.dumps(step_ms(options.run, options.backbone, options.classes, recipe, options.steps)))
        return
    plain, direct, ours = (measured_ms(kind, options, options.backbone) for kind in ("plain", "direct", "ours"))
    a_picture = ours / options.batch_size
    print(
        f"{options.backbone}, batch {options.batch_size}: plain {plain:.0f} ms, ours {ours:.0f} ms a step "
        f"({direct:.0f} ms with torch's convolutions)"
    )
    print(f"ratio {plain / ours:.2f}; of the convolutions {direct / ours:.2f}")
    print(f"ours: {1e3 / a_picture:.1f} pictures/s, {a_picture:.0f} ms a picture")
    small = 1e3 * options.batch_size / measured_ms("ours", options, "resnet18")
    loaded = loader_rate(recipe)
    print(f"loader alone: {loaded:.0f} pictures/s; a resnet18 step consumes {small:.1f}: ratio {loaded / small:.1f}")


if __name__ == "__main__":
    main()

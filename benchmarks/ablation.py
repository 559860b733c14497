"""Ablation of the modern recipe: AP of each variant after equally many pictures, from the same weights, several seeds.

    python benchmarks/ablation.py --data train.pack --val val.pack --start resnet18.safetensors --out DIR
        [--views 50000] [--seeds 0 1] [--rows published modern modern-loss ...]

Every run has a batch size of 32. The rows:
- `published`: the published recipe, its steps scaled to the run. It starts at the full learning rate: scaled, its
  warm-up of 300 steps would be 2, and after 2 steps the published rule stays at half the rate.
- `modern`: the modern recipe; warm-up and weight average span as many pictures as at its own batch size of 8.
- `modern-X`: modern with ingredient X as published.
- `modern+augment`: modern with the stronger augmentation of `quick`; `modern+quick`: also with the trunk frozen as in
  `quick`.
- `modern-ema`: not trained. Averaging changes no step, so these are the weights of the last step of `modern`.
Finished runs in DIR are kept and a stopped run is resumed, so the table can be made in pieces. 50,000 pictures take
between three quarters of an hour and two hours on two cores.
"""

import argparse
import csv
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from ssd300.data.load import load_dataset
from ssd300.learn.device import choose_compute
from ssd300.learn.network import SSD300
from ssd300.learn.recipe import PUBLISHED, QUICK, Recipe
from ssd300.learn.report import validate
from ssd300.learn.run import load_state
from ssd300.runtime.torch import TorchRuntime
from ssd300.weights.checkpoint import read_metadata

BATCH = 32
MODERN = {"batch_size": BATCH, "warmup": 300 * 8 // BATCH, "ema": 0.999 ** (BATCH / 8)}


def taken(recipe: Recipe, *names: str) -> dict[str, Any]:
    return {name: getattr(recipe, name) for name in names}


# A recipe and what a row changes in it.
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "published": ("published", {"batch_size": BATCH}),
    "modern": ("modern", MODERN),
    "modern-optimizer": ("modern", MODERN | taken(PUBLISHED, "optimizer", "lr", "weight_decay", "clip_norm")),
    "modern-schedule": ("modern", MODERN | taken(PUBLISHED, "schedule", "warmup")),
    "modern-loss": ("modern", MODERN | taken(PUBLISHED, "loss", "background_prior")),
    "modern+augment": ("modern", MODERN | taken(QUICK, "augment")),
    "modern+quick": ("modern", MODERN | taken(QUICK, "augment", "freeze", "freeze_norm")),
}
UNAVERAGED = "modern-ema"


def run(row: str, seed: int, options: argparse.Namespace) -> Path:
    """Train one row with one seed, or resume it; returns its folder."""
    pictures = len(load_dataset(options.data))
    epochs = max(1, round(options.views / pictures))
    folder = options.out / f"{row}-{seed}"
    command = [sys.executable, "-m", "ssd300", "train", "--data", options.data, "--val", options.val]
    recipe, changes = ROWS[row]
    command += ["--start", options.start, "--recipe", recipe, "--seed", str(seed), "--out", str(folder)]
    command += ["--validate-every", str(epochs), "--log-every", "200"]
    for name, value in (changes | {"epochs": epochs}).items():
        flag = f"--{name.replace('_', '-')}"
        command += [flag] if value is True else [flag, str(value)]
    if (folder / "last.pt").exists():
        command += ["--resume"]
    if not finished(folder, epochs):
        subprocess.run(command, check=True)
    return folder


def finished(folder: Path, epochs: int) -> bool:
    return (folder / "results.csv").exists() and len(read_results(folder)) == epochs


def read_results(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def results_of(row: str, seed: int, options: argparse.Namespace) -> dict[str, str]:
    """The last line of a row's results.csv; trains the row first if necessary."""
    if row == UNAVERAGED:
        folder = run("modern", seed, options)
        return read_results(folder)[-1] | last_step(folder, options.val)
    return read_results(run(row, seed, options))[-1]


def last_step(folder: Path, val: str) -> dict[str, str]:
    """AP and AP50 of the weights of a finished run's last step, measured as the run measured its averaged weights."""
    metadata, compute = read_metadata(folder / "best.safetensors"), choose_compute()
    network = SSD300(metadata.backbone, metadata.num_classes)
    network.load_state_dict(load_state(folder)["network"])
    runtime = TorchRuntime(network, metadata, device=str(compute.device), precision=compute.precision)
    metrics, _ = validate(runtime, load_dataset(val).with_classes(metadata.classes))
    return {"AP": str(metrics.ap), "AP50": str(metrics.ap50)}


def mean_ap(results: list[dict[str, str]]) -> float:
    return statistics.mean(float(last["AP"]) for last in results)


def line(row: str, results: list[dict[str, str]], modern: float | None) -> str:
    """One line of the table: mean and range of AP over the seeds, and the mean of `modern` minus this mean."""
    ap = [float(last["AP"]) for last in results]
    mean = mean_ap(results)
    ap50 = statistics.mean(float(last["AP50"]) for last in results)
    gain = "" if modern is None else f"{modern / mean - 1:+.0%}" if mean else "from 0"
    minutes = statistics.mean(float(last["seconds"]) for last in results) / 60
    return f"| {row} | {mean:.4f} | {min(ap):.4f} to {max(ap):.4f} | {ap50:.4f} | {gain} | {minutes:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--data", "--val", "--start"):
        parser.add_argument(name, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--views", type=int, default=50_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--rows", nargs="+", choices=[*ROWS, UNAVERAGED], default=[*ROWS, UNAVERAGED])
    options = parser.parse_args()
    table: dict[str, list[dict[str, str]]] = {}
    for seed in options.seeds:
        for row in options.rows:
            table.setdefault(row, []).append(results_of(row, seed, options))
    print("| row | AP | range over seeds | AP50 | modern is above it by | minutes |\n|---|---|---|---|---|---|")
    modern = mean_ap(table["modern"]) if "modern" in table else None
    for row, results in table.items():
        print(line(row, results, None if row == "modern" else modern))


if __name__ == "__main__":
    main()

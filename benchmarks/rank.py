"""`ssd300 data rank` against random choice of the pictures to label: AP50 by the share of labeled pictures.

    python benchmarks/rank.py --data bccd/train.json --val bccd/val.json [--seeds 0 1 2] [--shares 0.167 0.333]
        [--views 800] [--out DIR]

The first share of the pictures is drawn at random, by the seed, and trained on. Each next share is reached in two
ways: with the pictures of which the model trained so far is least certain, and with random ones. Every training starts
from the bundled model, uses the recipe `quick` for `--views` pictures, whatever the share, and keeps its last weights:
`--val` selects nothing. With these defaults a seed is three trainings, about three minutes on two cores. The columns
`ranked, drawn boxes` count the labeled boxes: a ranking by a sum over detections prefers crowded pictures.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ssd300.data.autolabel import rank
from ssd300.data.dataset import Dataset
from ssd300.data.load import load_dataset
from ssd300.detector import Detector
from ssd300.evaluate.run import Evaluation, compare, evaluate
from ssd300.learn.train import train

WAYS = ("ranked", "drawn")


def trained(data: Dataset, folder: Path, seed: int, views: int) -> Detector:
    """Train on these pictures; returns the detector."""
    settings: dict[str, Any] = {"recipe": "quick", "epochs": max(1, round(views / len(data))), "seed": seed}
    return Detector.load(train(data, out=folder, warmup=20, **settings) / "best.safetensors", precision="f32")


def choose(way: str, detector: Detector, data: Dataset, left: list[int], count: int, seed: int) -> list[int]:
    """Which `count` of the pictures at the positions `left` to label next."""
    if way == "drawn":
        return np.random.default_rng([seed, len(left)]).choice(left, count, replace=False).tolist()
    position = {data.pictures[i].name: i for i in left}
    ranked, failures = rank(detector, list(position))
    if failures:
        raise SystemExit(str(failures[0]))
    return [position[one.source] for one in ranked[:count]]


def run_seed(seed: int, data: Dataset, val: Dataset, options: argparse.Namespace, out: Path) -> dict[str, Any]:
    """Rows of AP50 and boxes by share and way, and the difference at the last share, ranked minus drawn."""
    counts = [round(share * len(data)) for share in options.shares]
    first = np.random.default_rng(seed).permutation(len(data))[: counts[0]].tolist()
    start = trained(data.subset(first), out / f"{seed}-first", seed, options.views)
    ap50 = evaluate(start, val).metrics.ap50
    rows = [{"share": options.shares[0], "ranked": ap50, "drawn": ap50}]
    labeled = dict.fromkeys(WAYS, first)
    detectors = dict.fromkeys(WAYS, start)
    results: dict[str, Evaluation] = {}
    for share, count in zip(options.shares[1:], counts[1:], strict=True):
        row: dict[str, Any] = {"share": share}
        for way in WAYS:
            left = sorted(set(range(len(data))) - set(labeled[way]))
            more = choose(way, detectors[way], data, left, count - len(labeled[way]), seed)
            labeled[way] = labeled[way] + more
            chosen = data.subset(labeled[way])
            detectors[way] = trained(chosen, out / f"{seed}-{share}-{way}", seed, options.views)
            results[way] = evaluate(detectors[way], val)
            row |= {way: results[way].metrics.ap50, f"{way}_boxes": chosen.num_boxes}
        rows.append(row)
    gain = compare(results["drawn"], results["ranked"])
    return {"seed": seed, "rows": rows, "difference": [gain.ap50.value, gain.ap50.low, gain.ap50.high]}


def table(runs: list[dict[str, Any]]) -> str:
    lines = ["| seed | share | AP50 ranked | AP50 drawn | ranked, drawn boxes |", "|---|---|---|---|---|"]
    for run in runs:
        for row in run["rows"]:
            boxes = f"{row['ranked_boxes']}, {row['drawn_boxes']}" if "ranked_boxes" in row else "the same pictures"
            lines.append(f"| {run['seed']} | {row['share']:.3f} | {row['ranked']:.3f} | {row['drawn']:.3f} | {boxes} |")
    gains = [run["difference"][0] for run in runs]
    each = ", ".join("{:+.3f} [{:.3f}, {:.3f}]".format(*run["difference"]) for run in runs)
    return "\n".join([*lines, "", f"AP50 ranked minus drawn at the last share: {statistics.mean(gains):+.3f}; {each}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--val", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--shares", type=float, nargs="+", default=[1 / 6, 1 / 3])
    parser.add_argument("--views", type=int, default=800)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if len(options.shares) < 2 or sorted(options.shares) != options.shares:
        parser.error("--shares: give at least two, growing")
    data, val = load_dataset(options.data), load_dataset(options.val)
    runs = []
    with tempfile.TemporaryDirectory() as scratch:
        out = options.out or Path(scratch)
        for seed in options.seeds:
            runs.append(run_seed(seed, data, val, options, out))
            print(json.dumps(runs[-1]), flush=True)
    print(table(runs))


if __name__ == "__main__":
    main()

"""Makes the bundled model `default` from data sets: pack, train, choose, quantize, measure. Can be stopped and resumed.

    python benchmarks/train_default.py --data coco_real --data photos --val coco_real --measure coco_dev --out DIR
        [--time-limit MINUTES] [--device cuda] [--backbone resnet18] [-- --batch-size 64 --image-sizes 192 ...]

Every data set is packed into DIR/packs in pieces that fit into a repository (55 MB): the train part for --data, the
val part for --val. The training run is DIR/run; everything after `--` is passed to `ssd300 train`, and an existing run
is resumed. The averaged weights of the best epoch and of the last epoch, the weights of the last step, and means of
these are measured on --val; the best become DIR/default.safetensors. `ssd300 quantize` adds INT8, and the tables of the
model card are written to DIR/card.md. The command is the same for ten minutes on a GPU and a night on two cores.
"""

import argparse
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import torch

from class_table import class_rows, evaluated
from ssd300.data.load import load_dataset
from ssd300.learn.device import choose_compute
from ssd300.learn.network import SSD300
from ssd300.learn.report import validate
from ssd300.learn.run import load_state
from ssd300.runtime.torch import TorchRuntime
from ssd300.weights.checkpoint import read_checkpoint, write_checkpoint

PIECE_MB = 55

State = dict[str, torch.Tensor]


def ssd300(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "ssd300", *arguments], check=True)


def packed(path: str, split: str, folder: Path, max_side: int) -> str:
    """The packed file (or its first piece) of one part of a data set, written if it does not exist."""
    if path.endswith(".pack"):
        return path
    place = Path(path)  # two sets may have one file name: photos/train.json and coco/train.json
    out = folder / f"{place.absolute().parent.name}-{place.stem}-{split}.pack"
    if not found(out):
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--split", split, "--piece-mb", str(PIECE_MB), "--max-side", str(max_side)]
        ssd300("data", "pack", path, str(out), *options)
    return str(found(out))


def found(out: Path) -> Path | None:
    """The file, or the first of its pieces; None if neither exists."""
    return next(iter(sorted([*out.parent.glob(out.name), *out.parent.glob(f"{out.stem}-00000-of-*.pack")])), None)


def train(options: argparse.Namespace, data: list[str], val: str) -> Path:
    """Start or resume the run; returns its folder."""
    folder = options.out / "run"
    arguments = [argument for path in data for argument in ("--data", path)]
    arguments += ["--val", val, "--out", str(folder), "--recipe", "modern", "--backbone", options.backbone]
    arguments += ["--device", options.device]
    if options.start:
        arguments += ["--start", options.start]
    if options.time_limit:
        arguments += ["--time-limit", str(options.time_limit), "--epochs", "10000"]
    if (folder / "last.pt").exists():
        arguments += ["--resume"]
    ssd300("train", *arguments, *options.rest)
    return folder


def candidates(folder: Path) -> dict[str, State]:
    """The weights to choose from: the best epoch's, the last average, the last step's, and means of two of them."""
    best, _ = read_checkpoint(folder / "best.safetensors")
    state = load_state(folder)
    states: dict[str, State] = {"best epoch": {key: torch.from_numpy(value.copy()) for key, value in best.items()}}
    if state["averaged"]:
        states["last average"] = state["averaged"][0]
    states["last step"] = state["network"]
    for one, other in combinations(list(states), 2):
        a, b = states[one], states[other]
        states[f"mean of {one} and {other}"] = {
            key: (a[key] + b[key]) / 2 if a[key].is_floating_point() else a[key] for key in a
        }
    return states


def choose(folder: Path, val: str, out: Path, device: str) -> list[str]:
    """Write the candidate with the best AP on `val`; returns the table of all of them."""
    _, metadata = read_checkpoint(folder / "best.safetensors")
    progress = load_state(folder)["progress"]
    whole_run = {"epochs_done": progress["epoch"], "pictures_seen": progress["pictures_seen"]}
    whole_run["wall_seconds"] = round(progress["wall"])
    dataset, compute = load_dataset(val).with_classes(metadata.classes), choose_compute(device)
    rows, best_ap = ["| weights | AP | AP50 |", "|---|---|---|"], -1.0
    for name, state in candidates(folder).items():
        network = SSD300(metadata.backbone, metadata.num_classes)
        network.load_state_dict(state)
        runtime = TorchRuntime(network, metadata, device=str(compute.device), precision=compute.precision)
        metrics, _ = validate(runtime, dataset)
        rows.append(f"| {name} | {metrics.ap:.4f} | {metrics.ap50:.4f} |")
        if metrics.ap > best_ap:
            best_ap = metrics.ap
            metric = {"AP": metrics.ap, "AP50": metrics.ap50, "dataset": dataset.name, "pictures": len(dataset)}
            arrays = {key: value.cpu().numpy() for key, value in state.items()}
            training = (metadata.training or {}) | {"chosen": name} | ({} if name == "best epoch" else whole_run)
            chosen = replace(metadata, metric=metric, training=training)
            write_checkpoint(out, arrays, chosen, dtype="float16")
    return rows


def measured(model: Path, data: list[str]) -> list[str]:
    """A row for each data set and precision."""
    rows = ["| pictures | precision | AP | 95 % | AP50 | 95 % |", "|---|---|---|---|---|---|"]
    for path in data:
        for precision in ("f32", "int8"):
            numbers = evaluated(str(model), path, "--precision", precision)
            cells = [f"{numbers['metrics'][key]:.4f}" for key in ("AP", "AP50")]
            spans = [" to ".join(f"{end:.3f}" for end in numbers["interval"][key]) for key in ("AP", "AP50")]
            rows.append(f"| {path} | {precision} | {cells[0]} | {spans[0]} | {cells[1]} | {spans[1]} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, help="learned from; several join")
    parser.add_argument("--val", required=True, help="chosen and quantized by")
    parser.add_argument("--measure", action="append", default=[], help="looked at once, at the end")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--time-limit", type=float, help="minutes of training")
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--start")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--max-side", type=int, default=368)
    parser.add_argument("rest", nargs="*", help="after --: more options of `ssd300 train`")
    options = parser.parse_args()
    packs = options.out / "packs"
    data = [packed(path, "train", packs, options.max_side) for path in options.data]
    if len(set(data)) < len(data):
        parser.error(f"--data: two sets have one name, and would share {packs}; rename a folder")
    val = packed(options.val, "val", packs, options.max_side)
    folder = train(options, data, val)
    model = options.out / "default.safetensors"
    chosen = choose(folder, val, model, options.device)
    argument = [item for path in data[:1] for item in ("--data", path)]
    ssd300("quantize", *argument, "--val", val, "--model", str(model), "--max-ap-drop", "0.003")
    tables = ["## Chosen among", "", *chosen, "", "## Measured", "", *measured(model, [val, *options.measure])]
    tables += ["", "## Classes", "", *class_rows(evaluated(str(model), val))]
    (options.out / "card.md").write_text("\n".join(tables) + "\n")
    print(options.out / "card.md")


if __name__ == "__main__":
    main()

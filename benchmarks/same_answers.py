"""Checks that two commits give bit-equal results: records results as JSON on one commit, compares on another.

    PYTHONPATH=src python benchmarks/same_answers.py record before.json [--data PATH] [--train] [--quantize]
    PYTHONPATH=src python benchmarks/same_answers.py record after.json  ...
    PYTHONPATH=src python benchmarks/same_answers.py compare before.json after.json

Recorded are a SHA-256 of the boxes, scores and ids of every picture, from `detect` under several options and from
`detect_many`; the numbers of `evaluate`; with --quantize the numbers of INT8; with --train the weights and the measured
AP of one seeded epoch on 32 pictures. The 200 pictures and the model are made by this script unless --data and
--model are given. `compare` lists the differences and exits with 1 if there are any. Both records must come from the
same machine and environment.
"""

import argparse
import hashlib
import importlib.util
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ssd300 import Detections, Detector, load_dataset
from ssd300.architecture import architecture
from ssd300.labels import COCO
from ssd300.weights.checkpoint import write_checkpoint
from ssd300.weights.metadata import ModelMetadata

SEEDED = Path(__file__).parents[1] / "tests" / "parity" / "data" / "seeded.py"
PICTURES, BOXES = 200, 4
BACKGROUND = 12  # added to the background's logit: some dozens of boxes a picture are left
OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "many": {"score_threshold": 0.05, "max_detections": 50},
    "labels": {"score_threshold": 0.1, "labels": list(COCO.names[:40]), "iou_threshold": 0.3},
    "fast": {"decode": "fast"},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("record", "compare"))
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--data", help="a data set with COCO's classes; without it pictures are made")
    parser.add_argument("--model", help="a model with COCO's classes; without it one is made")
    parser.add_argument("--train", action="store_true", help="one seeded epoch of training, too")
    parser.add_argument("--quantize", action="store_true", help="the numbers of INT8, too")
    args = parser.parse_args()
    if args.action == "compare":
        return compare(*(json.loads(path.read_text()) for path in args.files))
    with tempfile.TemporaryDirectory() as folder:
        answers = record(Path(folder), args.data, args.model, train=args.train, quantize=args.quantize)
    args.files[0].write_text(json.dumps(answers, indent=1) + "\n")
    print(f"{len(answers)} answers written to {args.files[0]}")
    return 0


def record(folder: Path, data: str | None, model: str | None, *, train: bool, quantize: bool) -> dict[str, Any]:
    """Every result by name. The names do not contain the path of the folder."""
    seeded = seeded_model(folder / "seeded.safetensors")
    dataset = load_dataset(data or make_data(folder))
    detector = Detector.load(model or seeded, precision="f32", threads=1)
    paths = [picture.path for picture in dataset.pictures]
    answers: dict[str, Any] = {}
    for name, options in OPTIONS.items():
        for path in paths:
            answers[f"detect {name} {path.name}"] = digest(detector.detect(path, **options))
    for path, found in zip(paths, detector.detect_many(paths), strict=True):
        answers[f"detect_many {path.name}"] = digest(found)
    for path in paths[:20]:
        bgr = np.asarray(Image.open(path).convert("RGB"))[..., ::-1]
        answers[f"detect bgr {path.name}"] = digest(detector.detect(bgr, color="bgr"))
    answers |= evaluate_model(detector, dataset)
    if quantize:
        answers["quantize"] = quantize_model(seeded, dataset, folder)
    if train:
        answers |= trained(dataset, folder)
    return answers


def evaluate_model(detector: Detector, dataset: Any) -> dict[str, Any]:
    """The numbers of `evaluate` and a digest of what it found in each picture."""
    from ssd300.evaluate.run import evaluate

    answers: dict[str, Any] = {}
    for mode in (False, True):
        evaluation = evaluate(detector, dataset, published=mode)
        answers[f"evaluate published={mode}"] = [repr(value) for value in evaluation.metrics.stats.tolist()]
        answers[f"intervals published={mode}"] = [repr(evaluation.ap), repr(evaluation.ap50)]
        for picture, found in zip(evaluation.dataset.pictures, evaluation.results, strict=True):
            answers[f"evaluate published={mode} {picture.file_name}"] = digest(found)
    return answers


def quantize_model(model: Path, dataset: Any, folder: Path) -> str:
    """SHA-256 of the ranges and biases of INT8: calibrated on 16 pictures, measured on 8 others."""
    from ssd300.export.quantize import quantize
    from ssd300.weights.checkpoint import read_int8

    out = folder / "int8.safetensors"
    quantize(model, dataset.subset(range(16)), dataset.subset(range(16, 24)), out, subset=16, max_ap_drop=1, threads=1)
    return hashlib.sha256(read_int8(out).to_json().encode()).hexdigest()


def trained(dataset: Any, folder: Path) -> dict[str, str]:
    """One epoch on 32 pictures on the CPU with one thread: the weights and the AP measured after it."""
    import torch
    from safetensors.numpy import load_file

    from ssd300.learn.train import train

    torch.set_num_threads(1)
    settings = {"epochs": 1, "batch_size": 8, "seed": 5, "workers": 0, "device": "cpu", "precision": "f32"}
    out = train(dataset.subset(range(32)), dataset.subset(range(32, 40)), out=folder / "run", **settings)
    weights = hashlib.sha256()
    for key, value in sorted(load_file(out / "best.safetensors").items()):
        weights.update(key.encode() + value.tobytes())
    header, row = (line.split(",") for line in (out / "results.csv").read_text().splitlines()[:2])
    measured = {name: value for name, value in zip(header, row, strict=True) if name not in ("seconds", "lr")}
    return {"train weights": weights.hexdigest(), "train measured": json.dumps(measured)}


def digest(found: Any) -> str:
    """A digest of boxes, scores, ids and the picture's size; for an error its text."""
    if not isinstance(found, Detections):
        return f"{type(found).__name__}"
    value = hashlib.sha256(repr(found.image_size_hw).encode())
    for array in (found.boxes_xyxy, found.scores, found.class_ids):
        value.update(array.tobytes())
    return f"{len(found)} {value.hexdigest()[:24]}"


def seeded_model(path: Path) -> Path:
    """An 81-class ResNet-18 with seeded weights."""
    spec = importlib.util.spec_from_file_location("seeded", SEEDED)
    assert spec
    assert spec.loader
    seeded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(seeded)
    network = architecture("resnet18", len(COCO) + 1)
    state = {key: seeded.weight(key, shape) for key, shape in network.state_shapes().items()}
    for head in network.class_heads:
        state[f"{head.key}.bias"][: head.out_channels // network.num_classes] += BACKGROUND
    write_checkpoint(path, state, ModelMetadata("resnet18", COCO, name="seeded"))
    return path


def make_data(folder: Path) -> str:
    """PICTURES seeded pictures, JPEG and PNG of many sizes, with random boxes: a COCO file."""
    images, annotations = [], []
    for number in range(1, PICTURES + 1):
        draw = np.random.default_rng(number)
        width, height = (int(v) for v in draw.integers(90, 1200, 2))
        cells = draw.integers(0, 256, (int(draw.integers(2, 14)), int(draw.integers(2, 14)), 3)).astype(np.uint8)
        smooth = Image.fromarray(cells).resize((width, height), Image.Resampling(int(draw.integers(0, 2)) * 3))
        noisy = np.asarray(smooth, np.int64) + draw.integers(-20, 21, (height, width, 3))
        name = f"{number:04}.{'png' if number % 5 == 0 else 'jpg'}"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / name)
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for _ in range(int(draw.integers(0, BOXES + 1))):
            w, h = (float(v) for v in draw.uniform(0.1, 0.9, 2) * (width, height))
            x, y = draw.uniform(0, width - w), draw.uniform(0, height - h)
            box = {"bbox": [x, y, w, h], "area": w * h, "iscrowd": 0, "category_id": int(draw.choice(COCO.ids[:10]))}
            annotations.append({"id": len(annotations) + 1, "image_id": number, **box})
    categories = [{"id": i, "name": name} for i, name in zip(COCO.ids, COCO.names, strict=True)]
    path = folder / "data.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return str(path)


def compare(before: dict[str, Any], after: dict[str, Any]) -> int:
    """Print the differences; returns 0 if there are none."""
    different = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    for name in different:
        print(f"{name}: {before.get(name)} before, {after.get(name)} after")
    print(f"{len(before)} answers before, {len(after)} after, {len(different)} differ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())

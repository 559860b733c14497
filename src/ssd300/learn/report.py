"""The output of each epoch: results, best weights, curves, and pictures with true boxes and detections."""

import io
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ssd300 import __version__
from ssd300.data.dataset import Dataset
from ssd300.data.view import View, contact_sheet, make_view, shrink_view
from ssd300.detections import Detections
from ssd300.errors import ModelError, TrainingError, needs
from ssd300.evaluate.coco import CocoMetrics, coco_metrics
from ssd300.evaluate.run import SCORE_THRESHOLD
from ssd300.files import write_whole
from ssd300.images.encode import encode_picture
from ssd300.learn.device import Compute
from ssd300.learn.learner import Learner
from ssd300.learn.network import SSD300
from ssd300.learn.recipe import Recipe
from ssd300.learn.run import BEST, SAMPLES, Position, write_results
from ssd300.learn.start import Origin
from ssd300.many import detect_each
from ssd300.options import DetectOptions
from ssd300.runtime.base import Runtime
from ssd300.runtime.torch import TorchRuntime
from ssd300.weights.checkpoint import write_checkpoint
from ssd300.weights.metadata import ModelMetadata

_SAMPLES, _COLUMNS, _TILE = 8, 4, 356  # pictures of samples.jpg, tiles of a row, pixels
SHOWN_NOTES = 20  # of a data set, in recipe.json
_SHOWN = 0.4  # score from which detections are drawn
_SMALLEST_BATCH = 8  # a network that trains on a CPU is also validated in batches


def require_measuring(*, tensorboard: bool) -> None:
    """Import what the first validation needs, before any work. Raises MissingExtraError."""
    with needs("`ssd300 train`", "train"):
        import hotcoco  # noqa: F401
        import matplotlib.figure  # noqa: F401
    if tensorboard:
        with needs("--tensorboard", "tensorboard"):
            import tensorboardX  # noqa: F401


def draw_curves(history: list[dict[str, float]], path: Path) -> None:
    """Write losses and, if measured, AP by epoch as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    losses, metric = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    for key, name in (("box_loss", "boxes"), ("class_loss", "classes")):
        losses.plot(epochs, [row[key] for row in history], marker=".", label=name)
    measured = [row for row in history if "AP" in row]
    for key in ("AP50", "AP"):
        metric.plot([row["epoch"] for row in measured], [row[key] for row in measured], marker=".", label=key)
    losses.set(title="training loss", xlabel="epoch", ylim=(0, None))
    metric.set(title="validation", xlabel="epoch", ylim=(0, None))
    for axes in (losses, metric):
        axes.grid(alpha=0.3)
        axes.legend()
    content = io.BytesIO()
    figure.savefig(content, dpi=120)
    write_whole(path, content.getvalue())


def draw_samples(dataset: Dataset, results: list[Detections], path: Path, *, min_score: float) -> None:
    """Draw pictures from all parts of the set, each twice: with true boxes (left) and detections (right).

    Doubtful true boxes (ignored, or below `min_score`) are not drawn.
    """
    chosen = np.linspace(0, len(dataset) - 1, min(_SAMPLES, len(dataset))).round().astype(int)
    views = []
    for i in chosen:
        picture, found = dataset.pictures[i], results[i]
        found = found[found.scores >= _SHOWN]
        sure = picture.annotations.select(~picture.annotations.ignore & (picture.annotations.scores >= min_score))
        left = make_view(dataset, replace(picture, annotations=sure))
        captions = tuple(f"{name} {score:.2f}" for name, score in zip(found.names, found.scores, strict=True))
        keys, crowd = tuple(found.class_ids.tolist()), np.zeros(len(found), bool)
        views += [shrink_view(one, _TILE) for one in (left, View(left.rgb, found.boxes_xyxy, captions, keys, crowd))]
    write_whole(path, encode_picture(contact_sheet(views, _COLUMNS, _TILE), ".jpg"))


def validate(runtime: Runtime, dataset: Dataset) -> tuple[CocoMetrics, list[Detections]]:
    """Run a network over all pictures of a data set, with the published thresholds (score 0.05, IoU 0.5, 200 boxes).

    Returns the metrics and the detections of each picture. The data set has the network's classes. Raises ImageError
    or DatasetError for the first picture that cannot be used.
    """
    options = DetectOptions(score_threshold=SCORE_THRESHOLD)
    size = max(_SMALLEST_BATCH, runtime.batch_size)
    found = detect_each(lambda _: runtime, dataset.pictures, options, lambda found: found, batch_size=size)
    results = [one for one in found if isinstance(one, Detections)]
    return coco_metrics(dataset, results), results


def finish_epoch(
    out: Path,
    learner: Learner,
    position: Position,
    row: dict[str, float],
    metadata: ModelMetadata,
    val: Dataset | None,
    compute: Compute,
) -> dict[str, float]:
    """Validate (if `val` is given), write the weights if they are the best so far, and write results.csv."""
    metric = None
    if val is not None:
        measured = SSD300(metadata.backbone, metadata.num_classes)
        measured.load_state_dict(learner.best_weights())
        runtime = TorchRuntime(measured, metadata, device=str(compute.device), precision=compute.precision)
        start = time.monotonic()
        try:
            metrics, results = validate(runtime, val)
        except ModelError as error:
            raise TrainingError(f"{error}: start again with a lower --lr and another --out") from error
        draw_samples(val, results, out / SAMPLES, min_score=learner.recipe.min_score)
        row = row | {"AP": metrics.ap, "AP50": metrics.ap50}
        taken = time.monotonic() - start
        position.measuring, position.wall = max(position.measuring, taken), position.wall + taken
        metric = {"AP": metrics.ap, "AP50": metrics.ap50, "dataset": val.name, "pictures": len(val)}
    position.history.append(row)
    write_results(out, position.history)
    ap = row.get("AP", -1.0)
    position.since_best += val is not None
    if ap > position.best_ap:
        position.since_best = 0
    if ap >= position.best_ap:  # of equal ones the later has learned more: AP may be 0 for many epochs
        position.best_ap = ap
        write_best(out, learner, position, replace(metadata, metric=metric))
    return row


def write_best(out: Path, learner: Learner, position: Position, metadata: ModelMetadata) -> None:
    """Write the current weights as best.safetensors."""
    done = {
        "epochs_done": position.epoch,
        "pictures_seen": position.pictures_seen,
        "wall_seconds": round(position.wall),
    }
    arrays = {key: value.cpu().numpy() for key, value in learner.best_weights().items()}
    write_checkpoint(out / BEST, arrays, replace(metadata, training=(metadata.training or {}) | done))


def describe_model(network: SSD300, data: Dataset, recipe: Recipe, origin: Origin) -> ModelMetadata:
    """The metadata of `best.safetensors`."""
    training: dict[str, Any] = {"data": data.name, "start": origin.words, "recipe": recipe.to_dict()}
    if origin.licence:
        training["licence_of_start"] = origin.licence
    return ModelMetadata(network.backbone, data.classes, training=training, parent_sha256=origin.sha256)


def collect_settings(
    recipe: Recipe, data: Dataset, val: Dataset | None, backbone: str, origin: Origin, compute: Compute
) -> dict[str, Any]:
    """The content of recipe.json."""
    return {
        "ssd300": __version__,
        "torch": torch.__version__,
        "backbone": backbone,
        "start": origin.words,
        "data": data.summary(),
        "val": val.summary() if val else None,
        "notes": {"data": summarize_notes(data), "val": summarize_notes(val)},
        "device": str(compute.device),
        "precision": compute.precision,
        "processes": compute.world,
        "threads": torch.get_num_threads(),
        "recipe": recipe.to_dict(),
    }


def summarize_notes(dataset: Dataset | None) -> dict[str, Any]:
    """The notes of a data set: the number of cases of each kind, and the first ones as text."""
    notes = dataset.notes if dataset else ()
    counts = Counter(f"{note.kind} ({note.action})" for note in notes)
    return {"cases": dict(counts), "first": [str(note) for note in notes[:SHOWN_NOTES]]}

"""What a finished training shows: its curves, and validation pictures with true and found boxes."""

from pathlib import Path

import numpy as np
from PIL import Image

from ssd300.data.dataset import Dataset
from ssd300.detections import Detections
from ssd300.draw import draw_boxes
from ssd300.errors import MissingExtraError

SAMPLES, COLUMNS, CELL = 8, 4, 360


def draw_curves(history: list[dict[str, float]], path: Path) -> None:
    """Losses and, where it was measured, AP by epoch, as a PNG."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("drawing training curves", "train") from error
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
    figure.savefig(path, dpi=120)


def draw_samples(
    dataset: Dataset, results: list[Detections], path: Path, *, min_score: float, score_threshold: float = 0.4
) -> None:
    """Pictures evenly spread over the set, each twice: with its true boxes (left) and with what was found (right).

    True boxes in doubt (ignored, or below `min_score`) are not drawn.
    """
    chosen = np.linspace(0, len(dataset) - 1, min(SAMPLES, len(dataset))).round().astype(int)
    names = dict(zip(dataset.classes.ids, dataset.classes.names, strict=True))
    cells = []
    for i in chosen:
        picture, found = dataset.pictures[i], results[i]
        found = found[found.scores >= score_threshold]
        truth = picture.annotations
        truth = truth.select(~truth.ignore & (truth.scores >= min_score))
        true_names = [names[int(class_id)] for class_id in truth.class_ids]
        rgb = Image.fromarray(picture.read())
        captions = [f"{name} {score:.2f}" for name, score in zip(found.names, found.scores, strict=True)]
        cells.append(draw_boxes(rgb, truth.boxes_xyxy, true_names, truth.class_ids.tolist()))
        cells.append(draw_boxes(rgb, found.boxes_xyxy, captions, found.class_ids.tolist()))
    rows = -(-len(cells) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * CELL, rows * CELL), "white")
    for i, cell in enumerate(cells):
        cell.thumbnail((CELL - 8, CELL - 8))
        sheet.paste(cell, (i % COLUMNS * CELL + 4, i // COLUMNS * CELL + 4))
    sheet.save(path, quality=88)

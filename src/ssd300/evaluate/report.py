"""The report of an evaluation: all numbers as JSON, and one self-contained HTML file."""

import json
import math
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssd300 import __version__
from ssd300.data.usable import select_messages
from ssd300.errors import OutputError
from ssd300.evaluate.bootstrap import CONFIDENCE, RESAMPLES, Interval
from ssd300.evaluate.coco import IOU_THRESHOLDS, RECALL_POINTS, STAT_NAMES
from ssd300.evaluate.diagnosis import Curve, Diagnosis, diagnose
from ssd300.evaluate.page import html_page
from ssd300.evaluate.run import Evaluation
from ssd300.files import refuse_special, write_whole

_PACKAGES = ("numpy", "pillow", "simplejpeg", "openvino", "hotcoco")


def write_report(evaluation: Evaluation, directory: str | Path, *, model: dict[str, Any] | None = None) -> Path:
    """Write report.html and report.json to the directory, created if necessary; return the path of the HTML file.

    `model` describes the model: its metadata as a dict, and the runtime. Raises OutputError, and
    MissingExtraError without the extra `eval`.
    """
    folder = Path(directory)
    diagnosis = diagnose(evaluation.dataset, evaluation.results, unread=evaluation.failures)
    numbers = report_numbers(evaluation, diagnosis, model=model)
    page = folder / "report.html"
    write_whole(page, html_page(evaluation, diagnosis, numbers).encode(errors="backslashreplace"))
    text = json.dumps(numbers, indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(folder / "report.json", f"{text}\n".encode(errors="backslashreplace"))
    return page


def refuse_unwritable(directory: str | Path) -> None:
    """Raise OutputError where `write_report` could not write: call it before any work."""
    folder = Path(directory)
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(f"{folder}: cannot be written: it is no folder; choose another one")
    for name in ("report.html", "report.json"):
        refuse_special(folder / name)


def report_numbers(
    evaluation: Evaluation, diagnosis: Diagnosis | None = None, *, model: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The whole evaluation as JSON types. Undefined values are null.

    The error analysis is included if there is a diagnosis.
    """
    metrics, dataset = evaluation.metrics, evaluation.dataset
    numbers: dict[str, Any] = {
        "summary": str(evaluation),
        "metrics": dict(zip(STAT_NAMES, map(_number, metrics.stats.tolist()), strict=True)),
        "interval": {
            "confidence": CONFIDENCE,
            "resamples": RESAMPLES,
            "AP": _bounds(evaluation.ap),
            "AP50": _bounds(evaluation.ap50),
        },
        "dataset": {
            "name": dataset.name,
            "pictures": metrics.pictures,
            "boxes": metrics.boxes,
            "crowd_boxes": metrics.crowd,
            "ignored_boxes": metrics.ignored,
            "clipped_boxes": sum(note.action == "clipped" for note in dataset.notes),
            "refused_boxes": sum(note.action == "refused" for note in dataset.notes),
            "pictures_left_out": evaluation.left_out,
            "classes": len(dataset.classes),
        },
        "data_notes": select_messages(dataset),
        "detections": metrics.detections,
        "detections_of_other_classes": evaluation.outside,
        "classes_only_in_model": list(evaluation.classes.only_in_model),
        "classes_only_in_data": list(evaluation.classes.only_in_data),
        "failures": [{"picture": str(f.source), "error": str(f.error)} for f in evaluation.failures.values()],
        "classes": _class_rows(evaluation, diagnosis),
        "settings": evaluation.settings,
        "model": model or {},
        "seconds": round(evaluation.seconds, 3),
        "versions": versions(),
    }
    if diagnosis:
        numbers |= _diagnosis_numbers(evaluation, diagnosis)
    return numbers


def versions() -> dict[str, str]:
    """The versions of the packages used."""
    found = {"ssd300": __version__}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _class_rows(evaluation: Evaluation, diagnosis: Diagnosis | None) -> list[dict[str, Any]]:
    metrics = evaluation.metrics
    columns = (metrics.ap_of_class, metrics.ap50_of_class, metrics.recall_of_class)
    rows = zip(metrics.classes.names, metrics.classes.ids, metrics.boxes_of_class.tolist(), *columns, strict=True)
    listed: list[dict[str, Any]] = [
        {"name": name, "id": i, "boxes": boxes, "AP": _number(ap), "AP50": _number(ap50), "AR": _number(recall)}
        for name, i, boxes, ap, ap50, recall in rows
    ]
    if diagnosis:
        for row, curve in zip(listed, diagnosis.curves, strict=True):
            row["best_threshold"] = _best_point(curve)
        for k, row in enumerate(listed):
            row["precision_at_recall"] = _round(metrics.precision[0, :, k])
    return listed


def _diagnosis_numbers(evaluation: Evaluation, diagnosis: Diagnosis) -> dict[str, Any]:
    pictures = evaluation.dataset.pictures
    metrics = evaluation.metrics
    counted = metrics.precision[:, :, metrics.boxes_of_class > 0]  # [10, 101, K]
    return {
        "recall_points": _round(RECALL_POINTS),  # for every precision_at_recall; those of the classes are at IoU 0.5
        "mean_precision_at_recall": {
            f"{iou:.2f}": _round(precision.mean(axis=1)) if precision.size else []
            for iou, precision in zip(IOU_THRESHOLDS, counted, strict=True)
        },
        "best_threshold": _best_point(diagnosis.overall),
        "confusion": {
            "classes": [*evaluation.dataset.classes.names, "nothing"],
            "rows_true_columns_found": diagnosis.confusion.tolist(),
        },
        "error_kinds": {
            kind: {"AP50_lost": _number(gain), "count": count} for kind, (gain, count) in diagnosis.tide.items()
        },
        "worst_pictures": [
            {
                "picture": pictures[e.position].file_name,
                "right": len(e.right),
                "wrong": len(e.wrong),
                "missed": len(e.missed),
            }
            for e in diagnosis.worst
        ],
    }


def _best_point(curve: Curve) -> dict[str, float | None]:
    score = None if math.isnan(curve.best_threshold) else curve.best_threshold  # rounded, it would be another
    values = (curve.best_f1, curve.best_precision, curve.best_recall)
    return {"score": score} | dict(zip(("F1", "precision", "recall"), map(_number, values), strict=True))


def _bounds(interval: Interval) -> list[float | None]:
    return [_number(interval.low), _number(interval.high)]


def _round(values: NDArray[np.float64]) -> list[float | None]:
    return [_number(round(value, 4)) for value in values.tolist()]


def _number(value: float) -> float | None:
    """The value, or None for COCO's -1 and NaN, which mean undefined."""
    return None if math.isnan(value) or value < 0 else float(np.round(value, 6))

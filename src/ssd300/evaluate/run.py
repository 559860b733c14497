"""Evaluate a detector on a data set, through the same flow as detection; every picture counts."""

import os
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ssd300.data.check_boxes import unit_boxes
from ssd300.data.dataset import Dataset, Picture
from ssd300.data.load import load_dataset
from ssd300.detections import Detections
from ssd300.detector import Detector
from ssd300.digits import as_plain, counted
from ssd300.errors import ArgumentError, DatasetError
from ssd300.evaluate.bootstrap import Difference, Interval, difference, intervals
from ssd300.evaluate.coco import CocoMetrics, coco_metrics, require_hotcoco
from ssd300.evaluate.matches import MatchTable, match_table
from ssd300.flow import Failure
from ssd300.labels import ClassList
from ssd300.tiles import Tiles

SCORE_THRESHOLD, IOU_THRESHOLD, _MAX_DETECTIONS = 0.05, 0.5, 200  # of the published evaluation

Progress = Callable[[int, int], None]  # pictures done, number of pictures


@dataclass(frozen=True)
class ClassMatch:
    """A model's classes and a data set's, matched by name. The ids may differ; they are translated."""

    id_in_data: dict[int, int]
    only_in_model: tuple[str, ...]
    only_in_data: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of `evaluate`.

    Attributes:
        dataset: the evaluated pictures
        results: the detections of each, in the data set's class ids
        metrics: the COCO metrics
        ap: AP with its 95 % bootstrap interval over pictures
        ap50: AP50, likewise
        table: the matches, for curves and comparisons
        failures: position of each picture that could not be read -> why; it counts as without detections
        left_out: number of pictures without annotations that the published mode dropped
        classes: the matching of the model's classes and the data set's
        outside: number of detections of classes that the data set does not have; they do not count
        settings: the thresholds and the mode, by name
        seconds: wall time of detection
    """

    dataset: Dataset
    results: tuple[Detections, ...]
    metrics: CocoMetrics
    ap: Interval
    ap50: Interval
    table: MatchTable
    failures: dict[int, Failure]
    left_out: int
    classes: ClassMatch
    outside: int
    settings: dict[str, Any]
    seconds: float

    def __repr__(self) -> str:
        return f"Evaluation({self})"

    def __str__(self) -> str:
        return f"AP {self.ap}, AP50 {self.ap50} on {counted(len(self.dataset), 'picture')} of {self.dataset.name}"


def evaluate(
    detector: Detector | str | os.PathLike[str],
    data: Dataset | str | os.PathLike[str],
    *,
    score_threshold: float = SCORE_THRESHOLD,
    iou_threshold: float = IOU_THRESHOLD,
    max_detections: int = _MAX_DETECTIONS,
    published: bool = False,
    decode: Literal["exact", "fast"] = "exact",
    tiles: Tiles | None = None,
    overlap: float = 0.2,
    progress: Progress | None = None,
) -> Evaluation:
    """The COCO metrics of a detector on a data set, with intervals. The default thresholds are the published ones.

    A model's name or file is loaded with the defaults of `Detector`, a path of a data set with those of `load_dataset`.

    `published` leaves out pictures without annotations, as the published code does, so detections there do not
    count. `decode="fast"` reads large JPEGs at reduced scale, to measure the loss of AP.
    `tiles` and `overlap` as in `DetectOptions`.

    Raises DatasetError if there is no picture, or none that can be read, ArgumentError if the model and the data
    set have no class in common, MissingExtraError without the extra `eval`, and the errors of `Detector.load`.
    """
    require_hotcoco()  # before a model is downloaded, and an hour of detection
    detector = Detector(detector) if isinstance(detector, str | os.PathLike) else detector
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    classes = match_classes(detector.classes, dataset)
    counted = _drop_unlabeled(dataset) if published else dataset
    if not len(counted):
        raise DatasetError(f"{dataset.name} has no picture to evaluate on{' with annotations' if published else ''}")
    settings = {
        "score_threshold": as_plain(score_threshold),
        "iou_threshold": as_plain(iou_threshold),
        "max_detections": as_plain(max_detections),
        "decode": decode,
        **({} if tiles is None else {"tiles": as_plain(tiles), "overlap": as_plain(overlap)}),
    }
    start = time.perf_counter()
    results, failures, outside = _detect(detector, counted, classes, settings, progress)
    seconds = time.perf_counter() - start
    table = match_table(counted, results)
    ap, ap50 = intervals(table)
    return Evaluation(
        dataset=counted,
        results=tuple(results),
        metrics=coco_metrics(counted, results),
        ap=ap,
        ap50=ap50,
        table=table,
        failures=failures,
        left_out=len(dataset) - len(counted),
        classes=classes,
        outside=outside,
        settings={**settings, "published": published},
        seconds=seconds,
    )


def compare(first: Evaluation, second: Evaluation) -> Difference:
    """Second minus first, paired by picture. Raises ArgumentError if they are not of the same pictures and boxes."""
    one, other = first.dataset, second.dataset
    for a, b in zip(one.pictures, other.pictures, strict=False):  # `difference` refuses unequal counts
        if not _same_boxes(a, b):
            raise ArgumentError(
                f"a paired comparison needs results of the same pictures: {a.file_name} of {one.name} and "
                f"{b.file_name} of {other.name} have different boxes; evaluate both models on one data set"
            )
    return difference(first.table, second.table)


def _same_boxes(one: Picture, other: Picture) -> bool:
    """Whether two pictures have the same boxes, up to the rounding of formats and of packed pictures."""
    a, b = (np.sort(unit_boxes(picture), axis=0) for picture in (one, other))
    return a.shape == b.shape and np.allclose(a, b, rtol=0, atol=0.01)


def match_classes(model: ClassList, dataset: Dataset) -> ClassMatch:
    """Match the model's classes and the data set's by name, whether its accents are composed or not.

    Raises ArgumentError if they have none in common.
    """
    raw = model.names, dataset.classes.names
    composed = [[unicodedata.normalize("NFC", name) for name in names] for names in raw]
    mine, theirs = raw if any(len(set(names)) < len(names) for names in composed) else composed
    id_in_data = dict(zip(theirs, dataset.classes.ids, strict=True))
    common = {i: id_in_data[name] for i, name in zip(model.ids, mine, strict=True) if name in id_in_data}
    if not common:
        raise ArgumentError(
            f"the model and {dataset.name} have no class name in common: the model has {_list_names(model.names)}; "
            f"the data set has {_list_names(dataset.classes.names)}. Evaluate a model trained on these classes, "
            f"or rename the data set's classes to the model's"
        )
    return ClassMatch(
        common,
        tuple(name for name, key in zip(model.names, mine, strict=True) if key not in id_in_data),
        tuple(name for name, key in zip(dataset.classes.names, theirs, strict=True) if key not in mine),
    )


def _drop_unlabeled(dataset: Dataset) -> Dataset:
    kept = dataset.subset([i for i, picture in enumerate(dataset.pictures) if len(picture.annotations)])
    return replace(kept, notes=dataset.notes)


def _detect(
    detector: Detector, dataset: Dataset, classes: ClassMatch, settings: dict[str, Any], progress: Progress | None
) -> tuple[list[Detections], dict[int, Failure], int]:
    """The detections of every picture in the data set's ids, the failures, and the number of those of other classes.

    Raises DatasetError if no picture can be read.
    """
    results: list[Detections] = []
    failures: dict[int, Failure] = {}
    outside = 0
    answers = detector.detect_many(dataset.pictures, on_error="yield", **settings)
    for position, (picture, found) in enumerate(zip(dataset.pictures, answers, strict=True)):
        if isinstance(found, Detections):
            results.append(_translate_ids(found, classes, dataset.classes))
            outside += len(found) - len(results[-1])
        else:
            failures[position] = found
            results.append(Detections.empty(dataset.classes, (picture.height, picture.width), picture.name))
        if progress:
            progress(position + 1, len(dataset))
    if len(failures) == len(dataset):
        raise DatasetError(
            f"none of the {len(dataset)} pictures of {dataset.name} can be read. First: {failures[0].error}"
        )
    return results, failures, outside


def _translate_ids(found: Detections, match: ClassMatch, classes: ClassList) -> Detections:
    """The detections of the data set's classes, in its ids."""
    known = np.array([i in match.id_in_data for i in found.class_ids.tolist()], bool)
    ids = np.array([match.id_in_data[i] for i in found.class_ids[known].tolist()], np.int64)
    return Detections(found.boxes_xyxy[known], found.scores[known], ids, classes, found.image_size_hw, found.source)


def _list_names(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (f", ... ({len(names)} in all)" if len(names) > 5 else "")

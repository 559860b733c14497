"""A model's help in labeling: its boxes to correct, or beside those of a person, and the pictures to label first.

The first are those with the most uncertain detections. The measure is the sum over a picture's detections of
(1 - |p - (1 - p)|) squared, with p the score: 1 for a score of 0.5, 0 for 0 and 1 (Brust, Kaeding and Denzler 2019,
"Active Learning for Deep Object Detection", 1-vs-2 margin with sum). Pictures with many uncertain objects come first.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ssd300.boxes import iou
from ssd300.data.dataset import Annotations, Dataset, Picture
from ssd300.detections import Detections
from ssd300.detector import Detector, Failure
from ssd300.errors import ArgumentError
from ssd300.images.addresses import local_path
from ssd300.labels import ClassList, label_key
from ssd300.options import DetectOptions

_SAME_OBJECT = 0.5  # IoU with a box that a person drew, from which on a model's box is of the same object
SCORE_FLOOR = 0.05  # of uncertain detections; below it almost everything is background


def autolabel(detector: Detector, sources: Iterable[Any], options: DetectOptions) -> tuple[Dataset, list[Failure]]:
    """The detections in picture files as annotations with their scores, and the files that could not be read.

    Boxes are clipped to the picture; one without area is left out. Pictures without detections stay in the set: the
    person decides whether they are empty. Raises ArgumentError for a source that is not a file.
    """
    pictures: list[Picture] = []
    failures: list[Failure] = []
    for found in detector.detect_many(sources, options, on_error="yield", clip=True):
        if isinstance(found, Failure):
            failures.append(found)
        else:
            pictures.append(_to_picture(found, len(pictures) + 1))
    return Dataset("autolabel", detector.classes, tuple(pictures)), failures


def _to_picture(found: Detections, image_id: int) -> Picture:
    path = Path(local_path(found.source or ""))
    if not os.path.isfile(path):
        raise ArgumentError(
            f"{found.source or 'a picture in memory'}: only picture files can be labeled; save it first"
        )
    sides = found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2]  # [N, 2]
    found = found[np.asarray((sides > 0).all(1))]
    height, width = found.image_size_hw
    annotations = Annotations.of(found.boxes_xyxy, found.class_ids, scores=found.scores)
    return Picture(path, image_id, width, height, annotations, path.name)


def add_boxes(detector: Detector, dataset: Dataset, options: DetectOptions) -> tuple[Dataset, list[Failure]]:
    """The data set with the model's other classes: a model that is trained on it need not forget them.

    People's boxes stay as they are. Of the model's boxes those are added, with their scores, whose class the data set
    does not have and that overlap no box of a person by an IoU of 0.5 or more. Class names are equal in any letter
    case; the model's spelling and ids stay, new classes come after them. Pictures that cannot be read stay without
    the model's boxes and are returned as failures, too. Raises ArgumentError if no class is left to add.
    """
    own = [_spelled(name, detector.classes) for name in dataset.classes.names]
    if twice := [name for name, spelled in zip(dataset.classes.names, own, strict=True) if own.count(spelled) > 1]:
        raise ArgumentError(f"classes of the data set are one class of the model: {', '.join(twice)}; merge them first")
    dataset = replace(dataset, classes=ClassList(tuple(own), dataset.classes.ids))
    rows = options.rows(detector.classes)
    known = detector.classes.names if rows is None else [detector.classes.names[row - 1] for row in rows[1:].tolist()]
    added = [name for name in known if name not in own]
    if not added:
        raise ArgumentError("the data set has every class of the model: there is nothing to add; see --model, --labels")
    new = [name for name in own if name not in detector.classes.names]
    after = max(detector.classes.ids, default=0) + 1
    classes = ClassList((*detector.classes.names, *new), (*detector.classes.ids, *range(after, after + len(new))))
    dataset = dataset.with_classes(classes)
    results = detector.detect_many(dataset.pictures, options, on_error="yield", clip=True, labels=added)
    pictures: list[Picture] = []
    failures: list[Failure] = []
    for picture, found in zip(dataset.pictures, results, strict=True):
        if isinstance(found, Failure):
            failures.append(found)
            pictures.append(picture)
        else:
            pictures.append(replace(picture, annotations=_beside(picture.annotations, found)))
    return replace(dataset, name=f"{dataset.name}+autolabel", classes=classes, pictures=tuple(pictures)), failures


def _spelled(name: str, classes: ClassList) -> str:
    """The name as the class list spells it, where it differs in letter case, or in how accents are composed, only."""
    others = (known for known in classes.names if label_key(known) == label_key(name))
    return name if name in classes.names else next(others, name)


def _beside(annotations: Annotations, found: Detections) -> Annotations:
    """A person's annotations, and the detections of other objects."""
    sides = found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2]  # [N, 2]
    overlap = iou(found.boxes_xyxy, annotations.boxes_xyxy)  # [N, M]
    found = found[np.asarray((sides > 0).all(1) & (overlap < _SAME_OBJECT).all(1))]
    other = Annotations.of(found.boxes_xyxy, found.class_ids, scores=found.scores)
    pairs = ((getattr(annotations, name), getattr(other, name)) for name in Annotations.__dataclass_fields__)
    return Annotations(*map(np.concatenate, pairs))


@dataclass(frozen=True)
class Ranked:
    """A picture with its uncertainty (at least 0) and the number of detections in the sum."""

    source: str
    uncertainty: float
    detections: int


def uncertainty(found: Detections) -> float:
    """The uncertainty of one picture's detections; 0 without any."""
    return float(((1 - abs(2 * found.scores.astype(float) - 1)) ** 2).sum())


def rank(detector: Detector, sources: Iterable[Any]) -> tuple[list[Ranked], list[Failure]]:
    """The pictures, most uncertain first (equal ones by name), and those that could not be read."""
    ranked: list[Ranked] = []
    failures: list[Failure] = []
    for found in detector.detect_many(sources, DetectOptions(score_threshold=SCORE_FLOOR), on_error="yield"):
        if isinstance(found, Failure):
            failures.append(found)
        else:
            ranked.append(Ranked(found.source or "", uncertainty(found), len(found)))
    return sorted(ranked, key=lambda one: (-one.uncertainty, one.source)), failures

"""Boxes of a model as a data set that a person corrects: labeling starts from something."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ssd300.data.dataset import Annotations, Dataset, Picture
from ssd300.detections import Detections
from ssd300.detector import Detector, Failure
from ssd300.errors import ArgumentError
from ssd300.options import DetectOptions


def autolabel(detector: Detector, sources: Iterable[str], options: DetectOptions) -> tuple[Dataset, list[Failure]]:
    """The detections in picture files as annotations with their scores, and the files that could not be read.

    Boxes are cut to the picture; one without area is left out. Pictures without detections stay in the set: whether
    they are empty is for the person to say. Raises ArgumentError for a source that is not a file.
    """
    pictures: list[Picture] = []
    failures: list[Failure] = []
    for found in detector.detect_many(sources, options, on_error="yield", clip=True):
        if isinstance(found, Failure):
            failures.append(found)
        else:
            pictures.append(_labeled(found, len(pictures) + 1))
    return Dataset("autolabel", detector.classes, tuple(pictures)), failures


def _labeled(found: Detections, image_id: int) -> Picture:
    path = Path(found.source or "")
    if not path.is_file():
        raise ArgumentError(
            f"{found.source or 'a picture in memory'}: only picture files can be labeled; save it first"
        )
    sides = found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2]  # [N, 2]
    found = found[np.asarray((sides > 0).all(1))]
    height, width = found.image_size_hw
    annotations = Annotations.of(found.boxes_xyxy, found.class_ids, scores=found.scores)
    return Picture(path, image_id, width, height, annotations, path.name)

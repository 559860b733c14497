"""The COCO numbers of a network while it trains: the same reading, resize, selection and counting as everywhere."""

from itertools import islice

import numpy as np

from ssd300.data.dataset import Dataset
from ssd300.detections import Detections
from ssd300.evaluate.coco import CocoMetrics, coco_metrics
from ssd300.evaluate.run import SCORE_THRESHOLD
from ssd300.images.resize import resize_to_network
from ssd300.postprocess import select
from ssd300.runtime.base import Runtime


def validate(runtime: Runtime, dataset: Dataset, batch_size: int = 8) -> tuple[CocoMetrics, list[Detections]]:
    """Run a network over all pictures of a data set, at the published thresholds (score 0.05, IoU 0.5, 200 boxes).

    Returns the numbers, and what was found in each picture. The data set speaks the network's classes.
    """
    classes, results = runtime.metadata.classes, []
    pictures = iter(dataset.pictures)
    while chunk := list(islice(pictures, batch_size)):
        inputs = np.stack([resize_to_network(picture.read()) for picture in chunk])
        for picture, candidates in zip(chunk, runtime.infer(inputs, SCORE_THRESHOLD), strict=True):
            unit_xyxy, labels, scores = select(*candidates, score_threshold=SCORE_THRESHOLD)
            size = np.array([picture.width, picture.height] * 2, np.float32)
            ids, size_hw = classes.ids_of_labels(labels), (picture.height, picture.width)
            results.append(Detections(unit_xyxy * size, scores, ids, classes, size_hw, picture.file_name))
    return coco_metrics(dataset, results), results

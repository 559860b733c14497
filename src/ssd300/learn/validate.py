"""The COCO numbers of a network while it trains: the same reading, resize, selection and counting as everywhere."""

from collections.abc import Callable
from itertools import islice

import numpy as np

from ssd300.boxes import Float32
from ssd300.data.dataset import Dataset
from ssd300.detections import Detections
from ssd300.evaluate.coco import CocoMetrics, coco_metrics
from ssd300.images.orientation import UInt8
from ssd300.images.resize import resize_to_network
from ssd300.labels import ClassList
from ssd300.postprocess import select

Network = Callable[[UInt8], tuple[Float32, Float32]]


def validate(
    network: Network, dataset: Dataset, classes: ClassList, batch_size: int = 8
) -> tuple[CocoMetrics, list[Detections]]:
    """Run a network over all pictures of a data set, at the published thresholds (score 0.05, IoU 0.5, 200 boxes);
    returns the numbers, and what was found in each picture.

    `network` maps uint8 [B, 300, 300, 3] to boxes_xyxy [B, P, 4] (unit frame) and probabilities [B, K, P];
    `classes` are those it was trained on.
    """
    dataset = dataset.with_classes(classes)
    results = []
    pictures = iter(dataset.pictures)
    while chunk := list(islice(pictures, batch_size)):
        inputs = np.stack([resize_to_network(picture.read()) for picture in chunk])
        for picture, boxes_xyxy, probabilities in zip(chunk, *network(inputs), strict=True):
            unit_xyxy, labels, scores = select(boxes_xyxy, probabilities)
            size = np.array([picture.width, picture.height] * 2, np.float32)
            ids, size_hw = classes.ids_of_labels(labels), (picture.height, picture.width)
            results.append(Detections(unit_xyxy * size, scores, ids, classes, size_hw, picture.file_name))
    return coco_metrics(dataset, results), results

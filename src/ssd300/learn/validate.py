"""The COCO numbers of a network while it trains: the same reading, resize, selection and counting as everywhere."""

from ssd300.data.dataset import Dataset
from ssd300.detections import Detections
from ssd300.evaluate.coco import CocoMetrics, coco_metrics
from ssd300.evaluate.run import SCORE_THRESHOLD
from ssd300.flow import detect_each
from ssd300.options import DetectOptions
from ssd300.runtime.base import Runtime

_SMALLEST_BATCH = 8  # a network that trains on a CPU is measured in batches, too


def validate(runtime: Runtime, dataset: Dataset) -> tuple[CocoMetrics, list[Detections]]:
    """Run a network over all pictures of a data set, at the published thresholds (score 0.05, IoU 0.5, 200 boxes).

    Returns the numbers, and what was found in each picture. The data set has the network's classes. Raises ImageError
    or DatasetError for the first picture that cannot be used.
    """
    options = DetectOptions(score_threshold=SCORE_THRESHOLD)
    size = max(_SMALLEST_BATCH, runtime.batch_size)
    found = detect_each(lambda _: runtime, dataset.pictures, options, lambda found: found, batch_size=size)
    results = [one for one in found if isinstance(one, Detections)]
    return coco_metrics(dataset, results), results

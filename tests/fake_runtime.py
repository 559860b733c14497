"""A runtime without a network: what it finds is in the picture."""

import threading

import numpy as np

from ssd300.labels import COCO
from ssd300.weights.metadata import ModelMetadata


class FakeRuntime:
    """Finds as many cats as the first value of the picture says. Remembers how many pictures each call had."""

    name, precision, reason, threads = "fake", "f32", "made for tests", 2

    def __init__(self, batch_size: int) -> None:
        self.batch_size, self.metadata = batch_size, ModelMetadata("resnet18", COCO, name="fake")
        self.calls: list[int] = []
        self.lock = threading.Lock()

    def infer(self, pictures, score_threshold=0.0):
        assert pictures.dtype == np.uint8
        assert pictures.shape[1:] == (300, 300, 3)
        with self.lock:
            self.calls.append(len(pictures))
        return [self.candidates(int(picture[0, 0, 0])) for picture in pictures]

    def candidates(self, count):
        steps = np.arange(count, dtype=np.float32)[:, None] / 100
        boxes = np.concatenate([steps, steps, steps + np.float32(0.009), steps + np.float32(0.009)], 1)
        probabilities = np.zeros((81, count), np.float32)
        probabilities[16] = 0.9
        return boxes, probabilities

    def for_throughput(self):
        return self


def plain(count, size_hw=(60, 80)):
    return np.full((*size_hw, 3), count, np.uint8)

"""Grounds to draw on, and answers to draw."""

import numpy as np

from ssd300.detections import Detections
from ssd300.labels import COCO

GRAY = 128
NONE = np.zeros((0, 4), np.float32)


def ground(width: int, height: int, value: int = GRAY) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def found(boxes, size_hw=(100, 200), source=None) -> Detections:
    count = len(boxes)
    return Detections(np.array(boxes, np.float32), np.linspace(0.9, 0.5, count), [1] * count, COCO, size_hw, source)

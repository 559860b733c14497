"""Core time of a tracking step, and its scores against ByteTrack of the package trackers on generated scenes.

PYTHONPATH=src:tests python benchmarks/tracker.py
"""

import time

import numpy as np

from ssd300.detections import Detections
from ssd300.labels import ClassList
from ssd300.tracking.bytetrack import Tracker
from tracking.scenes import crossing
from tracking.test_tracker import ours, scored, theirs

CLASSES = ClassList(("object",), (1,))


def step_ms(objects: int) -> float:
    """Mean core-ms of `Tracker.update` after the first ten frames."""
    scene = crossing(0, objects=objects, frames=160)
    frames = [
        Detections(boxes, scores, np.ones(len(boxes), np.int64), CLASSES, (1080, 1920))
        for boxes, scores in zip(scene.boxes_xyxy, scene.scores, strict=True)
    ]
    tracker = Tracker(score_threshold=0.3)
    for number, found in enumerate(frames[:10]):
        tracker.update(found, number / 30)
    began = time.process_time()
    for number, found in enumerate(frames[10:], 10):
        tracker.update(found, number / 30)
    return (time.process_time() - began) / 150 * 1e3


def main() -> None:
    for objects in (50, 200):
        print(f"{objects} boxes: {step_ms(objects):.2f} core-ms a step")
    print("20 crossing objects, 5 % drops: HOTA and IDF1, ours and trackers'")
    for seed in range(5):
        scene = crossing(seed)
        a, b = scored(scene, ours(scene)), scored(scene, theirs(scene))
        print(f"  scene {seed}: {a.hota:.4f} {b.hota:.4f}   {a.idf1:.4f} {b.idf1:.4f}")


if __name__ == "__main__":
    main()

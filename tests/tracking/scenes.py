"""Scenes of moving boxes: the truth of every frame, and what a detector with misses and jitter makes of it."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Scene:
    """Per frame: ids [G] and boxes [G, 4] of the truth; boxes [N, 4] and scores [N] of the detector."""

    ids: list[np.ndarray]
    truth_xyxy: list[np.ndarray]
    boxes_xyxy: list[np.ndarray]
    scores: list[np.ndarray]


def crossing(seed: int, *, objects: int = 20, frames: int = 150, drops: float = 0.05, jitter: float = 0.02) -> Scene:
    """Objects that bounce through a picture of 1920x1080 and cross each other, with drops and jitter (of the size)."""
    draw = np.random.default_rng(seed)
    frame = np.array([1920, 1080])
    size = draw.uniform((40, 80), (90, 200), (objects, 2))
    center = draw.uniform(size / 2, frame - size / 2, (objects, 2))
    speed = draw.uniform(-8, 8, (objects, 2))
    scene = Scene([], [], [], [])
    for _ in range(frames):
        center = center + speed
        speed = np.where((center < size / 2) | (center > frame - size / 2), -speed, speed)
        truth = np.concatenate([center - size / 2, center + size / 2], 1)
        seen = draw.random(objects) >= drops
        noise = draw.normal(0, jitter, (objects, 4)) * np.tile(size, 2)
        scores = draw.uniform(0.35, 0.95, objects)
        order = np.argsort(-scores[seen], kind="stable")
        scene.ids.append(np.arange(objects))
        scene.truth_xyxy.append(truth)
        scene.boxes_xyxy.append((truth + noise)[seen][order].astype(np.float32))
        scene.scores.append(scores[seen][order].astype(np.float32))
    return scene

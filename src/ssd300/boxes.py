"""Boxes as float arrays [..., 4]: formats, IoU, clipping. Nothing here depends on the network."""

from typing import TypeVar

import numpy as np

from ssd300.arrays import Float32, Float64

Floats = TypeVar("Floats", Float32, Float64)  # the result has the dtype of the input


def cxcywh_to_xyxy(boxes_cxcywh: Floats) -> Floats:
    """Center, width, height -> left, top, right, bottom. Shape [..., 4] is kept.

    >>> cxcywh_to_xyxy(np.array([[0.5, 0.5, 0.2, 0.4]])).round(6).tolist()
    [[0.4, 0.3, 0.6, 0.7]]
    """
    center, half = boxes_cxcywh[..., :2], boxes_cxcywh[..., 2:] * boxes_cxcywh.dtype.type(0.5)
    return np.concatenate([center - half, center + half], axis=-1)


def xyxy_to_cxcywh(boxes_xyxy: Floats) -> Floats:
    """Left, top, right, bottom -> center, width, height. Shape [..., 4] is kept."""
    low, high = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    return np.concatenate([(low + high) * boxes_xyxy.dtype.type(0.5), high - low], axis=-1)


def xywh_to_xyxy(boxes_xywh: Floats) -> Floats:
    """Left, top, width, height (the COCO format) -> left, top, right, bottom. Shape [..., 4] is kept."""
    low, size = boxes_xywh[..., :2], boxes_xywh[..., 2:]
    return np.concatenate([low, low + size], axis=-1)


def xyxy_to_xywh(boxes_xyxy: Floats) -> Floats:
    """Left, top, right, bottom -> left, top, width, height (the COCO format). Shape [..., 4] is kept."""
    low, high = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    return np.concatenate([low, high - low], axis=-1)


def area(boxes_xyxy: Floats) -> Floats:
    """Area [...] of boxes [..., 4]."""
    size = boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]
    return np.asarray(size[..., 0] * size[..., 1])


def clip(boxes_xyxy: Float32, width: float, height: float) -> Float32:
    """Boxes [N, 4] clipped to 0..width, 0..height."""
    limit = np.array([width, height, width, height], boxes_xyxy.dtype)
    return np.asarray(np.clip(boxes_xyxy, 0, limit))


def iou(a_xyxy: Floats, b_xyxy: Floats) -> Floats:
    """Intersection over union of every box of a [M, 4] with every box of b [N, 4] -> [M, N].

    Plain inter / (a + b - inter): no epsilon and no +1, as published. Two boxes without area give 0.

    >>> iou(np.zeros((0, 4), np.float32), np.zeros((3, 4), np.float32)).shape
    (0, 3)
    """
    (left, top, right, bottom), (x1, y1, x2, y2) = a_xyxy.T[..., None], b_xyxy.T[:, None]
    width = np.maximum(np.minimum(right, x2) - np.maximum(left, x1), 0)  # [M, N]
    height = np.maximum(np.minimum(bottom, y2) - np.maximum(top, y1), 0)
    inter = width * height
    union = area(a_xyxy)[:, None] + area(b_xyxy)[None, :] - inter
    return np.asarray(np.divide(inter, union, out=np.zeros_like(inter), where=union > 0))

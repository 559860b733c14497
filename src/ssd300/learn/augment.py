"""Augmentation (NumPy and Pillow): a picture with boxes -> the 300x300 picture and boxes that the network learns from.

`published` follows the published DALI pipeline: IoU-constrained crop, flip, colour. `modern` adds zoom-out, asks only
one box to satisfy the crop (as in the SSD paper, section 2.2), and leaves half of the pictures' colours alone.
All chance comes from the generator passed in.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssd300.arrays import Float32, Int64, UInt8
from ssd300.boxes import area
from ssd300.images.resize import resize_to_network
from ssd300.priors import IMAGE_SIZE

CROP_MIN_IOUS = (None, 0.0, 0.1, 0.3, 0.5, 0.7, 0.9)  # None: no crop; all equally likely
CROP_SCALE = (0.3, 1.0)  # of the picture's width and height, drawn independently
CROP_ASPECT = (0.5, 2.0)
SATURATION, CONTRAST, BRIGHTNESS = (0.5, 1.5), (0.5, 1.5), (0.875, 1.125)
HUE_DEGREES = (-0.5, 0.5)  # the published code passes fractions where its library reads degrees
ZOOM_OUT_CHANCE, ZOOM_OUT_SIDE = 0.2, (1.0, 2.0)
FILL = (124, 116, 104)  # the ImageNet mean


@dataclass(frozen=True)
class Sample:
    """A picture, uint8 RGB [H, W, 3], with its boxes in the unit frame.

    boxes_xyxy [M, 4], labels [M] (1..K-1); `doubtful` [M] boxes are neither object nor background, `crowd` [M] ones
    hold many objects.
    """

    picture: UInt8
    boxes_xyxy: Float32
    labels: Int64
    doubtful: NDArray[np.bool_]
    crowd: NDArray[np.bool_]

    def objects(self) -> tuple[Float32, Int64]:
        """(boxes_xyxy [M, 4], labels [M]) of the true objects: neither doubtful nor crowd."""
        real = ~(self.doubtful | self.crowd)
        return self.boxes_xyxy[real], self.labels[real]

    def with_boxes(self, keep: NDArray[np.bool_], boxes_xyxy: Float32) -> "Sample":
        """The sample with only the boxes of the mask, at their new places [M, 4]."""
        return replace(
            self,
            boxes_xyxy=boxes_xyxy[keep],
            labels=self.labels[keep],
            doubtful=self.doubtful[keep],
            crowd=self.crowd[keep],
        )


Augment = Callable[[Sample, np.random.Generator], Sample]


def plain(sample: Sample, rng: np.random.Generator) -> Sample:
    """Only the resize to 300x300."""
    return replace(sample, picture=resize_to_network(sample.picture))


def published(sample: Sample, rng: np.random.Generator) -> Sample:
    """Crop that every box must satisfy, flip, resize, colour: in the published order and ranges."""
    sample = resized_crop(sample, crop_window(sample.boxes_xyxy, rng, every_box=True))
    if rng.random() < 0.5:
        sample = flip(sample)
    return replace(sample, picture=colour(sample.picture, rng))


def modern(sample: Sample, rng: np.random.Generator) -> Sample:
    """Zoom-out or crop that one box must satisfy, flip, colour in half of the cases."""
    if rng.random() < ZOOM_OUT_CHANCE:
        sample = zoom_out(sample, rng)
    else:
        sample = resized_crop(sample, crop_window(sample.boxes_xyxy, rng, every_box=False))
    if rng.random() < 0.5:
        sample = flip(sample)
    if rng.random() < 0.5:
        sample = replace(sample, picture=colour(sample.picture, rng))
    return sample


AUGMENTS: dict[str, Augment] = {"none": plain, "published": published, "modern": modern}


def crop_window(boxes_xyxy: Float32, rng: np.random.Generator, *, every_box: bool) -> Float32:
    """Draw a window [4] xyxy in the unit frame (SSD paper, section 2.2).

    Draw a minimum IoU; make one attempt at a window in which every box (or, as in the paper, any box) has at least that
    IoU with the window and at least one box has its centre; if it fails draw both again, without limit.
    """
    quorum = np.all if every_box else np.any
    while True:
        min_iou = CROP_MIN_IOUS[rng.integers(len(CROP_MIN_IOUS))]
        if min_iou is None:
            return np.array([0, 0, 1, 1], np.float32)
        w, h = rng.uniform(*CROP_SCALE, size=2)
        if not CROP_ASPECT[0] <= w / h <= CROP_ASPECT[1]:
            continue
        left, top = rng.uniform(0, 1 - w), rng.uniform(0, 1 - h)
        window = np.array([left, top, left + w, top + h], np.float32)
        if len(boxes_xyxy) == 0:
            return window
        if centres_inside(boxes_xyxy, window).any() and quorum(window_iou(boxes_xyxy, window) >= min_iou):
            return window


def window_iou(boxes_xyxy: Float32, window_xyxy: Float32) -> Float32:
    """IoU [M] of every box with the window."""
    size = np.minimum(boxes_xyxy[:, 2:], window_xyxy[2:]) - np.maximum(boxes_xyxy[:, :2], window_xyxy[:2])
    inter = np.maximum(size, 0).prod(1)
    return np.asarray(inter / (area(boxes_xyxy) + area(window_xyxy) - inter))


def centres_inside(boxes_xyxy: Float32, window_xyxy: Float32) -> NDArray[np.bool_]:
    """Mask [M] of the boxes whose centre lies in the window."""
    centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    return np.asarray(((centres >= window_xyxy[:2]) & (centres <= window_xyxy[2:])).all(1))


def resized_crop(sample: Sample, window_xyxy: Float32) -> Sample:
    """Cut the window (unit frame) out and stretch it to 300x300; boxes with their centre outside go, others are cut."""
    height, width = sample.picture.shape[:2]
    scale = np.array([width, height, width, height], np.float32)
    picture = resize_to_network(sample.picture, window_xyxy=tuple((window_xyxy * scale).tolist()))
    # A crowd region has no centre of its own: what of it is seen stays a crowd.
    seen = centres_inside(sample.boxes_xyxy, window_xyxy) | (
        sample.crowd & (window_iou(sample.boxes_xyxy, window_xyxy) > 0)
    )
    origin, size = np.tile(window_xyxy[:2], 2), np.tile(window_xyxy[2:] - window_xyxy[:2], 2)
    boxes_xyxy = ((sample.boxes_xyxy - origin) / size).clip(0, 1).astype(np.float32)
    return replace(sample.with_boxes(seen, boxes_xyxy), picture=picture)


def zoom_out(sample: Sample, rng: np.random.Generator) -> Sample:
    """Put the whole picture on a larger mean-coloured canvas: small objects to learn from (SSD paper, section 3.6)."""
    side = rng.uniform(*ZOOM_OUT_SIDE)
    small = round(IMAGE_SIZE / side)
    left, top = rng.integers(0, IMAGE_SIZE - small + 1, size=2)
    canvas = np.full((IMAGE_SIZE, IMAGE_SIZE, 3), FILL, np.uint8)
    canvas[top : top + small, left : left + small] = resize_to_network(sample.picture, size=small)
    origin = np.array([left, top, left, top], np.float32) / IMAGE_SIZE
    boxes_xyxy = (sample.boxes_xyxy * (small / IMAGE_SIZE) + origin).astype(np.float32)
    return replace(sample, picture=canvas, boxes_xyxy=boxes_xyxy)


def flip(sample: Sample) -> Sample:
    """Mirror left and right."""
    boxes_xyxy = sample.boxes_xyxy[:, [2, 1, 0, 3]].copy()
    boxes_xyxy[:, [0, 2]] = 1 - boxes_xyxy[:, [0, 2]]
    return replace(sample, picture=np.ascontiguousarray(sample.picture[:, ::-1]), boxes_xyxy=boxes_xyxy)


def colour(picture: UInt8, rng: np.random.Generator) -> UInt8:
    """Saturation and hue as one linear map of RGB, then contrast about 128 and brightness; uint8 after each."""
    matrix = hue_saturation_matrix(rng.uniform(*HUE_DEGREES), rng.uniform(*SATURATION))
    brightness, contrast = rng.uniform(*BRIGHTNESS), rng.uniform(*CONTRAST)
    levels = brightness * (128 + contrast * (np.arange(256) - 128.0))
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    # Pillow's own matrix conversion: rounds and clips as the published operator does, many times faster than NumPy.
    turned = Image.fromarray(picture).convert("RGB", tuple(np.pad(matrix, ((0, 0), (0, 1))).ravel().tolist()))
    return np.asarray(table[np.asarray(turned)])


@lru_cache(maxsize=1)
def _yiq() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    to_yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]])
    return to_yiq, np.linalg.inv(to_yiq)


def hue_saturation_matrix(hue_degrees: float, saturation: float) -> NDArray[np.float64]:
    """The linear map [3, 3] of RGB that turns hue and scales saturation in the YIQ plane; brightness stays."""
    to_yiq, from_yiq = _yiq()
    c, s = saturation * cos(radians(hue_degrees)), saturation * sin(radians(hue_degrees))
    return np.asarray(from_yiq @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]]) @ to_yiq)

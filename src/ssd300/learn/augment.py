"""Augmentation (NumPy and Pillow): a picture with boxes -> the 300x300 picture and boxes for training.

`published` follows the published DALI pipeline: IoU-constrained crop, flip, color. `modern` adds zoom-out, needs only
one box to satisfy the crop (as in the SSD paper, section 2.2), and changes colors in half of the pictures. All random
draws go into a `Plan`, which is then applied to boxes and pixels; a GPU can process the pixels (`augment_batch.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import cos, radians, sin

import numpy as np
from PIL import Image

from ssd300.arrays import Bool, Float32, Float64, Int64, UInt8
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
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


@dataclass(frozen=True)
class Sample:
    """A picture, uint8 RGB [H, W, 3], with its boxes in the unit frame.

    boxes_xyxy [M, 4], labels [M] (1..K-1); `doubtful` [M] boxes are neither object nor background, `crowd` [M] ones
    contain many objects.
    """

    picture: UInt8
    boxes_xyxy: Float32
    labels: Int64
    doubtful: Bool
    crowd: Bool

    def objects(self) -> tuple[Float32, Int64]:
        """(boxes_xyxy [M, 4], labels [M]) of the true objects: neither doubtful nor crowd."""
        real = ~(self.doubtful | self.crowd)
        return self.boxes_xyxy[real], self.labels[real]

    def with_boxes(self, keep: Bool, boxes_xyxy: Float32) -> "Sample":
        """The sample with only the boxes of the mask, at their new positions [M, 4]."""
        return replace(
            self,
            boxes_xyxy=boxes_xyxy[keep],
            labels=self.labels[keep],
            doubtful=self.doubtful[keep],
            crowd=self.crowd[keep],
        )


@dataclass(frozen=True)
class ColorChange:
    """A change of color: `matrix` [3, 3] rotates hue and scales saturation; then contrast around 128 and brightness."""

    matrix: Float64
    brightness: float
    contrast: float


@dataclass(frozen=True)
class Plan:
    """The random draws for one picture.

    The window (xyxy, unit frame of the picture) is stretched to the square `place` (left, top, side in pixels of the
    result; None: all of it), what is outside has the color FILL; then it is mirrored, then colored.
    """

    window_xyxy: Float32 = field(default_factory=lambda: np.array([0, 0, 1, 1], np.float32))
    place: tuple[int, int, int] | None = None
    flipped: bool = False
    color: ColorChange | None = None


Draw = Callable[[Float32, np.random.Generator, int], Plan]


def plain(boxes_xyxy: Float32, rng: np.random.Generator, size: int) -> Plan:
    """Only the resize."""
    return Plan()


def published(boxes_xyxy: Float32, rng: np.random.Generator, size: int) -> Plan:
    """Draw a crop that every box must satisfy, flip, and color, in the published order and ranges."""
    window_xyxy = crop_window(boxes_xyxy, rng, every_box=True)
    flipped = bool(rng.random() < 0.5)
    return Plan(window_xyxy, None, flipped, draw_color(rng))


def modern(boxes_xyxy: Float32, rng: np.random.Generator, size: int) -> Plan:
    """Draw a zoom-out or a crop that one box must satisfy, flip, and color in half of the cases."""
    window_xyxy, place = Plan().window_xyxy, None
    if rng.random() < ZOOM_OUT_CHANCE:
        place = zoom_out(rng, size)
    else:
        window_xyxy = crop_window(boxes_xyxy, rng, every_box=False)
    flipped = bool(rng.random() < 0.5)
    return Plan(window_xyxy, place, flipped, draw_color(rng) if rng.random() < 0.5 else None)


DRAWS: dict[str, Draw] = {"none": plain, "published": published, "modern": modern}


def augmented(name: str, sample: Sample, rng: np.random.Generator, size: int = IMAGE_SIZE) -> Sample:
    """The sample after the plan that DRAWS[name] draws: a picture [size, size, 3] with its boxes."""
    plan = DRAWS[name](sample.boxes_xyxy, rng, size)
    return replace(move_boxes(sample, plan, size), picture=apply_plan(sample.picture, plan, size))


def move_boxes(sample: Sample, plan: Plan, size: int) -> Sample:
    """The sample with its boxes moved by the plan, without those whose center is outside the window, or without area.

    The picture is not changed.
    """
    window_xyxy = plan.window_xyxy
    # A crowd region is kept if any part of it is visible, as its center means nothing.
    seen = centers_inside(sample.boxes_xyxy, window_xyxy) | (
        sample.crowd & (window_iou(sample.boxes_xyxy, window_xyxy) > 0)
    )
    origin, extent = np.tile(window_xyxy[:2], 2), np.tile(window_xyxy[2:] - window_xyxy[:2], 2)
    boxes_xyxy = ((sample.boxes_xyxy - origin) / extent).clip(0, 1).astype(np.float32)
    if plan.place:
        left, top, side = plan.place
        corner = np.array([left, top, left, top], np.float32) / size
        boxes_xyxy = (boxes_xyxy * (side / size) + corner).astype(np.float32)
    if plan.flipped:
        boxes_xyxy = boxes_xyxy[:, [2, 1, 0, 3]].copy()
        boxes_xyxy[:, [0, 2]] = 1 - boxes_xyxy[:, [0, 2]]
    solid = np.asarray((boxes_xyxy[:, 2:] > boxes_xyxy[:, :2]).all(1))  # not rounded to a line: its loss is infinite
    return sample.with_boxes(seen & solid, boxes_xyxy)


def apply_plan(rgb: UInt8, plan: Plan, size: int) -> UInt8:
    """Apply a plan to a picture [H, W, 3] -> [size, size, 3]."""
    height, width = rgb.shape[:2]
    window = tuple((plan.window_xyxy * np.array([width, height, width, height], np.float32)).tolist())
    if plan.place:
        left, top, side = plan.place
        out = np.full((size, size, 3), FILL, np.uint8)
        out[top : top + side, left : left + side] = resize_to_network(rgb, size=side, window_xyxy=window)
    else:
        out = resize_to_network(rgb, size=size, window_xyxy=window)
    if plan.flipped:
        out = np.ascontiguousarray(out[:, ::-1])
    return recolor(out, plan.color) if plan.color else out


def crop_window(boxes_xyxy: Float32, rng: np.random.Generator, *, every_box: bool) -> Float32:
    """Draw a window [4] xyxy in the unit frame (SSD paper, section 2.2).

    Draw a minimum IoU; make one attempt at a window in which every box (or, as in the paper, any box) has at least that
    IoU with the window and at least one box has its center; if it fails draw both again, without limit.
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
        if centers_inside(boxes_xyxy, window).any() and quorum(window_iou(boxes_xyxy, window) >= min_iou):
            return window


def window_iou(boxes_xyxy: Float32, window_xyxy: Float32) -> Float32:
    """IoU [M] of every box with the window."""
    size = np.minimum(boxes_xyxy[:, 2:], window_xyxy[2:]) - np.maximum(boxes_xyxy[:, :2], window_xyxy[:2])
    inter = np.maximum(size, 0).prod(1)
    return np.asarray(inter / (area(boxes_xyxy) + area(window_xyxy) - inter))


def centers_inside(boxes_xyxy: Float32, window_xyxy: Float32) -> Bool:
    """Mask [M] of the boxes whose center is in the window."""
    centers = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    return np.asarray(((centers >= window_xyxy[:2]) & (centers <= window_xyxy[2:])).all(1))


def zoom_out(rng: np.random.Generator, size: int) -> tuple[int, int, int]:
    """Draw a position for the whole picture on a larger canvas, for small objects (SSD paper, section 3.6)."""
    side = round(size / rng.uniform(*ZOOM_OUT_SIDE))
    left, top = rng.integers(0, size - side + 1, size=2).tolist()
    return left, top, side


def draw_color(rng: np.random.Generator) -> ColorChange:
    """Draw saturation and hue as one linear map of RGB, contrast and brightness, in the published ranges."""
    matrix = hue_saturation_matrix(rng.uniform(*HUE_DEGREES), rng.uniform(*SATURATION))
    return ColorChange(matrix, rng.uniform(*BRIGHTNESS), rng.uniform(*CONTRAST))


def recolor(picture: UInt8, color: ColorChange) -> UInt8:
    """Change the colors of a picture; rounded to uint8 after the matrix and at the end, as published."""
    levels = color.brightness * (128 + color.contrast * (np.arange(256) - 128.0))
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    # Pillow's own matrix conversion: rounds and clips as the published operator does, many times faster than NumPy.
    flat = tuple(np.pad(color.matrix, ((0, 0), (0, 1))).ravel().tolist())
    return np.asarray(table[np.asarray(Image.fromarray(picture).convert("RGB", flat))])


def hue_saturation_matrix(hue_degrees: float, saturation: float) -> Float64:
    """The linear map [3, 3] of RGB that rotates hue and scales saturation in the YIQ plane; brightness is unchanged."""
    c, s = saturation * cos(radians(hue_degrees)), saturation * sin(radians(hue_degrees))
    return np.asarray(_FROM_YIQ @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]]) @ _TO_YIQ)

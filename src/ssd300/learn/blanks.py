"""Random pictures without objects, as negative examples."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image, ImageFilter

from ssd300.arrays import Bool, Float64, UInt8
from ssd300.learn.augment import Sample

Maker = Callable[[UInt8, np.random.Generator], Float64]
_EDGES = (0, 16, 20, 64, 128, 200, 235, 255)  # black, white, the grays of video signals and of empty frames


def make_blank(sample: Sample, rng: np.random.Generator, size: int) -> Sample:
    """A picture [size, size, 3] without objects, from a random one of MAKERS; blurred frames are made from `sample`."""
    make = MAKERS[rng.integers(len(MAKERS))]
    small = np.asarray(Image.fromarray(sample.picture).resize((size, size)))
    picture = np.broadcast_to(np.clip(make(small, rng), 0, 255), (size, size, 3)).astype(np.uint8)
    nothing: Bool = np.zeros(len(sample.labels), bool)
    return replace(sample.with_boxes(nothing, sample.boxes_xyxy), picture=picture)


def plain_color(rgb: UInt8, rng: np.random.Generator) -> Float64:
    """One color, in half of the cases a gray that cameras and screens send."""
    if rng.random() < 0.5:
        return np.full(rgb.shape, float(_EDGES[rng.integers(len(_EDGES))]))
    return np.broadcast_to(rng.uniform(0, 255, 3), rgb.shape)


def gradient(rgb: UInt8, rng: np.random.Generator) -> Float64:
    """From one color to another, along a line or around a point."""
    x, y = _grid(rgb)
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        distance = np.cos(angle) * x + np.sin(angle) * y
    else:
        distance = np.hypot(x - rng.random(), y - rng.random()) / rng.uniform(0.3, 1.4)
    share = (distance - distance.min()) / max(float(np.ptp(distance)), 1e-9)
    return _mix(share, rng)


def noise(rgb: UInt8, rng: np.random.Generator) -> Float64:
    """Noise of every pixel, gray or colored, or in blotches."""
    height, width = rgb.shape[:2]
    if rng.random() < 0.5:
        channels = 1 if rng.random() < 0.5 else 3
        return rng.normal(rng.uniform(20, 235), rng.uniform(2, 80), (height, width, channels))
    cells = int(rng.integers(2, 40))
    coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.float64)


def texture(rgb: UInt8, rng: np.random.Generator) -> Float64:
    """Stripes or a grid, soft or hard."""
    x, y = _grid(rgb)
    angle, waves = rng.uniform(0, np.pi), 2 * np.pi * rng.uniform(3, 60, 2)
    level = np.sin(waves[0] * (np.cos(angle) * x + np.sin(angle) * y))
    if rng.random() < 0.5:
        level = np.maximum(level, np.sin(waves[1] * (np.sin(angle) * x - np.cos(angle) * y)))
    if rng.random() < 0.5:
        level = np.sign(level)
    return _mix((level + 1) / 2, rng)


def blur(rgb: UInt8, rng: np.random.Generator) -> Float64:
    """The picture so blurred that only its colors are left."""
    radius = rng.uniform(0.13, 0.3) * len(rgb)
    return np.asarray(Image.fromarray(rgb).filter(ImageFilter.GaussianBlur(radius)), np.float64)


def darken(rgb: UInt8, rng: np.random.Generator) -> Float64:
    """The picture blurred and dark, with camera noise."""
    return blur(rgb, rng) * rng.uniform(0, 0.15) + rng.normal(0, rng.uniform(0, 6), rgb.shape)


MAKERS: tuple[Maker, ...] = (plain_color, gradient, noise, texture, blur, darken)


def _grid(rgb: UInt8) -> tuple[Float64, Float64]:
    """x and y [H, W] in 0..1."""
    y, x = np.mgrid[: rgb.shape[0], : rgb.shape[1]] / len(rgb)
    return x, y


def _mix(share: Float64, rng: np.random.Generator) -> Float64:
    """Mix two random colors by the share [H, W] of the second -> [H, W, 3]."""
    one, other = rng.uniform(0, 255, (2, 3))
    return np.asarray(one + (other - one) * share[..., None])

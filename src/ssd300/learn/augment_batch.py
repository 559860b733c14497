"""The pixels of augmentation for a whole batch on the device: crop, resize, flip and color in one pass.

The loader reads the pictures and draws the plans (`augment.py`); boxes are moved there, too. Resizing with Pillow's
bilinear filter is linear in rows and in columns, so here it is two matrix products.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ssd300.arrays import Float32, UInt8
from ssd300.learn.augment import FILL, Plan

MOST_PIXELS = 640  # per side on the device; larger pictures are shrunk first
STEP = 64  # sides of a batch are padded to a multiple of this


def limit_size(rgb: UInt8) -> UInt8:
    """The picture with no side above MOST_PIXELS."""
    longer = max(rgb.shape[:2])
    if longer <= MOST_PIXELS:
        return rgb
    height, width = (max(1, round(side * MOST_PIXELS / longer)) for side in rgb.shape[:2])
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))


def stack_padded(pictures: Sequence[UInt8]) -> UInt8:
    """Pictures of different sizes in the upper left corners of one array [B, H, W, 3]."""
    height, width = (-(-max(p.shape[axis] for p in pictures) // STEP) * STEP for axis in (0, 1))
    out = np.zeros((len(pictures), height, width, 3), np.uint8)
    for canvas, picture in zip(out, pictures, strict=True):
        canvas[: picture.shape[0], : picture.shape[1]] = picture
    return out


def pack_plans(plans: Sequence[Plan], sizes_hw: Sequence[tuple[int, int]], size: int) -> Float32:
    """Plans as numbers [B, 21]: window xyxy and size (w, h) in pixels, place, flipped, matrix, brightness, contrast."""
    rows = []
    for plan, (height, width) in zip(plans, sizes_hw, strict=True):
        window = plan.window_xyxy * np.array([width, height, width, height], np.float32)
        matrix, levels = np.eye(3), (1.0, 1.0)
        if plan.color:
            matrix, levels = plan.color.matrix, (plan.color.brightness, plan.color.contrast)
        place = plan.place or (0, 0, size)
        rows.append([*window, width, height, *place, plan.flipped, *matrix.ravel(), *levels])
    return np.array(rows, np.float32)


def augment_batch(pictures: Tensor, plans: Tensor, size: int) -> Tensor:
    """uint8 pictures [B, H, W, 3] and their packed plans [B, 21] -> uint8 [B, size, size, 3]."""
    x1, y1, x2, y2, width, height, left, top, side, flipped = plans[:, :10].unbind(1)
    columns = resize_weights(x1, x2, width, left, side, pictures.shape[2], size)  # [B, S, W]
    rows = resize_weights(y1, y2, height, top, side, pictures.shape[1], size)  # [B, S, H]
    columns = torch.where(flipped[:, None, None] > 0, columns.flip(1), columns)
    batch, high, wide, _ = pictures.shape
    out = torch.bmm(rows, pictures.reshape(batch, high, wide * 3).float())  # [B, S, W * 3]
    out = out.reshape(batch, size, wide, 3).transpose(2, 3).reshape(batch, size * 3, wide)
    # One product per picture: a broadcast one would copy `columns` for each of the S rows.
    out = torch.bmm(out, columns.transpose(1, 2)).reshape(batch, size, 3, size)
    covered = (rows.sum(2) > 0)[:, :, None, None] & (columns.sum(2) > 0)[:, None, None, :]
    fill = _fill(out.device)  # [3, 1]
    out = torch.where(covered, out.round_(), fill)  # [B, S, 3, S]
    matrix = plans[:, 10:19].reshape(batch, 1, 3, 3)
    out = (matrix @ out).add_(0.5).floor_().clamp_(0, 255)
    brightness, contrast = plans[:, 19, None, None, None], plans[:, 20, None, None, None]
    out = (brightness * (128 + contrast * (out - 128))).round_().clamp_(0, 255)
    return out.to(torch.uint8).transpose(2, 3)


@cache
def _fill(device: torch.device) -> Tensor:
    return torch.tensor(FILL, dtype=torch.float32, device=device)[:, None]


def resize_weights(
    low: Tensor, high: Tensor, extent: Tensor, first: Tensor, side: Tensor, pixels: int, size: int
) -> Tensor:
    """The weight of each of `pixels` input pixels for each of `size` output pixels, [B, size, pixels].

    The range low..high (input pixels, [B]) maps to `side` output pixels from `first` on; other rows are zero.
    Input pixels from `extent` on are padding. A triangle filter, widened when shrinking, as in Pillow.
    """
    scale = ((high - low) / side)[:, None, None]
    out = torch.arange(size, device=low.device)[None, :, None] - first[:, None, None]  # [B, S, 1]
    center = low[:, None, None] + (out + 0.5) * scale
    place = torch.arange(pixels, device=low.device) + 0.5  # [pixels]
    weights = (1 - (place - center).abs() / scale.clamp(min=1)).clamp_(min=0)
    weights = weights * (place < extent[:, None, None])
    weights = weights / weights.sum(2, keepdim=True).clamp(min=1e-9)
    return weights * ((out >= 0) & (out < side[:, None, None]))

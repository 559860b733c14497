"""Transparent colors and palette entries of Pillow pictures."""

import numpy as np
from PIL import Image

from ssd300.arrays import Int64


def drop_foreign_color(picture: Image.Image) -> Image.Image:
    """The picture, or a copy without the transparent color of an earlier mode, which Pillow keeps and then fails on."""
    if "transparency" not in picture.info or _belongs_to(picture.mode, picture.info["transparency"]):
        return picture
    picture = picture.copy()
    del picture.info["transparency"]
    return picture


def _belongs_to(mode: str, color: object) -> bool:
    if mode == "P":
        return len(color) <= 256 if isinstance(color, bytes) else isinstance(color, int) and 0 <= color < 256
    if mode == "RGB":
        return isinstance(color, tuple) and len(color) == 3
    return (mode in ("1", "L") or mode.startswith("I;16")) and isinstance(color, int)


def palette_alphas(picture: Image.Image) -> Int64:
    """The alpha 0..255 [256] of every entry of a picture's palette."""
    alphas, color = np.full(256, 255, np.int64), picture.info.get("transparency")
    stored = (picture.getpalette("RGBA") or [])[3::4]
    alphas[: len(stored)] = stored
    if isinstance(color, bytes):
        alphas[: len(color)] = list(color)
    elif isinstance(color, int):
        alphas[color] = 0
    return alphas

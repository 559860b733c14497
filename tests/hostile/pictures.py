"""Pictures made in memory, and what is left when half of one is lost."""

import io
import struct

import numpy as np
from PIL import Image


def encoded(kind: str, mode: str = "RGB", **options: object) -> bytes:
    y, x = np.mgrid[0:40, 0:60]
    noise = np.random.default_rng(0).integers(0, 9, x.shape)  # or half a file would hold all the pixels
    rgba = np.stack([x * 4 + noise, y * 6 + noise, x + y, 255 - x], axis=2).astype(np.uint8)
    picture = Image.fromarray(rgba)
    if mode == "I;16":
        picture = Image.fromarray(rgba[..., 0].astype(np.uint16) * 257)
    elif mode == "F":
        picture = Image.fromarray(rgba[..., 0].astype(np.float32) / 255)
    else:
        picture = picture.convert(mode)
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def patched(data: bytes, offset: int, layout: str, *values: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(layout, changed, offset, *values)
    return bytes(changed)

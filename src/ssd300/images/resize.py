"""The one resize: pictures stretched to the 300x300 that the network sees, as the published evaluation does it."""

from typing import Any

import numpy as np
from PIL import Image

from ssd300.images.decode import DecodeMode
from ssd300.images.orientation import UInt8
from ssd300.images.source import read_picture

NETWORK_SIZE = 300


def resize_to_network(rgb: UInt8) -> UInt8:
    """uint8 [H, W, 3] -> uint8 [300, 300, 3], a new array; the aspect is not kept.

    Pillow's bilinear filter with its support widened when shrinking (antialias): the published evaluation to the bit.
    """
    picture = Image.fromarray(rgb).resize((NETWORK_SIZE, NETWORK_SIZE), Image.Resampling.BILINEAR)
    return np.array(picture)


def load_for_network(
    source: Any, color: str = "rgb", *, decode: DecodeMode = "exact", allow_private: bool | None = None
) -> tuple[UInt8, tuple[int, int]]:
    """Any single source -> (uint8 [300, 300, 3], (H, W) of the upright original). Raises ImageError, DownloadError."""
    rgb, size_hw = read_picture(source, color=color, decode=decode, allow_private=allow_private)
    return resize_to_network(rgb), size_hw

"""The resize: pictures stretched to the network's 300x300, as in the published evaluation."""

import threading
from typing import Any

import numpy as np
from PIL import Image

from ssd300.arrays import UInt8
from ssd300.images.budget import IN_FLIGHT
from ssd300.images.decode import DecodeMode
from ssd300.images.source import read_picture

NETWORK_SIZE = 300

_SCRATCH_BYTES = 16 * 2**20  # a picture of 5.5 megapixels; untouched pages cost nothing
_STRIP_PIXELS = 2**22  # of a large picture are resized at a time: Pillow takes four bytes for each
_thread = threading.local()


def resize_to_network(
    rgb: UInt8, *, size: int = NETWORK_SIZE, window_xyxy: tuple[float, float, float, float] | None = None
) -> UInt8:
    """uint8 [H, W, 3] -> uint8 [300, 300, 3], a new array; the aspect is not kept.

    Pillow's bilinear filter with its support widened when shrinking (antialias): the published evaluation to the bit.
    Augmentation passes another `size`, or the part of the picture to stretch as `window_xyxy` in pixels.
    """
    height, width = rgb.shape[:2]
    left, top, right, bottom = window_xyxy or (0, 0, width, height)
    large = window_xyxy is None and height * width > _STRIP_PIXELS
    # The order matters by one level, as each pass rounds. This is that of Pillow 13; older ones begin with the width.
    if height - size > max(0, 2 * (width - size)):
        if large:
            low = Image.fromarray(np.ascontiguousarray(_resize_width(rgb.swapaxes(0, 1), size).swapaxes(0, 1)))
        else:
            low = Image.fromarray(rgb).resize((width, size), Image.Resampling.BILINEAR, box=(0, top, width, bottom))
        return np.array(low.resize((size, size), Image.Resampling.BILINEAR, box=(left, 0, right, size)))
    picture = Image.fromarray(_resize_width(rgb, size) if large else rgb)
    return np.array(picture.resize((size, size), Image.Resampling.BILINEAR, box=window_xyxy))


def _resize_width(rgb: UInt8, width: int) -> UInt8:
    """Resize only the width, strip by strip: Pillow would copy the whole picture."""
    height, full_width = rgb.shape[:2]
    rows = max(1, _STRIP_PIXELS // full_width)
    narrow = np.empty((height, width, 3), np.uint8)
    for start in range(0, height, rows):
        strip = Image.fromarray(rgb[start : start + rows])
        narrow[start : start + rows] = np.asarray(strip.resize((width, strip.height), Image.Resampling.BILINEAR))
    return narrow


def load_for_network(source: Any, color: str = "rgb", *, decode: DecodeMode = "exact") -> tuple[UInt8, tuple[int, int]]:
    """Any single source -> (uint8 [300, 300, 3], (H, W) of the upright original). Raises ImageError, DownloadError."""
    with IN_FLIGHT.share():
        rgb, size_hw = read_picture(source, color=color, decode=decode, scratch=_thread_scratch())
        return resize_to_network(rgb), size_hw


def _thread_scratch() -> UInt8:
    """This thread's memory for full-size pictures: allocating it for each picture takes a third of the time of decoding
    and resizing (640x480), because of page faults."""
    if not hasattr(_thread, "scratch"):
        _thread.scratch = np.empty(_SCRATCH_BYTES, np.uint8)
    scratch: UInt8 = _thread.scratch
    return scratch

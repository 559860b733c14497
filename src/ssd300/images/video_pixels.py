"""The pixels of a decoded frame: RGB, on white, upright."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ssd300.arrays import UInt8
from ssd300.images.modes import rgba_to_rgb

if TYPE_CHECKING:
    import av.video.frame
    import av.video.reformatter


def to_rgb(raw: "av.video.frame.VideoFrame", reformatter: "av.video.reformatter.VideoReformatter") -> UInt8:
    """uint8 [H, W, 3], turned and mirrored as the video declares; transparent parts lie on white, as in pictures.

    Raises what PyAV raises, or MemoryError.
    """
    transparent = any(one.is_alpha for one in raw.format.components)
    pixels = reformatter.reformat(raw, format="rgba" if transparent else "rgb24").to_ndarray()
    rgb = np.asarray(pixels, np.uint8)
    return _upright(rgba_to_rgb(rgb) if transparent else rgb, raw)


def _upright(rgb: UInt8, raw: "av.video.frame.VideoFrame") -> UInt8:
    """Turn and mirror the pixels of a frame by its display matrix, 3x3 int32, which maps stored (x, y, 1) to shown."""
    try:
        matrix: Any = raw.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV lists no data if there is some of a kind that it does not know, such as EXIF
        return np.ascontiguousarray(np.rot90(rgb, round(raw.rotation / 90) % 4))
    if matrix is None:
        return rgb
    (a, b), (c, d) = np.frombuffer(bytes(matrix), np.int32).reshape(3, 3)[:2, :2].tolist()
    if abs(b) > abs(a):  # by a quarter
        rgb, a, d = rgb.swapaxes(0, 1), c, b
    return np.ascontiguousarray(rgb[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])

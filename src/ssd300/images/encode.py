"""Pictures -> files in the formats that drawn pictures are saved in."""

import io
import math
from pathlib import Path
from typing import Any

from PIL import Image

from ssd300.errors import ArgumentError

LONGEST_JPEG_SIDE, LONGEST_WEBP_SIDE = 65500, 16383  # limits of the formats

# Extension -> Pillow's name of the format, its longest side, options
_FORMATS: dict[str, tuple[str, float, dict[str, Any]]] = {
    ".jpg": ("JPEG", LONGEST_JPEG_SIDE, {"quality": 90, "subsampling": 0}),
    ".png": ("PNG", math.inf, {}),
    ".webp": ("WEBP", LONGEST_WEBP_SIDE, {"quality": 90}),
}


def encode_picture(image: Image.Image, extension: str, name: str | Path = "the picture") -> bytes:
    """The bytes of a .jpg, .jpeg, .png or .webp file; `name` is for the error about a picture too large for it.

    JPEG keeps full color resolution, so that thin colored lines stay sharp. The picture's ICC profile goes along.
    """
    kind, limit, options = _FORMATS[".jpg" if extension.lower() == ".jpeg" else extension.lower()]
    if max(image.size) > limit:
        raise ArgumentError(
            f"{name}: this format holds at most {limit} pixels per side, got {max(image.size)}: use .png"
        )
    data = io.BytesIO()
    image.save(data, kind, icc_profile=image.info.get("icc_profile"), **options)
    return data.getvalue()

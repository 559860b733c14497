"""Pictures -> files in the formats that drawn pictures are saved in."""

import io
import math
from pathlib import Path
from typing import Any

from PIL import Image

from ssd300.errors import ArgumentError

LONGEST_JPEG_SIDE, LONGEST_WEBP_SIDE = 65500, 16383  # limits of the formats


def encode_picture(image: Image.Image, extension: str, name: str | Path = "the picture") -> bytes:
    """The bytes of a .jpg, .jpeg, .png or .webp file; `name` is for the error about a picture too large for it.

    JPEG keeps full color resolution, so that thin colored lines stay sharp.
    """
    options: dict[str, dict[str, Any]] = {
        ".jpg": {"quality": 90, "subsampling": 0},
        ".webp": {"quality": 90},
    }
    ending = ".jpg" if extension.lower() == ".jpeg" else extension.lower()
    limit = {".jpg": LONGEST_JPEG_SIDE, ".webp": LONGEST_WEBP_SIDE}.get(ending, math.inf)
    if max(image.size) > limit:
        raise ArgumentError(
            f"{name}: this format holds at most {limit} pixels per side, got {max(image.size)}: use .png"
        )
    kind = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}[ending]
    data = io.BytesIO()
    image.save(data, kind, **options.get(ending, {}))
    return data.getvalue()

"""The ICC profiles of pictures, for pictures that are drawn from them: without it, the same numbers are other colors.

Detection takes the numbers as they are, as the published code does.
"""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ssd300.arrays import UInt8
from ssd300.images.addresses import local_path
from ssd300.images.modes import DECODER_ERRORS
from ssd300.images.pillow_file import pillow_class
from ssd300.images.quiet import quiet_pillow
from ssd300.images.signatures import picture_format

_LARGEST = 2**20  # bytes; the profiles of cameras and phones have some hundred


class ProfiledPixels(np.ndarray[Any, np.dtype[np.uint8]]):
    """RGB uint8 [H, W, 3] with the ICC profile of its file. A part or a copy of it has none."""

    icc_profile: bytes | None = None


def with_profile(rgb: UInt8, source: Any) -> UInt8:
    """The pixels of a source, with its ICC profile if it has one."""
    profile = icc_profile(source)
    if profile is None:
        return rgb
    pixels = rgb.view(ProfiledPixels)
    pixels.icc_profile = profile
    return pixels


def icc_profile(source: Any) -> bytes | None:
    """The ICC profile for RGB of a source: a file, its bytes, a PIL picture or `ProfiledPixels`; None without one."""
    profile = None
    if isinstance(source, ProfiledPixels):
        profile = source.icc_profile
    elif isinstance(source, Image.Image):
        profile = source.info.get("icc_profile")
    elif isinstance(source, bytes | bytearray | memoryview):
        profile = _stored_profile(bytes(source))
    elif isinstance(source, str | os.PathLike) and os.path.isfile(path := local_path(os.fsdecode(source))):
        profile = _stored_profile(Path(path).read_bytes())
    # Its header names the colors at 16, and itself at 36. Pixels of CMYK and gray pictures have become RGB.
    if not isinstance(profile, bytes) or len(profile) > _LARGEST:
        return None
    return profile if profile[16:20] == b"RGB " and profile[36:40] == b"acsp" else None


def _stored_profile(data: bytes) -> Any:
    kind = picture_format(data)
    try:
        with quiet_pillow():
            return None if kind is None else pillow_class(kind)(io.BytesIO(data)).info.get("icc_profile")
    except DECODER_ERRORS:  # as a damaged profile, which costs no picture
        return None

"""Picture files that Pillow decodes, each by its own class, and the errors about those that it refuses."""

import io
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ssd300.errors import ImageError
from ssd300.images import bmp, jpeg, png
from ssd300.images.modes import DECODER_ERRORS, bands, reason
from ssd300.images.orientation import jpeg_orientation, orientation_of
from ssd300.images.tiff_picture import unread_kind

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

# Pillow's own classes rather than Image.open: an allow-list that no plug-in can widen, without its global size limit.
# Imported when first needed: a JPEG needs none of them, and importing all takes over 20 ms.
_PILLOW_NAMES = {
    "JPEG": "Jpeg", "PNG": "Png", "WebP": "WebP", "AVIF": "Avif", "GIF": "Gif", "BMP": "Bmp", "TIFF": "Tiff",
}  # fmt: skip
_CONTENTS = {"PNG": png.drop_ancillary, "BMP": bmp.readable}  # the part of a file that Pillow gets
_UNREAD_KINDS = {"JPEG": jpeg.unread_kind, "PNG": png.unread_kind, "BMP": bmp.unread_kind, "TIFF": unread_kind}


def pillow_class(kind: str) -> "Callable[[io.BytesIO], ImageFile]":
    """Pillow's class for a format, which reads the header of a file."""
    plugin = import_module(f"PIL.{_PILLOW_NAMES[kind]}ImagePlugin")
    found: Callable[[io.BytesIO], ImageFile] = getattr(plugin, f"{_PILLOW_NAMES[kind]}ImageFile")
    return found


def open_picture(data: bytes, kind: str, name: str) -> "ImageFile":
    """The file with its header read. Raises ImageError."""
    read, content = pillow_class(kind), data
    try:
        content = _CONTENTS[kind](data) if kind in _CONTENTS else data
        return read(io.BytesIO(content))
    except DECODER_ERRORS as error:
        if kind == "BMP" and (other := bmp.unpack_fields(content)):
            return read(io.BytesIO(other))
        raise undecoded(data, kind, name, error) from error


def load_picture(picture: "ImageFile", data: bytes, kind: str, name: str) -> None:
    """Decode the pixels. Raises ImageError."""
    try:
        if kind == "PNG" and png.is_filled_up(data):
            raise EOFError("its pixels end early")
        picture.load()
        if picture.mode == "P" and picture.palette is None:
            raise EOFError("it has no palette")
        if kind == "PNG" and (color := png.deep_transparent_color(data)):
            picture.putalpha(_opacity(picture, data, color, name))
    except DECODER_ERRORS as error:
        raise undecoded(data, kind, name, error) from error


def _opacity(picture: "ImageFile", data: bytes, color: tuple[int, int, int], name: str) -> Image.Image:
    """Alpha 0 where a 16-bit RGB PNG has this color. `picture` has the high bytes; the low ones are decoded here."""
    low = open_picture(data, "PNG", name)
    low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]
    low.load()
    width, height = picture.size
    opacity = np.empty((height, width), np.uint8)
    for (rows, high_bytes), (_, low_bytes) in zip(bands(picture), bands(low), strict=True):
        clear = (np.asarray(high_bytes) == [number >> 8 for number in color]).all(2)
        clear &= (np.asarray(low_bytes) == [number & 255 for number in color]).all(2)
        opacity[rows] = np.where(clear, 0, 255)
    return Image.fromarray(opacity)


def stored_orientation(picture: "ImageFile", data: bytes, kind: str) -> int:
    """The EXIF orientation, 1 to 8."""
    if kind == "JPEG":
        return jpeg_orientation(data)
    if kind == "PNG":
        return orientation_of(*png.exif_and_xmp(data))
    xmp = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp")
    return orientation_of(picture.info.get("exif"), xmp.encode() if isinstance(xmp, str) else xmp)


def check_covered(picture: "ImageFile", name: str) -> None:
    """Refuse a TIFF with fewer strips than its height needs; Pillow would leave the rest black."""
    extents = [tile.extents for tile in picture.tile if tile.extents]
    covered = sum((right - left) * (bottom - top) for left, top, right, bottom in extents)
    if covered < picture.width * picture.height:
        raise damaged_picture("TIFF", name, EOFError("parts of the picture are missing"))


def undecoded(data: bytes, kind: str, name: str, error: BaseException) -> ImageError:
    """The error for a file that the decoder refuses: of an unsupported kind, or damaged."""
    what = _UNREAD_KINDS[kind](data) if kind in _UNREAD_KINDS else None
    if what is None:
        return damaged_picture(kind, name, error)
    return ImageError(
        f"{name}: {what}, a valid {kind} of a kind that is not supported: convert it, for example with ImageMagick: "
        "magick FILE -depth 8 NEW.png"
    )


def damaged_picture(kind: str, name: str, error: BaseException) -> ImageError:
    """The error for a file that is damaged or truncated."""
    return ImageError(
        f"{name}: a damaged or truncated {kind} file ({reason(error)}); copy or export it again and check its size"
    )

"""Bytes of a picture file -> RGB uint8 [H, W, 3], upright. The only decoder: every part of ssd300 sees the same pixels.

JPEG goes through simplejpeg with the flags that make it equal Pillow bit for bit; the other formats, and JPEG in CMYK,
go through Pillow. One rule per mode:

- gray, 1-bit, palette: their colors, grays three times;
- alpha, a transparent palette entry or color: composited on white, as on a web page; but if the whole picture would be
  invisible, as in screenshots whose alpha is padding, alpha is ignored;
- CMYK: Pillow's plain conversion; color profiles are not applied in any mode;
- 16 bits per channel: the high byte (v >> 8), the inverse of v * 257;
- 32-bit integers: as 16 bits if all are in 0..65535, else refused;
- float: 0..1 becomes 0..255, rounded to the nearest; anything outside is refused;
- several frames or pages: the first.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import simplejpeg
from PIL import ImagePalette

from ssd300 import limits
from ssd300.arrays import UInt8
from ssd300.errors import ImageError, unknown_name
from ssd300.images import jpeg, pillow_file, tiff
from ssd300.images.budget import IN_FLIGHT
from ssd300.images.modes import DECODER_ERRORS, is_unseen, picture_to_rgb
from ssd300.images.orientation import jpeg_orientation, orient
from ssd300.images.quiet import quiet_pillow
from ssd300.images.signatures import EXPECTED, describe_bytes, picture_format
from ssd300.images.tiff import BrokenTIFFError
from ssd300.images.tiff_picture import TIFFPicture, tiff_picture
from ssd300.images.tiff_samples import read_samples

MAX_PIXELS = limits.PIXELS

DecodeMode = Literal["exact", "fast"]


@dataclass(frozen=True)
class ImageHeader:
    """The header of a picture file: `width` and `height` as stored, and the EXIF `orientation` 1 to 8."""

    format: str
    width: int
    height: int
    orientation: int

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) of the upright picture."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)


def header(data: bytes, *, name: str) -> ImageHeader:
    """Format, size and orientation of a picture file, without decoding its pixels.

    Raises ImageError if it is empty, not one of the seven formats, damaged, or larger than MAX_PIXELS.
    """
    kind = _format(data, name)
    if kind == "JPEG" and (size := _jpeg_size(data)):
        found = ImageHeader(kind, size[1], size[0], jpeg_orientation(data))
    else:
        content = jpeg.extract_picture(data)[0] if kind == "JPEG" else data
        with quiet_pillow():
            if kind == "TIFF":
                found = _tiff_header(tiff_picture(data, name), name)
            else:
                picture = pillow_file.open_picture(content, kind, name)
                found = ImageHeader(kind, *picture.size, pillow_file.stored_orientation(picture, data, kind))
    _check_size(found.width, found.height, name)
    return found


def decode_image(data: bytes, *, name: str, decode: DecodeMode = "exact", scratch: UInt8 | None = None) -> UInt8:
    """RGB uint8 [H, W, 3] of a picture file, turned upright.

    `name` is the picture's name in errors. `decode="fast"` decodes a JPEG at 1/2, 1/4 or 1/8 of its size if both
    sides keep at least 300 pixels: faster for large pictures, but not the exact pixels. `scratch` is memory [n] that
    the result may use. Raises ImageError.
    """
    if decode not in get_args(DecodeMode):
        raise unknown_name("decode mode", decode, get_args(DecodeMode))
    kind = _format(data, name)
    content = data
    if kind == "JPEG":
        rgb = _decode_jpeg(data, name, fast=decode == "fast", scratch=scratch)
        if rgb is not None:
            return rgb
        content = _whole_jpeg(data, name)
    with quiet_pillow():
        if kind == "TIFF":
            return _decode_tiff(tiff_picture(data, name), name)
        picture = pillow_file.open_picture(content, kind, name)
        found = ImageHeader(kind, *picture.size, pillow_file.stored_orientation(picture, data, kind))
        _check_size(found.width, found.height, name)
        IN_FLIGHT.take(found.width * found.height)
        pillow_file.load_picture(picture, data, kind, name)
        rgb = picture_to_rgb(picture, name)
    del picture  # as large as the result, and more
    return orient(rgb, found.orientation)


def _format(data: bytes, name: str) -> str:
    if not data:
        raise ImageError(f"{name}: the file is empty (0 bytes); expected {EXPECTED}")
    kind = picture_format(data)
    if kind is None:
        what = describe_bytes(data)
        video = "; a video needs a name such as clip.mp4, or Detector.detect_video" if what.endswith("video") else ""
        raise ImageError(
            f"{name}: {what}; expected {EXPECTED}. Save it as one of these, or pass a PIL picture or an array{video}"
        )
    return kind


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """(height, width) of a JPEG that simplejpeg handles; None leaves it to Pillow: CMYK, or a damaged header."""
    try:
        height, width, colors, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except (ValueError, KeyError):  # KeyError: an unknown sampling
        return None
    return None if colors in ("CMYK", "YCCK") else (height, width)


def _decode_jpeg(data: bytes, name: str, *, fast: bool, scratch: UInt8 | None) -> UInt8 | None:
    """The upright pixels, or None to try Pillow.

    simplejpeg is strict and fails on faults that Pillow and every viewer tolerate (stray bytes between segments);
    Pillow refuses truncated files.
    """
    size = _jpeg_size(data)
    if size is None or jpeg.is_padded(data):
        return None
    height, width = size
    _check_size(width, height, name)
    if jpeg.lacks_color(data):
        raise pillow_file.damaged_picture("JPEG", name, EOFError("a color has no scan"))
    IN_FLIGHT.take(height * width)
    fast = fast and not jpeg.may_be_lossless(data)
    factor = next((f for f in (8, 4, 2) if fast and min(size) >= 300 * f), 1)
    try:
        rgb: UInt8 = simplejpeg.decode_jpeg(
            data,
            "RGB",
            fastdct=False,
            fastupsample=False,
            min_height=-(-height // factor) if factor > 1 else 0,
            min_width=-(-width // factor) if factor > 1 else 0,
            min_factor=factor,
            buffer=scratch if scratch is not None and scratch.size >= 3 * height * width else None,
        )
    except (ValueError, KeyError):
        return None
    return orient(rgb, jpeg_orientation(data))


def _whole_jpeg(data: bytes, name: str) -> bytes:
    """The file's first picture, for Pillow, which tolerates what viewers do. Raises ImageError if a part is missing,
    which Pillow would fill with gray."""
    tidy, closed = jpeg.extract_picture(data)
    bare = jpeg.drop_metadata(tidy)
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(bare)
    except (ValueError, KeyError):
        return tidy
    _check_size(width, height, name)
    if jpeg.is_cut(bare, closed):
        raise pillow_file.damaged_picture("JPEG", name, EOFError("its scan ends early"))
    return tidy


def _tiff_header(found: TIFFPicture, name: str) -> ImageHeader:
    if found.for_numpy:
        if not found.layout:
            raise pillow_file.undecoded(found.content, "TIFF", name, BrokenTIFFError("bands without colors"))
        return ImageHeader("TIFF", found.layout.width, found.layout.height, found.orientation)
    width, height = pillow_file.open_picture(found.content, "TIFF", name).size
    if found.directory:  # Pillow may report the size after rotation
        width, height = found.directory.number(tiff.WIDTH), found.directory.number(tiff.HEIGHT)
    return ImageHeader("TIFF", width, height, found.orientation)


def _decode_tiff(found: TIFFPicture, name: str) -> UInt8:
    header = _tiff_header(found, name)
    _check_size(header.width, header.height, name)
    IN_FLIGHT.take(header.width * header.height)
    try:
        layout = found.layout
        if layout and found.for_numpy:
            return orient(read_samples(layout, name), found.orientation)
        picture = pillow_file.open_picture(found.content, "TIFF", name)
        pillow_file.check_covered(picture, name)
        if picture.mode == "P" and max(found.color_map, default=256) < 256:  # 8 bits, where 16 belong
            picture.palette = ImagePalette.raw("RGB;L", bytes(found.color_map))
        pillow_file.load_picture(picture, found.content, "TIFF", name)
        if picture.size[::-1] != header.size_hw:
            raise ValueError("it has several sizes")  # of which Pillow before 13 takes the last
        if layout and layout.extra == 1 and picture.mode == "RGBA" and is_unseen(picture):
            return orient(
                read_samples(layout, name), found.orientation
            )  # Pillow divides by alpha: by 0 if it is padding
    except DECODER_ERRORS as error:
        raise pillow_file.undecoded(found.content, "TIFF", name, error) from error
    return picture_to_rgb(picture, name)  # already rotated by Pillow


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name}: {width}x{height} is {width * height:,} pixels, more than the limit of {MAX_PIXELS:,}; "
            "make it smaller first"
        )

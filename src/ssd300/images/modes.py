"""Pillow pictures and arrays of any depth -> RGB uint8, by the rules per mode in decode.py."""

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from ssd300.arrays import Int64, UInt8
from ssd300.errors import ImageError

# Exceptions of Pillow's readers on damaged files, found by mutating files and by reading their code.
DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, LookupError, TypeError, ArithmeticError, EOFError, AttributeError, AssertionError,
    RuntimeError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip

_BAND_PIXELS = 2**20
_UNSEEN = 8  # an alpha, of 255, that is invisible on white
_OVERSHOOT = 0.25  # of resizing with bicubic and Lanczos filters, and of sharpening


def picture_to_rgb(picture: Image.Image, name: str) -> UInt8:
    """A decoded Pillow picture -> uint8 [H, W, 3], without orientation. The picture is not changed."""
    try:
        return _convert_bands(picture, name)
    except DECODER_ERRORS as error:
        raise ImageError(
            f"{name}: a picture of mode {picture.mode}, which cannot become RGB ({reason(error)}); convert it first"
        ) from error


def _convert_bands(picture: Image.Image, name: str) -> UInt8:
    width, height = picture.size
    is_small = height <= _band_height(width)
    picture = _drop_foreign_color(picture)
    opaque = picture.has_transparency_data and is_unseen(picture)
    if is_small:
        return _to_rgb(picture, name, opaque)
    rgb = np.empty((height, width, 3), np.uint8)
    for rows, band in bands(picture):
        rgb[rows] = _to_rgb(band, name, opaque)
    return rgb


def bands(picture: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    """The rows of a picture in bands, and their numbers: conversions need several copies in memory."""
    width, height = picture.size
    band_height = _band_height(width)
    for top in range(0, height, band_height):
        bottom = min(top + band_height, height)
        yield slice(top, bottom), picture.crop((0, top, width, bottom))


def _band_height(width: int) -> int:
    return max(1, _BAND_PIXELS // width)


def is_unseen(picture: Image.Image) -> bool:
    """Whether a picture with transparency is invisible everywhere: its alpha is padding and is ignored."""
    if picture.mode == "P":
        used = np.array(picture.histogram()) > 0
        return bool((_palette_alphas(picture)[used] <= _UNSEEN).all())
    return all(_highest_alpha(band) <= _UNSEEN for _, band in bands(picture))


def _highest_alpha(picture: Image.Image) -> int:
    if picture.mode.startswith("I;16"):
        return 255 if (np.asarray(picture) != picture.info["transparency"]).any() else 0
    if picture.getbands()[-1] not in ("A", "a"):  # a transparent color
        picture = picture.convert("RGBA")
    return int(np.asarray(picture.getchannel(len(picture.getbands()) - 1)).max())


def _drop_foreign_color(picture: Image.Image) -> Image.Image:
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


def _palette_alphas(picture: Image.Image) -> Int64:
    """The alpha 0..255 [256] of every entry of a picture's palette."""
    alphas, color = np.full(256, 255, np.int64), picture.info.get("transparency")
    stored = (picture.getpalette("RGBA") or [])[3::4]
    alphas[: len(stored)] = stored
    if isinstance(color, bytes):
        alphas[: len(color)] = list(color)
    elif isinstance(color, int):
        alphas[color] = 0
    return alphas


def _to_rgb(picture: Image.Image, name: str, opaque: bool) -> UInt8:
    """Convert to RGB; `opaque` ignores transparency."""
    mode = picture.mode
    if mode == "RGB" and (opaque or not picture.has_transparency_data):
        return np.array(picture)
    if mode.startswith("I;16"):
        values = np.asarray(picture).astype(np.uint16)
        rgb = _gray_to_rgb(values, name)
        if not opaque:
            rgb[values == picture.info.get("transparency", -1)] = 255
        return rgb
    if mode == "I":
        return _gray_to_rgb(integers_to_uint16(np.asarray(picture), name), name)
    if mode == "F":
        return _gray_to_rgb(np.asarray(picture), name)
    if mode == "LAB":
        raise ImageError(f"{name}: a picture in LAB colors; convert it to RGB first")
    if opaque and mode in ("RGBa", "La"):  # premultiplied alpha: Pillow would divide by it
        stored = np.frombuffer(picture.tobytes(), np.uint8).reshape(picture.height, picture.width, -1)
        return np.repeat(stored[..., :1], 3, axis=2) if mode == "La" else np.ascontiguousarray(stored[..., :3])
    if picture.has_transparency_data and not opaque:
        if mode in ("La", "LA"):
            picture = picture.convert("LA")
        return composite_on_white(picture.convert("RGBA"))
    return np.array(picture.convert("RGB"))


def composite_on_white(rgba: Image.Image) -> UInt8:
    """An RGBA picture composited on white -> uint8 [H, W, 3]."""
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    white.alpha_composite(rgba)
    return np.array(white.convert("RGB"))


def rgba_to_rgb(rgba: UInt8) -> UInt8:
    """uint8 [H, W, 4] by the rules for files: on white, or without alpha if it would be invisible."""
    if rgba[..., 3].max() <= _UNSEEN:
        return np.ascontiguousarray(rgba[..., :3])
    return composite_on_white(Image.fromarray(np.ascontiguousarray(rgba)))


def _gray_to_rgb(gray: np.ndarray[Any, Any], name: str) -> UInt8:
    return np.repeat(to_uint8(gray, name)[..., None], 3, axis=2)


def integers_to_uint16(values: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise ImageError(
            f"{name}: a 32-bit integer picture with values {low} to {high}; expected 0 to 65535, taken as 16 bits. "
            "Scale it first"
        )
    return values.astype(np.uint16)


def to_uint8(values: np.ndarray[Any, Any], name: str) -> UInt8:
    """uint8 as it is, uint16 by its high byte, float 0..1 rounded to 0..255; the shape is kept."""
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:  # in either byte order
        return (values >> 8).astype(np.uint8)
    if values.dtype.kind == "f":
        return _float_to_uint8(values, name)
    is_bool = values.dtype == np.bool_
    remedy = "Pass array * np.uint8(255)" if is_bool else "If they are 0 to 255, pass array.astype(np.uint8)"
    raise ImageError(f"{name}: values of type {values.dtype}; expected uint8, uint16, or float in 0..1. {remedy}")


def _float_to_uint8(values: np.ndarray[Any, Any], name: str) -> UInt8:
    values = values.astype(np.float32, copy=False) if values.dtype.itemsize < 4 else values
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ImageError(f"{name}: float values with NaN or infinity; expected 0..1. See np.nan_to_num")
    if low < -1e-6 or high > 1 + 1e-6:  # resizing in float32 may leave 1.0000001
        remedy = "divide by 255, or pass uint8" if low >= 0 and high <= 255 else "scale them to 0..1"
        if low > -_OVERSHOOT and high < 1 + _OVERSHOOT:
            remedy = "clip what resizing left outside, np.clip(array, 0, 1)"
        raise ImageError(f"{name}: float values from {low:.6g} to {high:.6g}; expected 0..1: {remedy}")
    scaled = np.clip(values, 0, 1)
    scaled *= 255
    scaled += 0.5
    return np.asarray(scaled, np.uint8)


def reason(error: BaseException) -> str:
    """An error's text, or its type if it has none."""
    return str(error).strip().split("\n")[0] or type(error).__name__

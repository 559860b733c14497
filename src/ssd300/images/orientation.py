"""EXIF orientation: read without a picture library, applied to arrays.

The rule is Pillow's `ImageOps.exif_transpose`: the EXIF tag, else XMP's tiff:Orientation, else upright. A damaged EXIF
block counts as none, because every viewer shows such a picture upright.
"""

import re
import struct

import numpy as np

from ssd300.arrays import UInt8
from ssd300.images.jpeg import jpeg_parts

_TAG = 0x0112
_NUMBERS = {1: "B", 3: "H", 4: "I", 5: "II", 6: "b", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d", 13: "I"}  # by type
_XMP = re.compile(rb"tiff:Orientation(?:=\"|>)([0-9])")
_EXIF_PREFIX = b"Exif\x00\x00"
_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\x00"


def orient(rgb: UInt8, orientation: int) -> UInt8:
    """Pixels [H, W, ...] as stored -> upright pixels, C-contiguous; 5 to 8 swap H and W.

    >>> orient(np.array([[1, 2], [3, 4]], np.uint8), 6).tolist()  # turn by a quarter, clockwise
    [[3, 1], [4, 2]]
    """
    if orientation >= 5:
        rgb = rgb.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        rgb = rgb[::-1]
    if orientation in (2, 3, 6, 7):
        rgb = rgb[:, ::-1]
    return np.ascontiguousarray(rgb)


def orientation_of(exif: bytes | None, xmp: bytes | None = None) -> int:
    """1 to 8 from an EXIF block (with its "Exif" prefix once, twice or not at all), else from XMP, else 1."""
    value = _exif_orientation(re.sub(b"^(Exif\x00\x00){1,2}", b"", exif)) if exif else None
    if value is None and xmp and (match := _XMP.search(xmp)):
        value = int(match[1])
    return value if value is not None and 1 <= value <= 8 else 1


def _exif_orientation(tiff: bytes) -> int | None:
    """The orientation tag of a TIFF structure's first directory, 0 if it is no whole number; None without the tag."""
    order = {b"II*\0": "<", b"II\0*": "<", b"MM\0*": ">", b"MM*\0": ">"}.get(tiff[:4])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, values = struct.unpack_from(order + "HHI", tiff, entry)
            if tag == _TAG and not (kind in _NUMBERS and values):
                return 0
            if tag == _TAG:
                layout = order + _NUMBERS[kind]
                where = entry + 8
                if struct.calcsize(layout) * values > 4:  # the entry has their place
                    (where,) = struct.unpack_from(order + "I", tiff, where)
                first, *divisor = struct.unpack_from(layout, tiff, where)
                value = first / divisor[0] if divisor else first
                return int(value) if value == int(value) else 0
    except struct.error:  # an offset beyond the block
        return None
    except (ArithmeticError, ValueError):  # not a number
        return 0
    return None


def jpeg_orientation(data: bytes) -> int:
    """Orientation of a JPEG file: EXIF may be divided among segments, the last XMP packet counts, as in Pillow."""
    exif, xmp = b"", None
    for marker, position, end in jpeg_parts(data, headers_alone=True):
        start = position + 4
        if marker == 0xE1 and data.startswith(_EXIF_PREFIX, start):
            exif += data[start + len(_EXIF_PREFIX) : end]
        elif marker == 0xE1 and data.startswith(_XMP_PREFIX, start):
            xmp = data[start:end]
    return orientation_of(exif, xmp)

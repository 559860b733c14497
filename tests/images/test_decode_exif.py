"""EXIF orientation in every format, wherever a file hides it."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from images.raw_tiff import tiff
from ssd300.images.decode import decode_image, header
from ssd300.images.orientation import orient, orientation_of

LOSSLESS = {
    "PNG": {},
    "WebP": {"lossless": True, "exact": True},
    "TIFF": {"compression": "tiff_lzw"},
    "BMP": {},
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "TIFF", "AVIF"])
def test_orientation_in_every_format(kind, orientation, photo, encode):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 90}, "AVIF": {"quality": 90}} | LOSSLESS
    data = encode(photo, kind, exif=exif, **options[kind])
    upright = orient(photo, orientation)

    found = header(data, name="turned")
    rgb = decode_image(data, name="turned")

    assert (found.format, found.width, found.height, found.orientation) == (kind, 90, 60, orientation)
    assert found.size_hw == upright.shape[:2] == rgb.shape[:2]
    assert np.array_equal(rgb, np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")))
    assert np.abs(rgb.astype(int) - upright).mean() < (4 if kind in ("JPEG", "AVIF") else 1e-9)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_orientation_of_tiff_with_every_compression(compression, photo, encode):
    data = encode(photo, "TIFF", compression=compression, tiffinfo={0x0112: 6})
    assert header(data, name="turned").size_hw == (90, 60)
    assert np.abs(decode_image(data, name="turned").astype(int) - orient(photo, 6)).mean() < 4


NUMBERS = {1: "B", 3: "H", 4: "I", 5: "II", 6: "b", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d", 13: "I"}


def exif_block(value, kind=3, order="<"):
    head = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(order + "I", 8)
    numbers = (
        struct.pack(order + NUMBERS[kind], *value)
        if isinstance(value, tuple)
        else struct.pack(order + NUMBERS[kind], value)
    )
    return exif_entry(head, order, kind, 1, numbers)


def exif_entry(head, order, kind, count, numbers):
    """One tag, whose numbers lie behind the directory if there are more than four bytes."""
    inside = struct.pack(order + "I", 26) if len(numbers) > 4 else numbers.ljust(4, b"\0")
    return head + struct.pack(order + "HHHI", 1, 0x0112, kind, count) + inside + b"\x00" * 4 + numbers


@pytest.mark.parametrize(
    ("exif", "xmp", "expected"),
    [
        (None, None, 1),
        (b"", None, 1),
        (b"rubbish", None, 1),
        (exif_block(6), None, 6),
        (b"Exif\x00\x00" + exif_block(8, order=">"), None, 8),
        (exif_block(3, kind=1), None, 3),
        (exif_block(3, kind=4), None, 3),
        *((exif_block(6, kind, order), None, 6) for kind in (6, 8, 9, 11, 12, 13) for order in "<>"),
        *((exif_block((12, 2), kind, order), None, 6) for kind in (5, 10) for order in "<>"),
        (exif_block((6, 0), 5), None, 1),
        (exif_block((13, 2), 5), None, 1),
        (exif_block(float("nan"), 11), None, 1),
        (exif_block(float("inf"), 12), None, 1),
        (exif_block(6).replace(b"\x12\x01\x03", b"\x12\x01\x02"), None, 1),  # a text
        (exif_entry(b"II*\0\x08\0\0\0", "<", 3, 3, b"\6\0\1\0\1\0"), None, 6),  # three numbers
        (exif_entry(b"MM\0*\0\0\0\x08", ">", 3, 2, b"\0\6\0\1"), None, 6),
        (exif_entry(b"II*\0\x08\0\0\0", "<", 3, 0, b""), None, 1),
        (b"Exif\0\0Exif\0\0" + exif_block(6), None, 6),
        (exif_block(6).replace(b"II*\0", b"II\0*"), None, 6),
        (exif_block(6).replace(b"II*\0", b"IIR\0"), None, 1),
        (exif_block(0), None, 1),
        (exif_block(9), None, 1),
        (exif_block(6)[:12], None, 1),
        (b"II*\x00\xff\xff\xff\xff", None, 1),
        (None, b'<rdf tiff:Orientation="8">', 8),
        (None, b"<tiff:Orientation>3</tiff:Orientation>", 3),
        (exif_block(6), b'tiff:Orientation="8"', 6),
        (exif_block(0), b'tiff:Orientation="8"', 1),
        (exif_block(6).replace(b"\x12\x01\x03", b"\x12\x01\x02"), b'tiff:Orientation="8"', 1),
        (exif_block(6).replace(b"\x12\x01\x03", b"\x13\x01\x03"), b'tiff:Orientation="8"', 8),
    ],
)
def test_orientation_tag(exif, xmp, expected):
    assert orientation_of(exif, xmp) == expected


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("tags", "expected"), [({}, 6), ({274: [1]}, 1), ({274: [9]}, 1), ({274: [8]}, 8), ({274: b"\x06"}, 1)]
)
def test_a_tiff_is_turned_by_its_tag_or_else_by_xmp(tags, expected, big, photo):
    xmp = {700: b'<rdf tiff:Orientation="6"/>'}
    for picture in (photo, photo.astype("u2") * 257):
        data = tiff((picture, {"tags": tags | xmp, "planar": picture.dtype != np.uint8}), big=big)
        found = header(data, name="x")
        assert (found.width, found.height, found.orientation) == (90, 60, expected)
        assert np.array_equal(decode_image(data, name="x"), orient(photo, expected))


def segment(body: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


EXIF, XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
SEGMENTS = {
    "nothing": (b"", 1),
    "one": (segment(EXIF + exif_block(6)), 6),
    "behind stray bytes": (b"\0\x01\x02" + segment(EXIF + exif_block(6)), 6),
    "behind a segment of no length": (b"\xff\xe5\0\0" + segment(EXIF + exif_block(6)), 6),
    "behind an empty block": (segment(EXIF) + segment(EXIF + exif_block(6)), 6),
    "in two parts": (segment(EXIF + exif_block(6)[:9]) + segment(EXIF + exif_block(6)[9:]), 6),
    "two blocks": (segment(EXIF + exif_block(6)) + segment(EXIF + exif_block(3)), 6),
    "two packets": (segment(XMP + b'tiff:Orientation="3"') + segment(XMP + b'tiff:Orientation="6"'), 6),
}


@pytest.mark.parametrize("place", [20, "before the scan"], ids=["behind JFIF", "before the scan"])
@pytest.mark.parametrize(("segments", "expected"), SEGMENTS.values(), ids=SEGMENTS)
def test_exif_anywhere_in_a_jpeg(segments, expected, place, photo, encode):
    plain = encode(photo, "JPEG")
    at = plain.index(b"\xff\xda") if isinstance(place, str) else place
    data = plain[:at] + segments + plain[at:]
    assert header(data, name="x").orientation == expected
    rgb = decode_image(data, name="x")
    assert np.array_equal(rgb, orient(decode_image(plain, name="x"), expected))
    assert np.array_equal(rgb, np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data)))))


def test_png_with_exif_after_the_pixels(photo, encode):
    data = encode(photo, "PNG")
    exif = exif_block(6)
    chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif + struct.pack(">I", zlib.crc32(b"eXIf" + exif))
    late = data[:-12] + chunk + data[-12:]
    assert header(late, name="late").size_hw == (90, 60)
    assert np.array_equal(decode_image(late, name="late"), orient(photo, 6))


def test_damaged_exif_counts_as_none_and_warns_nobody(photo, encode):
    data = encode(photo, "PNG", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff" + b"\xff" * 40)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert np.array_equal(decode_image(data, name="odd"), photo)
    assert seen == []

"""Ancillary chunks of a PNG never decide whether it is read; the orientation that they hold is found all the same."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from images.raw_png import png
from ssd300.errors import ImageError
from ssd300.images import decode_image, header
from ssd300.images.orientation import orient
from ssd300.images.png import drop_ancillary, exif_and_xmp

TURNED = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
XMP = b'<x:xmpmeta xmlns:tiff="http://ns.adobe.com/tiff/1.0/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def chunk(kind: bytes, body: bytes, crc_error: int = 0) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) ^ crc_error)


def with_chunks(data: bytes, *chunks: bytes, late: bool = False) -> bytes:
    """The chunks behind IHDR, or before IEND."""
    at = len(data) - 12 if late else 33
    return data[:at] + b"".join(chunks) + data[at:]


LONG = b"long " * 500_000
ODD = {
    "a long text": chunk(b"tEXt", b"Comment\0" + LONG),
    "a long packed text": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(LONG)),
    "a long international text": chunk(b"iTXt", b"Comment\0\x01\0\0\0" + zlib.compress(LONG)),
    "many texts": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(LONG[:900_000])) * 80,
    "a large color profile": chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(2_000_000))),
    "a broken color profile": chunk(b"iCCP", b"profile\0\0not deflate"),
    "a color profile without a name": chunk(b"iCCP", b""),
    "an XMP packet that is no text": chunk(b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0\xff\xfe"),
    "a wrong checksum of a text": chunk(b"tEXt", b"Comment\0text", 1),
    "a wrong checksum of a time": chunk(b"tIME", bytes(7), 1),
    "a wrong checksum of EXIF": chunk(b"eXIf", b"rubbish", 1),
    "a short gAMA": chunk(b"gAMA", b"\0"),
    "an empty gAMA": chunk(b"gAMA", b""),
    "a short pHYs": chunk(b"pHYs", b"\0\0\0"),
    "a short cHRM": chunk(b"cHRM", b"\0\0\0"),
    "an empty sRGB": chunk(b"sRGB", b""),
    "a short animation control": chunk(b"acTL", b"\0"),
    "a frame control without animation": chunk(b"fcTL", bytes(26)),
    "an unknown ancillary chunk": chunk(b"abCd", b"\1\2\3", 5),
    "a tRNS of a wrong length": chunk(b"tRNS", b"\0"),
    "a tRNS with a wrong checksum": chunk(b"tRNS", bytes(6), 1),
}


@pytest.mark.parametrize("late", [False, True], ids=["before the pixels", "behind them"])
@pytest.mark.parametrize("odd", ODD)
def test_ancillary_chunks_never_decide(odd, late, photo, encode):
    data = with_chunks(encode(photo, "PNG"), ODD[odd], late=late)
    assert header(data, name="x").size_hw == photo.shape[:2]
    assert np.array_equal(decode_image(data, name="x"), photo)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_the_pixels_are_those_of_the_whole_file(mode, photo, encode):
    deep = Image.fromarray(photo[..., 0].astype(np.uint16) * 257)
    picture = deep if mode == "I;16" else Image.fromarray(photo).convert(mode)
    data = encode(picture, "PNG", **({"transparency": 3} if mode in "PL" else {}))
    bare = drop_ancillary(with_chunks(data, *ODD.values()))
    assert np.array_equal(
        np.asarray(Image.open(io.BytesIO(bare)).convert("RGBA")),
        np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")),
    )


@pytest.mark.parametrize(
    ("colors", "row", "transparent", "expected"),
    [
        (0, b"\x07\x09", chunk(b"tRNS", b"\0\x07"), [[255] * 3, [9] * 3]),
        (0, b"\x07\x09", chunk(b"tRNS", b"\0\x07", 1), [[7] * 3, [9] * 3]),
        (0, b"\x07\x09", chunk(b"tRNS", b"\0\x07\0"), [[7] * 3, [9] * 3]),
        (4, b"\x07\xff\x09\xff", chunk(b"tRNS", b"\0\x07"), [[7] * 3, [9] * 3]),
    ],
    ids=["sound", "wrong checksum", "wrong length", "beside alpha"],
)
def test_a_transparent_color_counts_if_it_is_sound(colors, row, transparent, expected):
    data = with_chunks(png(2, 1, 8, colors, [row]), transparent)
    assert decode_image(data, name="x").tolist() == [expected]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "turned",
    [
        chunk(b"eXIf", TURNED),
        chunk(b"eXIf", b"Exif\0\0" + TURNED),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\x01\0en\0XMP\0" + zlib.compress(XMP + bytes(3_000_000))),
        chunk(b"tEXt", b"Raw profile type exif\0\nexif\n      26\n" + TURNED.hex().encode() + b"\n"),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n      26\n" + TURNED.hex().encode())),
    ],
    ids=["EXIF", "EXIF with prefix", "XMP", "packed XMP", "ImageMagick's", "ImageMagick's packed"],
)  # fmt: skip
def test_the_orientation_is_found_in_every_chunk(turned, late, photo, encode):
    data = with_chunks(encode(photo, "PNG"), turned, ODD["a long packed text"], late=late)
    assert header(data, name="x").orientation == 6
    assert np.array_equal(decode_image(data, name="x"), orient(photo, 6))


@pytest.mark.parametrize("kind", ["eXIf", "iTXt"])
def test_of_several_orientations_the_last_one_counts(kind, photo, encode):
    bodies = {"eXIf": TURNED, "iTXt": b"XML:com.adobe.xmp\0\0\0\0\0" + XMP}
    changes = {"eXIf": (b"\x06\0\0\0", b"\x03\0\0\0"), "iTXt": (b'"6"', b'"3"')}
    turned = chunk(kind.encode(), bodies[kind])
    upside_down = chunk(kind.encode(), bodies[kind].replace(*changes[kind]))
    for chunks, orientation in (((turned, upside_down), 3), ((upside_down, turned), 6)):
        data = with_chunks(encode(photo, "PNG"), *chunks)
        assert header(data, name="x").orientation == orientation
        assert np.array_equal(
            np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data)))), orient(photo, orientation)
        )


@pytest.mark.parametrize(
    "odd",
    [
        chunk(b"iTXt", b"XML:com.adobe.xmp\0"),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0no"),
        chunk(b"zTXt", b"Raw profile type exif\0\0no"),
        chunk(b"tEXt", b"Raw profile type exif\0\n\n\nxyz"),
        chunk(b"tEXt", b"Raw profile type exif"),
        chunk(b"eXIf", b""),
    ],
)
def test_odd_orientations_count_as_none(odd, photo, encode):
    data = with_chunks(encode(photo, "PNG"), odd)
    assert header(data, name="x").orientation == 1
    assert not any(exif_and_xmp(data))


def test_faults_of_the_pixels_still_decide(photo, encode):
    data = encode(photo, "PNG")
    broken = [
        data[:33],
        data[: len(data) // 2],
        data[:16] + bytes([data[16] ^ 1]) + data[17:],  # the width, with the checksum of another
        data[:8] + data[33:],
    ]
    for odd in broken:
        with pytest.raises(ImageError, match="damaged or truncated PNG"):
            decode_image(odd, name="x")


@pytest.mark.parametrize("filled", [bytes, lambda count: b"\xff" * count, lambda count: bytes(count + 99_999)])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.8, 0.95])
def test_a_download_that_is_filled_up_is_cut(share, filled, photo, encode):
    """A decoder may take zeros for pixels; only checksums tell."""
    for picture in (photo, np.resize(photo, (300, 300, 3)) ^ np.arange(300, dtype=np.uint8)[:, None, None]):
        data = encode(picture, "PNG")
        kept = int(len(data) * share)
        with pytest.raises(ImageError, match="damaged or truncated PNG"):
            decode_image(data[:kept] + filled(len(data) - kept), name="x")
        for whole in (data[:-12], data[:-12] + filled(12), data[:-14] + b"\0\0" + data[-12:]):
            assert np.array_equal(decode_image(whole, name="x"), picture)


def test_an_animated_png_gives_its_first_picture(encode):
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    for options in ({}, {"default_image": True}):
        data = encode(frames[0], "PNG", save_all=True, append_images=frames[1:], **options)
        assert decode_image(data, name="x")[0, 0].tolist() == [255, 0, 0]


def test_apples_own_form_is_named(photo, encode):
    data = encode(photo, "PNG")
    with pytest.raises(
        ImageError, match=r"x: a PNG in Apple's own form \(CgBI\).*kind that is not supported: convert it"
    ):
        decode_image(data[:8] + chunk(b"CgBI", b"\x50\0\x20\x06") + data[8:33] + data[40:], name="x")

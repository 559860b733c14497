"""BMP files that Pillow refuses or garbles, made by hand: the right pixels, or the name of the kind."""

import struct

import numpy as np
import pytest

from ssd300.errors import ImageError
from ssd300.images import bmp as bmp_files
from ssd300.images import decode_image, header
from ssd300.images.bmp import readable, unpack_fields

A, B = (7, 8, 9), (4, 5, 6)  # the two colors of PALETTE
PALETTE = bytes((9, 8, 7, 0, 6, 5, 4, 0))


def bmp(size, pixels, *, header_bytes=40, depth=24, compression=0, masks=(), palette=b"") -> bytes:
    """A file of (width, height); the masks are part of a header that is long enough, and follow another."""
    fields = struct.pack("<IiiHHIIiiII", header_bytes, *size, 1, depth, compression, len(pixels), 0, 0, 0, 0)
    body = (fields[:header_bytes] + struct.pack(f"<{len(masks)}I", *masks)).ljust(header_bytes, b"\0")
    start = 14 + len(body) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + body + palette + pixels


def read(data: bytes) -> list:
    rgb = decode_image(data, name="x")
    assert header(data, name="x").size_hw == rgb.shape[:2]
    return [[tuple(pixel) for pixel in row] for row in rgb.tolist()]


@pytest.mark.parametrize("header_bytes", [16, 20, 40, 42, 44, 46, 48, 52, 56, 60, 64, 108, 124])
def test_headers_of_every_length(header_bytes):
    assert read(bmp((2, 1), bytes((1, 2, 3, 4, 5, 6, 0, 0)), header_bytes=header_bytes)) == [[(3, 2, 1), (6, 5, 4)]]


@pytest.mark.parametrize(
    ("header_bytes", "depth", "compression", "masks", "pixel", "expected"),
    [
        (40, 32, 3, (0xFF, 0xFF00, 0xFF0000), 0x04030201, (1, 2, 3)),
        (52, 32, 3, (0xFF, 0xFF00, 0xFF0000), 0x04030201, (1, 2, 3)),
        (56, 32, 3, (0xFF, 0xFF00, 0xFF0000, 0), 0x04030201, (1, 2, 3)),
        (40, 32, 3, (0x3FF00000, 0xFFC00, 0x3FF), 0x3FF00000 | 512 << 10 | 3, (255, 128, 0)),
        (40, 32, 3, (0xFFE00000, 0x1FFC00, 0x3FF), 0xFFE00000 | 1024 << 10, (255, 128, 0)),
        (40, 16, 3, (0xF00, 0xF0, 0xF), 0x0F80, (255, 136, 0)),
        (56, 16, 3, (0xF00, 0xF0, 0xF, 0xF000), 0xFF80, (255, 136, 0)),
        (56, 16, 3, (0xF00, 0xF0, 0xF, 0xF000), 0x7F00, (255, 136, 136)),
        (40, 16, 3, (0xC000, 0x3800, 0x7), 0xC007, (255, 0, 255)),
        (40, 32, 6, (0xFF0000, 0xFF00, 0xFF, 0xFF000000), 0xFF010203, (1, 2, 3)),
        (40, 32, 6, (0xFF0000, 0xFF00, 0xFF, 0xFF000000), 0x00010203, (1, 2, 3)),  # alpha 0 throughout
        (40, 16, 3, (0xF800, 0x7E0, 0x1F), 0xF81F, (255, 0, 255)),  # the last two are for Pillow
        (108, 32, 3, (0xFF, 0xFF00, 0xFF0000, 0xFF000000), 0xFF030201, (1, 2, 3)),
    ],
)
def test_colors_in_any_bits(header_bytes, depth, compression, masks, pixel, expected):
    pixels = pixel.to_bytes(4, "little")
    data = bmp((1, 1), pixels, header_bytes=header_bytes, depth=depth, compression=compression, masks=masks)
    assert read(data) == [[expected]]


@pytest.mark.parametrize(("depth", "stored"), [(1, b"\x40"), (4, b"\x01"), (8, b"\0\1")])
@pytest.mark.parametrize("more", [0, 1, 200])
def test_a_palette_may_have_more_colors_than_are_used(more, depth, stored):
    data = bmp((2, 1), stored.ljust(4, b"\0"), depth=depth, palette=PALETTE * (2 ** (depth - 1) + more))
    data = data[:46] + struct.pack("<I", 2**depth + 2 * more) + data[50:]
    assert read(data) == [[A, B]]


def test_the_order_of_rows_stays():
    pixels = struct.pack("<4I", 1, 2, 3 << 8, 4 << 16)
    for height, order in ((2, 1), (-2, -1)):
        rows = read(bmp((2, height), pixels, depth=32, compression=3, masks=(255, 65280, 255 << 16)))
        assert rows[::order] == [[(0, 3, 0), (0, 0, 4)], [(1, 0, 0), (2, 0, 0)]]


@pytest.mark.parametrize(
    ("depth", "size", "codes", "expected"),
    [
        (8, (4, 1), b"\0\1", [[A] * 4]),
        (8, (4, 1), b"\4\1\0\1", [[B] * 4]),
        (8, (4, 1), b"\4\1", [[B] * 4]),  # no end code
        (8, (4, 1), b"\2\1\0\1", [[B, B, A, A]]),  # ends early
        (8, (2, 3), b"\2\1\0\0\0\0\2\1\0\1", [[B, B], [A, A], [B, B]]),  # an empty row
        (8, (2, 3), b"\2\1\0\0\0\2\1\1\1\1\0\1", [[A, B], [A, A], [B, B]]),  # a move
        (8, (3, 2), b"\0\3\1\0\1\0\0\0\1\1\0\1", [[B, A, A], [B, A, B]]),  # pixels as they are
        (8, (2, 2), b"\7\1\0\0\1\0\1\1\0\1", [[A, B], [B, B]]),  # a run beyond its row
        (4, (5, 1), b"\5\x01\0\1", [[A, B, A, B, A]]),
        (4, (5, 2), b"\0\5\x11\x01\x10\0\0\0\0\1", [[A] * 5, [B, B, A, B, B]]),
    ],
)
def test_run_lengths_with_gaps(depth, size, codes, expected):
    data = bmp(size, codes, depth=depth, compression=1 if depth == 8 else 2, palette=PALETTE * (2 ** (depth - 1)))
    assert read(data) == expected


def test_endless_run_lengths_are_refused_in_time(monkeypatch):
    monkeypatch.setattr(bmp_files, "_CODES", 100)
    moves = b"\0\2\0\0" * 98 + b"\2\1\0\1"
    assert read(bmp((2, 1), moves, depth=8, compression=1, palette=PALETTE * 128)) == [[B, B]]
    with pytest.raises(ImageError, match="run-length coding has more than 100 codes"):
        decode_image(bmp((2, 1), moves[:4] * 3 + moves, depth=8, compression=1, palette=PALETTE * 128), name="x")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"depth": 2}, "a BMP of 2 bits"),
        ({"depth": 64}, "a BMP of 64 bits"),
        ({"depth": 0, "compression": 4}, "a BMP in JPEG compression"),
        ({"depth": 0, "compression": 5}, "a BMP in PNG compression"),
        ({"depth": 32, "compression": 11}, "a BMP in CMYK compression"),
        ({"compression": 4, "header_bytes": 64}, "a BMP in RLE24 compression"),
        ({"depth": 1, "compression": 3, "header_bytes": 64, "palette": PALETTE}, "a BMP in Huffman compression"),
        ({"depth": 32, "compression": 3, "masks": (0xF0F, 0xF0, 0xFF0000)}, "32 bits with colors in scattered bits"),
    ],
)
def test_valid_kinds_that_are_not_read_are_named(options, what):
    with pytest.raises(ImageError, match=rf"^x: .*{what}, a valid BMP of a kind that is not supported: convert it"):
        decode_image(bmp((2, 1), bytes(64), **options), name="x")


def test_what_is_cut_off_is_damaged():
    whole = bmp(
        (90, 60), np.zeros(90 * 60 * 4, np.uint8).tobytes(), depth=32, compression=3, masks=(255, 65280, 0xFF0000)
    )
    runs = bmp((4, 9), b"\4\1\0\0", depth=8, compression=1, palette=PALETTE * 128)
    for data in (whole[:-99], whole[:60], runs, runs[:-3], bmp((2, 1), b"", header_bytes=16)[:20]):
        with pytest.raises(ImageError, match="a damaged or truncated BMP file"):
            decode_image(data, name="x")
    assert readable(b"BM") == b"BM"
    assert unpack_fields(b"BM") is None


def test_sizes_are_checked_before_anything_is_unpacked():
    huge = {"size": (60_000, 60_000), "pixels": bytes(99)}
    with pytest.raises(ImageError, match=r"60000x60000 is 3,600,000,000 pixels"):
        decode_image(bmp(**huge, depth=8, compression=1, palette=PALETTE * 128), name="x")
    with pytest.raises(ImageError, match="a damaged or truncated BMP file"):
        decode_image(bmp(**huge, depth=32, compression=3, masks=(255, 65280, 0xFF0000)), name="x")

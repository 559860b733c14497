"""Alpha that is 0 throughout (screenshots, padding) says nothing: the colors count. Elsewhere white is the ground."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from images.raw_png import png
from ssd300.images import modes, open_source


def rgba(photo, alpha) -> np.ndarray:
    return np.concatenate([photo, np.broadcast_to(np.asarray(alpha, np.uint8), photo.shape[:2])[..., None]], axis=2)


def bmp32(picture: np.ndarray, header_bytes: int, top_down: bool = False) -> bytes:
    """A 32-bit BMP whose fourth byte is alpha by its mask; header of 56 (V3), 108 (V4) or 124 (V5) bytes."""
    height, width = picture.shape[:2]
    rows = picture[..., [2, 1, 0, 3]]
    pixels = (rows if top_down else rows[::-1]).tobytes()
    body = struct.pack(
        "<IiiHHIIiiII", header_bytes, width, -height if top_down else height, 1, 32, 3, len(pixels), 0, 0, 0, 0
    )
    body += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    body = body.ljust(header_bytes, b"\0")
    return b"BM" + struct.pack("<IHHI", 14 + len(body) + len(pixels), 0, 0, 14 + len(body)) + body + pixels


def deep_png(photo, alpha) -> bytes:
    """16 bits a channel; the low bytes are noise."""
    deep = rgba(photo, alpha).astype(np.uint16) * 256 + np.arange(photo.shape[1], dtype=np.uint16)[None, :, None]
    return png(photo.shape[1], photo.shape[0], 16, 6, [row.astype(">u2").tobytes() for row in deep])


def encoded_rgba(kind, **options):
    def make(photo, alpha):
        stream = io.BytesIO()
        Image.fromarray(rgba(photo, alpha)).save(stream, kind, **options)
        return stream.getvalue()

    return make


def palette(photo, alpha) -> bytes:
    picture = Image.fromarray(photo).quantize(32)
    stream = io.BytesIO()
    picture.save(stream, "PNG", transparency=bytes([int(np.max(alpha))] * 32))
    return stream.getvalue()


KINDS = {
    "PNG": encoded_rgba("PNG"),
    "PNG of 16 bits": deep_png,
    "WebP": encoded_rgba("WebP", lossless=True, exact=True),
    "TIFF": encoded_rgba("TIFF"),
    "TIFF in LZW": encoded_rgba("TIFF", compression="tiff_lzw"),
    "BMP V3": lambda photo, alpha: bmp32(rgba(photo, alpha), 56),
    "BMP V4": lambda photo, alpha: bmp32(rgba(photo, alpha), 108),
    "BMP V5": lambda photo, alpha: bmp32(rgba(photo, alpha), 124),
    "BMP V5 from the top": lambda photo, alpha: bmp32(rgba(photo, alpha), 124, top_down=True),
    "PIL picture": lambda photo, alpha: Image.fromarray(rgba(photo, alpha)),
    "array": rgba,
    "uint16 array": lambda photo, alpha: rgba(photo, alpha).astype(np.uint16) * 256 + 77,
    "float array": lambda photo, alpha: rgba(photo, alpha).astype(np.float32) / 255,
    "double array": lambda photo, alpha: rgba(photo, alpha) / 255,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [0, "padding"])
def test_colors_count_where_nothing_could_be_seen(kind, alpha, photo):
    if alpha == "padding":
        alpha = np.random.default_rng(0).integers(0, 5, photo.shape[:2])
    assert np.array_equal(open_source(KINDS[kind](photo, alpha)), photo)


@pytest.mark.parametrize("kind", KINDS)
def test_white_is_the_ground_of_everything_else(kind, photo):
    alpha = np.zeros(photo.shape[:2], int)
    alpha[-1, -1] = 255  # a single pixel that is seen
    expected = np.full_like(photo, 255)
    expected[-1, -1] = photo[-1, -1]
    assert np.array_equal(open_source(KINDS[kind](photo, alpha)), expected)


def test_grey_with_alpha(photo, encode):
    gray = photo[..., 0]
    for alpha, expected in ((0, gray), (255, gray)):
        picture = Image.merge("LA", [Image.fromarray(gray), Image.new("L", gray.shape[::-1], alpha)])
        for source in (picture, encode(picture, "PNG"), encode(picture, "TIFF")):
            assert np.array_equal(open_source(source)[..., 1], expected)
    deep = np.stack([gray.astype(">u2") * 257, np.zeros(gray.shape, ">u2")], axis=2)
    data = png(gray.shape[1], gray.shape[0], 16, 4, [row.tobytes() for row in deep])
    assert np.array_equal(open_source(data)[..., 2], gray)


def test_palettes_that_are_transparent_throughout(photo, encode):
    picture = Image.fromarray(photo).quantize(32)
    colors = np.asarray(picture.convert("RGB"))
    assert np.array_equal(open_source(palette(photo, 0)), colors)
    assert np.array_equal(open_source(palette(photo, 255)), colors)
    one = Image.new("P", (5, 4), 3)
    one.putpalette(bytes(range(48)))
    for kind in ("PNG", "GIF"):
        assert open_source(encode(one, kind, transparency=3))[0, 0].tolist() == [9, 10, 11]


@pytest.mark.parametrize(
    ("colors", "depth", "row", "key", "expected"),
    [
        (0, 8, b"\x07\x07", struct.pack(">H", 7), [7] * 3),
        (2, 8, b"\x01\x02\x03" * 2, struct.pack(">3H", 1, 2, 3), [1, 2, 3]),
        (0, 16, b"\x07\x07" * 2, struct.pack(">H", 0x0707), [7] * 3),
    ],
    ids=["gray", "RGB", "16-bit gray"],
)
def test_a_transparent_color_that_is_the_only_one_counts(colors, depth, row, key, expected):
    assert open_source(png(2, 1, depth, colors, [row], (b"tRNS", key))).tolist() == [[expected] * 2]


def test_pil_pictures_with_alpha_multiplied_in(photo):
    clear = Image.fromarray(rgba(photo, 0))
    opaque = Image.frombytes("RGBa", clear.size, clear.tobytes())
    assert np.array_equal(open_source(opaque), photo)
    gray = Image.merge("LA", [Image.fromarray(photo[..., 0]), Image.new("L", clear.size, 0)])
    assert np.array_equal(open_source(Image.frombytes("La", clear.size, gray.tobytes()))[..., 0], photo[..., 0])
    assert np.array_equal(open_source(Image.fromarray(rgba(photo, 255)).convert("RGBa")), photo)


def test_one_visible_pixel_in_the_last_band_of_rows_decides(photo, monkeypatch):
    monkeypatch.setattr(modes, "_BAND_PIXELS", 90 * 7)
    alpha = np.zeros(photo.shape[:2], int)
    assert np.array_equal(open_source(Image.fromarray(rgba(photo, alpha))), photo)
    alpha[-1, 0] = 255
    assert (open_source(Image.fromarray(rgba(photo, alpha)))[:-1] == 255).all()


def test_bgra_arrays_of_screenshots(photo):
    bgra = rgba(photo, 0)[..., [2, 1, 0, 3]]
    assert np.array_equal(open_source(bgra, color="bgr"), photo)

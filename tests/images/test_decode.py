"""The decoder: one rule a mode, bit-equal to Pillow."""

import io
import struct

import numpy as np
import PIL
import pytest
import simplejpeg
from PIL import Image

from images.raw_png import png
from ssd300.errors import ImageError
from ssd300.images import modes as modes_module
from ssd300.images.decode import decode_image


def palette_picture(transparency):
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putdata([0, 1])
    if transparency is not None:
        picture.info["transparency"] = transparency
    return picture


def of_mode(mode, *pixels):
    picture = Image.new(mode, (len(pixels), 1))
    for x, pixel in enumerate(pixels):
        picture.putpixel((x, 0), pixel)
    return picture


RED, BLUE, WHITE, BLACK = [255, 0, 0], [0, 0, 255], [255] * 3, [0] * 3

GOLDEN = [
    ("1-bit", of_mode("1", 0, 255), "PNG", [BLACK, WHITE]),
    ("L", of_mode("L", 0, 77, 255), "PNG", [BLACK, [77] * 3, WHITE]),
    ("LA", of_mode("LA", (0, 255), (0, 0), (0, 128)), "PNG", [BLACK, WHITE, [127] * 3]),
    ("P", palette_picture(None), "PNG", [RED, BLUE]),
    ("P with a transparent entry", palette_picture(0), "PNG", [WHITE, BLUE]),
    ("P with an alpha an entry", palette_picture(b"\x80\xff"), "PNG", [[255, 127, 127], BLUE]),
    ("P in a GIF", palette_picture(0), "GIF", [WHITE, BLUE]),
    ("RGBA", of_mode("RGBA", (255, 0, 0, 255), (255, 0, 0, 0), (0, 0, 0, 51)), "PNG", [RED, WHITE, [204] * 3]),
    ("RGBA in a TIFF", of_mode("RGBA", (255, 0, 0, 255), (255, 0, 0, 0)), "TIFF", [RED, WHITE]),
    ("CMYK in a TIFF", of_mode("CMYK", (0, 255, 255, 0), (0, 0, 0, 255), (0, 0, 0, 0)), "TIFF", [RED, BLACK, WHITE]),
    ("I;16", of_mode("I;16", 0, 255, 256, 0x4D4D, 65535), "PNG", [BLACK, BLACK, [1] * 3, [77] * 3, WHITE]),
    ("I;16 in a TIFF", of_mode("I;16", 0, 0x4D4D, 65535), "TIFF", [BLACK, [77] * 3, WHITE]),
    ("I", of_mode("I", 0, 0x4D4D, 65535), "TIFF", [BLACK, [77] * 3, WHITE]),
    ("F", of_mode("F", 0.0, 77 / 255, 1.0), "TIFF", [BLACK, [77] * 3, WHITE]),
]
if int(PIL.__version__.partition(".")[0]) >= 13:  # older ones refuse this kind, and so do we, by name
    GOLDEN += [("YCbCr", of_mode("YCbCr", (0, 128, 128), (255, 128, 128)), "TIFF", [BLACK, WHITE])]


@pytest.mark.parametrize(("picture", "kind", "expected"), [g[1:] for g in GOLDEN], ids=[g[0] for g in GOLDEN])
def test_every_mode_has_its_rule(picture, kind, expected, encode):
    rgb = decode_image(encode(picture, kind), name="golden")
    assert rgb.dtype == np.uint8
    assert rgb.tolist() == [expected]


def test_sixteen_bit_rgb_keeps_the_high_byte():
    row = struct.pack(">6H", 0x1234, 0xFFFF, 0x00FF, 0, 0x4D4D, 0x8000)
    rgb = decode_image(png(2, 1, 16, 2, [row]), name="deep")
    assert rgb.tolist() == [[[0x12, 0xFF, 0x00], [0, 0x4D, 0x80]]]


@pytest.mark.parametrize(
    ("colors", "row", "expected"),
    [
        (4, struct.pack(">2H", 0x4D4D, 0xFFFF), [0x4D] * 3),
        (4, struct.pack(">2H", 0x4D4D, 0), [0x4D] * 3),  # alpha 0 throughout says nothing
        (6, struct.pack(">4H", 0x1234, 0xFFFF, 0, 0xFFFF), [0x12, 0xFF, 0]),
        (6, struct.pack(">4H", 0x1234, 0xFFFF, 0, 0), [0x12, 0xFF, 0]),
    ],
    ids=["gray", "transparent gray", "color", "transparent color"],
)
def test_sixteen_bits_with_alpha(colors, row, expected):
    assert decode_image(png(1, 1, 16, colors, [row]), name="deep").tolist() == [[expected]]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "CMYK", "I;16", "F"])
def test_a_picture_of_many_bands_of_rows_is_whole(mode, photo, encode, monkeypatch):
    deep = {"I;16": photo[..., 0].astype(np.uint16) * 257, "F": photo[..., 0] / np.float32(255)}
    rgba = np.concatenate([photo, photo[..., :1]], axis=2)
    picture = Image.fromarray(deep[mode]) if mode in deep else Image.fromarray(rgba).convert(mode)
    data = encode(picture, "TIFF")
    whole = decode_image(data, name="whole")
    monkeypatch.setattr(modes_module, "_BAND_PIXELS", 90 * 7)
    assert np.array_equal(decode_image(data, name="bands"), whole)


@pytest.mark.parametrize(
    ("depth", "colors", "row", "key"),
    [
        (8, 0, bytes([7, 9]), struct.pack(">H", 7)),
        (8, 2, bytes([1, 2, 3, 9, 9, 9]), struct.pack(">3H", 1, 2, 3)),
        (16, 0, struct.pack(">2H", 0x0707, 0x0909), struct.pack(">H", 0x0707)),
        (16, 2, struct.pack(">6H", 0x0107, 2, 3, 0x0909, 0x0909, 0x0909), struct.pack(">3H", 0x0107, 2, 3)),
        (
            16,
            2,
            struct.pack(">6H", 0x0901, 0x0902, 0x0903, 0x0901, 0x0902, 0x0904),
            struct.pack(">3H", 0x901, 0x902, 0x903),
        ),
    ],
    ids=["gray", "RGB", "16-bit gray", "16-bit RGB", "16-bit RGB beside one of the same high bytes"],
)
def test_a_transparent_color_becomes_white(depth, colors, row, key):
    rgb = decode_image(png(2, 1, depth, colors, [row], (b"tRNS", key)), name="keyed")
    assert rgb.tolist() == [[WHITE, [9] * 3]]


@pytest.mark.parametrize(("depth", "row"), [(1, b"\x40"), (2, b"\x70"), (4, b"\x3f")])
def test_a_transparent_gray_of_few_bits(depth, row):
    """The pixels are some gray and the lightest one."""
    some, most = row[0] >> (8 - depth), 2**depth - 1
    gray = [some * 255 // most] * 3
    for key, expected in ((some, [WHITE, WHITE]), (most, [gray, WHITE])):
        data = png(2, 1, depth, 0, [row], (b"tRNS", struct.pack(">H", key)))
        assert decode_image(data, name="keyed").tolist() == [expected]
    data = png(2, 1, depth, 0, [row], (b"tRNS", struct.pack(">H", 1 if depth > 1 else 0)))
    assert decode_image(data, name="keyed").tolist()[0][0] == (WHITE if some in (0, 1) else gray)


def test_a_palette_without_colors_is_damage():
    with pytest.raises(ImageError, match=r"damaged or truncated PNG file \(it has no palette\)"):
        decode_image(png(2, 1, 8, 3, [b"\0\1"]), name="bare")


def test_cmyk_jpeg_equals_pillow(photo, encode):
    data = encode(Image.fromarray(photo).convert("CMYK"), "JPEG", quality=95)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.array_equal(decode_image(data, name="cmyk"), expected)


@pytest.mark.parametrize(
    "options",
    [
        {"subsampling": "4:4:4"},
        {"subsampling": "4:2:2"},
        {"subsampling": "4:2:0"},
        {"progressive": True},
        {"quality": 5},
        {"restart_marker_blocks": 3},
        {"keep_rgb": True},
    ],
    ids=str,
)
def test_jpeg_equals_pillow_to_the_bit(options, photo, encode):
    data = encode(photo, "JPEG", **options)
    assert np.array_equal(decode_image(data, name="jpeg"), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("subsampling", ["440", "411"])
def test_jpeg_of_rare_subsampling_equals_pillow(subsampling, photo):
    data = simplejpeg.encode_jpeg(photo, colorsubsampling=subsampling)
    assert np.array_equal(decode_image(data, name="jpeg"), np.asarray(Image.open(io.BytesIO(data))))


def test_grey_jpeg_is_grey_three_times_and_not_transposed(photo, encode):
    rgb = decode_image(encode(photo[..., 0], "JPEG"), name="gray")
    assert rgb.shape == photo.shape
    assert (rgb[..., 0] == rgb[..., 1]).all()
    assert (rgb[..., 0] == rgb[..., 2]).all()


@pytest.mark.parametrize(
    ("where", "value"), [("before the end marker", -2), ("after the start marker", 2)], ids=["end", "start"]
)
def test_stray_bytes_that_every_viewer_overlooks_do_not_refuse_a_jpeg(where, value, photo, encode):
    data = encode(photo, "JPEG")
    damaged = data[:value] + b"\x01\x02\x03\x04" + data[value:] if value < 0 else data[:2] + b"\xff" * 5 + data[2:]
    assert np.array_equal(decode_image(damaged, name=where), decode_image(data, name="clean"))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF", "WebP", "AVIF", "JPEG"])
def test_one_pixel(kind, encode):
    rgb = decode_image(encode(np.full((1, 1, 3), 255, np.uint8), kind), name="dot")
    assert rgb.tolist() == [[WHITE]]


@pytest.mark.parametrize("shape", [(1, 500), (500, 1)])
def test_one_pixel_thin(shape, encode):
    assert decode_image(encode(np.zeros((*shape, 3), np.uint8), "JPEG"), name="thin").shape == (*shape, 3)

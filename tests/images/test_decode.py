"""The decoder: one rule a mode, EXIF in every format, limits before decoding."""

import io
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageOps

from ssd300.errors import ArgumentError, ImageError
from ssd300.images import decode as decode_module
from ssd300.images import modes as modes_module
from ssd300.images.decode import MAX_PIXELS, decode_image, header, size_hw
from ssd300.images.orientation import orient, orientation_of

LOSSLESS = {
    "PNG": {},
    "WebP": {"lossless": True, "exact": True},
    "TIFF": {"compression": "tiff_lzw"},
    "BMP": {},
}


def png(width, height, depth, colours, rows, *chunks):
    """A PNG file written by hand: Pillow writes neither 16-bit RGB nor late chunks."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0)), *chunks]
    parts.append((b"IDAT", zlib.compress(b"".join(b"\x00" + row for row in rows))))
    parts.append((b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body


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
    ("YCbCr", of_mode("YCbCr", (0, 128, 128), (255, 128, 128)), "TIFF", [BLACK, WHITE]),
]


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
    ("colours", "row", "expected"),
    [
        (4, struct.pack(">2H", 0x4D4D, 0xFFFF), [0x4D] * 3),
        (4, struct.pack(">2H", 0x4D4D, 0), WHITE),
        (6, struct.pack(">4H", 0x1234, 0xFFFF, 0, 0xFFFF), [0x12, 0xFF, 0]),
        (6, struct.pack(">4H", 0x1234, 0xFFFF, 0, 0), WHITE),
    ],
    ids=["grey", "transparent grey", "colour", "transparent colour"],
)
def test_sixteen_bits_with_alpha(colours, row, expected):
    assert decode_image(png(1, 1, 16, colours, [row]), name="deep").tolist() == [[expected]]


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
    ("depth", "colours", "row", "key"),
    [
        (8, 0, bytes([7, 9]), struct.pack(">H", 7)),
        (8, 2, bytes([1, 2, 3, 9, 9, 9]), struct.pack(">3H", 1, 2, 3)),
        (16, 0, struct.pack(">2H", 0x0707, 0x0909), struct.pack(">H", 0x0707)),
    ],
    ids=["grey", "RGB", "16-bit grey"],
)
def test_a_transparent_colour_becomes_white(depth, colours, row, key):
    rgb = decode_image(png(2, 1, depth, colours, [row], (b"tRNS", key)), name="keyed")
    assert rgb.tolist() == [[WHITE, [9] * 3]]


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
    rgb = decode_image(encode(photo[..., 0], "JPEG"), name="grey")
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


# EXIF ---------------------------------------------------------------------------------------------------------------


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
    assert found.size_hw == size_hw(data, name="turned") == upright.shape[:2] == rgb.shape[:2]
    assert np.array_equal(rgb, np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")))
    assert np.abs(rgb.astype(int) - upright).mean() < (4 if kind in ("JPEG", "AVIF") else 1e-9)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_orientation_of_tiff_with_every_compression(compression, photo, encode):
    data = encode(photo, "TIFF", compression=compression, tiffinfo={0x0112: 6})
    assert header(data, name="turned").size_hw == (90, 60)
    assert np.abs(decode_image(data, name="turned").astype(int) - orient(photo, 6)).mean() < 4


def exif_block(value, kind=3, order="<"):
    head = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(order + "I", 8)
    size = {1: "B3x", 3: "H2x", 4: "I"}[kind]
    return head + struct.pack(order + "HHHI" + size, 1, 0x0112, kind, 1, value) + b"\x00" * 4


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
        (exif_block(0), None, 1),
        (exif_block(9), None, 1),
        (exif_block(6)[:12], None, 1),
        (b"II*\x00\xff\xff\xff\xff", None, 1),
        (None, b'<rdf tiff:Orientation="8">', 8),
        (None, b"<tiff:Orientation>3</tiff:Orientation>", 3),
        (exif_block(6), b'tiff:Orientation="8"', 6),
    ],
)
def test_orientation_tag(exif, xmp, expected):
    assert orientation_of(exif, xmp) == expected


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


# Limits, names, modes of decoding -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "TIFF", "GIF", "BMP", "AVIF"])
def test_the_pixel_limit_holds_before_decoding(kind, encode, monkeypatch):
    data = encode(np.zeros((40, 50, 3), np.uint8), kind)
    monkeypatch.setattr(decode_module, "MAX_PIXELS", 2000)
    assert decode_image(data, name="just").shape == (40, 50, 3)
    monkeypatch.setattr(decode_module, "MAX_PIXELS", 1999)
    for read in (decode_image, header):
        with pytest.raises(ImageError, match=r"big: 50x40 is 2,000 pixels, more than the 1,999 .* make it smaller"):
            read(data, name="big")


def test_a_bomb_is_refused_without_its_pixels():
    bomb = png(60_000, 60_000, 1, 0, [b"\x00" * 7500])
    with pytest.raises(ImageError, match="60000x60000 is 3,600,000,000 pixels"):
        decode_image(bomb, name="bomb.png")


def test_pillows_global_limit_is_neither_used_nor_changed(encode, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for kind in ("PNG", "GIF", "BMP", "WebP"):
        assert decode_image(encode(np.zeros((12, 12, 3), np.uint8), kind), name="x").shape == (12, 12, 3)
    assert Image.MAX_IMAGE_PIXELS == 100
    assert MAX_PIXELS > 100_000_000


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (599, 900, (599, 900)),
        (600, 900, (300, 450)),
        (601, 1203, (301, 602)),
        (1200, 1300, (300, 325)),
        (1199, 1300, (600, 650)),
        (2400, 2500, (300, 313)),
        (300, 300, (300, 300)),
    ],
)
def test_fast_decoding_never_goes_below_300(height, width, expected):
    data = simplejpeg.encode_jpeg(np.zeros((height, width, 3), np.uint8))
    assert decode_image(data, name="big", decode="fast").shape == (*expected, 3)
    assert decode_image(data, name="big").shape == (height, width, 3)


def test_fast_decoding_is_only_for_jpeg(photo, encode):
    assert np.array_equal(decode_image(encode(photo, "PNG"), name="x", decode="fast"), photo)


def test_an_unknown_decode_mode_suggests_the_nearest(photo, encode):
    with pytest.raises(ArgumentError, match="unknown decode mode 'exct': did you mean 'exact'"):
        decode_image(encode(photo, "PNG"), name="x", decode="exct")


def test_animations_give_their_first_frame(encode):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "PNG", "WebP", "TIFF"):
        options = {"lossless": True} if kind == "WebP" else {}
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert decode_image(data, name=kind)[0, 0].tolist() == RED


def test_a_phone_jpeg_with_a_second_picture_is_a_jpeg(photo, encode):
    first = Image.fromarray(photo)
    data = encode(first, "MPO", save_all=True, append_images=[first.rotate(90)])
    assert header(data, name="phone").format == "JPEG"
    assert np.array_equal(decode_image(data, name="phone"), np.asarray(Image.open(io.BytesIO(data))))


def test_results_can_be_written_to(photo, encode):
    for kind in ("JPEG", "PNG"):
        decode_image(encode(photo, kind), name="x")[0, 0] = 0


def test_no_filter_for_warnings_is_left_behind(photo, encode):
    before = list(warnings.filters)
    decode_image(encode(photo, "PNG"), name="x")
    with pytest.raises(ImageError):
        decode_image(encode(photo, "PNG")[:60], name="x")
    assert warnings.filters == before


def test_threads_leave_the_filters_for_warnings_alone(photo, encode):
    before = list(warnings.filters)
    data = encode(Image.fromarray(photo).convert("P"), "PNG", transparency=3)
    expected = decode_image(data, name="alone")
    with ThreadPoolExecutor(8) as pool:
        decoded = list(pool.map(lambda _: decode_image(data, name="x"), range(200)))
    assert all(np.array_equal(rgb, expected) for rgb in decoded)
    assert warnings.filters == before


def test_pictures_need_neither_torch_nor_matplotlib():
    code = "import sys, ssd300.images; print([m for m in ('torch', 'matplotlib', 'ssl') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

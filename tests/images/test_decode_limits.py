"""The decoder's limits before decoding, its modes and names, and what it leaves alone."""

import io
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from images.raw_png import png
from ssd300.errors import ArgumentError, ImageError
from ssd300.images import decode as decode_module
from ssd300.images.decode import MAX_PIXELS, decode_image, header

RED = [255, 0, 0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "TIFF", "GIF", "BMP", "AVIF"])
def test_the_pixel_limit_holds_before_decoding(kind, encode, monkeypatch):
    data = encode(np.zeros((40, 50, 3), np.uint8), kind)
    monkeypatch.setattr(decode_module, "MAX_PIXELS", 2000)
    assert decode_image(data, name="just").shape == (40, 50, 3)
    monkeypatch.setattr(decode_module, "MAX_PIXELS", 1999)
    for read in (decode_image, header):
        with pytest.raises(
            ImageError, match=r"big: 50x40 is 2,000 pixels, more than the limit of 1,999; make it smaller"
        ):
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
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
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

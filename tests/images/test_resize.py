"""The one resize equals the published evaluation's, to the bit."""

from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from ssd300.images import load_for_network, resize_to_network

REFERENCE = Path(__file__).parents[1] / "parity" / "data"


@pytest.mark.parametrize("name", ["astronaut_tall", "chelsea_wide", "coffee_wide"])
def test_equals_the_published_evaluation(name):
    path = REFERENCE / "pictures" / f"{name}.png"
    with np.load(REFERENCE / "prepare.npz") as reference:
        expected = reference[f"{name}.eval_resized"]
    rgb, size_hw = load_for_network(path)
    assert np.array_equal(rgb, expected)
    with Image.open(path) as picture:
        assert size_hw == (picture.height, picture.width)


def test_a_grey_picture_is_upright_and_grey():
    path = REFERENCE / "pictures" / "grey.png"
    rgb, size_hw = load_for_network(path)
    with Image.open(path) as picture:
        expected = np.asarray(picture.convert("RGB").resize((300, 300), Image.Resampling.BILINEAR))
    assert size_hw == (190, 150)
    assert np.array_equal(rgb, expected)


TALL = [(301, 1), (301, 300), (304, 301), (320, 210), (1920, 1080), (5000, 1000), (4000, 30)]  # the height first
WIDE = [(300, 1), (300, 900), (302, 301), (640, 480), (1919, 1110), (1000, 5000), (100, 120)]  # the width first


@pytest.mark.parametrize("shape", TALL + WIDE)
@pytest.mark.parametrize("window", [None, (0.1, 0.2, 0.85, 0.9)])
def test_the_order_of_the_passes_does_not_depend_on_the_version_of_pillow(shape, window):
    height, width = shape
    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    box = None if window is None else tuple(np.multiply(window, [width, height] * 2).tolist())
    left, top, right, bottom = box or (0, 0, width, height)
    passes = [((300, None), (left, right)), ((None, 300), (top, bottom))]
    picture = Image.fromarray(rgb)
    for (w, h), (low, high) in passes[::-1] if shape in TALL else passes:
        part = (low, 0, high, picture.height) if w else (0, low, picture.width, high)
        picture = picture.resize((w or picture.width, h or picture.height), Image.Resampling.BILINEAR, box=part)
    assert np.array_equal(resize_to_network(rgb, window_xyxy=box), np.asarray(picture))


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (299, 301), (300, 300), (2000, 10)])
def test_any_size_becomes_300_by_300(shape):
    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    before = rgb.copy()
    resized = resize_to_network(rgb)
    assert resized.shape == (300, 300, 3)
    assert resized.flags.writeable
    assert not np.shares_memory(resized, rgb)
    assert np.array_equal(rgb, before)
    if shape == (300, 300):
        assert np.array_equal(resized, rgb)


def test_fast_decoding_keeps_the_original_size_and_looks_alike(photo, encode):
    big = np.asarray(Image.fromarray(photo).resize((1300, 900), Image.Resampling.BICUBIC))
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(big, "JPEG", quality=95, exif=exif)
    exact, exact_hw = load_for_network(data)
    fast, fast_hw = load_for_network(data, decode="fast")
    assert exact_hw == fast_hw == (1300, 900)
    assert np.abs(exact.astype(int) - fast).mean() < 2


def test_pictures_read_one_after_another_or_in_threads_do_not_mix(photo, encode):
    files = [encode(np.roll(photo, shift, axis=1), "JPEG") for shift in range(0, 80, 10)]
    alone = [load_for_network(data)[0] for data in files]
    assert all(np.array_equal(load_for_network(data)[0], first) for data, first in zip(files, alone, strict=True))
    seen = {}

    def read(number):
        seen[number] = [load_for_network(data)[0] for data in files]

    threads = [Thread(target=read, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [0, 1, 2, 3]
    assert all(np.array_equal(a, b) for results in seen.values() for a, b in zip(results, alone, strict=True))

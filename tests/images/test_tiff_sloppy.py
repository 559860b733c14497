"""TIFF files of programs that leave something out, or write it in another unit."""

import struct

import numpy as np
import PIL
import pytest

from images.raw_tiff import tiff
from ssd300.errors import ImageError
from ssd300.images import decode_image, header


@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("order", "<>")
def test_a_palette_of_8_bits_where_16_belong_is_not_black(order, bits, photo):
    index = photo[..., 0] >> (8 - bits)
    colors = np.random.default_rng(bits).integers(1, 256, (3, 2**bits))
    options = {"photometric": 3, "bits": bits if bits < 8 else None}
    for stored in (colors, colors * 257):
        data = tiff((index, options | {"tags": {320: stored.ravel().tolist()}}), order=order)
        assert np.array_equal(decode_image(data, name="x"), colors.T[index])


@pytest.mark.parametrize("tile", [None, (32, 16)])
def test_sizes_of_pieces_may_be_missing_where_nothing_is_packed(tile, photo):
    tag, numbers_of = (325, 4 * 6 * 3) if tile else (279, 4 * 3)
    data = tiff((photo.astype("u2") * 257, {"planar": True, "tile": tile, "tags": {tag: [0] * numbers_of}}))
    assert np.array_equal(decode_image(data, name="x"), photo)
    renamed = data.replace(struct.pack("<HH", tag, 3), struct.pack("<HH", tag + 6, 3))
    assert np.array_equal(decode_image(renamed, name="x"), photo)


@pytest.mark.parametrize("tag", [256, 257])
@pytest.mark.parametrize("compression", ["none", "deflate"])
def test_of_a_tag_that_is_there_twice_the_first_counts(compression, tag, photo):
    data = tiff((photo, {"compression": compression}))
    twice = data.replace(struct.pack("<HHI", 284, 3, 1) + b"\1", struct.pack("<HHI", tag, 3, 1) + b"\5")
    assert twice != data
    assert header(twice, name="x").size_hw == photo.shape[:2]
    if int(PIL.__version__.split(".")[0]) < 13:  # takes the last
        with pytest.raises(ImageError, match="damaged or truncated TIFF"):
            decode_image(twice, name="x")
    else:
        assert np.array_equal(decode_image(twice, name="x"), photo)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("planar", [False, True])
def test_three_colors_without_a_word_about_them_are_rgb(planar, dtype, photo):
    deep = photo.astype(dtype) * (257 if dtype == "u2" else 1)
    data = tiff((deep, {"planar": planar})).replace(struct.pack("<HHI", 262, 3, 1), struct.pack("<HHI", 263, 3, 1))
    assert np.array_equal(decode_image(data, name="x"), photo)

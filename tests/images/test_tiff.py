"""TIFF of every layout gives the right pixels, or says of what kind it is; thumbnails are not taken for the picture."""

import io
import itertools
import struct

import numpy as np
import pytest
from PIL import Image

from images.raw_tiff import tiff
from ssd300.errors import ImageError
from ssd300.images import decode_image, header, open_source
from ssd300.images.orientation import orient

DTYPES = ("u1", "u2", "f2", "f4", "f8")
LAYOUTS = list(  # every third of them for each kind of numbers
    itertools.product(
        ["<", ">"], [False, True], [None, (32, 16)], [("none", 1), ("packbits", 1), ("deflate", 1), ("deflate", 2)]
    )
)


def numbers(photo: np.ndarray, dtype: str) -> np.ndarray:
    """The picture in other numbers; back in bytes it is the same."""
    if dtype[0] == "f":
        return (photo / 255).astype(dtype)
    if dtype == "u2":
        return photo.astype("u2") * 256 + 99
    return photo.astype(dtype)


def expected(photo: np.ndarray, dtype: str) -> np.ndarray:
    if dtype[0] != "f":
        return photo
    return np.floor(numbers(photo, dtype).astype(np.float32) * np.float32(255) + np.float32(0.5)).astype(np.uint8)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("planar", [False, True], ids=["together", "planes"])
@pytest.mark.parametrize("channels", [3, 5], ids=["RGB", "five bands"])
def test_colors_of_every_layout(channels, planar, dtype, photo):
    bands = numbers(np.concatenate([photo, photo[..., :2]], axis=2)[..., :channels], dtype)
    for order, big, tile, (compression, predictor) in LAYOUTS[DTYPES.index(dtype) % 3 :: 3]:
        predictor = 3 if predictor == 2 and dtype[0] == "f" else predictor
        options = {"planar": planar, "tile": tile, "compression": compression, "predictor": predictor}
        data = tiff((bands, options | {"extra": [0, 0][: channels - 3]}), order=order, big=big)
        assert header(data, name="x").size_hw == photo.shape[:2]
        assert np.array_equal(decode_image(data, name="x"), expected(photo, dtype)), (order, big, tile, compression)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("photometric", [1, 0], ids=["min is black", "min is white"])
def test_greys_of_every_layout(photometric, dtype, photo):
    gray = photo[..., 0]
    shown = np.repeat(expected(gray, dtype)[..., None], 3, axis=2)
    shown = 255 - shown if photometric == 0 else shown
    for order, big, tile, (compression, predictor) in LAYOUTS[DTYPES.index(dtype) % 3 :: 3]:
        predictor = 3 if predictor == 2 and dtype[0] == "f" else predictor
        options = {"tile": tile, "compression": compression, "predictor": predictor, "photometric": photometric}
        data = tiff((numbers(gray, dtype), options), order=order, big=big)
        assert np.array_equal(decode_image(data, name="x"), shown), (order, big, tile, compression)


@pytest.mark.parametrize("photometric", [1, 0])
@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("channels", [1, 3])
def test_numbers_of_ten_to_fourteen_bits_are_not_dark(channels, bits, photometric, photo):
    deep = photo[..., :channels].astype(np.uint16) << (bits - 8)
    if channels == 3 and photometric == 0:
        photometric = 2
    for order, planar in itertools.product("<>", [False, channels > 1]):
        options = {"bits": bits, "photometric": photometric, "planar": planar}
        shown = np.broadcast_to(photo[..., :channels], photo.shape)
        shown = 255 - shown if photometric == 0 else shown
        assert np.array_equal(decode_image(tiff((deep, options), order=order), name="x"), shown)


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_alpha_beside_grey_and_colors(dtype, planar, photo):
    alpha = np.full((*photo.shape[:2], 1), 255, np.uint8)
    alpha[:, :45] = 0
    ground = np.where(alpha == 0, 255, photo).astype(np.uint8)
    for colors, kind in itertools.product([photo, photo[..., :1]], [1, 2]):
        stored = np.where(alpha == 0, 0, colors).astype(np.uint8) if kind == 1 else colors
        data = tiff((numbers(np.concatenate([stored, alpha], axis=2), dtype), {"planar": planar, "extra": [kind]}))
        assert np.array_equal(decode_image(data, name="x")[..., 0], ground[..., 0])
    for colors, kind in itertools.product([photo, photo[..., :1]], [1, 2]):  # alpha that says nothing
        data = tiff((numbers(np.concatenate([colors, alpha * 0], axis=2), dtype), {"planar": planar, "extra": [kind]}))
        assert np.array_equal(decode_image(data, name="x")[..., 0], photo[..., 0])


def test_numbers_of_32_bits_and_signed_ones(photo):
    for dtype, order in itertools.product(["u4", "i4", "i2"], "<>"):
        deep = photo.astype(dtype) * (127 if dtype == "i2" else 257)
        shown = (deep.astype(np.int64) >> 8).astype(np.uint8)
        assert np.array_equal(decode_image(tiff((deep, {}), order=order), name="x"), shown)
        assert np.array_equal(decode_image(tiff((deep[..., 0], {}), order=order), name="x")[..., 0], shown[..., 0])
    with pytest.raises(ImageError, match="a 32-bit integer picture with values -5 to"):
        decode_image(tiff((photo.astype("i4") - 5, {})), name="x")
    with pytest.raises(ImageError, match=r"float values from 0 to 25[0-9]; expected 0..1: divide by 255"):
        decode_image(tiff((photo.astype("f4"), {})), name="x")


def test_cmyk_of_16_bits_in_planes(photo):
    picture = Image.fromarray(photo).convert("CMYK")
    cmyk, plain = np.asarray(picture), np.asarray(picture.convert("RGB"))
    for planar in (False, True):
        data = tiff((numbers(cmyk, "u2"), {"planar": planar, "photometric": 5}))
        assert np.array_equal(decode_image(data, name="x"), plain)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_numpy_turns_as_pillow_does(orientation, photo):
    for array in (photo, numbers(photo, "f4"), numbers(photo[..., 0], "u2")):
        for options in ({}, {"planar": array.ndim == 3, "photometric": None if array.ndim == 3 else 0}):
            data = tiff((array, options | {"tags": {274: [orientation]}}), big=True, order=">")
            rgb = decode_image(data, name="x")
            assert header(data, name="x").size_hw == rgb.shape[:2]
            shown = photo if array.ndim == 3 else np.repeat(photo[..., :1], 3, axis=2)
            shown = 255 - shown if options.get("photometric") == 0 else shown
            assert np.abs(rgb.astype(int) - orient(shown, orientation)).max() <= (1 if array.dtype.kind == "f" else 0)


# Which picture of a file ----------------------------------------------------------------------------------------------


THUMBNAIL = {"tags": {254: [1]}}


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", "<>")
def test_a_thumbnail_before_the_picture_is_passed_over(order, big, photo):
    small, mask = photo[::4, ::4].copy(), np.zeros((5, 5), np.uint8)
    files = {
        "in the chain": tiff((small, THUMBNAIL), (photo, {}), order=order, big=big),
        "after two": tiff((small, THUMBNAIL), (mask, {"tags": {254: [4]}}), (photo, {}), order=order, big=big),
        "below it": tiff((small, THUMBNAIL), sub=[(photo, {"tags": {254: [0]}})], order=order, big=big),
        "the older tag": tiff((small, {"tags": {255: [2]}}), (photo, {"tags": {255: [1]}}), order=order, big=big),
        "packed": tiff((small, THUMBNAIL), (photo, {"compression": "deflate"}), order=order, big=big),
        "a pyramid": tiff((photo, {}), (small, THUMBNAIL), order=order, big=big),
        "the first page": tiff((photo, {"tags": {254: [2]}}), (small, {"tags": {254: [2]}}), order=order, big=big),
        "all are thumbnails": tiff((small, THUMBNAIL), (photo, THUMBNAIL), order=order, big=big),
        "the only one": tiff((photo, THUMBNAIL), order=order, big=big),
    }
    for what, data in files.items():
        assert header(data, name=what).size_hw == photo.shape[:2], what
        assert np.array_equal(decode_image(data, name=what), photo), what


def test_directories_in_a_circle_end(photo):
    data = bytearray(tiff((photo, THUMBNAIL), (photo[::2], THUMBNAIL)))
    first = struct.unpack_from("<I", data, 4)[0]
    second_link = first + 2 + 12 * struct.unpack_from("<H", data, first)[0]
    second = struct.unpack_from("<I", data, second_link)[0]
    struct.pack_into("<I", data, second + 2 + 12 * struct.unpack_from("<H", data, second)[0], first)
    assert np.array_equal(decode_image(bytes(data), name="x"), photo)


RAW = {
    "DNG": tiff((np.zeros((4, 6, 3), np.uint8), THUMBNAIL), sub=[(np.zeros((40, 60), "u2"), {"photometric": 32803})]),
    "NEF": tiff(
        (np.zeros((4, 6, 3), np.uint8), THUMBNAIL),
        sub=[(np.zeros((9, 9, 3), np.uint8), THUMBNAIL), (np.zeros((40, 60), "u2"), {"photometric": 32803})],
        order=">",
    ),
    "ARW": tiff((np.zeros((4, 6, 3), np.uint8), THUMBNAIL), sub=[(np.zeros((8, 8), "u2"), {"tags": {259: [32767]}})]),
    "linear DNG": tiff(
        (np.zeros((4, 6, 3), np.uint8), THUMBNAIL), sub=[(np.zeros((8, 8, 3), "u2"), {"photometric": 34892})]
    ),
    "DNG without thumbnail": tiff((np.zeros((40, 60), "u2"), {"photometric": 32803})),
    "DNG by its version": tiff((np.zeros((4, 6, 3), np.uint8), {"tags": {50706: [1]}})),
    "CR2": b"II*\0\x10\0\0\0CR\x02\0" + bytes(40),
}


@pytest.mark.parametrize("kind", RAW)
def test_camera_raw_is_refused_by_name(kind):
    for read in (decode_image, header):
        with pytest.raises(
            ImageError, match=r"^x: a camera raw file, which is not supported: convert it to TIFF or JPEG"
        ):
            read(RAW[kind], name="x")


# What is not read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "options", "what"),
    [
        (np.zeros((9, 9, 5), np.uint8), {"photometric": 1, "extra": [0] * 4}, "5 bands of 8 bits (photometric 1)"),
        (np.zeros((9, 9, 4), np.uint8), {"photometric": 1, "planar": True, "extra": [0] * 3}, "4 bands of 8 bits"),
        (np.zeros((9, 9, 3), np.uint16), {"photometric": 0, "extra": [0] * 2}, "3 bands of 16 bits (photometric 0)"),
        (np.zeros((9, 9, 3), np.uint8), {"tags": {259: [34887]}}, "of 8 bits (photometric 2) in LERC compression"),
        (np.zeros((9, 9, 3), np.uint8), {"tags": {259: [50002]}}, "in JPEG XL compression"),
        (np.zeros((9, 9, 3), np.uint8), {"tags": {259: [34712]}}, "in JPEG 2000 compression"),
        (np.zeros((9, 9, 3), np.uint8), {"tags": {259: [34934]}}, "in JPEG XR compression"),
        (np.zeros((9, 9, 3), np.uint8), {"tags": {259: [12345]}}, "in an unknown (12345) compression"),
        (np.zeros((9, 9), np.uint16), {"tags": {339: [5], 258: [32]}}, "1 band of 32 complex bits"),
        (np.zeros((4, 8, 3), np.uint8), {"photometric": 6, "tags": {257: [8], 278: [8], 530: [2, 2]}}, "bits (YCbCr)"),
        (np.zeros((9, 9), np.uint16), {"photometric": 3}, "1 band of 16 bits (photometric 3)"),
        (np.zeros((9, 9), np.uint8), {"bits": 12, "tags": {259: [7], 258: [12]}}, "12 bits (photometric 1) in JPEG"),
    ],
)  # fmt: skip
def test_valid_kinds_that_are_not_read_are_named(array, options, what):
    with pytest.raises(ImageError) as caught:
        decode_image(tiff((array, options)), name="x.tif")
    assert str(caught.value).startswith("x.tif: a TIFF of ")
    assert what in str(caught.value)
    assert ", a valid TIFF of a kind that is not supported: convert it, for example with" in str(caught.value)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("planar", [False, True])
def test_what_is_cut_off_is_damaged(planar, dtype, photo):
    for compression, big in itertools.product(["none", "deflate", "packbits"], [False, True]):
        data = tiff((numbers(photo, dtype), {"planar": planar, "compression": compression}), big=big)
        with pytest.raises(ImageError, match=r"damaged or truncated TIFF"):
            decode_image(data[: len(data) // 2], name="x")
        behind = tiff((numbers(photo, dtype), {"planar": planar, "tags": {273: [9], 279: [9]}}), big=big)
        with pytest.raises(ImageError, match=r"damaged or truncated TIFF"):
            decode_image(behind, name="x")


def test_a_tag_of_more_values_than_bytes_is_damage(photo):
    data = bytearray(tiff((photo, {}), order=">", big=True))
    entry = data.index(struct.pack(">HHQ", 284, 3, 1))
    data[entry + 4 : entry + 12] = struct.pack(">Q", 2**40)
    with pytest.raises(ImageError, match="damaged or truncated TIFF"):
        decode_image(bytes(data), name="x")


def test_libtiff_and_pillow_write_no_lines(photo, capfd, caplog):
    deflate = bytearray(tiff((photo, {"compression": "deflate"})))
    deflate[40:80] = b"\xff" * 40
    many = tiff((photo, {"tags": {277: [515]}}))
    jpeg = tiff((photo, {"tags": {259: [7]}}))
    for data in (bytes(deflate), many, jpeg, tiff((numbers(photo, "u2"), {"planar": True, "tags": {259: [8]}}))):
        with pytest.raises(ImageError):
            open_source(data)
    with Image.open(io.BytesIO(bytes(deflate))) as picture, pytest.raises(ImageError):
        open_source(picture)
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []

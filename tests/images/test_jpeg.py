"""A JPEG is read if its scan is whole, whatever follows or is missing behind it; a cut one is reported."""

import io
import re
import struct

import numpy as np
import pytest
from PIL import Image

from images.unread import cut_scan, twelve_bits
from ssd300.errors import ImageError
from ssd300.images import decode_image, header
from ssd300.images.jpeg import extract_picture, unread_kind

OPTIONS = {
    "4:2:0": {},
    "4:4:4": {"subsampling": "4:4:4", "quality": 95},
    "4:2:2": {"subsampling": "4:2:2"},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 4},
    "optimized": {"optimize": True, "quality": 30},
    "gray": {"mode": "L"},
    "gray progressive": {"mode": "L", "progressive": True},
    "CMYK": {"mode": "CMYK"},
    "CMYK progressive": {"mode": "CMYK", "progressive": True},
    "RGB": {"keep_rgb": True},
    "EXIF": {"exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x03\0\0\0\0\0\0\0"},
}

MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(range(256)) * 20 + b"\xff\xd8\xff\xc4\0\x10\xff\xda" * 9
TRAILERS = {
    "nothing": b"",
    "zeros": bytes(500),
    "fill bytes": b"\xff" * 300,
    "text": b"<x:xmpmeta>some text</x:xmpmeta>" * 9,
    "MP4": MP4,
    "another JPEG": None,
    "random bytes": np.random.default_rng(3).bytes(5000),
    "a Samsung trailer": b"\0\0\x01\x0aImage_UTC_Data1600000000000SEFH" + bytes(40) + b"SEFT",
}


@pytest.fixture(params=OPTIONS)
def whole(request, noisy, encode) -> bytes:
    options = dict(OPTIONS[request.param])
    return encode(Image.fromarray(noisy).convert(options.pop("mode", "RGB")), "JPEG", **options)


@pytest.fixture
def noisy(photo) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 60, (120, 160, 3))
    return (np.resize(photo, (120, 160, 3)) // 2 + noise).astype(np.uint8)


@pytest.mark.parametrize("end", [b"", b"\xff\xd9"], ids=["no end marker", "end marker"])
@pytest.mark.parametrize("trailer", TRAILERS)
def test_a_whole_scan_is_read_whatever_follows(trailer, end, whole):
    behind = TRAILERS[trailer]
    data = whole[:-2] + end + (whole if behind is None else behind)
    assert header(data, name="x").size_hw == header(whole, name="x").size_hw
    assert np.array_equal(decode_image(data, name="x"), decode_image(whole, name="x"))


CUTS = {"nothing": b"", "marker": b"\xff\xd9", "marker, MP4": b"\xff\xd9" + MP4, "MP4": MP4, "zeros": bytes(40_000)}
CUTS["zeros, marker"] = CUTS["zeros"] + b"\xff\xd9"
CUTS["text"] = b"<html><body>504 Gateway Time-out</body></html>\r\n" * 50
CUTS["text, marker"] = CUTS["text"] + b"\xff\xd9"


@pytest.mark.parametrize("end", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_a_cut_scan_is_reported(share, end, whole):
    with pytest.raises(ImageError, match=r"^x: a damaged or truncated JPEG file \(.*; copy or export it again"):
        decode_image(cut_scan(whole, share) + end, name="x")


@pytest.mark.parametrize("end", [*CUTS.values(), b"another text of a few words"], ids=[*CUTS, "a few words"])
@pytest.mark.parametrize("options", ["restarts", "gray restarts", "4:4:4 restarts", "progressive restarts"])
def test_a_scan_that_is_cut_at_a_restart_is_reported(options, end, noisy, encode):
    picture = Image.fromarray(noisy).convert("L" if "gray" in options else "RGB")
    sampling = {"subsampling": "4:4:4"} if "4:4:4" in options else {}
    data = encode(picture, "JPEG", restart_marker_blocks=3, progressive="progressive" in options, **sampling)
    places = [match.start() for match in re.finditer(rb"\xff[\xd0-\xd7]", data)]
    for place in places[: len(places) // 8 * 8 : len(places) // 8]:
        for cut in (place, place + 2, place + 3):
            with pytest.raises(ImageError, match="damaged or truncated JPEG"):
                decode_image(data[:cut] + end, name="x")


def test_restarts_that_are_missing_or_too_many_elsewhere_do_not_matter(noisy, encode):
    data = encode(noisy, "JPEG", restart_marker_blocks=3)
    first = data.index(b"\xff\xd1")
    for odd in (data[:first] + data[first + 2 :], data[:-2] + b"\xff\xd5", data[:-2] + b"\xff\xd5\xff\xd9"):
        expected = np.asarray(Image.open(io.BytesIO(odd if odd.endswith(b"\xff\xd9") else data)))
        assert np.array_equal(decode_image(odd, name="x"), expected)


@pytest.mark.parametrize("version", [b"\1\1", b"\2\0"], ids=["usual", "of another version"])
def test_other_warnings_hide_no_cut(version, noisy, encode):
    """A decoder tells only the first one."""
    for mode in ("L", "RGB", "CMYK"):
        data = encode(Image.fromarray(noisy).convert(mode), "JPEG", keep_rgb=mode == "RGB")
        adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x09" if version == b"\2\0" and mode == "L" else b""
        data = data[:2] + adobe + data[2:].replace(b"JFIF\0\1\1", b"JFIF\0" + version)
        assert decode_image(data, name="x").shape == noisy.shape
        with pytest.raises(ImageError, match="damaged or truncated JPEG"):
            decode_image(cut_scan(data, 0.5) + b"\xff\xd9", name="x")
        broken = bytearray(cut_scan(data, 0.5) + b"\xff\xd9")
        start = broken.index(b"\xff\xda") + 200
        broken[start : start + 60] = b"\x01\xfe\x35" * 20  # codes that are none
        with pytest.raises(ImageError, match="damaged or truncated JPEG"):
            decode_image(bytes(broken), name="x")


def test_strays_between_segments_hide_no_cut(noisy, encode):
    data = encode(noisy, "JPEG", quality=90)
    stray = data[:2] + b"\xff" * 5 + data[2:20] + b"\x01\x02\x03" + data[20:]
    assert np.array_equal(decode_image(stray, name="x"), decode_image(data, name="x"))
    with pytest.raises(ImageError, match="its scan ends early"):
        decode_image(cut_scan(stray, 0.5) + b"\xff\xd9", name="x")


def test_tables_before_the_picture_belong_to_it(noisy, encode):
    data = encode(noisy, "JPEG")
    tables = data[data.index(b"\xff\xdb") : data.index(b"\xff\xc0")]
    bare = data.replace(tables, b"")
    split = b"\xff\xd8" + tables + b"\xff\xd9" + bare
    assert header(split, name="x").size_hw == noisy.shape[:2]
    assert np.array_equal(decode_image(split, name="x"), decode_image(data, name="x"))
    with pytest.raises(ImageError, match="damaged or truncated JPEG"):
        decode_image(bare, name="x")


def test_a_color_without_a_scan_is_missing(noisy, encode):
    data = encode(noisy, "JPEG", progressive=True)
    scans = [match.start() for match in re.finditer(rb"\xff\xda", data)]
    with pytest.raises(ImageError, match=r"damaged or truncated JPEG"):
        decode_image(data[: scans[0]] + b"\xff\xd9", name="x")  # tables alone
    for cut in scans[1:]:
        # The first scan holds the coarse values of all colors: less sharp, but whole.
        assert decode_image(data[:cut] + b"\xff\xd9", name="x").shape == noisy.shape
        for end in (b"", data[cut : cut + 5], bytes(99), MP4):  # nothing says that it was meant to end here
            with pytest.raises(ImageError, match="its scan ends early"):
                decode_image(data[:cut] + end, name="x")


def test_scans_of_one_color_each_are_read_if_none_is_missing(encode):
    """Encoders may write a scan for each color; a decoder leaves out those that are missing without a word."""
    planes = np.random.default_rng(5).integers(40, 200, (3, 5, 8), np.uint8)
    grays = [np.kron(plane, np.ones((8, 8), np.uint8)) for plane in planes]  # flat blocks
    encoded = [encode(gray, "JPEG", quality=95) for gray in grays]
    frame, scan = encoded[0].index(b"\xff\xc0"), encoded[0].index(b"\xff\xda")
    size, tables = encoded[0][frame + 4 : frame + 9], encoded[0][frame + 13 : scan]
    colors = b"".join(bytes((color, 0x11, 0)) for color in (1, 2, 3))
    head = encoded[0][:frame] + b"\xff\xc0\0\x11" + size + b"\x03" + colors + tables
    scans = [one[scan : scan + 5] + bytes((color,)) + one[scan + 6 : -2] for color, one in enumerate(encoded, 1)]
    whole = b"".join((head, *scans, b"\xff\xd9"))
    expected = np.asarray(Image.merge("YCbCr", [Image.open(io.BytesIO(one)) for one in encoded]).convert("RGB"))
    assert np.abs(decode_image(whole, name="x").astype(int) - expected).max() <= 1
    for count in (1, 2):
        with pytest.raises(ImageError, match=r"damaged or truncated JPEG file \(a color has no scan\)"):
            decode_image(b"".join((head, *scans[:count], b"\xff\xd9")), name="x")


def test_what_is_tidied_is_the_same_picture(whole):
    assert extract_picture(whole) == (whole, True)
    assert extract_picture(whole[:-2] + MP4) == extract_picture(whole[:-2] + bytes(99)) == (whole, False)
    assert extract_picture(b"") == extract_picture(b"\xff\xd8") == (b"\xff\xd8\xff\xd9", False)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (twelve_bits(), "a 12-bit JPEG"),
        (twelve_bits(0xC3, 8), "a lossless JPEG of 8 bits"),
        (twelve_bits(0xC3, 16), "a lossless JPEG of 16 bits"),
        (twelve_bits(0xC5, 8), "a hierarchical JPEG"),
        (twelve_bits(0xC0, 8, height=0), "a JPEG with its height after the picture (DNL)"),
        (
            twelve_bits(0xC0, 8)
            .replace(b"\x01\x01\x11\x00", b"\x02\x01\x11\x00\x02\x11\x00")
            .replace(b"\x0b\x08", b"\x0e\x08"),
            "a JPEG of 2 components",
        ),
        (b"\xff\xd8\xff\xf7\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00" + bytes(20), "a JPEG-LS picture"),
    ],
)
def test_kinds_that_are_not_read_are_named(data, what):
    assert unread_kind(data) == what
    with pytest.raises(ImageError) as caught:
        decode_image(data, name="x.jpg")
    assert str(caught.value).startswith(f"x.jpg: {what}, a valid JPEG of a kind that is not supported: convert it, for")


def test_usual_kinds_have_no_name(whole):
    assert unread_kind(whole) is None
    assert unread_kind(b"\xff\xd8") is None


def test_a_frame_cut_off_is_damaged_and_not_of_an_odd_kind():
    for length in range(2, 20):
        with pytest.raises(ImageError, match="damaged or truncated JPEG"):
            decode_image(twelve_bits()[:length].ljust(3, b"\xff"), name="x")


def test_the_size_is_checked_before_anything_is_decoded(noisy, encode):
    data = cut_scan(encode(noisy, "JPEG"), 0.5)
    frame = data.index(b"\xff\xc0") + 5
    bomb = data[:frame] + struct.pack(">HH", 65000, 65000) + data[frame + 4 :]
    with pytest.raises(ImageError, match="65000x65000 is 4,225,000,000 pixels"):
        decode_image(bomb, name="x")


def test_an_mpo_file_gives_its_first_picture(noisy, encode):
    first = Image.fromarray(noisy)
    data = encode(first, "MPO", save_all=True, append_images=[first.rotate(90)])
    assert np.array_equal(decode_image(data, name="x"), np.asarray(Image.open(io.BytesIO(data))))

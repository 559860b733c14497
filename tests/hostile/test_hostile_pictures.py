"""Picture files and arrays that were made to harm."""

import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from hostile.pictures import encoded, half, patched
from ssd300.errors import ImageError
from ssd300.images import load_for_network, open_source

EXPECTED = "expected a JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF picture"


REMEDY = "Save it as one of these, or pass a PIL picture or an array"


CONTENTS: list[tuple[str, Callable[[], bytes], str]] = [
    ("empty", lambda: b"", f"the file is empty (0 bytes); {EXPECTED}"),
    ("text", lambda: b"hello world", f"not a picture (it starts with b'hello wo'); {EXPECTED}. {REMEDY}"),
    ("zeros", lambda: bytes(1000), f"not a picture (it starts with {bytes(8)!r}); {EXPECTED}"),
    ("one byte", lambda: b"\xff", "not a picture"),
    ("HTML", lambda: b"\n<!doctype HTML><title>", f"an HTML page, not a picture; {EXPECTED}"),
    ("SVG", lambda: b'<?xml version="1.0"?><svg>', f"an SVG drawing; {EXPECTED}. {REMEDY}"),
    ("PDF", lambda: b"%PDF-1.7", f"a PDF document; {EXPECTED}. {REMEDY}"),
    ("HEIC", lambda: b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "a HEIC picture; expected"),
    ("HEIC by its brands", lambda: b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic", "a HEIC picture; expected"),
    ("CR3", lambda: b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom", "a Canon camera raw file (CR3); expected a"),
    ("text that begins as a BMP", lambda: b"BMP files of every kind", "not a picture (it starts with b'BMP f"),
    ("cursor", lambda: b"\0\0\2\0\1\0", "a Windows cursor or a TGA picture; expected"),
    ("TGA", lambda: b"\0\0\x0a" + bytes(30) + b"TRUEVISION-XFILE.\0", "a TGA picture; expected"),
    ("DIB", lambda: b"\x28\0\0\0\2\0\0\0", "a bitmap without its file header (DIB); expected"),
    ("PAM", lambda: b"P7\nWIDTH 1\n", "a Netpbm picture; expected"),
    ("PFM of four colors", lambda: b"PF4\n1 1\n", "a Netpbm picture; expected"),
    ("AVI", lambda: b"RIFF\0\0\0\0AVI LIST", "an AVI video; expected"),
    ("sound", lambda: b"RIFF\0\0\0\0WAVEfmt ", "a RIFF file of another kind than WebP; expected"),
    ("RAR", lambda: b"Rar!\x1a\x07\0", "a RAR archive; expected"),
    ("PNG in text mode", lambda: b"\x89PNG\n\x1a\n\0", "a PNG picture whose line breaks were converted"),
    ("answer in JSON", lambda: b'{"error": "not found"}', "a text in XML or JSON, not a picture; expected"),
    ("answer in XML", lambda: b'\xef\xbb\xbf<?xml version="1.0"?><Error>', "a text in XML or JSON, not a picture"),
    ("base64", lambda: b"/9j/4AAQSkZJRg", "a picture as base64 text (pass base64.b64decode of it); expected"),
    ("data address", lambda: b"data:image/png;base64,iVBO", "a picture as base64 text (pass base64"),
    ("CRW", lambda: b"II\x1a\x00\x00\x00HEAPCCDR", "a Canon camera raw file (CRW); expected"),
    ("RAF", lambda: b"FUJIFILMCCD-RAW 0201", "a Fujifilm camera raw file (RAF); expected"),
    ("ORF", lambda: b"IIRO\x08\x00\x00\x00", "an Olympus camera raw file (ORF); expected"),
    ("RW2", lambda: b"IIU\x00\x18\x00\x00\x00", "a Panasonic camera raw file (RW2); expected"),
    ("DICOM", lambda: bytes(128) + b"DICM", "a DICOM file; expected"),
    ("MP4", lambda: b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isommp42", "an MP4 or QuickTime video; expected"),
    ("JPEG 2000", lambda: encoded("JPEG2000"), "a JPEG 2000 picture; expected"),
    ("ICO", lambda: encoded("ICO"), "a Windows icon; expected"),
    ("PPM", lambda: encoded("PPM"), "a Netpbm picture; expected"),
    ("PSD", lambda: b"8BPS\x00\x01", "a Photoshop file; expected"),
    ("ZIP", lambda: b"PK\x03\x04abcd", "a ZIP archive; expected"),
    ("NumPy", lambda: b"\x93NUMPY\x01\x00", "a NumPy file (pass np.load of it); expected"),
    ("Git LFS", lambda: b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer instead of the file"),
    ("half a JPEG", lambda: half(encoded("JPEG")), "a damaged or truncated JPEG file ("),
    ("JPEG header only", lambda: encoded("JPEG")[:2] + b"\xff\xe0", "a damaged or truncated JPEG file ("),
    ("half a PNG", lambda: half(encoded("PNG")), "a damaged or truncated PNG file ("),
    ("PNG header only", lambda: encoded("PNG")[:33], "a damaged or truncated PNG file ("),
    ("half a WebP", lambda: half(encoded("WebP")), "a damaged or truncated WebP file ("),
    ("half an AVIF", lambda: half(encoded("AVIF")), "a damaged or truncated AVIF file ("),
    ("half a GIF", lambda: half(encoded("GIF")), "a damaged or truncated GIF file ("),
    ("GIF without a frame", lambda: b"GIF89a\x05\x00\x05\x00\x00\x00\x00;", "a damaged or truncated GIF file ("),
    ("half a BMP", lambda: half(encoded("BMP")), "a damaged or truncated BMP file ("),
    ("half a TIFF", lambda: half(encoded("TIFF")), "a damaged or truncated TIFF file ("),
    ("half a CMYK JPEG", lambda: half(encoded("JPEG", "CMYK")), "a damaged or truncated JPEG file ("),
    ("garbage after a PNG header", lambda: encoded("PNG")[:41] + b"\x55" * 500, "a damaged or truncated PNG file ("),
    ("garbage after a JPEG header", lambda: encoded("JPEG")[:20] + b"\x55" * 500, "a damaged or truncated JPEG file ("),
    ("float TIFF of 0..255", lambda: float_tiff(0, 255), "float values from 0 to 255; expected 0..1: divide by 255"),
    ("float TIFF below 0", lambda: float_tiff(-1, 1), "float values from -1 to 1; expected 0..1: scale them to 0..1"),
    ("float TIFF with NaN", lambda: float_tiff(0, np.nan), "float values with NaN or infinity; expected 0..1"),
    ("32-bit TIFF", lambda: integer_tiff(-5, 70000), "a 32-bit integer picture with values -5 to 70000; expected 0 to"),
    ("LAB TIFF", lambda: encoded_lab(), "a picture in LAB colors; convert it to RGB first"),
    ("PNG bomb", lambda: bomb_png(), "50000x50000 is 2,500,000,000 pixels, more than the limit of 134,217,728"),
    ("BMP bomb", lambda: patched(encoded("BMP"), 18, "<ii", 30000, 30000), "30000x30000 is 900,000,000 pixels"),
    ("GIF bomb", lambda: patched(encoded("GIF"), 6, "<HH", 60000, 60000), "60000x60000 is 3,600,000,000 pixels"),
    ("JPEG bomb", lambda: jpeg_bomb(), "65000x65000 is 4,225,000,000 pixels"),
]  # fmt: skip


def float_tiff(*values: float) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.array([values], np.float32)).save(stream, "TIFF")
    return stream.getvalue()


def integer_tiff(*values: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.array([values], np.int32)).save(stream, "TIFF")
    return stream.getvalue()


def encoded_lab() -> bytes:
    stream = io.BytesIO()
    Image.new("LAB", (4, 4)).save(stream, "TIFF")
    return stream.getvalue()


def bomb_png() -> bytes:
    from zlib import crc32

    body = b"IHDR" + struct.pack(">IIBBBBB", 50000, 50000, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", crc32(body)) + encoded("PNG")[33:]


def jpeg_bomb() -> bytes:
    data = encoded("JPEG")
    return patched(data, data.index(b"\xff\xc0") + 5, ">HH", 65000, 65000)


@pytest.mark.parametrize(("make", "message"), [c[1:] for c in CONTENTS], ids=[c[0] for c in CONTENTS])
def test_bad_contents(make, message, tmp_path, capfd):
    data = make()
    path = tmp_path / "bad.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError) as by_path:
        open_source(path)
    assert str(by_path.value).startswith(f"{path}: {message}")
    if data:
        with pytest.raises(ImageError) as by_bytes:
            load_for_network(data)
        assert str(by_bytes.value).startswith(f"<{len(data)} bytes>: {message}")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "AVIF", "GIF", "BMP", "TIFF"])
def test_cut_anywhere_is_an_error_or_a_picture_of_the_right_size(kind):
    """A file may lose its last few bytes and still hold every pixel; never may it come out in another size."""
    data = encoded(kind)
    for length in range(0, len(data), max(1, len(data) // 60)):
        try:
            outcome = open_source(data[:length]).shape
        except ImageError as error:
            outcome = str(error)[: len(f"<{length} bytes>: ")]
        assert outcome in ((40, 60, 3), f"<{length} bytes>: ")
    with pytest.raises(ImageError):
        open_source(data[: len(data) // 2])


ARRAYS = [
    (
        "no pixels",
        np.zeros((0, 5, 3), np.uint8),
        "<array 0x5>: an array without pixels, shape (0, 5, 3); expected [H, W]",
    ),
    (
        "channels first",
        np.zeros((3, 40, 50), np.uint8),
        "channels come first in shape (3, 40, 50); expected [H, W], or [H, W, 3] in RGB: use array.transpose(1, 2, 0)",
    ),
    ("gray channels first", np.zeros((1, 40, 50), np.uint8), "channels come first in shape (1, 40, 50)"),
    (
        "a batch",
        np.zeros((2, 40, 50, 3), np.uint8),
        "a batch of shape (2, 40, 50, 3); expected [H, W], or [H, W, 3] in RGB. Pass its pictures one by one",
    ),
    ("one axis", np.zeros(5, np.uint8), "an array of shape (5,); expected [H, W], or [H, W, 3] in RGB"),
    ("no axis", np.zeros((), np.uint8), "an array of shape (); expected"),
    ("two channels", np.zeros((40, 50, 2), np.uint8), "an array of shape (40, 50, 2); expected"),
    (
        "int64",
        np.zeros((4, 5, 3), np.int64),
        "values of type int64; expected uint8, uint16, or float in 0..1. If they are 0 to 255, pass array.astype(",
    ),
    ("int8", np.zeros((4, 5, 3), np.int8), "values of type int8; expected uint8"),
    ("bool", np.zeros((4, 5), bool), "values of type bool; expected uint8"),
    ("complex", np.zeros((4, 5), complex), "values of type complex128; expected uint8"),
    ("object", np.zeros((4, 5), object), "values of type object; expected uint8"),
    ("text", np.zeros((4, 5), "U3"), "values of type <U3; expected uint8"),
    (
        "0..255 float",
        np.array([[0.0, 255.0]]),
        "float values from 0 to 255; expected 0..1: divide by 255, or pass uint8",
    ),
    (
        "overshooting float",
        np.array([[-0.07, 1.05]]),
        "float values from -0.07 to 1.05; expected 0..1: clip what resizing",
    ),
    ("0..2 float", np.array([[0.0, 2.0]]), "float values from 0 to 2; expected 0..1: divide by 255"),
    ("-1..1 float", np.array([[-1.0, 1.0]]), "float values from -1 to 1; expected 0..1: scale them to 0..1"),
    ("NaN", np.array([[0.0, np.nan]]), "float values with NaN or infinity; expected 0..1. See np.nan_to_num"),
    ("infinity", np.array([[0.0, np.inf]], np.float32), "float values with NaN or infinity"),
]


@pytest.mark.parametrize(("array", "message"), [a[1:] for a in ARRAYS], ids=[a[0] for a in ARRAYS])
def test_bad_arrays(array, message):
    with pytest.raises(ImageError) as caught:
        load_for_network(array)
    assert message in str(caught.value)
    assert str(caught.value).startswith("<array ")

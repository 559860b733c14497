"""Bad pictures: each gets an ImageError that names it, what was found and the remedy; nothing else ever escapes."""

import io
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hostile.pictures import encoded, half, patched
from ssd300.errors import ImageError
from ssd300.images import load_for_network, open_source, streams

# The table of bad inputs ---------------------------------------------------------------------------------------------

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


def dead_link(folder: Path) -> Path:
    (folder / "link.jpg").symlink_to(folder / "gone.jpg")
    return folder / "link.jpg"


def folder_of(folder: Path, *names: str) -> Path:
    (folder / "pictures").mkdir()
    for name in names:
        (folder / "pictures" / name).write_bytes(b"x")
    return folder / "pictures"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def link_to_itself(folder: Path) -> Path:
    (folder / "self.jpg").symlink_to(folder / "self.jpg")
    return folder / "self.jpg"


class Awaited:
    async def read(self, size: int = -1) -> bytes:
        return b""


class NotReady:
    def read(self, size: int = -1) -> None:
        return None


def closed_file(folder: Path) -> io.BytesIO:
    stream = io.BytesIO(b"123")
    stream.close()
    return stream


def unreadable_pil(folder: Path) -> Image.Image:
    return Image.open(io.BytesIO(half(encoded("PNG"))))


SOURCES = [
    ("missing", lambda d: d / "none.jpg", "{folder}/none.jpg: no such file; check the path"),
    ("missing, relative", lambda d: "none.jpg", "none.jpg: no such file (looked from {cwd}); check the path"),
    ("inside a file", lambda d: Path(__file__) / "a.jpg", "cannot be read (Not a directory)"),
    ("dead link", dead_link, "{folder}/link.jpg: a dead link to {folder}/gone.jpg, which does not exist"),
    (
        "empty directory",
        folder_of,
        "{folder}/pictures: no pictures here: an empty directory; expected files with .jpg",
    ),
    (
        "directory of others",
        lambda d: folder_of(d, "a.txt", "b.nef"),
        "no pictures here: 2 entries (.nef, .txt); expected files",
    ),
    (
        "directory of one",
        lambda d: folder_of(d, "a.jpg"),
        "a directory where one picture is expected; pass its files, or use",
    ),
    (
        "glob without a match",
        lambda d: f"{d}/*.jpg",
        "{folder}/*.jpg: no file matches this pattern (looked from {cwd})",
    ),
    ("a pipe", pipe, "{folder}/pipe: a pipe into which nothing was written for 0.1 seconds; is it closed?"),
    ("a device", lambda d: "/dev/null", "/dev/null: a device or socket, not a file; pipe the picture to '-' instead"),
    ("a NUL in the name", lambda d: "a\0.jpg", "cannot be read ("),
    ("a name too long", lambda d: "a" * 5000, "cannot be read (File name too long)"),
    ("the empty name", lambda d: "", ": a directory where one picture is expected|no pictures here|no such file"),
    ("None", lambda d: None, "<NoneType>: cannot be read as a picture; expected a path, an http(s) address, bytes"),
    ("a number", lambda d: 5, "<int>: cannot be read as a picture"),
    ("a dict", lambda d: {"path": "a.jpg"}, "<dict>: cannot be read as a picture"),
    ("a list", lambda d: ["a.jpg"], "<list>: several sources where one is expected; pass one of them, or all to"),
    ("a generator", lambda d: (p for p in "ab"), "<generator>: several sources where one is expected"),
    (
        "an array of paths",
        lambda d: np.array(["a", "b"]),
        "an array of 2 sources where one is expected; use detect_many",
    ),
    (
        "a bucket",
        lambda d: "s3://photos/a.jpg",
        "s3://photos/a.jpg: s3 addresses are not supported; download the file and",
    ),
    ("a bucket's Path", lambda d: Path("gs://photos/a.jpg"), "gs:/photos/a.jpg: gs addresses are not supported"),
    ("an FTP address", lambda d: "ftp://example.com/a.jpg", "ftp addresses are not supported; download the file"),
    ("an address as Path", lambda d: Path("http://a.com/a.jpg"), "which drops one of its slashes; pass it as text"),
    (
        "a data address",
        lambda d: "data:image/png;base64," + "A" * 9000,
        "data:image/png;base64,AAAAAAAA...: a data address",
    ),
    ("a file elsewhere", lambda d: "file://server/a.jpg", "a file on server; expected file:///path of this machine"),
    ("a file address", lambda d: f"file://{d}/none.jpg", "file://{folder}/none.jpg: no such file; check the path"),
    ("a bad file address", lambda d: "file://[/a.jpg", "file://[/a.jpg: not an address ("),
    ("a link to itself", link_to_itself, "{folder}/self.jpg: cannot be read (a loop of links: "),
    ("unawaited", lambda d: Awaited(), "its read() must be awaited; pass the bytes: `await file.read()`"),
    (
        "not ready",
        lambda d: NotReady(),
        "nothing to read yet (read() returns None); pass the bytes once they have arrived",
    ),
    (
        "text file object",
        lambda d: io.StringIO("abc"),
        "reading gives str, not bytes; open the file in binary mode, 'rb'",
    ),
    (
        "read file object",
        lambda d: io.BytesIO(),
        "nothing to read (0 bytes); if the file was read before, call its seek(0)",
    ),
    ("closed file object", closed_file, "cannot be read (I/O operation on closed file"),
    ("PIL picture cut off", unreadable_pil, "the PIL picture cannot be loaded ("),
    ("PIL picture without pixels", lambda d: Image.new("RGB", (0, 5)), "the PIL picture has no pixels (0x5)"),
    ("PIL picture in LAB", lambda d: Image.new("LAB", (5, 5)), "<PIL picture 5x5>: a picture in LAB colors"),
]


@pytest.mark.parametrize(("make", "message"), [s[1:] for s in SOURCES], ids=[s[0] for s in SOURCES])
def test_bad_sources(make, message, tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "WAIT_SECONDS", 0.1)
    with pytest.raises(ImageError) as caught:
        open_source(make(tmp_path))
    expected = message.format(folder=tmp_path, cwd=Path.cwd())
    assert any(part in str(caught.value) for part in expected.split("|")), str(caught.value)

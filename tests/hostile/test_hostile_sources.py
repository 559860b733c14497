"""Sources that are none: links, pipes, closed files, objects of other kinds."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hostile.pictures import encoded, half
from ssd300.data.dataset import Dataset
from ssd300.errors import ImageError
from ssd300.images import open_source, streams
from ssd300.labels import COCO


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
        "glob of pictures",
        lambda d: f"{folder_of(d, 'a.jpg')}/*.jpg",
        "{folder}/pictures/*.jpg: a pattern where one picture is expected; pass one of its files, or use detect_many",
    ),
    (
        "glob without a match",
        lambda d: f"{d}/*.jpg",
        "{folder}/*.jpg: no file matches this pattern (looked from {cwd})",
    ),
    ("a pipe", pipe, "{folder}/pipe: no data on this pipe for 0.1 seconds; check the program"),
    ("a device", lambda d: "/dev/null", "/dev/null: a device or socket, not a file; pipe the picture to '-' instead"),
    ("a NUL in the name", lambda d: "a\0.jpg", "cannot be read ("),
    ("a name too long", lambda d: "a" * 5000, "cannot be read (File name too long)"),
    ("the empty name", lambda d: "", ": a directory where one picture is expected|no pictures here|no such file"),
    ("None", lambda d: None, "<NoneType>: cannot be read as a picture; expected a path, an http(s) address, bytes"),
    ("a number", lambda d: 5, "<int>: cannot be read as a picture"),
    ("a data set", lambda d: Dataset("pets", COCO, ()), "pass its pictures: dataset.pictures"),
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


@pytest.mark.posix  # separators, and the words of errors
@pytest.mark.parametrize(("make", "message"), [s[1:] for s in SOURCES], ids=[s[0] for s in SOURCES])
def test_bad_sources(make, message, tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "WAIT_SECONDS", 0.1)
    with pytest.raises(ImageError) as caught:
        open_source(make(tmp_path))
    expected = message.format(folder=tmp_path, cwd=Path.cwd())
    assert any(part in str(caught.value) for part in expected.split("|")), str(caught.value)

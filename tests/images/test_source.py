"""One source: files, bytes, arrays, PIL pictures, tensors."""

import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from images.pictures_of_modes import picture_of_mode
from ssd300.errors import ArgumentError, ImageError
from ssd300.images import Source, expand, load_for_network, name_of, open_source
from ssd300.images import streams as streams_module

PICTURES = [
    ("JPEG", "RGB", {"quality": 80}),
    ("JPEG", "L", {}),
    ("JPEG", "CMYK", {}),
    ("PNG", "RGB", {}),
    ("PNG", "RGBA", {}),
    ("PNG", "LA", {}),
    ("PNG", "P", {}),
    ("PNG", "1", {}),
    ("PNG", "I;16", {}),
    ("WebP", "RGBA", {}),
    ("AVIF", "RGB", {}),
    ("GIF", "P", {"transparency": 3}),
    ("BMP", "RGB", {}),
    ("TIFF", "CMYK", {}),
    ("TIFF", "L", {}),
    ("TIFF", "I;16", {}),
    ("TIFF", "F", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
]


@pytest.mark.parametrize("orientation", [None, 6])
@pytest.mark.parametrize(("kind", "mode", "options"), PICTURES, ids=[f"{k}-{m}" for k, m, _ in PICTURES])
def test_every_kind_of_source_gives_the_same_pixels(kind, mode, options, orientation, photo, encode, tmp_path):
    if orientation and kind not in ("GIF", "BMP"):
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = options | {"exif": exif}
    data = encode(picture_of_mode(photo, mode), kind, **options)
    path = tmp_path / "picture.dat"  # the ending plays no part
    path.write_bytes(data)
    rgb = open_source(path)
    loaded = Image.open(io.BytesIO(data))
    loaded.load()

    with path.open("rb") as stream, Image.open(path) as lazy:
        others = {
            "text path": open_source(str(path)),
            "bytes": open_source(data),
            "bytearray": open_source(bytearray(data)),
            "memoryview": open_source(memoryview(data)),
            "file object": open_source(stream),
            "BytesIO": open_source(io.BytesIO(data)),
            "lazy PIL": open_source(lazy),
            "loaded PIL": open_source(loaded),
            "array": open_source(rgb),
            "bgr array": open_source(rgb[..., ::-1], color="bgr"),
            "float array": open_source(rgb / np.float32(255)),
            "double array": open_source(rgb / 255),
            "uint16 array": open_source(rgb.astype(np.uint16) * 257),
            "Source": open_source(Source(data, "it")),
        }
    assert {what: np.array_equal(rgb, other) for what, other in others.items()} == dict.fromkeys(others, True)
    small, size_hw = load_for_network(data)
    assert size_hw == rgb.shape[:2]
    assert np.array_equal(small, load_for_network(rgb)[0])


# Arrays ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[0, 9]], np.uint8), [[[0] * 3, [9] * 3]]),
        (np.array([[[0], [9]]], np.uint8), [[[0] * 3, [9] * 3]]),
        (np.array([[[1, 2, 3, 255], [1, 2, 3, 0]]], np.uint8), [[[1, 2, 3], [255] * 3]]),
        (np.array([[256, 65535]], ">u2"), [[[1] * 3, [255] * 3]]),
        (np.array([[0, 0.5, 1.0000001]], np.float32), [[[0] * 3, [128] * 3, [255] * 3]]),
        (np.array([[0.5]], np.float16), [[[128] * 3]]),
        (np.array([[0.5]], np.float64), [[[128] * 3]]),
        (
            np.arange(12, dtype=np.uint8).reshape(2, 2, 3)[::-1, ::-1],
            [[[9, 10, 11], [6, 7, 8]], [[3, 4, 5], [0, 1, 2]]],
        ),
    ],
    ids=["HW", "HW1", "HW4", "big-endian 16 bits", "float32", "float16", "float64", "negative strides"],
)
def test_arrays(array, expected):
    rgb = open_source(array)
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    assert rgb.tolist() == expected


def test_bgr_turns_the_channels_and_leaves_alpha_last():
    assert open_source(np.array([[[1, 2, 3]]], np.uint8), color="bgr").tolist() == [[[3, 2, 1]]]
    assert open_source(np.array([[[1, 2, 3, 255]]], np.uint8), color="bgr").tolist() == [[[3, 2, 1]]]
    assert open_source(np.array([[7]], np.uint8), color="bgr").tolist() == [[[7, 7, 7]]]


def test_color_is_about_arrays_only(photo, encode):
    data = encode(photo, "PNG")
    assert np.array_equal(open_source(data, color="bgr"), photo)
    assert np.array_equal(open_source(Image.fromarray(photo), color="bgr"), photo)


def test_an_unknown_channel_order():
    with pytest.raises(ArgumentError, match=r"unknown channel order 'BGR': did you mean 'bgr'\? Known: rgb, bgr"):
        open_source(np.zeros((2, 2, 3), np.uint8), color="BGR")


def test_arrays_are_never_changed(photo):
    for array in (photo.copy(), photo / np.float32(255), photo.astype(np.uint16)):
        before = array.copy()
        array.flags.writeable = False
        load_for_network(array, color="bgr")
        assert np.array_equal(array, before)


def test_torch_tensors(photo):
    torch = pytest.importorskip("torch")
    hwc = torch.from_numpy(photo.copy())
    for tensor in (
        hwc,
        hwc.permute(2, 0, 1),
        hwc.permute(2, 0, 1) / 255,
        (hwc.double() / 255).requires_grad_(),
        hwc.permute(2, 0, 1)[:, None][:, 0],
    ):
        assert np.array_equal(open_source(tensor), photo)
    assert np.array_equal(open_source(hwc.flip(2), color="bgr"), photo)
    assert open_source(torch.zeros(1, 5, 7)).shape == (5, 7, 3)
    assert open_source(torch.zeros(5, 7)).shape == (5, 7, 3)
    assert open_source(torch.zeros(3, 5, 4, dtype=torch.bfloat16)).shape == (5, 4, 3)
    assert [s.name for s in expand(torch.zeros(2, 3, 5, 7))] == ["<tensor 5x7>"] * 2
    with pytest.raises(ImageError, match=r"a batch of shape \(2, 3, 5, 7\)"):
        open_source(torch.zeros(2, 3, 5, 7))
    with pytest.raises(ImageError, match=r"values of type int64; expected uint8, uint16, or float in 0..1"):
        open_source(torch.zeros(5, 7, dtype=torch.int64))
    with pytest.raises(ImageError, match=r"values of type bool; .* Pass array \* np\.uint8\(255\)"):
        open_source(hwc > 100)
    for odd in (torch.zeros(5, 7).to_sparse(), torch.empty(3, 4, 5, device="meta")):
        with pytest.raises(ImageError, match="a tensor that numpy cannot hold"):
            open_source(odd)


class OtherArray:
    """An array of another library, which NumPy converts; its rows are arrays of their own."""

    def __init__(self, array) -> None:
        self.array, self.shape = array, array.shape

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        if self.array.dtype == np.int64:
            raise TypeError("it is on a GPU")
        return self.array

    def __iter__(self):
        return map(OtherArray, self.array)


def test_arrays_of_other_libraries(photo):
    assert np.array_equal(open_source(OtherArray(photo)), photo)
    assert np.array_equal(open_source(OtherArray(photo[..., ::-1]), color="bgr"), photo)
    assert [source.name for source in expand(OtherArray(photo))] == ["<array 60x90>"]
    assert [source.name for source in expand(OtherArray(np.stack([photo, photo])))] == ["<array 60x90>"] * 2
    with pytest.raises(ImageError, match=r"an array that numpy cannot hold \(it is on a GPU"):
        open_source(OtherArray(photo.astype(np.int64)))


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (np.zeros((480, 640, 3), np.uint8), "<array 480x640>"),
        (np.zeros((480, 640), np.uint8), "<array 480x640>"),
        (b"12345", "<5 bytes>"),
        (Image.new("RGB", (640, 480)), "<PIL picture 480x640>"),
        (Path("pictures/a.jpg"), os.path.join("pictures", "a.jpg")),
        ("-", "<stdin>"),
        ("http://example.com/a.jpg", "http://example.com/a.jpg"),
        ("http://me:b@c@example.com/a@1.jpg?pwd=b&key=1", "http://example.com/a@1.jpg?pwd=***&key=1"),
        (io.BytesIO(), "<BytesIO>"),
        (Source(b"1", "mine"), "mine"),
        (None, "<NoneType>"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_names(value, name):
    assert name_of(value) == name


def test_stdin(photo, encode):
    code = "from ssd300.images import open_source; print(open_source('-').shape)"
    done = subprocess.run([sys.executable, "-c", code], input=encode(photo, "PNG"), capture_output=True, check=True)
    assert done.stdout.strip() == b"(60, 90, 3)"


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("", "'': no such file, the path is empty; check the variable or list that it comes from"),
        (Path("gone.png"), r"gone\.png: no such file \(looked from the current folder, which no longer exists\)"),
        ("*.png", r"no file matches this pattern \(looked from the current folder, which no longer exists\)"),
        (io.TextIOWrapper(io.BytesIO(b"x")), "reading gives str, not bytes; open the file in binary mode, 'rb'"),
        (gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(b"x" * 999)[:-9])), "cannot be read .Compressed file ended"),
    ],
)  # fmt: skip
@pytest.mark.skipif(os.name != "posix", reason="a folder in use cannot be deleted")
def test_what_cannot_be_read_says_why(source, what, tmp_path, monkeypatch):
    folder = tmp_path / "deleted"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    with pytest.raises(ImageError, match=what):
        open_source(source)


def test_files_of_absurd_size_are_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(streams_module, "MAX_FILE_BYTES", 100)
    path = tmp_path / "film.png"
    path.write_bytes(b"x" * 101)
    for source in (path, io.BytesIO(b"x" * 101)):
        with pytest.raises(ImageError, match="larger than 100 bytes, the limit; check that this is a picture"):
            open_source(source)

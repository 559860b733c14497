"""A picture that is drawn on keeps its ICC profile: without it, the colors of phones' pictures (Display P3) change."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from ssd300.cli.saving import render
from ssd300.detections import Detections
from ssd300.detector import Detector
from ssd300.draw import draw_boxes
from ssd300.images.encode import encode_picture
from ssd300.images.profiles import icc_profile
from ssd300.labels import COCO

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
WIDE = SRGB[:84] + bytes(16) + SRGB[100:]  # another one: its profile id differs
GRAY = SRGB[:16] + b"GRAY" + SRGB[20:]


def stored(data: bytes) -> bytes | None:
    with Image.open(io.BytesIO(data)) as picture:
        return picture.info.get("icc_profile")


def picture_file(path, profile: bytes | None = WIDE):
    Image.new("RGB", (60, 40), (200, 30, 60)).save(path, icc_profile=profile)
    return path


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_a_drawn_file_and_its_crops_have_the_profile(tmp_path, ending) -> None:
    path = picture_file(tmp_path / f"a{ending}")
    found = Detections([[5, 5, 30, 30]], [0.9], [1], COCO, (40, 60), str(path))
    rendered = render(found, crops=True)
    assert stored(rendered.drawn) == WIDE
    assert [stored(jpeg) for _, _, jpeg in rendered.crops] == [WIDE]
    found.save(tmp_path / "saved.webp")
    assert stored((tmp_path / "saved.webp").read_bytes()) == WIDE
    assert type(found.crop()[0]) is np.ndarray


@pytest.mark.parametrize(
    ("kind", "keep_pixels", "tiles"),
    [
        ("path", False, None),
        ("path", True, None),
        ("path", True, 2),
        ("bytes", False, None),
        ("file", True, None),
        ("PIL picture", False, None),
        ("PIL picture", True, None),
    ],
)
def test_it_comes_from_every_source(tmp_path, kind, keep_pixels, tiles) -> None:
    path = picture_file(tmp_path / "a.png")
    source = {
        "path": lambda: path,
        "bytes": path.read_bytes,
        "file": lambda: io.BytesIO(path.read_bytes()),
        "PIL picture": lambda: Image.open(path),
    }[kind]()
    found = Detector.load().detect(source, keep_pixels=keep_pixels, tiles=tiles)
    assert found.draw().info.get("icc_profile") == WIDE
    assert stored(encode_picture(found.draw(), ".jpg")) == WIDE


def test_no_profile_is_invented(tmp_path) -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    assert icc_profile(pixels) is None
    assert icc_profile(picture_file(tmp_path / "a.jpg", None)) is None
    assert icc_profile(picture_file(tmp_path / "b.jpg", GRAY)) is None  # the drawn picture is RGB
    assert icc_profile(picture_file(tmp_path / "c.jpg", b"damaged")) is None
    assert icc_profile(picture_file(tmp_path / "d.jpg", WIDE + bytes(2**20))) is None
    assert icc_profile(b"no picture") is None
    assert icc_profile(tmp_path / "none.jpg") is None
    assert "icc_profile" not in draw_boxes(pixels, np.zeros((0, 4), np.float32), [], []).info

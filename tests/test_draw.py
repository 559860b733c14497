"""Boxes on pictures: lines, crops, and what is saved."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from drawing import GRAY, NONE, found, ground
from ssd300 import colors as palette
from ssd300 import draw
from ssd300.detections import Detections
from ssd300.errors import ArgumentError
from ssd300.images.encode import encode_picture
from ssd300.labels import COCO


def test_nothing_found_leaves_the_picture_as_it_is() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (50, 60, 3), np.uint8)
    assert np.array_equal(np.asarray(draw.draw_boxes(picture, NONE, [], [])), picture)
    empty = Detections.empty(COCO, (50, 60))
    assert np.array_equal(np.asarray(empty.draw(picture)), picture)
    assert empty.crop(picture) == []


@pytest.mark.parametrize("make", [lambda a: a, Image.fromarray], ids=["array", "PIL"])
def test_the_given_picture_is_not_changed(make) -> None:
    picture = make(ground(200, 100))
    drawn = draw.draw_boxes(picture, [[10, 20, 90, 80]], ["cat 0.9"], [1])
    assert np.asarray(picture).min() == np.asarray(picture).max() == GRAY
    assert np.asarray(drawn).min() != np.asarray(drawn).max()


def test_pictures_of_every_mode_are_drawn_on_as_they_are_read() -> None:
    deep = Image.fromarray(np.full((20, 20), 0x4D00, np.uint16))
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    clear.putpixel((0, 0), (1, 2, 3, 255))
    for picture, expected in ((deep, (77, 77, 77)), (clear, (255, 255, 255))):
        assert draw.draw_boxes(picture, NONE, [], []).getpixel((9, 9)) == expected


@pytest.mark.parametrize(
    ("size", "boxes"),
    [
        ((1, 1), [[0, 0, 1, 1]]),
        ((1, 1), [[0.2, 0.2, 0.3, 0.3]]),
        ((2, 3), [[-5, -5, 50, 50]]),
        ((9000, 3), [[100, 0, 8000, 3]]),
        ((3, 9000), [[0, 100, 3, 8000]]),
        ((60, 60), [[5, 5, 6, 6], [5, 5, 5, 5]]),
        ((500, 400), [[-100, -100, 30, 30], [480, 390, 900, 900], [0, 0, 500, 400]]),
        ((4000, 3000), [[1, 1, 3999, 2999], [5, 5, 8, 8]]),
    ],
)
def test_any_size_of_picture_and_box(size, boxes) -> None:
    drawn = draw.draw_boxes(ground(*size), boxes, ["potted plant 0.87"] * len(boxes), [64] * len(boxes))
    assert drawn.size == size
    assert drawn.mode == "RGB"


@pytest.mark.parametrize(
    "box", [[201, 10, 240, 50], [-50, 10, 0, 50], [10, -20, 50, 0], [10, 100, 50, 120], [5, 5, 5, 9]]
)
def test_a_box_without_pixels_in_the_picture_is_not_drawn(box) -> None:
    assert np.array_equal(np.asarray(draw.draw_boxes(ground(200, 100), [box], ["cat"], [1])), ground(200, 100))


def test_the_frame_lies_on_the_box_in_the_color_of_the_class() -> None:
    drawn = np.asarray(draw.draw_boxes(ground(200, 100), [[40, 30, 160, 90]], [""], [17]))
    for y, x in [(30, 100), (89, 100), (60, 40), (60, 159)]:
        assert tuple(drawn[y, x]) == palette.color_of(17)
    outside = drawn.copy()
    outside[30:90, 40:160] = GRAY
    assert (outside == GRAY).all()
    assert (drawn[40:80, 50:150] == GRAY).all()  # the object itself stays free


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("key", range(len(palette.PALETTE)))
def test_frames_stand_out_from_any_ground(value, key) -> None:
    drawn = np.asarray(draw.draw_boxes(ground(300, 300, value), [[40, 40, 260, 260]], [""], [key]))
    column = {tuple(int(v) for v in pixel) for pixel in drawn[40:60, 150]}
    light = palette.luminance((value,) * 3)
    contrasts = [(max(light, other) + 0.05) / (min(light, other) + 0.05) for other in map(palette.luminance, column)]
    assert max(contrasts) >= 3  # WCAG's bar for graphics


def test_line_and_letters_follow_the_picture() -> None:
    widths = [draw._line_width((side, side)) for side in (1, 500, 1000, 4000)]
    letters = [draw._letter_size((side, side)) for side in (40, 100, 600, 4000)]
    assert widths == sorted(set(widths))
    assert letters == sorted(set(letters))


@pytest.mark.parametrize(
    ("picture", "boxes", "captions", "keys", "message"),
    [
        (ground(9, 9), [[1, 2, 3]], ["a"], [1], r"got \[1, 3\], 1 and 1"),
        (ground(9, 9), [[1, 2, 3, 4]], [], [1], r"got \[1, 4\], 0 and 1"),
        (ground(9, 9), [[1, 2, 3, 4]], ["a"], [], r"got \[1, 4\], 1 and 0"),
        (ground(9, 9)[..., 0], NONE, [], [], r"got uint8 \[9, 9\]"),
        (ground(9, 9) / 255, NONE, [], [], r"got float64 \[9, 9, 3\]"),
        (ground(0, 0), NONE, [], [], r"got uint8 \[0, 0, 3\]"),
    ],
)
def test_faults_are_named(picture, boxes, captions, keys, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        draw.draw_boxes(picture, np.array(boxes, np.float32), captions, keys)


def test_crops_hold_every_pixel_that_a_box_touches() -> None:
    picture = np.arange(100 * 200 * 3, dtype=np.uint8).reshape(100, 200, 3)
    pieces = found([[10.2, 20.9, 30.1, 40], [-5, 90, 500, 500], [300, 5, 310, 8]]).crop(picture)
    assert [piece.shape for piece in pieces] == [(20, 21, 3), (10, 200, 3), (3, 0, 3)]
    assert np.array_equal(pieces[0], picture[20:40, 10:31])
    assert not np.shares_memory(pieces[0], picture)


@pytest.mark.parametrize("make", [lambda a: a, Image.fromarray], ids=["array", "PIL"])
def test_a_picture_of_another_size_is_refused(make) -> None:
    one = found([[0, 0, 1, 1]])
    for drawing in (one.draw, lambda picture: draw.draw_detections(picture, one)):
        with pytest.raises(ArgumentError, match="a picture of 200x100 pixels, got one of 100x200"):
            drawing(make(ground(100, 200)))


@pytest.mark.parametrize("source", [None, "<array 100x200>", "gone.jpg", "x" * 300 + ".jpg"])
def test_without_a_readable_source_the_picture_must_be_given(source) -> None:
    with pytest.raises(ArgumentError, match="pass picture="):
        found([[0, 0, 1, 1]], source=source).draw()


def test_the_source_is_read_upright(tmp_path) -> None:
    path = tmp_path / "on its side.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(ground(100, 200)).save(path, exif=exif)  # stored 100x200, seen 200x100
    one = found([[0, 0, 50, 50]], source=str(path))
    with Image.open(path) as stored:
        assert draw.draw_detections(stored, one).size == (200, 100)
    for source in (str(path), path.as_uri()):
        assert replace(one, source=source).draw().size == (200, 100)


@pytest.mark.parametrize("ending", [".jpg", ".JPEG", ".png", ".webp"])
def test_drawn_pictures_are_saved(tmp_path, ending) -> None:
    path = tmp_path / f"drawn{ending}"
    found([[40, 30, 160, 90]]).save(path, ground(200, 100))
    with Image.open(path) as image:
        assert image.size == (200, 100)
        near = np.abs(np.array(image.convert("RGB").getpixel((100, 30)), int) - palette.color_of(1))
    assert near.max() < (80 if ending == ".webp" else 40)  # WebP halves the resolution of color


@pytest.mark.parametrize(("ending", "side"), [(".jpg", 65501), (".webp", 16384)])
def test_a_format_that_cannot_hold_the_picture_says_so(ending, side) -> None:
    with pytest.raises(ArgumentError, match=r"long: .*at most \d+ pixels per side, got \d+: use .png"):
        encode_picture(Image.new("RGB", (side, 1)), ending, "long")


@pytest.mark.parametrize("wrong", [0, -3, 2.5, "2"])
def test_a_line_width_that_cannot_be_drawn_is_refused(wrong) -> None:
    with pytest.raises(ArgumentError, match=r"line_width is .*: expected a whole number of pixels"):
        draw.draw_boxes(np.zeros((9, 9, 3), np.uint8), np.zeros((0, 4)), [], [], line_width=wrong)

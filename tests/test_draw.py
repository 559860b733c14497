import itertools
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssd300 import colors as palette
from ssd300 import draw, lettering
from ssd300.detections import Detections
from ssd300.errors import ArgumentError
from ssd300.labels import COCO
from ssd300.lettering import font_for

GREY = 128
NONE = np.zeros((0, 4), np.float32)


def ground(width: int, height: int, value: int = GREY) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def found(boxes, size_hw=(100, 200), source=None) -> Detections:
    count = len(boxes)
    return Detections(np.array(boxes, np.float32), np.linspace(0.9, 0.5, count), [1] * count, COCO, size_hw, source)


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
    assert np.asarray(picture).min() == np.asarray(picture).max() == GREY
    assert np.asarray(drawn).min() != np.asarray(drawn).max()


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
    outside[30:90, 40:160] = GREY
    assert (outside == GREY).all()
    assert (drawn[40:80, 50:150] == GREY).all()  # the object itself stays free


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


def test_colors_are_steady_and_never_depend_on_neighbors() -> None:
    assert palette.color_of("cat") == palette.color_of("cat")
    assert palette.color_of(1) == palette.color_of(np.int64(1))
    alone = draw.draw_boxes(ground(200, 100), [[100, 50, 190, 90]], [""], [5])
    together = draw.draw_boxes(ground(200, 100), [[100, 50, 190, 90], [2, 2, 30, 30]], ["", ""], [5, 6])
    assert alone.getpixel((150, 50)) == together.getpixel((150, 50)) == palette.color_of(5)


COLOUR_VISION = {  # Machado et al. 2009, complete loss of one kind of cone, linear RGB
    "normal": np.eye(3),
    "no red cones": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green cones": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "no blue cones": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def lab(linear: np.ndarray) -> np.ndarray:
    x, y, z = np.cbrt(np.maximum(XYZ @ np.clip(linear, 0, 1) / [0.95047, 1, 1.08883], 1e-4))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", COLOUR_VISION)
def test_palette_is_told_apart_with_any_color_vision(vision) -> None:
    colors = np.array(palette.PALETTE) / 255
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    seen = [lab(COLOUR_VISION[vision] @ color) for color in linear]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 12  # 2.3 is just noticeable


@pytest.mark.parametrize("color", palette.PALETTE)
def test_letters_contrast_with_their_label(color) -> None:
    a, b = sorted([palette.luminance(color), palette.luminance(palette.choose_ink(color))])
    assert (b + 0.05) / (a + 0.05) >= 4.5  # WCAG's bar for text


@pytest.fixture
def labels(monkeypatch):
    """The rectangles of the labels that are placed."""
    places = []
    place = draw._place_label

    def recording(*arguments):
        places.append(place(*arguments))
        return places[-1]

    monkeypatch.setattr(draw, "_place_label", recording)
    return places


@pytest.mark.parametrize("size", [(640, 480), (200, 150), (100, 900), (1500, 90)])
def test_labels_stay_in_the_picture(size, labels) -> None:
    width, height = size
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height], [width / 2, height / 2]], np.float32)
    boxes = np.concatenate([corners - 40, corners + 40], axis=1)
    draw.draw_boxes(ground(*size), boxes, ["a very long name of a class that does not fit 0.99"] * 5, range(5))
    assert len(labels) == 5
    for left, top, right, bottom in labels:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height


@pytest.mark.parametrize("layout", ["same box", "row", "nested"])
def test_labels_do_not_overlap_where_there_is_room(layout, labels) -> None:
    count = 12
    boxes = {
        "same box": [[300, 200, 340, 240]] * count,
        "row": [[40 * i, 200, 40 * i + 30, 260] for i in range(count)],
        "nested": [[10 + 4 * i, 10 + 4 * i, 600 - 4 * i, 460 - 4 * i] for i in range(count)],
    }[layout]
    draw.draw_boxes(ground(640, 480), boxes, ["person 0.99"] * count, [1] * count)
    assert len(labels) == count
    for a, b in itertools.combinations(labels, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_a_label_that_would_hide_a_more_important_one_is_left_out(labels) -> None:
    count = 40
    draw.draw_boxes(ground(100, 75), [[20, 20, 60, 50]] * count, ["person 0.99"] * count, [1] * count)
    assert len(labels) == count
    assert None in labels
    shown = [place for place in labels if place]
    assert labels[0] == shown[0]
    assert len(shown) > 2
    for a, b in itertools.combinations(shown, 2):
        assert draw.iou(np.array([a], np.float32), np.array([b], np.float32)).item() <= 0.04


@pytest.mark.parametrize("size", [(71, 600), (600, 71), (1, 1)])
def test_no_label_where_it_would_hide_the_picture(size, labels) -> None:
    draw.draw_boxes(ground(*size), [[0, 0, *size]], ["person 0.99"], [1])
    assert labels == []


@pytest.mark.parametrize("text", ["Äpfel", "žluťoučký kůň", "ñandú", "Ελλάδα", "пример", "Việt", "œuf €", "A\u0308"])
def test_the_font_has_the_letters(text) -> None:
    font = font_for("", 20)
    missing = bytes(font.getmask("\U0010ffff"))
    for letter in unicodedata.normalize("NFC", text.replace(" ", "")):
        assert bytes(font.getmask(letter)) != missing


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


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(ArgumentError, match="a picture of 200x100 pixels, got one of 100x200"):
        found([[0, 0, 1, 1]]).draw(ground(100, 200))


@pytest.mark.parametrize("source", [None, "<array 100x200>", "gone.jpg"])
def test_without_a_readable_source_the_picture_must_be_given(source) -> None:
    with pytest.raises(ArgumentError, match="pass picture="):
        found([[0, 0, 1, 1]], source=source).draw()


def test_the_source_is_read_upright(tmp_path) -> None:
    path = tmp_path / "on its side.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(ground(100, 200)).save(path, exif=exif)  # stored 100x200, seen 200x100
    assert found([[0, 0, 50, 50]], source=str(path)).draw().size == (200, 100)


@pytest.mark.parametrize("ending", [".jpg", ".JPEG", ".png", ".webp"])
def test_drawn_pictures_are_saved(tmp_path, ending) -> None:
    path = tmp_path / f"drawn{ending}"
    found([[40, 30, 160, 90]]).save(path, ground(200, 100))
    with Image.open(path) as image:
        assert image.size == (200, 100)
        near = np.abs(np.array(image.convert("RGB").getpixel((100, 30)), int) - palette.color_of(1))
    assert near.max() < (80 if ending == ".webp" else 40)  # WebP halves the resolution of color


@pytest.mark.parametrize(("ending", "side"), [(".jpg", 65501), (".webp", 16384)])
def test_a_format_that_cannot_hold_the_picture_says_so(tmp_path, ending, side) -> None:
    with pytest.raises(ArgumentError, match=r"at most \d+ pixels a side, got \d+: use .png"):
        draw.save_picture(Image.new("RGB", (side, 1)), tmp_path / f"long{ending}")


def test_colors_of_nothing_and_of_equal_keys() -> None:
    assert palette.choose_colors([]) == []
    assert palette.choose_colors([5, "cat", 5]) == [palette.color_of(5), palette.color_of("cat"), palette.color_of(5)]


@pytest.mark.parametrize("count", [2, 8, 9, 24, 40, 80])
def test_classes_of_one_picture_differ(count) -> None:
    keys = list(COCO.ids[:count])
    colors = palette.choose_colors(keys)
    assert len(set(colors)) == count
    assert palette.choose_colors(keys[::-1]) == colors[::-1]
    assert colors[0] == palette.color_of(keys[0])


def test_two_classes_of_one_color_are_drawn_in_two() -> None:
    boxes = [[10, 10, 90, 90], [110, 10, 190, 90]]
    image = draw.draw_boxes(ground(200, 100), boxes, ["", ""], [1, 9])
    assert palette.color_of(1) == palette.color_of(9)
    assert image.getpixel((50, 89)) == palette.color_of(1)
    assert image.getpixel((150, 89)) not in (palette.color_of(1), (GREY,) * 3)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("length", [1_000, 10_000, 1_000_000])
def test_captions_of_any_length_are_cut_in_no_time(length, labels) -> None:
    draw.draw_boxes(ground(640, 480), [[10, 50, 300, 300]], ["wolf " * (length // 5)], [1])
    assert len(labels) == 1


@pytest.mark.parametrize("room", [0, 8, 30, 31, 57, 100, 200, 5000])
def test_the_longest_part_that_fits_is_kept(room) -> None:
    font, text = font_for("", 20), "a traffic light, far away"
    fits = [text[:n].rstrip() + "…" for n in range(2, len(text)) if font.getlength(text[:n].rstrip() + "…") <= room]
    expected = text if font.getlength(text) <= room else max(fits, key=len, default="")
    assert draw._shorten(text, font, room) == expected


def test_letters_that_no_font_has_are_told_once(monkeypatch) -> None:
    monkeypatch.setattr(lettering, "_system_fonts", tuple)
    for cached in (lettering._best, lettering._choose, lettering._warn):
        cached.cache_clear()
    assert lettering.missing_letters(["", "cat", "Größe"]) == ""
    assert lettering.missing_letters(["猫 cat", "犬"]) == "犬猫"
    with pytest.warns(lettering.MissingLetters, match=r"no font was found for '猫', .* give one with font="):
        font_for("猫 0.90", 16)
    font_for("猫 0.80", 16)  # once: a second warning would be an error here
    for cached in (lettering._best, lettering._choose):
        cached.cache_clear()


def test_a_font_that_has_the_letters_is_taken(tmp_path, monkeypatch) -> None:
    """The system's, where it has more letters than the package's; one that is given, before all."""
    dejavu = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    if not dejavu.exists():
        pytest.skip("needs DejaVu Sans")
    monkeypatch.setattr(lettering, "_system_fonts", lambda: (dejavu,))
    lettering._best.cache_clear()
    lettering._choose.cache_clear()
    arabic = "مرحبا"
    assert str(font_for("cat", 16).path) == str(lettering.OWN)
    assert str(font_for(f"{arabic} 0.90", 16).path) == str(dejavu)
    assert lettering.missing_letters([arabic]) == ""
    assert str(font_for("cat", 16, dejavu).path) == str(dejavu)
    (tmp_path / "a.ttf").write_text("no font")
    with pytest.raises(ArgumentError, match=r"a\.ttf: cannot be used as a font"):
        draw.draw_boxes(ground(200, 200), [[0, 0, 99, 99]], ["cat"], [1], font=tmp_path / "a.ttf")
    lettering._best.cache_clear()
    lettering._choose.cache_clear()

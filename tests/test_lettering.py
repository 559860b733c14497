"""Labels beside boxes: where they stand, how they are cut, and in which font."""

import itertools
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from drawing import ground
from ssd300 import draw, lettering
from ssd300.boxes import iou
from ssd300.errors import ArgumentError
from ssd300.lettering import font_for


@pytest.fixture
def labels(monkeypatch):
    """The rectangles of the labels that are placed."""
    places = []
    place = draw.place_label

    def recording(*arguments):
        places.append(place(*arguments))
        return places[-1]

    monkeypatch.setattr(draw, "place_label", recording)
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
        assert iou(np.array([a], np.float32), np.array([b], np.float32)).item() <= 0.04


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
    assert lettering.missing_letters(["", "cat", "Größe", "cat\ufe0f\u200d"]) == ""
    assert lettering.missing_letters(["猫 cat", "犬"]) == "犬猫"
    with pytest.warns(lettering.MissingLetters, match=r"no font was found for '猫', .* install one"):
        font_for("猫 0.90", 16)
    font_for("猫 0.80", 16)  # once: a second warning would be an error here
    for cached in (lettering._best, lettering._choose):
        cached.cache_clear()


@pytest.mark.parametrize("name", ["dog", "Ổ khóa", "Ấm", "ẴỆ", "Ǖ"])
def test_accents_stay_on_their_label(name, labels) -> None:
    """They tell words of Vietnamese apart; at the top of a picture they would be cut off."""
    drawn = np.asarray(draw.draw_boxes(ground(600, 400), [[40, 200, 560, 390]], [name], [6]))
    assert (drawn[: labels[0][1]] == 128).all()


@pytest.mark.parametrize("unseen", ["\ufeff", "\u200e", "\u200b", "\ufe0f", "\u00ad", "\x1b"])
def test_characters_that_are_not_seen_are_not_drawn(unseen) -> None:
    """A list of names that was copied from a web page or a table has them."""
    plain, copied = (
        draw.draw_boxes(ground(200, 200), [[9, 60, 150, 150]], [name], [1]) for name in ("ab", f"a{unseen}b")
    )
    assert plain.tobytes() == copied.tobytes()


@pytest.mark.parametrize("home", [True, False])
def test_fonts_of_the_user_count_too(tmp_path, monkeypatch, home) -> None:
    def folder() -> Path:
        if home:
            return tmp_path
        raise RuntimeError("no home folder")

    monkeypatch.setattr(Path, "home", folder)
    monkeypatch.setattr(lettering.sys, "platform", "linux")
    (tmp_path / ".fonts/mine").mkdir(parents=True)
    (tmp_path / ".fonts/mine/a.TTF").touch()
    lettering._system_fonts.cache_clear()
    assert (tmp_path / ".fonts/mine/a.TTF" in lettering._system_fonts()) == home
    lettering._system_fonts.cache_clear()


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


@pytest.mark.skipif(os.name != "posix", reason="FIFOs of POSIX")
@pytest.mark.parametrize("kind", ["FIFO", "folder", "text"])
def test_what_is_no_font_is_refused_at_once(tmp_path, kind) -> None:
    path = tmp_path / "font.ttf"
    {"FIFO": os.mkfifo, "folder": Path.mkdir, "text": lambda p: p.write_text("x")}[kind](path)
    with pytest.raises(ArgumentError, match=r"font\.ttf: cannot be used as a font"):
        font_for("a", 12, path)

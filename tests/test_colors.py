"""Colors of classes: steady, told apart by any eye, and readable beneath letters."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from drawing import GRAY, ground
from ssd300 import colors as palette
from ssd300 import draw
from ssd300.labels import COCO


def test_colors_are_steady_and_never_depend_on_neighbors() -> None:
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
    assert image.getpixel((150, 89)) not in (palette.color_of(1), (GRAY,) * 3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "grounds", "least"),
    [
        ("ink", "ground card", 4.5),
        ("soft", "ground card stage", 4.5),
        ("accent", "ground card", 4.5),
        ("on", "accent", 4.5),
        ("fault", "fault-ground", 4.5),
        ("ring", "ground card stage", 3),  # around what has the focus
    ],
)
def test_the_page_contrasts_as_wcag_demands(scheme, ink, grounds, least) -> None:
    style = (Path(palette.__file__).parent / "page/page.css").read_text()
    block = style.split("prefers-color-scheme: dark")[scheme == "dark"]
    found = re.findall(r"--([a-z-]+): #([0-9a-f]+)", block)
    colors = {
        name: tuple(bytes.fromhex(text if len(text) == 6 else "".join(c + c for c in text))) for name, text in found
    }
    for behind in grounds.split():
        a, b = sorted(palette.luminance(colors[name]) for name in (ink, behind))
        assert (b + 0.05) / (a + 0.05) >= least

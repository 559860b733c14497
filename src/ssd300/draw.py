"""Draw boxes and names on a picture with Pillow: legible on any background, a color per class."""

import math
import os
import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ssd300.arrays import Float32, UInt8
from ssd300.boxes import area, clip
from ssd300.colors import Color, choose_colors, choose_ink
from ssd300.errors import ArgumentError
from ssd300.images.addresses import local_path
from ssd300.images.profiles import icc_profile, with_profile
from ssd300.lettering import font_for, without_unseen
from ssd300.placing import place_label
from ssd300.result import Found, check_size

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

SMALLEST_LETTERS = 9  # pixels; smaller ones are not legible

_WIDEST_LABEL = 0.6  # of the picture's width; a longer caption is truncated
_LONGEST_CAPTION = 1000  # characters that are used; no label has room for more


@dataclass(frozen=True)
class DrawStyle:
    """How detections are drawn: font file, with names, with scores, line width in pixels (None: by picture size)."""

    font: str | Path | None = None
    names: bool = True
    scores: bool = True
    line_width: int | None = None

    def caption(self, name: str, score: float) -> str:
        return " ".join([name] * self.names + [f"{score:.2f}"] * self.scores)


def draw_detections(
    picture: UInt8 | Image.Image, detections: Found, *, font: str | Path | None = None, style: DrawStyle | None = None
) -> Image.Image:
    """A copy of the picture with every detection's box, name and score; the color belongs to the class id.

    `font` as for `draw_boxes`; with `style`, the font of the style is used. Raises ArgumentError if the picture has
    another size than that of the detections.
    """
    style = style or DrawStyle(font)
    rgb = _rgb(picture)
    check_size(detections, rgb.shape[:2])
    captions = [style.caption(name, score) for name, score in zip(detections.names, detections.scores, strict=True)]
    keys = detections.class_ids.tolist()
    return draw_boxes(rgb, detections.boxes_xyxy, captions, keys, font=style.font, line_width=style.line_width)


def draw_boxes(
    picture: UInt8 | Image.Image,
    boxes_xyxy: Float32,
    captions: Sequence[str],
    color_keys: Sequence[int | str],
    *,
    font: str | Path | None = None,
    line_width: int | None = None,
) -> Image.Image:
    """A copy of the picture (RGB uint8 [H, W, 3] or PIL) with N boxes, pixels [N, 4], the most important first.

    A PIL picture is turned upright, as for `detect`. Line width, unless given, and letter size follow the picture's
    size. A caption stays inside the picture and does not overlap other captions if there is room; where the picture is
    too small it is truncated, then left out. An empty caption is not drawn. Boxes are clipped to the picture; one
    outside of it is not drawn. Equal `color_keys` get equal colors, different keys different colors, nearly always
    those of `color_of` (see `choose_colors`). `font` is a font file for captions; by default the package's own font, or
    one of the system's that has the characters.
    """
    boxes = np.asarray(boxes_xyxy, np.float32)
    if boxes.shape != (len(captions), 4) or len(captions) != len(color_keys):
        raise ArgumentError(
            f"drawing needs boxes_xyxy [N, 4], N captions and N color_keys, "
            f"got {list(boxes.shape)}, {len(captions)} and {len(color_keys)}"
        )
    if line_width is not None and not (isinstance(line_width, int | np.integer) and line_width >= 1):
        raise ArgumentError(f"line_width is {line_width!r}: expected a whole number of pixels, 1 or more")
    from PIL import ImageDraw

    image = as_image(_rgb(picture))
    cut = clip(boxes, *image.size)
    visible = [i for i in range(len(cut)) if cut[i, 0] < cut[i, 2] and cut[i, 1] < cut[i, 3]]
    colors = choose_colors([color_keys[i] for i in visible])
    pen = ImageDraw.Draw(image)
    for i, color in reversed(list(zip(visible, colors, strict=True))):  # the most important last, on top
        _draw_frame(pen, line_width or _line_width(image.size), cut[i], color)
    path = None if font is None else Path(font)
    _draw_labels(pen, image.size, cut[visible], [captions[i] for i in visible], colors, path)
    return image


def as_image(rgb: UInt8) -> Image.Image:
    """The pixels as a PIL picture, which has their ICC profile."""
    image, profile = Image.fromarray(rgb), icc_profile(rgb)
    if profile is not None:
        image.info["icc_profile"] = profile
    return image


def crop(rgb: UInt8, boxes_xyxy: Float32) -> list[UInt8]:
    """A copy uint8 [h, w, 3] of every pixel that a box touches, box by box; h or w is 0 for a box outside of it."""
    rgb, (height, width) = np.asarray(rgb), rgb.shape[:2]
    cut = clip(boxes_xyxy, width, height)
    low, high = np.floor(cut[:, :2]).astype(int), np.ceil(cut[:, 2:]).astype(int)
    return [rgb[y1:y2, x1:x2].copy() for (x1, y1), (x2, y2) in zip(low.tolist(), high.tolist(), strict=True)]


def load_pixels(detections: Found, picture: Any = None) -> UInt8:
    """The pixels, RGB uint8 [H, W, 3], of the picture that the detections belong to, with its ICC profile.

    From `picture` if given (anything that `detect` takes), else from the picture that they hold, else from the file
    `source`. Raises ArgumentError if there is no picture, or if its size is not the detections' size.
    """
    from ssd300.images.source import open_source

    picture = detections.picture if picture is None else picture
    if picture is None:
        if detections.source is None or not os.path.isfile(local_path(detections.source)):
            raise ArgumentError(f"the source {detections.source!r} is not a file that can be read again: pass picture=")
        picture = detections.source
    rgb = with_profile(open_source(picture), picture)
    check_size(detections, rgb.shape[:2])
    return rgb


def _rgb(picture: Any) -> UInt8:
    from ssd300.images.arrays import upright_rgb

    if isinstance(picture, Image.Image):
        return with_profile(upright_rgb(picture, "the picture"), picture)
    array: UInt8 = np.asanyarray(picture)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise ArgumentError(
            f"drawing needs RGB uint8 [H, W, 3] or a PIL picture, got {array.dtype} {list(array.shape)}"
        )
    return array


def _line_width(size: tuple[int, int]) -> int:
    return max(1, round(math.sqrt(size[0] * size[1]) / 300))


def _letter_size(size: tuple[int, int]) -> int:
    """In proportion to the picture; below 72 pixels letters would hide it, and the result is too small to be drawn."""
    return min(max(10, round(math.sqrt(size[0] * size[1]) / 42)), min(size) // 8)


def _draw_frame(pen: "ImageDraw.ImageDraw", width: int, box_xyxy: Float32, color: Color) -> None:
    """A line of the color between hairlines of the opposite brightness, visible on any background."""
    left, top = (int(v) for v in np.floor(box_xyxy[:2]))
    right, bottom = (int(v) for v in np.ceil(box_xyxy[2:]))
    line = min(width, max(1, min(right - left, bottom - top) // 6))  # a tiny box must not be filled by its line
    outline = max(1, line // 3)
    if min(right - left, bottom - top) > 4 * (line + outline):
        inner = line + outline
        pen.rectangle((left, top, right - 1, bottom - 1), outline=choose_ink(color), width=inner)
    pen.rectangle((left, top, right - 1, bottom - 1), outline=color, width=line)


def _draw_labels(
    pen: "ImageDraw.ImageDraw",
    size: tuple[int, int],
    boxes_xyxy: Float32,
    captions: Sequence[str],
    colors: Sequence[Color],
    given: Path | None,
) -> None:
    letters = _letter_size(size)
    if letters < SMALLEST_LETTERS:
        return
    pad, room = max(2, letters // 5), round(size[0] * _WIDEST_LABEL)
    ascent, descent = font_for("", letters, given).getmetrics()
    small_xyxy = boxes_xyxy[area(boxes_xyxy) < 12 * (ascent + descent) ** 2]
    placed, count = np.empty((len(captions), 4), np.float32), 0
    for box, caption, color in zip(boxes_xyxy, captions, colors, strict=True):
        text = caption if len(caption) <= _LONGEST_CAPTION else caption[:_LONGEST_CAPTION] + "…"
        text = unicodedata.normalize("NFC", " ".join(text.split()))
        font = font_for(text, letters, given)
        text = _shorten(without_unseen(text, font), font, room - 2 * pad)
        if not text:
            continue
        _, top, _, bottom = font.getbbox(text, anchor="ls")
        ascent, descent = font.getmetrics()  # accents on capital letters can be higher
        ascent, descent = max(ascent, -math.floor(top)), max(descent, math.ceil(bottom))
        width = math.ceil(font.getlength(text)) + 2 * pad
        place = place_label(box, (width, ascent + descent), size, placed[:count], small_xyxy)
        if place is None:
            continue
        placed[count], count = place, count + 1
        pen.rectangle((place[0], place[1], place[2] - 1, place[3] - 1), fill=color)
        pen.text((place[0] + pad, place[1] + ascent), text, font=font, fill=choose_ink(color), anchor="ls")


def label_font(size: tuple[int, int]) -> "ImageFont.FreeTypeFont":
    return font_for("", max(_letter_size(size), SMALLEST_LETTERS))


def _shorten(text: str, font: "ImageFont.FreeTypeFont", room: int) -> str:
    """The text, truncated with an ellipsis where there is no room; empty if two characters do not fit."""
    if font.getlength(text) <= room:
        return text

    def truncate(length: int) -> str:
        return text[:length].rstrip() + "…"

    # The longest that fits, by bisection: the width grows with the number of characters.
    first_too_long = (
        bisect_left(range(2, len(text)), True, key=lambda length: font.getlength(truncate(length)) > room) + 2
    )
    return truncate(first_too_long - 1) if first_too_long > 2 else ""

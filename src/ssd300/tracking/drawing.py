"""The objects, lines and zones of a frame, with their counts, on its picture."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from ssd300.colors import BLACK, WHITE
from ssd300.detections import Detections
from ssd300.draw import DrawStyle, draw_boxes, draw_detections, label_font
from ssd300.tracking.counting import Line, Point, Zone

_LINE_COLOR = (255, 214, 0)
_ZONE_COLOR = (0, 214, 255)


def draw_frame(
    found: Detections, lines: Sequence[Line], zones: Sequence[Zone], style: DrawStyle | None = None
) -> Image.Image:
    """The frame with its boxes, lines and zones: names and scores, or names and ids with one color per track."""
    if found.track_ids is None:
        image = draw_detections(found.picture, found, style=style)
    else:
        captions = [f"{one.name} {one.track_id}" for one in found]
        image = draw_boxes(found.picture, found.boxes_xyxy, captions, captions)
    draw_counts(image, lines, zones)
    return image


def draw_counts(image: Image.Image, lines: Sequence[Line], zones: Sequence[Zone]) -> None:
    """Draw lines with an arrow that points in, zones, and their counts onto `image`, which is modified."""
    pen = ImageDraw.Draw(image)
    width = max(2, round(min(image.size) / 200))
    for zone in zones:
        polygon = [(x, y) for x, y in zone.polygon]
        pen.line([*polygon, polygon[0]], fill=BLACK, width=width + 2)
        pen.line([*polygon, polygon[0]], fill=_ZONE_COLOR, width=width)
        _write(pen, image.size, polygon[0], f"now {len(zone.now)}  ever {zone.ever}", _ZONE_COLOR)
    for line in lines:
        pen.line([line.start, line.end], fill=BLACK, width=width + 2)
        pen.line([line.start, line.end], fill=_LINE_COLOR, width=width)
        _draw_arrow(pen, line, width)
        text = f"in {line.inward.total()}  out {line.outward.total()}"
        _write(pen, image.size, line.start, text, _LINE_COLOR)


def _draw_arrow(pen: ImageDraw.ImageDraw, line: Line, width: int) -> None:
    """A short arrow from the middle of the line to the side that counts as in."""
    start, end = np.array([line.start, line.end])
    along = (end - start) / np.hypot(*(end - start))
    inward = np.array([-along[1], along[0]])
    middle, size = (start + end) / 2, 10 * width
    base, tip, wing = middle + size / 2 * inward, middle + size * inward, size / 3 * along
    pen.line([*middle, *base], fill=_LINE_COLOR, width=width)
    pen.polygon([*tip, *(base - wing), *(base + wing)], fill=_LINE_COLOR, outline=BLACK)


def _write(
    pen: ImageDraw.ImageDraw, size: tuple[int, int], place: Point, text: str, color: tuple[int, int, int]
) -> None:
    """Write text on a dark background near `place`, inside the picture."""
    font = label_font(size)
    left, top, right, bottom = font.getbbox(text)
    pad = max(2, round((bottom - top) / 4))
    wide, high = right - left + 2 * pad, bottom - top + 2 * pad
    x = min(max(place[0], 0), max(size[0] - wide, 0))
    y = min(max(place[1] - high, 0), max(size[1] - high, 0))
    pen.rectangle([x, y, x + wide, y + high], fill=BLACK, outline=color)
    pen.text((x + pad - left, y + pad - top), text, font=font, fill=WHITE)

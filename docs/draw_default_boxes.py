"""Draw the default boxes of one cell of the first four maps over a photograph: docs/images/default-boxes.webp."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ssd300.priors import ANCHORS_PER_CELL, MAP_SIZES, default_boxes, default_boxes_xyxy

ROOT = Path(__file__).parent.parent
SIDE = 360  # pixels of one panel
CENTER = (0.40, 0.36)  # of the cat's face, unit frame
COLORS = ("#ff3b30", "#ff9500", "#34c759", "#007aff", "#af52de", "#ffcc00")


def main() -> None:
    photograph = Image.open(ROOT / "examples/images/chelsea.jpg").convert("RGB").resize((SIDE, SIDE))
    sheet = Image.new("RGB", (4 * SIDE + 30, SIDE), "white")
    start = 0
    for k, (cells, anchors) in enumerate(zip(MAP_SIZES[:4], ANCHORS_PER_CELL, strict=False)):
        stop = start + anchors * cells * cells
        panel = photograph.copy()
        draw = ImageDraw.Draw(panel)
        draw_grid(draw, cells)
        for color, box_xyxy in zip(COLORS, boxes_of_cell(start, stop, anchors), strict=False):
            draw.rectangle([*(box_xyxy * SIDE).tolist()], outline=color, width=3)
        sheet.paste(panel, (k * (SIDE + 10), 0))
        start = stop
    sheet.save(ROOT / "docs/images/default-boxes.webp", quality=60, method=6)


def boxes_of_cell(start: int, stop: int, anchors: int) -> np.ndarray:
    """Boxes xyxy [A, 4] of the cell of one map (priors start..stop) that lies nearest to CENTER."""
    centers = default_boxes()[start:stop, :2].reshape(anchors, -1, 2)  # [A, cells * cells, 2]
    nearest = ((centers[0] - CENTER) ** 2).sum(1).argmin()
    return default_boxes_xyxy()[start:stop].reshape(anchors, -1, 4)[:, nearest]


def draw_grid(draw: ImageDraw.ImageDraw, cells: int) -> None:
    for i in range(1, cells):
        at = i * SIDE / cells
        draw.line([at, 0, at, SIDE], fill="#ffffff")
        draw.line([0, at, SIDE, at], fill="#ffffff")


if __name__ == "__main__":
    main()

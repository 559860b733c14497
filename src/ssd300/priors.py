"""The 8732 default boxes ("priors") of SSD300 (SSD paper, section 2.2; numbers as published by NVIDIA)."""

from math import sqrt

import numpy as np

from ssd300.arrays import Float32
from ssd300.boxes import cxcywh_to_xyxy

IMAGE_SIZE = 300
MAP_SIZES = (38, 19, 10, 5, 3, 1)
STEPS = (8, 16, 32, 64, 100, 300)  # pixels between the centers of a map
_HALVED_MAPS = 4  # each of these has half the cells of the one before; the others lose one cell at each border
SCALES = (21, 45, 99, 153, 207, 261, 315)  # pixels; one more than maps
ASPECT_RATIOS = ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,))
ANCHORS_PER_CELL = tuple(2 + 2 * len(ratios) for ratios in ASPECT_RATIOS)  # 4 6 6 6 4 4
NUM_PRIORS = sum(a * f * f for a, f in zip(ANCHORS_PER_CELL, MAP_SIZES, strict=True))  # 8732
XY_VARIANCE, WH_VARIANCE = 0.1, 0.2


def anchor_sizes(map_index: int) -> list[tuple[float, float]]:
    """(width, height) in pixels of the anchors of one map, in published order."""
    scale, next_scale = SCALES[map_index], SCALES[map_index + 1]
    sizes = [(float(scale), float(scale)), (sqrt(scale * next_scale), sqrt(scale * next_scale))]
    for ratio in ASPECT_RATIOS[map_index]:
        wide = (scale * sqrt(ratio), scale / sqrt(ratio))
        sizes += [wide, wide[::-1]]
    return sizes


def map_sizes(image_size: int = IMAGE_SIZE) -> tuple[int, ...]:
    """Cells per side of the feature maps of a square picture; small pictures have fewer maps.

    Examples:
        >>> map_sizes(300), map_sizes(192)
        ((38, 19, 10, 5, 3, 1), (24, 12, 6, 3, 1))
    """
    sizes = [-(-image_size // STEPS[0])]
    while len(sizes) < _HALVED_MAPS:
        sizes.append(-(-sizes[-1] // 2))
    while len(sizes) < len(MAP_SIZES) and sizes[-1] >= 3:  # a 3x3 convolution without padding
        sizes.append(sizes[-1] - 2)
    return tuple(sizes)


def default_boxes(image_size: int = IMAGE_SIZE) -> Float32:
    """The default boxes [8732, 4] as cxcywh in the unit frame; order: map, anchor, row, column (column fastest).

    For pictures of other sizes, which training may begin with, the boxes have the same sizes in pixels.

    Examples:
        >>> default_boxes().shape
        (8732, 4)
    """
    blocks = []
    for k, cells in enumerate(map_sizes(image_size)):
        # Centers follow the step, not the map size: on the 38 map the last center is 37.5 * 8 / 300 = 1.0.
        # The cells of the unpadded maps are spread over the whole picture: steps of 100 and 300 at 300 pixels.
        centers = (np.arange(cells) + 0.5) * (STEPS[k] if k < _HALVED_MAPS else image_size / cells)
        sizes = np.array(anchor_sizes(k))  # [A, 2]
        block = np.empty((len(sizes), cells, cells, 4))  # anchor, row, column, cxcywh
        block[..., 0], block[..., 1], block[..., 2:] = centers, centers[:, None], sizes[:, None, None]
        blocks.append(block.reshape(-1, 4))
    boxes_cxcywh = (np.concatenate(blocks) / image_size).astype(np.float32)
    # The clamp only touches the 369-pixel sides of the last map's two elongated anchors, as published.
    return np.clip(boxes_cxcywh, 0, 1)


def default_boxes_xyxy(image_size: int = IMAGE_SIZE) -> Float32:
    """The same boxes as xyxy. They may reach outside the picture: only cxcywh is clamped, as published."""
    return cxcywh_to_xyxy(default_boxes(image_size))

"""Large pictures in tiles: the positions of the tiles, and how their detections are merged.

The network sees 300x300 pixels, so small objects in a large picture are missed. Tiles overlap, so that an object
smaller than the overlap is whole in one of them. Larger ones are cut by seams and their pieces are merged, or they are
found in the whole picture, which counts as one more tile.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ssd300.arrays import Bool, Float32, Int64
from ssd300.boxes import area, iou
from ssd300.errors import ArgumentError

Tiles = str | int | tuple[int, int]
Window = tuple[int, int, int, int]  # left, top, right, bottom in pixels

AUTO_SIDE, AUTO_MOST = 600, 8  # least side of an automatic tile in pixels; most tiles per row
_AT_SEAM = 0.02  # of a tile's side: a box that ends this close to a seam is cut by it
_INSIDE = 0.5  # fraction of a piece inside a whole box from which it belongs to that box
_SAME_SPAN = 0.5  # overlap along a seam from which the pieces on both sides are one object
_ROWS = 64  # boxes compared with the others at a time, to bound the memory


@dataclass(frozen=True)
class Views:
    """N boxes and the tiles that they come from.

    boxes_xyxy  float32 [N, 4], pixels of the whole picture
    scores      float32 [N]
    labels      int64 [N], equal for equal classes
    cut         bool [N, 4]: whether the box ends at a seam on its left, top, right, bottom
    tile        int64 [N]: the tile it was found in; -1 for the whole picture
    """

    boxes_xyxy: Float32
    scores: Float32
    labels: Int64
    cut: Bool
    tile: Int64

    def __getitem__(self, rows: Int64 | Bool) -> "Views":
        return Views(self.boxes_xyxy[rows], self.scores[rows], self.labels[rows], self.cut[rows], self.tile[rows])


def parse_tiles(text: str) -> Tiles:
    """The value of --tiles: auto, N for N by N tiles, or WxH pixels. Raises ArgumentError.

    >>> parse_tiles("auto"), parse_tiles("2"), parse_tiles("640x480")
    ('auto', 2, (640, 480))
    """
    if text == "auto":
        return "auto"
    if match := re.fullmatch(r"(\d{1,6})(?:x(\d{1,6}))?", text):
        return (int(match[1]), int(match[2])) if match[2] else int(match[1])
    raise ArgumentError(f"tiles must be auto, a number N for N by N tiles, or WIDTHxHEIGHT in pixels, got {text!r}")


def check_tiles(tiles: object, overlap: object) -> None:
    """Raise ArgumentError unless `tile_windows` takes these, or `tiles` is None."""
    if isinstance(tiles, tuple | list):
        good = len(tiles) == 2 and all(isinstance(side, int) and side >= 64 for side in tiles)
    else:
        good = tiles in (None, "auto") or (isinstance(tiles, int) and not isinstance(tiles, bool) and 1 <= tiles <= 100)
    if not good:
        raise ArgumentError(
            f"tiles must be 'auto', a number of 1 to 100, or (width, height) of at least 64 pixels, got {tiles!r}"
        )
    if not isinstance(overlap, int | float) or not 0 <= overlap <= 0.8:
        raise ArgumentError(f"overlap must be 0 to 0.8 of a tile, got {overlap!r}")


def tile_windows(size_hw: tuple[int, int], tiles: Tiles, overlap: float) -> list[Window]:
    """The tiles of a picture, row by row, of equal size and evenly spaced; none if one tile would cover it.

    `tiles`: "auto" for tiles of at least AUTO_SIDE pixels, at most AUTO_MOST per row; N for N by N; or (width, height)
    in pixels. `overlap` is the least fraction of a tile that adjacent tiles share.

    >>> tile_windows((480, 640), 2, 0.2)
    [(0, 0, 356, 267), (284, 0, 640, 267), (0, 213, 356, 480), (284, 213, 640, 480)]
    >>> tile_windows((480, 640), (640, 480), 0.2)
    []
    """
    height, width = size_hw
    if isinstance(tiles, str):
        side = max(AUTO_SIDE, math.ceil(_side_of(max(size_hw), AUTO_MOST, overlap)))
        tiles = (side, side)
    if isinstance(tiles, int):
        wide, high = (math.ceil(_side_of(length, tiles, overlap)) for length in (width, height))
        columns, rows = _starts(width, wide, tiles), _starts(height, high, tiles)
    else:
        wide, high = min(tiles[0], width), min(tiles[1], height)
        columns = _starts(width, wide, _count(width, wide, overlap))
        rows = _starts(height, high, _count(height, high, overlap))
    if len(columns) * len(rows) == 1:
        return []
    return [(x, y, x + wide, y + high) for y in rows for x in columns]


def _side_of(length: int, count: int, overlap: float) -> float:
    """The side of `count` tiles that cover `length` with the overlap."""
    return length / (count - (count - 1) * overlap)


def _count(length: int, side: int, overlap: float) -> int:
    """The number of tiles of `side` that cover `length` with at least the overlap."""
    return 1 if side >= length else math.ceil((length - side * overlap) / (side * (1 - overlap)) - 1e-9)


def _starts(length: int, side: int, count: int) -> list[int]:
    """The starts of the tiles: the first is 0, the last tile ends at `length`; without duplicates."""
    return sorted({round(i * (length - side) / max(count - 1, 1)) for i in range(count)})


def cut_sides(boxes_xyxy: Float32, window: Window, size_hw: tuple[int, int]) -> Bool:
    """Which sides of boxes [N, 4], in pixels of the picture, end at a seam: bool [N, 4]. Its edges are not seams."""
    left, top, right, bottom = window
    across, down = _AT_SEAM * (right - left), _AT_SEAM * (bottom - top)
    return np.stack(
        [
            (boxes_xyxy[:, 0] <= left + across) & (left > 0),
            (boxes_xyxy[:, 1] <= top + down) & (top > 0),
            (boxes_xyxy[:, 2] >= right - across) & (right < size_hw[1]),
            (boxes_xyxy[:, 3] >= bottom - down) & (bottom < size_hw[0]),
        ],
        axis=1,
    )


def merge(views: Views, iou_threshold: float, *, agnostic: bool = False) -> tuple[Float32, Float32, Int64]:
    """Merge views into the boxes [M, 4], scores and labels of distinct objects, best first.

    Whole boxes go through NMS with `iou_threshold` within their class. A piece that ends at a seam is dropped where it
    lies mostly in a whole box of its class. Pieces that continue each other across a seam become one box with the best
    score.
    """
    groups = np.zeros_like(views.labels) if agnostic else views.labels
    kept = [_merge_class(views[groups == label], iou_threshold) for label in np.unique(groups).tolist()]
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(one.boxes_xyxy for one in kept)])
    scores = np.concatenate([np.zeros(0, np.float32), *(one.scores for one in kept)])
    labels = np.concatenate([np.zeros(0, np.int64), *(one.labels for one in kept)])
    order = np.argsort(-scores, kind="stable")
    return boxes[order], scores[order], labels[order]


def _merge_class(views: Views, iou_threshold: float) -> Views:
    piece = np.asarray(views.cut.any(1))
    whole = _suppress(views[~piece], iou_threshold)
    pieces = views[piece]
    held = _find_related(pieces, whole, _lies_in)
    pieces = pieces[np.array([len(rows) == 0 for rows in held], bool)]
    joined = _join_pieces(pieces)
    both = Views(*(np.concatenate(pair) for pair in zip(vars(whole).values(), vars(joined).values(), strict=True)))
    return _suppress(both, iou_threshold)


def _suppress(views: Views, iou_threshold: float) -> Views:
    """Greedy NMS, best score first; boxes that do not overlap are kept."""

    def clash(some: Views, others: Views) -> Bool:
        overlap = iou(some.boxes_xyxy, others.boxes_xyxy)
        return np.asarray((overlap >= iou_threshold) & (overlap > 0))

    views = views[np.argsort(-views.scores, kind="stable")]
    alive = np.ones(len(views.scores), bool)
    for row, clashing in enumerate(_find_related(views, views, clash)):
        if alive[row]:
            alive[clashing[clashing > row]] = False
    return views[alive]


def _find_related(some: Views, others: Views, relation: Callable[[Views, Views], Bool]) -> list[Int64]:
    """For each box of `some` the rows of `others` for which `relation` [S, O] holds, which implies that they touch."""
    found = [np.zeros(0, np.int64)] * len(some.scores)
    order = np.argsort(some.boxes_xyxy[:, 0], kind="stable")
    for rows in np.split(order, range(_ROWS, len(order), _ROWS)):
        block = some[rows]
        left, right = block.boxes_xyxy[:, 0].min(initial=np.inf), block.boxes_xyxy[:, 2].max(initial=-np.inf)
        near = np.flatnonzero((others.boxes_xyxy[:, 0] <= right) & (others.boxes_xyxy[:, 2] >= left))
        for row, holds in zip(rows.tolist(), relation(block, others[near]), strict=True):
            found[row] = near[holds]
    return found


def _join_pieces(pieces: Views) -> Views:
    """Merge the pieces of each object of one class into one box."""
    groups = list(_connect(_find_related(pieces, pieces, _are_one)))
    boxes, scores, labels = [], [], []
    for rows in groups:
        part = pieces.boxes_xyxy[rows]
        best = rows[int(pieces.scores[rows].argmax())]
        boxes.append(np.concatenate([part[:, :2].min(0), part[:, 2:].max(0)]))
        scores.append(pieces.scores[best])
        labels.append(pieces.labels[best])
    count = len(groups)
    return Views(
        np.array(boxes, np.float32).reshape(count, 4),
        np.array(scores, np.float32),
        np.array(labels, np.int64),
        np.zeros((count, 4), bool),
        np.full(count, -1, np.int64),
    )


def _are_one(some: Views, others: Views) -> Bool:
    """Which pieces are one object: continued across a seam, or one contained in the other. bool [S, O]."""
    one = _lies_in(some, others) | _lies_in(others, some).T | _continue(some, others) | _continue(others, some).T
    return np.asarray(one & (some.tile[:, None] != others.tile[None, :]))


def _continue(low: Views, high: Views) -> Bool:
    """Which pieces of `low` [L] continue in which of `high` [H], to the right of or below a seam: bool [L, H]."""
    ahead, behind = low.boxes_xyxy, high.boxes_xyxy
    across = np.zeros((len(ahead), len(behind)), bool)
    for start, end, first, second in ((0, 2, 1, 3), (1, 3, 0, 2)):  # vertical seams, then horizontal ones
        facing = low.cut[:, None, end] & high.cut[None, :, start]
        meet = (ahead[:, None, end] >= behind[None, :, start]) & (ahead[:, None, start] <= behind[None, :, start])
        shared = np.minimum(ahead[:, None, second], behind[None, :, second]) - np.maximum(
            ahead[:, None, first], behind[None, :, first]
        )
        spans = ahead[:, second] - ahead[:, first], behind[:, second] - behind[:, first]
        across |= facing & meet & (shared >= _SAME_SPAN * np.maximum(spans[0][:, None], spans[1][None, :]))
    return across


def _connect(partners: Sequence[Int64]) -> Iterator[list[int]]:
    """The groups of connected rows, from the list of partners of each row."""
    left = set(range(len(partners)))
    while left:
        group, waiting = [], [left.pop()]
        while waiting:
            row = waiting.pop()
            group.append(row)
            new = [other for other in partners[row].tolist() if other in left]
            left.difference_update(new)
            waiting += new
        yield sorted(group)


def _lies_in(some: Views, others: Views) -> Bool:
    """Which boxes lie mostly in which of the others: bool [S, O]."""
    inner, outer = some.boxes_xyxy, others.boxes_xyxy
    low = np.maximum(inner[:, None, :2], outer[None, :, :2])
    high = np.minimum(inner[:, None, 2:], outer[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(2)
    return np.asarray(shared / np.maximum(area(inner), np.float32(1e-6))[:, None] >= _INSIDE)

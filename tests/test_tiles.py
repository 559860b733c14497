import tracemalloc

import numpy as np
import pytest
from PIL import Image

from narrow import load_narrow
from ssd300.boxes import iou
from ssd300.detector import Detector
from ssd300.errors import ArgumentError
from ssd300.images.resize import resize_to_network
from ssd300.options import DetectOptions
from ssd300.tiles import Views, cut_sides, merge, parse_tiles, tile_windows


@pytest.mark.parametrize(
    ("size_hw", "tiles", "count"),
    [
        ((1, 1), "auto", 0),
        ((600, 600), "auto", 0),
        ((601, 600), "auto", 2),
        ((480, 640), 1, 0),
        ((480, 640), 2, 4),
        ((480, 640), 5, 25),
        ((480, 640), (640, 480), 0),
        ((480, 640), (1000, 1000), 0),
        ((480, 640), (320, 1000), 3),
        ((480, 641), (640, 480), 2),
        ((1, 5000), (300, 300), 21),
        ((8894, 8894), "auto", 64),
        ((3, 3), 100, 9),
    ],
)
def test_where_the_tiles_lie(size_hw, tiles, count) -> None:
    windows = tile_windows(size_hw, tiles, 0.2)
    assert len(windows) == count
    if not count:
        return
    height, width = size_hw
    covered = np.zeros(size_hw, bool)
    for left, top, right, bottom in windows:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        covered[top:bottom, left:right] = True
    assert covered.all()
    assert len({(right - left, bottom - top) for left, top, right, bottom in windows}) == 1  # no slivers
    lefts = sorted({window[0] for window in windows})
    wide = windows[0][2] - windows[0][0]
    gaps = np.diff(lefts)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1
    if wide > 10:
        assert all(wide - gap >= 0.2 * wide - 1.5 for gap in gaps)


@pytest.mark.parametrize(("text", "tiles"), [("auto", "auto"), ("3", 3), ("640x480", (640, 480))])
def test_parsing(text, tiles) -> None:
    assert parse_tiles(text) == tiles


@pytest.mark.parametrize("text", ["", "x", "2x", "-1", "640x480x3", "640*480", "1e3"])
def test_bad_texts_are_refused(text) -> None:
    with pytest.raises(ArgumentError, match="tiles must be"):
        parse_tiles(text)


@pytest.mark.parametrize(
    "options",
    [{"tiles": 0}, {"tiles": True}, {"tiles": 101}, {"tiles": (10, 10)}, {"tiles": "no"}, {"tiles": 2, "overlap": 0.9},
     {"tiles": 2, "overlap": -0.1}, {"tiles": 2, "decode": "fast"}, {"overlap": 0.9}, {"overlap": None}],
)  # fmt: skip
def test_bad_options_are_refused(options) -> None:
    with pytest.raises(ArgumentError):
        DetectOptions(**options)


@pytest.mark.parametrize("tiles", [2, np.int64(2), np.array(2)])
def test_numbers_of_numpy_are_taken(tiles) -> None:
    assert DetectOptions(tiles=tiles, overlap=np.float32(0.5)) == DetectOptions(tiles=2, overlap=0.5)
    sides = DetectOptions(tiles=(300, 200))
    for given in ((np.int64(300), np.int32(200)), [300, 200], np.array([300, 200])):
        assert tile_windows((900, 900), DetectOptions(tiles=given).tiles, 0.2) == tile_windows(
            (900, 900), sides.tiles, 0.2
        )
    for wrong in (np.array([300.0, 200.0]), np.bool_(True), np.array([[300, 200]])):
        with pytest.raises(ArgumentError, match="tiles must be"):
            DetectOptions(tiles=wrong)


def views(*rows) -> Views:
    """Rows of (box, score, label, cut sides as letters, tile)."""
    count = len(rows)
    return Views(
        np.array([row[0] for row in rows], np.float32).reshape(count, 4),
        np.array([row[1] for row in rows], np.float32),
        np.array([row[2] for row in rows], np.int64),
        np.array([["ltrb"[side] in row[3] for side in range(4)] for row in rows], bool).reshape(count, 4),
        np.array([row[4] for row in rows], np.int64),
    )


LEFT, RIGHT = (60, 40, 100, 80), (80, 41, 150, 79)  # of an object across the seam between two tiles


@pytest.mark.parametrize(
    ("given", "boxes"),
    [
        ((), []),
        (((LEFT, 0.9, 1, "", 0),), [LEFT]),
        (((LEFT, 0.9, 1, "r", 0), (RIGHT, 0.8, 1, "l", 1)), [(60, 40, 150, 80)]),  # cut in two
        (((LEFT, 0.9, 1, "r", 0), (RIGHT, 0.8, 2, "l", 1)), [LEFT, RIGHT]),  # two classes
        (((LEFT, 0.9, 1, "r", 0), ((80, 90, 150, 120), 0.8, 1, "l", 1)), [LEFT, (80, 90, 150, 120)]),  # not opposite
        (((LEFT, 0.9, 1, "r", 0), ((60, 40, 150, 80), 0.5, 1, "", -1)), [(60, 40, 150, 80)]),  # whole in the picture
        (((LEFT, 0.9, 1, "", 0), ((100, 40, 140, 80), 0.8, 1, "", 1)), [LEFT, (100, 40, 140, 80)]),  # two that touch
        (((LEFT, 0.9, 1, "", 0), ((61, 41, 101, 80), 0.8, 1, "", 1)), [LEFT]),  # the same in two tiles
        (((LEFT, 0.9, 1, "", 0), ((80, 40, 100, 80), 0.95, 1, "l", 1)), [LEFT]),  # whole in one, cut in the other
        ((((60, 40, 100, 90), 0.9, 1, "b", 0), ((61, 70, 99, 140), 0.8, 1, "t", 2)), [(60, 40, 100, 140)]),
        ((((0, 0, 60, 60), 0.6, 1, "rb", 0), ((50, 0, 99, 60), 0.7, 1, "lb", 1), ((0, 50, 60, 99), 0.8, 1, "rt", 2),
          ((50, 50, 99, 99), 0.9, 1, "lt", 3)), [(0, 0, 99, 99)]),  # over four tiles
    ],
)  # fmt: skip
def test_merging(given, boxes) -> None:
    merged, scores, labels = merge(views(*given), 0.5)
    assert merged.tolist() == [list(map(float, box)) for box in boxes]
    assert (np.diff(scores) <= 0).all()
    assert len(labels) == len(scores) == len(boxes)
    if len(boxes) == 1 < len(given) and all(row[3] for row in given):
        assert scores[0] == np.float32(max(row[1] for row in given))


def test_classes_may_suppress_one_another() -> None:
    given = views((LEFT, 0.9, 1, "", 0), (LEFT, 0.8, 2, "", 0))
    assert len(merge(given, 0.5)[0]) == 2
    assert merge(given, 0.5, agnostic=True)[2].tolist() == [1]


def test_whole_boxes_of_many_tiles_are_suppressed_as_those_of_one_picture() -> None:
    """More boxes than are compared at a time, beside the plain rule: the best stays, what overlaps it goes."""
    draw = np.random.default_rng(2)
    corners = draw.uniform(0, 300, (500, 2))
    boxes = np.hstack([corners, corners + draw.uniform(5, 60, (500, 2))]).astype(np.float32)
    scores = draw.permutation(500).astype(np.float32) / 500
    kept: list[int] = []
    for row in np.argsort(-scores):
        if not kept or iou(boxes[row][None], boxes[kept]).max() < 0.3:
            kept.append(int(row))
    found = merge(Views(boxes, scores, np.ones(500, np.int64), np.zeros((500, 4), bool), np.arange(500) % 9), 0.3)
    assert found[0].tolist() == boxes[kept].tolist()


def test_pieces_of_many_tiles_fill_no_memory() -> None:
    """A row of 10,000 tiles of 100 pixels, in each a piece that goes on in the next: one object of the whole row."""
    left = np.arange(10_000, dtype=np.float32) * 80
    boxes = np.stack([left, left * 0, left + 100, left * 0 + 50], 1)
    cut = np.tile([True, False, True, False], (10_000, 1))
    cut[0, 0] = cut[-1, 2] = False
    tracemalloc.start()
    views = Views(boxes, left / 1e6, np.ones(10_000, np.int64), cut, np.arange(10_000))
    assert merge(views, 0.5)[0].tolist() == [[0, 0, 800_020, 50]]
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_the_picture_s_edge_is_no_seam() -> None:
    boxes = np.array([[0, 0, 100, 100], [50, 50, 99, 99]], np.float32)
    assert cut_sides(boxes, (0, 0, 100, 100), (100, 200)).tolist() == [[False, False, True, False]] * 2
    assert cut_sides(boxes[:0], (0, 0, 100, 100), (100, 200)).shape == (0, 4)


def test_planted_objects_are_found_once_each() -> None:
    """A perfect detector that sees each tile: the truth cut to the tile, if a third of it shows."""
    draw = np.random.default_rng(4)
    size_hw = (1500, 2000)
    for _ in range(40):
        truth: list[np.ndarray] = []
        while len(truth) < 12:  # of up to half a picture, apart from one another
            wide, high = draw.uniform(20, 900), draw.uniform(20, 700)
            x, y = draw.uniform(0, 2000 - wide), draw.uniform(0, 1500 - high)
            box = np.array([x, y, x + wide, y + high], np.float32)
            if all(box[0] > o[2] or box[2] < o[0] or box[1] > o[3] or box[3] < o[1] for o in truth):
                truth.append(box)
            elif draw.random() < 0.02:
                break
        boxes = np.array(truth)
        rows = []
        for tile, window in enumerate([(0, 0, 2000, 1500), *tile_windows(size_hw, 3, 0.2)], -1):
            seen = np.clip(boxes, np.tile(window[:2], 2), np.tile(window[2:], 2)).astype(np.float32)
            part = (seen[:, 2:] - seen[:, :2]).prod(1) / (boxes[:, 2:] - boxes[:, :2]).prod(1)
            small = (boxes[:, 2:] - boxes[:, :2]).max(1) < 60  # not seen in the whole picture
            shown = (part > 0.33) & ~(small & (tile < 0))
            cut = cut_sides(seen, window, size_hw)
            rows += [(seen[i], draw.uniform(0.5, 1), 1, "".join(np.array(list("ltrb"))[cut[i]]), tile)
                     for i in np.flatnonzero(shown)]  # fmt: skip
        merged, _, _ = merge(views(*rows), 0.5)
        assert len(merged) == len(boxes)


def test_strips_are_resized_to_the_bit() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (2100, 2500, 3), np.uint8)
    expected = np.array(Image.fromarray(rgb).resize((300, 300), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(resize_to_network(rgb), expected)


@pytest.fixture(scope="module")
def detector(narrow_checkpoint) -> Detector:
    return load_narrow(narrow_checkpoint, precision="f32", threads=1)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    draw = np.random.default_rng(1)
    return draw.integers(0, 256, (8, 10, 3), np.uint8).repeat(60, 0).repeat(60, 1)


def test_a_picture_that_one_tile_holds_gives_equal_answers(detector, picture) -> None:
    plain = detector.detect(picture, score_threshold=0.3)
    for tiles in ((600, 480), (9999, 9999), 1, "auto"):
        assert detector.detect(picture, score_threshold=0.3, tiles=tiles) == plain


def test_many_and_one_give_equal_answers_and_draw(detector, picture, tmp_path) -> None:
    path = tmp_path / "large.png"
    Image.fromarray(picture).save(path)
    options = DetectOptions(score_threshold=0.3, tiles=2)
    one = detector.detect(path, options)
    assert list(detector.detect_many([path] * 3, options)) == [one] * 3
    assert one.image_size_hw == (480, 600)
    assert one.source == str(path)
    assert one != detector.detect(path, score_threshold=0.3)
    assert one.draw().size == (600, 480)
    assert (np.diff(one.scores) <= 0).all()
    all_of_nine = detector.detect(path, options, tiles=3)
    for most in (1, 5, 9):
        assert detector.detect(path, options, tiles=3, max_detections=most) == all_of_nine[:most]
    assert detector.detect(path, options, tiles=3, clip=True) == all_of_nine.clipped()
    kept = detector.detect(path, options, keep_pixels=True)
    np.testing.assert_array_equal(kept.picture, picture)
    assert set(detector.detect(path, options, labels=["dog"]).names) <= {"dog"}

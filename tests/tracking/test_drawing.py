"""Frames with boxes, lines, zones and their counts."""

from dataclasses import replace

import numpy as np

from ssd300.detections import Detections
from ssd300.labels import COCO
from ssd300.tracking.counting import Line, Zone
from ssd300.tracking.drawing import draw_frame

LINE, ZONE = [255, 214, 0], [0, 214, 255]
GRAY = np.full((240, 320, 3), 128, np.uint8)
NOTHING = replace(Detections.empty(COCO, (240, 320)), track_ids=np.zeros(0, np.int64), picture=GRAY)


def test_nothing_found_and_nothing_counted() -> None:
    assert np.array_equal(np.asarray(draw_frame(NOTHING, [], [])), GRAY)


def test_lines_and_zones_have_colors_counts_and_an_arrow_inward() -> None:
    line, zone = Line((0, 120), (310, 120)), Zone([(200, 20), (300, 20), (300, 90)])
    drawn = np.asarray(draw_frame(NOTHING, [line], [zone]))
    assert drawn[120, 280].tolist() == LINE
    assert drawn[55, 300].tolist() == ZONE
    assert (drawn[134, 155] == LINE).all()  # moving down counts as in
    assert (drawn[106, 155] == GRAY[0, 0]).all()
    assert (drawn[100:119, :40] == 255).all(2).any()  # the count, white, above the line's start
    line.inward["cat"] += 7
    assert not np.array_equal(np.asarray(draw_frame(NOTHING, [line], [zone])), drawn)


def test_a_track_keeps_its_color_and_shows_its_id() -> None:
    boxes = {"boxes_xyxy": [[100, 60, 200, 180]], "scores": [0.9], "class_ids": [17]}
    first, second, other = (
        np.asarray(draw_frame(replace(NOTHING, **boxes | {"scores": [score]}, track_ids=[track]), [], []))
        for score, track in ((0.9, 1), (0.5, 1), (0.9, 2))
    )
    assert np.array_equal(first, second)
    assert (first[120, 100] != other[120, 100]).any()

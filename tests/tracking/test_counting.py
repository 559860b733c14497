import numpy as np
import pytest

from ssd300.detections import Detections
from ssd300.errors import ArgumentError
from ssd300.labels import ClassList
from ssd300.tracking.counting import Line, Zone

CLASSES = ClassList(("person", "dog"), (1, 18))


def tracked(*points, ids=None, classes=None, height: float = 20) -> Detections:
    """Tracks whose bottom points are `points`."""
    count = len(points)
    boxes = [(x - 5, y - height, x + 5, y) for x, y in points]
    return Detections(
        np.array(boxes, np.float32).reshape(count, 4),
        np.full(count, 0.9, np.float32),
        np.array([1] * count if classes is None else classes, np.int64),
        CLASSES,
        (480, 640),
        track_ids=np.array(range(1, count + 1) if ids is None else ids, np.int64),
    )


def count(line: Line, *path) -> tuple[int, int]:
    for point in path:
        line.update(tracked(point))
    return line.inward.total(), line.outward.total()


DOWN = [(50, y) for y in (20, 35, 48, 60, 80)]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ([], (0, 0)),
        (DOWN, (1, 0)),
        (DOWN[::-1], (0, 1)),
        ([*DOWN, *DOWN[::-1], *DOWN], (2, 1)),
        ([(150, y) for y in (20, 80)], (0, 0)),  # beyond the end
        ([(0, 20), (0, 80)], (1, 0)),  # at the very end
        ([(50, 20), (50, 50.5), (50, 49.5), (50, 50.6), (50, 20)], (0, 0)),  # trembles and goes back
        ([(50, 20), (50, 50.5), (50, 49.5), (50, 50.6), (50, 80)], (1, 0)),  # trembles and goes through
        ([(50, 20), (150, 20), (150, 80), (50, 80)], (0, 0)),  # walks around the end
        ([(50, 20), (150, 20), (150, 80), (50, 80), (50, 20)], (0, 1)),  # around, then back through
        ([(50, 50), (50, 80)], (0, 0)),  # began on the line: from where is not known
        ([(50, 50), (50, 20), (50, 80)], (1, 0)),
        ([(20, 20), (180, 80)], (1, 0)),  # slanting, through the line's very end
        ([(50, 20), (50, 2000)], (1, 0)),  # in one leap
    ],
)
def test_crossings(path, expected) -> None:
    assert count(Line((0, 50), (100, 50)), *path) == expected


@pytest.mark.parametrize("turn", range(8))
def test_in_is_from_left_to_right_of_the_arrow(turn) -> None:
    angle = turn * np.pi / 4
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    start, end, before, after = ((spin @ p + 200).tolist() for p in ([-50, 0], [50, 0], [3, -30], [3, 30]))
    line = Line(tuple(start), tuple(end))
    assert count(line, tuple(before), tuple(after)) == (1, 0)


def test_the_margin_is_the_box_s_or_a_given_one() -> None:
    path = [(50, 20), (50, 55)]
    assert count(Line((0, 50), (100, 50)), *path) == (1, 0)
    assert count(Line((0, 50), (100, 50), margin=5), *path) == (0, 0)
    assert count(Line((0, 50), (100, 50), margin=4.9), *path) == (1, 0)
    assert count(Line((0, 50), (100, 50), margin=0), *path) == (1, 0)


@pytest.mark.parametrize(("anchor", "expected"), [("bottom", 1), ("center", 1), ("top", 0)])
def test_the_anchor_decides(anchor, expected) -> None:
    assert count(Line((0, 50), (100, 50), anchor=anchor), (50, 40), (50, 65))[0] == expected


def test_a_class_counts_apart_and_ids_are_a_class_s_own() -> None:
    line = Line((0, 50), (100, 50))
    for y in (20, 80):
        line.update(tracked((50, y), (60, y), (70, 100 - y), ids=[1, 1, 2], classes=[1, 18, 18]))
    assert line.totals() == {
        "in": 2,
        "out": 1,
        "by_class": {"dog": {"in": 1, "out": 1}, "person": {"in": 1, "out": 0}},
    }


def test_counts_are_exact_where_many_walk() -> None:
    draw = np.random.default_rng(0)
    start = draw.uniform(0, 100, (200, 2))
    end = draw.uniform(0, 100, (200, 2))
    start[:, 1], end[:, 1] = draw.uniform(0, 45, 200), draw.uniform(55, 100, 200)
    upward = draw.random(200) < 0.4
    start[upward], end[upward] = end[upward].copy(), start[upward].copy()
    at_line = start[:, 0] + (50 - start[:, 1]) / (end[:, 1] - start[:, 1]) * (end[:, 0] - start[:, 0])
    through = (at_line >= 20) & (at_line <= 80)
    line = Line((20, 50), (80, 50))
    for part in np.linspace(0, 1, 24):
        line.update(tracked(*(start + part * (end - start)).tolist()))
    assert line.inward.total() == (through & ~upward).sum()
    assert line.outward.total() == (through & upward).sum()


DIAMOND = [(100, 150), (150, 100), (200, 150), (150, 200)]
SQUARE = [(0, 0), (100, 0), (100, 100), (0, 100)]
HOLLOW = [(0, 0), (100, 0), (100, 100), (60, 100), (60, 40), (40, 40), (40, 100), (0, 100)]


@pytest.mark.parametrize(
    ("polygon", "point", "inside"),
    [
        (SQUARE, (50, 50), True),
        (SQUARE, (150, 50), False),
        (SQUARE, (50, 101), False),
        (SQUARE, (0, 50), True),
        (SQUARE, (100, 100), True),
        (SQUARE, (50, 100), True),
        ([(0, 240), (640, 240), (640, 480), (0, 480)], (300, 500), True),  # cut by the lower edge of the picture
        ([(0, 240), (639, 240), (639, 479), (0, 479)], (300, 500), True),
        ([(0, 240), (640, 240), (640, 470), (0, 470)], (300, 500), False),
        ([(637, 0), (700, 0), (700, 480), (637, 480)], (640, 100), True),  # cut by the right edge of the picture
        (DIAMOND, (150, 150), True),  # level with two corners
        (DIAMOND, (90, 150), False),
        (DIAMOND, (210, 150), False),
        ([(100, 0), (200, 100), (0, 100)], (150, 50), True),  # on a slanting edge
        ([(100, 0), (200, 100), (0, 100)], (250, 150), False),  # beyond its end
        (HOLLOW, (50, 80), False),
        (HOLLOW, (20, 80), True),
        (HOLLOW[::-1], (80, 80), True),
        ([(0, 0), (100, 100), (100, 0), (0, 100)], (50, 20), False),
    ],
)
def test_inside(polygon, point, inside) -> None:
    zone = Zone(polygon)
    zone.update(tracked(point), 0.0)
    assert (len(zone.now) == 1) == inside


def test_dwell_times() -> None:
    zone = Zone(SQUARE)
    assert zone.totals()["ever"] == 0
    path = [(0.0, 150), (0.5, 50), (1.5, 50), (2.0, 150), (3.0, 50), (3.25, 50)]
    for time_s, x in path:
        zone.update(tracked((x, 50), (50, 300)), time_s)
    assert zone.dwell_s == {("person", 1): 1.25}
    totals = zone.totals()
    assert (totals["now"], totals["ever"], totals["mean_dwell_s"], totals["longest_dwell_s"]) == (1, 1, 1.25, 1.25)
    assert totals["by_class"] == {"person": 1}
    zone.update(tracked(), 4.0)
    assert (zone.totals()["now"], zone.totals()["ever"]) == (0, 1)


@pytest.mark.parametrize(("path", "dwell_s"), [
    ([50, None, 50, None, None, 50], 5),
    ([50, None, 150, None, 50, 50], 1),
    ([None, 50, None, None, None, None], 0),
])  # fmt: skip
def test_an_object_that_some_frames_miss_stays(path, dwell_s) -> None:
    """Detectors miss objects in single frames; the tracker knows that it is the same one."""
    zone = Zone(SQUARE)
    for second, x in enumerate(path):
        zone.update(tracked() if x is None else tracked((x, 50)), second)
    assert zone.totals()["longest_dwell_s"] == dwell_s


@pytest.mark.parametrize("times", [(5.0, 1.0), (0.0, float("nan")), (float("nan"),), (float("inf"),)])
def test_a_zone_refuses_times_that_fall(times) -> None:
    zone = Zone(SQUARE)
    *before, last = times
    for time_s in before:
        zone.update(tracked((50, 50)), time_s)
    with pytest.raises(ArgumentError, match="time_s must not fall"):
        zone.update(tracked((50, 50)), last)
    assert zone.totals()["longest_dwell_s"] == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Line((0, 0), (0, 0)),
        lambda: Line((0, 0), (1, float("nan"))),
        lambda: Line((0, 0), (1, 2), anchor="left"),
        lambda: Line((0, 0), (1, 2), margin=-1),
        lambda: Line((0, 0), "no"),
        lambda: Zone([(0, 0), (1, 1)]),
        lambda: Zone([(0, 0), (1, 1), (2, "x")]),
        lambda: Zone(5),
    ],
)
def test_bad_lines_and_zones_are_refused(make) -> None:
    with pytest.raises(ArgumentError):
        make()


def test_detections_without_tracks_are_refused() -> None:
    found = Detections([[0, 0, 5, 5]], [0.9], [1], CLASSES, (480, 640))
    with pytest.raises(ArgumentError, match=r"Tracker\.update"):
        Line((0, 0), (1, 1)).update(found)
    with pytest.raises(ArgumentError, match=r"Tracker\.update"):
        Zone(SQUARE).update(found, 0.0)


def test_rows_that_are_read_back_count_as_before() -> None:
    counts = []
    for read in (lambda row: row, lambda row: Detections.from_dict(row.to_dict(), CLASSES)):
        line, zone = Line((0, 50), (100, 50)), Zone(SQUARE)
        for second, points in enumerate(([], [(50, 20)], [], [(50, 80)])):
            found = read(tracked(*points))
            line.update(found)
            zone.update(found, second)
        counts.append((line.totals(), zone.totals()))
    assert counts[0] == counts[1]
    assert counts[0][0]["in"] == 1


def test_a_camera_that_never_stops_fills_no_memory(monkeypatch) -> None:
    monkeypatch.setattr("ssd300.tracking.counting.REMEMBERED", 3)
    line, zone = Line((0, 50), (100, 50)), Zone([(0, 0), (100, 0), (100, 100), (0, 100)])
    for track in range(1, 11):  # each comes in, stays a second or two, crosses and is gone
        for second, y in enumerate((20, 35, 80)):
            found = tracked((50, y), ids=[track])
            line.update(found)
            zone.update(found, 10 * track + second)
    zone.update(tracked(), 200)
    assert line.totals()["in"] == 10
    assert zone.totals() == {"now": 0, "ever": 10, "by_class": {"person": 10}, "mean_dwell_s": 2, "longest_dwell_s": 2}
    assert len(zone.dwell_s) == len(line._tracks) == 3

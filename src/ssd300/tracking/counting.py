"""Lines that count the objects that cross them, and zones that count the objects inside. In pixels and seconds.

Boxes are clipped to the picture first, up to its last row and column: zones that end at its size, or a pixel before it,
hold the objects that its edges cut.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ssd300.arrays import Float64
from ssd300.boxes import clip
from ssd300.detections import Detections
from ssd300.errors import ArgumentError, unknown_name

ANCHORS = ("bottom", "center", "top")  # the point of a box that is followed, in the middle of its width

Point = tuple[float, float]
Track = tuple[str, int]  # class name and id: each class has ids of its own

REMEMBERED = 10_000  # newest tracks known to a line or zone, which bounds memory on a live camera


@dataclass
class _Crossing:
    """The state of one track at a line."""

    side: int = 0  # +1 in, -1 out: the last side on which the anchor was clear of the line; 0 not known yet
    point: Point | None = None  # its position in the newest frame
    hit: bool = False  # whether it crossed the line between its ends when it last changed sides


@dataclass
class Line:
    """A line from `start` to `end`, in pixels, that counts the tracks whose anchor point crosses it.

    Looking from start to end, crossing from the left to the right counts as in, the other way as out: for a line from
    left to right, moving down counts as in. Passing beyond the line's ends does not count. An anchor changes sides
    only when it is `margin` pixels clear of the line, so that a box that jitters on the line is not counted
    repeatedly; None takes a twentieth of the box's height. `inward` and `outward` count by class name: clear both to
    begin again from 0.

    Examples:
        >>> Line((0, 50), (100, 50)).totals()
        {'in': 0, 'out': 0, 'by_class': {}}
    """

    start: Point
    end: Point
    anchor: str = "bottom"
    margin: float | None = None
    inward: Counter[str] = field(default_factory=Counter)  # by class name
    outward: Counter[str] = field(default_factory=Counter)
    _tracks: dict[Track, _Crossing] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.start, self.end = _parse_points([self.start, self.end], "a line", 2)
        _check_anchor(self.anchor)
        if self.start == self.end:
            raise ArgumentError(f"a line needs two different points, got {self.start} twice")
        if self.margin is not None and not self.margin >= 0:
            raise ArgumentError(f"margin must be at least 0 pixels, got {self.margin}")

    def update(self, detections: Detections) -> None:
        """Update the counts with the tracked detections of the next frame. Raises ArgumentError without track_ids."""
        for track, point, height in _anchors(detections, self.anchor):
            margin = height / 20 if self.margin is None else self.margin
            known = self._tracks[track] = self._tracks.pop(track, _Crossing())  # the newest come last
            self._follow(track, known, point, margin)
        while len(self._tracks) > REMEMBERED:
            del self._tracks[next(iter(self._tracks))]

    def _follow(self, track: Track, known: _Crossing, point: Point, margin: float) -> None:
        before, now = known.point and self._distance(known.point), self._distance(point)
        if known.point is not None and before is not None and (before > 0) != (now > 0):
            known.hit = self._is_between_ends(known.point, point, before / (before - now))
        known.point = point
        if abs(now) <= margin:
            return
        side = 1 if now > 0 else -1
        if known.side == -side and known.hit:
            (self.inward if side > 0 else self.outward)[track[0]] += 1
        known.side = side

    def _distance(self, point: Point) -> float:
        """Signed distance in pixels from the infinite line through start and end; positive on the right."""
        along = np.subtract(self.end, self.start)
        to_point = np.subtract(point, self.start)
        return float(along[0] * to_point[1] - along[1] * to_point[0]) / float(np.hypot(*along))

    def _is_between_ends(self, before: Point, now: Point, part: float) -> bool:
        along = np.subtract(self.end, self.start)
        place = np.asarray(before) + part * np.subtract(now, before)
        return bool(0 <= (place - self.start) @ along <= along @ along)

    def totals(self) -> dict[str, object]:
        """The counts so far, as plain values."""
        names = sorted(self.inward.keys() | self.outward.keys())
        return {
            "in": self.inward.total(),
            "out": self.outward.total(),
            "by_class": {name: {"in": self.inward[name], "out": self.outward[name]} for name in names},
        }


@dataclass
class Zone:
    """A polygon, in pixels, that counts the tracks inside and their dwell times.

    A track is inside while its anchor point is, also on the edge. The dwell time of a track is the sum of the intervals
    between two frames that find it inside, with none between them that finds it outside: frames may miss it.

    Examples:
        >>> Zone([(0, 0), (100, 0), (100, 100)]).totals()
        {'now': 0, 'ever': 0, 'by_class': {}, 'mean_dwell_s': 0.0, 'longest_dwell_s': 0.0}
    """

    polygon: Sequence[Point]
    anchor: str = "bottom"
    now: set[Track] = field(default_factory=set)
    dwell_s: dict[Track, float] = field(default_factory=dict)  # of the newest REMEMBERED tracks that were ever inside
    _before: Counter[str] = field(default_factory=Counter, repr=False)  # older tracks, by class name
    _before_s: tuple[float, float] = field(default=(0.0, 0.0), repr=False)  # the sum of their times, and the longest
    _time: float | None = field(default=None, repr=False)
    _inside_at: dict[Track, float] = field(default_factory=dict, repr=False)  # those that were inside when last seen

    def __post_init__(self) -> None:
        self.polygon = _parse_points(self.polygon, "a zone", 3)
        _check_anchor(self.anchor)

    def update(self, detections: Detections, time_s: float) -> None:
        """Update the counts with the tracked detections of the next frame, at `time_s`.

        Raises ArgumentError without track_ids, or for a time before that of the last frame.
        """
        if not 0 <= time_s - (time_s if self._time is None else self._time) < np.inf:
            raise ArgumentError(
                f"time_s must not fall from frame to frame, got {time_s} after {self._time}: use a Zone for each video"
            )
        anchors = list(_anchors(detections, self.anchor))
        points = np.array([point for _, point, _ in anchors], np.float64).reshape(-1, 2)
        within = _is_inside(points, np.array(self.polygon, np.float64))
        self.now, self._time = set(), time_s
        for (track, _, _), inside in zip(anchors, within.tolist(), strict=True):
            since = self._inside_at.pop(track, time_s)
            if inside:
                self.now.add(track)
                self._inside_at[track] = time_s
                self.dwell_s[track] = self.dwell_s.pop(track, 0.0) + (time_s - since)  # the newest come last
        while len(self.dwell_s) > REMEMBERED:
            track = next(iter(self.dwell_s))
            self._inside_at.pop(track, None)
            stayed, (total, longest) = self.dwell_s.pop(track), self._before_s
            self._before[track[0]] += 1
            self._before_s = total + stayed, max(longest, stayed)

    @property
    def ever(self) -> int:
        """How many tracks were ever inside."""
        return self._before.total() + len(self.dwell_s)

    def totals(self) -> dict[str, object]:
        """The counts so far, as plain values: inside now, ever inside (also by class), dwell times in seconds."""
        total, longest = self._before_s
        return {
            "now": len(self.now),
            "ever": self.ever,
            "by_class": dict(sorted((self._before + Counter(name for name, _ in self.dwell_s)).items())),
            "mean_dwell_s": round((total + sum(self.dwell_s.values())) / max(self.ever, 1), 3),
            "longest_dwell_s": round(max([longest, *self.dwell_s.values()]), 3),
        }


def _anchors(detections: Detections, anchor: str) -> Iterator[tuple[Track, Point, float]]:
    """Every track of the frame: (class name and id, anchor point, height of the box)."""
    track_ids = [] if detections.track_ids is None else detections.track_ids.tolist()
    if len(track_ids) < len(detections):  # rows without objects, read back, have none
        raise ArgumentError("counting needs track_ids: pass the detections through Tracker.update first")
    height, width = detections.image_size_hw
    boxes_xyxy = clip(detections.boxes_xyxy, width - 1, height - 1)
    rows = zip(detections.names, track_ids, boxes_xyxy.tolist(), strict=True)
    for name, track_id, (left, top, right, bottom) in rows:
        y = {"bottom": bottom, "center": (top + bottom) / 2, "top": top}[anchor]
        yield (name, track_id), ((left + right) / 2, y), bottom - top


def _is_inside(points: Float64, polygon: Float64) -> np.ndarray:
    """Which points [N, 2] lie inside the polygon [V, 2], by the even-odd rule, or on its edge: bool [N]."""
    x, y = points[:, 0, None], points[:, 1, None]
    (x1, y1), (x2, y2) = polygon.T, np.roll(polygon, -1, 0).T
    spans = (y1 > y) != (y2 > y)  # [N, V]
    rise = np.where(y2 == y1, 1, y2 - y1)
    inside = (spans & (x < x1 + (y - y1) / rise * (x2 - x1))).sum(1) % 2 == 1
    beside = (x2 - x1) * (y - y1) == (y2 - y1) * (x - x1)  # on the line through both corners
    between = (abs(2 * x - x1 - x2) <= abs(x1 - x2)) & (abs(2 * y - y1 - y2) <= abs(y1 - y2))
    return np.asarray(inside | (beside & between).any(1))


def _parse_points(values: Sequence[Point], what: str, least: int) -> list[Point]:
    try:
        points = [(float(x), float(y)) for x, y in values]
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{what} needs points (x, y) in pixels, got {values!r}") from error
    if len(points) < least or not np.isfinite(points).all():
        raise ArgumentError(f"{what} needs at least {least} points with finite x and y, got {values!r}")
    return points


def _check_anchor(anchor: str) -> None:
    if anchor not in ANCHORS:
        raise unknown_name("anchor", anchor, ANCHORS)

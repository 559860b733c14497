"""Tracking with ByteTrack (Zhang et al. 2022, arXiv 2110.06864), in seconds and pixels.

Detections with a high score are matched first, by their IoU with the predicted box of each track; detections with a
low score are then used to keep tracks of occluded objects. An unmatched box starts a new track, which gets its id
when it is matched for the first time.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ssd300.arrays import Bool, Float64, Int64
from ssd300.boxes import cxcywh_to_xyxy, iou, xyxy_to_cxcywh
from ssd300.detections import Detections
from ssd300.errors import ArgumentError
from ssd300.tracking.assignment import assign
from ssd300.tracking.kalman import Motion

LOW_SCORE = 0.1  # below it a detection is noise
_LEAST_IOU = 0.1  # of a detection with a high score and the predicted box of its track
_LEAST_IOU_UNSURE = 0.5  # of one with a low score
_LEAST_IOU_NEW = 0.3  # of the second detection of a new track
_FRAME_SECONDS = 1 / 30


@dataclass
class _Tracks(Motion):
    """The T current tracks: their boxes in motion, and these arrays."""

    class_ids: Int64  # [T]
    ids: Int64  # [T], 0 before the second detection
    seen: Float64  # [T], time of the last detection in seconds
    missed: Bool  # [T], whether the track was not matched in the newest frame

    @classmethod
    def begin(cls, boxes_cxcywh: Float64, class_ids: Int64, ids: Int64, time_s: float) -> Self:
        motion, seen = vars(Motion.start(boxes_cxcywh)), np.full(len(ids), time_s)
        return cls(**motion, class_ids=class_ids, ids=ids, seen=seen, missed=np.zeros(len(ids), bool))


class Tracker:
    """Assigns track ids to the objects of one video or camera; use one tracker for each.

    Ids start at 1 in each class and have no gaps. The result is deterministic.

    Examples:
        >>> from ssd300.labels import COCO
        >>> tracker = Tracker()
        >>> cat = Detections([[10, 20, 30, 60]], [0.9], [17], COCO, (480, 640))
        >>> moved = Detections([[12, 20, 32, 60]], [0.9], [17], COCO, (480, 640))
        >>> tracker.update(cat, 0.0).track_ids, tracker.update(moved, 0.04).track_ids
        (array([1]), array([1]))
    """

    def __init__(self, *, score_threshold: float = 0.4, lost_seconds: float = 1.0) -> None:
        """Detections that score above `score_threshold` may start a track; a track is kept for `lost_seconds` after
        its last detection. Raises ArgumentError for values out of range.
        """
        if not 0 <= score_threshold <= 1:
            raise ArgumentError(f"score_threshold must be within 0 and 1, got {score_threshold}")
        if not lost_seconds >= 0:
            raise ArgumentError(f"lost_seconds must be at least 0, got {lost_seconds}")
        self.score_threshold = score_threshold
        self.lost_seconds = lost_seconds
        self._tracks = _Tracks.begin(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.int64), 0.0)
        self._newest: dict[int, int] = {}  # id of each class
        self._time: float | None = None  # of the newest frame

    def update(self, detections: Detections, time_s: float | None = None) -> Detections:
        """The detections of the next frame that belong to a track, in their order, with `track_ids`.

        Pass all detections with a score of at least LOW_SCORE: those below `score_threshold` start no track but can
        continue one. Without `time_s` frames are 1/30 s apart. An object is returned from its second consecutive
        detection on, in the first frame immediately.

        Raises ArgumentError unless times increase.
        """
        first, before = self._time is None, self._time
        now = self._time = self._next_time(time_s)
        self._tracks.predict(0.0 if before is None else now - before, self._tracks.missed)
        boxes_cxcywh = xyxy_to_cxcywh(detections.boxes_xyxy.astype(np.float64))
        owner = self._match(detections, boxes_cxcywh)
        matched = owner >= 0
        ids = np.zeros(len(detections), np.int64)
        ids[matched] = self._update_tracks(owner[matched], boxes_cxcywh[matched], now)
        fresh = np.flatnonzero(~matched & (detections.scores > self.score_threshold))
        if first:
            ids[fresh] = [self._next_id(class_id) for class_id in detections.class_ids[fresh].tolist()]
        started = _Tracks.begin(boxes_cxcywh[fresh], detections.class_ids[fresh], ids[fresh], now)
        self._tracks = self._tracks.select(self._find_alive(now)).append(started)
        rows = np.flatnonzero(ids)
        return replace(detections[rows], track_ids=ids[rows])

    def _next_time(self, time_s: float | None) -> float:
        if time_s is None:
            return 0.0 if self._time is None else self._time + _FRAME_SECONDS
        if not -np.inf < time_s < np.inf or (self._time is not None and time_s <= self._time):
            raise ArgumentError(
                f"time_s must grow from frame to frame, got {time_s} after {self._time}: use a Tracker for each video"
            )
        return time_s

    def _match(self, detections: Detections, boxes_cxcywh: Float64) -> Int64:
        """The track of each detection [N], or -1."""
        tracks = self._tracks
        overlap = iou(cxcywh_to_xyxy(tracks.position), cxcywh_to_xyxy(boxes_cxcywh))  # [T, N]
        overlap[tracks.class_ids[:, None] != detections.class_ids[None, :]] = 0
        sure = detections.scores > self.score_threshold
        named = tracks.ids > 0
        owner = np.full(len(detections), -1)
        stages = (
            (named, sure, _LEAST_IOU),
            (named & ~tracks.missed, ~sure & (detections.scores >= LOW_SCORE), _LEAST_IOU_UNSURE),
            (~named, sure, _LEAST_IOU_NEW),
        )
        for which_tracks, which_detections, least in stages:
            rows = np.flatnonzero(which_tracks & ~np.isin(np.arange(len(named)), owner))
            columns = np.flatnonzero(which_detections & (owner < 0))
            pairs = assign(overlap[np.ix_(rows, columns)] - least)
            owner[columns[pairs[1]]] = rows[pairs[0]]
        return owner

    def _update_tracks(self, rows: Int64, boxes_cxcywh: Float64, now: float) -> Int64:
        """Update the tracks `rows` with their matched boxes; return their ids, new ones if necessary."""
        tracks = self._tracks
        tracks.correct(rows, boxes_cxcywh)
        tracks.seen[rows] = now
        for row in rows[tracks.ids[rows] == 0].tolist():
            tracks.ids[row] = self._next_id(int(tracks.class_ids[row]))
        return tracks.ids[rows]

    def _find_alive(self, now: float) -> Bool:
        """Which tracks continue; a new one without a second detection does not."""
        tracks = self._tracks
        tracks.missed = tracks.seen < now
        return np.asarray(~tracks.missed | ((tracks.ids > 0) & (now - tracks.seen <= self.lost_seconds)))

    def _next_id(self, class_id: int) -> int:
        self._newest[class_id] = self._newest.get(class_id, 0) + 1
        return self._newest[class_id]

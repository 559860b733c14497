"""MOT challenge files: `frame,id,left,top,width,height,score,class,visibility`, one line per box."""

import codecs
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssd300.arrays import Bool, Float64, Int64
from ssd300.boxes import iou, xywh_to_xyxy, xyxy_to_xywh
from ssd300.detections import Detections
from ssd300.errors import DatasetError
from ssd300.limits import LABEL_BYTES
from ssd300.tracking.assignment import assign
from ssd300.tracking.metrics import TrackFrame, TrackScores, track_scores

_PEDESTRIAN = 1  # the only class of MOT ground truth that is scored
_DISTRACTORS = (2, 7, 8, 12)  # people on vehicles, static people, distractors, reflections: tracking them is no error


@dataclass(frozen=True, eq=False)
class MotTracks:
    """All R rows of a file, by frame: frames and ids int64 [R], boxes float64 [R, 4], scores [R], classes int64 [R]."""

    frames: Int64
    ids: Int64
    boxes_xyxy: Float64
    scores: Float64
    classes: Int64


def read_mot(path: str | Path) -> MotTracks:
    """Read a MOT file; columns after the sixth may be missing (score 1, class 1). An empty file has no rows.

    With ten columns the last three are coordinates in the world (MOT15), not a class.

    Raises DatasetError for a file that cannot be read, a line that is not six to ten numbers, a box of negative size,
    or an id twice in a frame.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise DatasetError(f"{path}: a folder, device or pipe, not a file of tracks; give the file")
    try:
        if path.stat().st_size > LABEL_BYTES:
            raise DatasetError(f"{path}: larger than {LABEL_BYTES:,} bytes, the limit of a file of tracks")
        data = path.read_bytes()
        # Windows PowerShell writes the output of a command as UTF-16.
        utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        lines = data.decode("utf-16" if utf_16 else "utf-8-sig").splitlines()
    except (OSError, ValueError) as error:  # ValueError: bytes of another encoding, or a NUL in the name
        raise DatasetError(f"{path}: cannot be read as a file of tracks ({error}); check the path") from error
    rows = [_parse_row(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    table = np.array(rows, np.float64).reshape(-1, 8)
    table = table[np.argsort(table[:, 0], kind="stable")]
    tracks = MotTracks(
        table[:, 0].astype(np.int64),
        table[:, 1].astype(np.int64),
        np.asarray(xywh_to_xyxy(table[:, 2:6]), np.float64),
        table[:, 6],
        table[:, 7].astype(np.int64),
    )
    _check_ids(path, tracks)
    return tracks


def mot_lines(found: Detections, frame: int) -> str:
    """The tracked detections of frame number `frame`, counted from 1, as lines of a MOT file.

    Ids are unique only within a class, so pass detections of one class. Raises DatasetError without track_ids.
    """
    track_ids = [] if found.track_ids is None else found.track_ids.tolist()
    if len(track_ids) < len(found):  # rows without objects, read back, have none
        raise DatasetError("a file of tracks needs track_ids: pass the detections through Tracker.update first")
    rows = zip(track_ids, xyxy_to_xywh(found.boxes_xyxy).tolist(), found.scores.tolist(), strict=True)
    return "".join(
        f"{frame},{track_id},{x:.2f},{y:.2f},{width:.2f},{height:.2f},{score:.4f},-1,-1,-1\n"
        for track_id, (x, y, width, height), score in rows
    )


def score_mot(truth: MotTracks, tracked: MotTracks) -> TrackScores:
    """The scores of `tracked` against `truth`, by the rules of the MOT challenge.

    Ground truth with score 0 or of another class than pedestrian (1) is ignored; a box that matches a distractor is
    dropped. Ground truth without classes counts as pedestrian. Raises DatasetError if nothing of it is scored, or if
    no frame has both ground truth and tracks.
    """
    frames = []
    everything = np.union1d(truth.frames, tracked.frames)
    scored = (truth.scores != 0) & (truth.classes == _PEDESTRIAN)
    _check_pair(truth, tracked, scored)
    truth_ids, tracked_ids = np.unique(truth.ids[scored]), np.unique(tracked.ids)
    for number in everything.tolist():
        rows, columns = _rows_of(truth, number), _rows_of(tracked, number)
        overlap = iou(truth.boxes_xyxy[rows], tracked.boxes_xyxy[columns])
        distracted = _match_distractors(truth.classes[rows], overlap)
        keep_rows, keep_columns = scored[rows], ~distracted
        frames.append(
            TrackFrame(
                np.searchsorted(truth_ids, truth.ids[rows][keep_rows]),
                np.searchsorted(tracked_ids, tracked.ids[columns][keep_columns]),
                overlap[np.ix_(keep_rows, keep_columns)],
            )
        )
    return track_scores(frames)


def _match_distractors(classes: Int64, overlap: Float64) -> np.ndarray:
    """Which tracked boxes [T] of a frame match a distractor best, at IoU 0.5."""
    rows, columns = assign(np.where(overlap >= 0.5, overlap, 0))
    found = np.zeros(overlap.shape[1], bool)
    found[columns[np.isin(classes[rows], _DISTRACTORS)]] = True
    return found


def _rows_of(tracks: MotTracks, frame: int) -> slice:
    return slice(*np.searchsorted(tracks.frames, [frame, frame + 1]).tolist())


def _parse_row(path: Path, number: int, line: str) -> list[float]:
    """frame, id, left, top, width, height, score, class."""
    parts = line.replace(",", " ").split()
    try:
        values = [float(part) for part in parts]
    except ValueError:
        values = []
    whole = all(value % 1 == 0 and abs(value) < 2**53 for value in values[:2])
    if not 6 <= len(values) <= 10 or not np.isfinite(values).all() or not whole:
        raise DatasetError(
            f"{path}, line {number}: expected frame,id,left,top,width,height[,score,class], got {line!r:.80}"
        )
    if values[4] < 0 or values[5] < 0:
        raise DatasetError(f"{path}, line {number}: a box of negative size, {values[4]:g}x{values[5]:g}")
    score = values[6] if len(values) > 6 else 1.0
    kind = values[7] if len(values) in (8, 9) else -1
    return [*values[:6], score, _PEDESTRIAN if kind == -1 else kind]


def _check_pair(truth: MotTracks, tracked: MotTracks, scored: Bool) -> None:
    if not scored.any():
        classes = ", ".join(map(str, np.unique(truth.classes[truth.scores != 0]).tolist())) or "none"
        raise DatasetError(
            f"the ground truth has no box to score: of its {len(scored)} boxes those with a score other than 0 have "
            f"the classes {classes}, and only class {_PEDESTRIAN} (pedestrian) is scored; write {_PEDESTRIAN} in the "
            "eighth column, or leave the columns after the sixth out"
        )
    if len(tracked.frames) and not np.isin(tracked.frames, truth.frames).any():
        ends = [f"{one.frames[0]} to {one.frames[-1]}" for one in (truth, tracked)]
        raise DatasetError(
            f"no frame has both ground truth and tracks: frames {ends[0]} against {ends[1]}; number the frames of both "
            "from 1"
        )


def _check_ids(path: Path, tracks: MotTracks) -> None:
    pairs, counts = np.unique(np.stack([tracks.frames, tracks.ids], 1), axis=0, return_counts=True)
    if (counts > 1).any():
        frame, track = pairs[counts > 1][0].tolist()
        raise DatasetError(f"{path}: id {track} twice in frame {frame}; an id stands for one object")

"""Tracking metrics: HOTA, CLEAR (MOTA) and identity (IDF1), as defined in their papers.

HOTA: Luiten et al., IJCV 2020. CLEAR: Bernardin and Stiefelhagen 2008. Identity: Ristani et al. 2016. The tie rules are
those of TrackEval, which the MOT challenge uses. All scores are 0..1, except MOTA, which is negative if there
are more errors than objects.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssd300.arrays import Float64, Int64
from ssd300.tracking.assignment import assign

ALPHAS = np.arange(0.05, 0.99, 0.05)  # the 19 overlaps that HOTA averages over
_ROUNDING = np.finfo(float).eps


@dataclass(frozen=True)
class TrackFrame:
    """One frame: ids of the ground truth [G] and of the tracker [T], each from 0 without gaps, and their IoU [G, T]."""

    truth: Int64
    tracked: Int64
    overlap: Float64


@dataclass(frozen=True)
class TrackScores:
    """The scores of one sequence, and the counts behind them (CLEAR's, at IoU 0.5)."""

    hota: float
    detection_accuracy: float
    association_accuracy: float
    localization_accuracy: float
    idf1: float
    mota: float
    motp: float
    matches: int
    misses: int
    false_positives: int
    id_switches: int


def track_scores(frames: Sequence[TrackFrame]) -> TrackScores:
    """All scores of a sequence. Without ground truth or tracks they are 0, but localization 1, as in TrackEval."""
    truth = _occurrences([frame.truth for frame in frames])
    tracked = _occurrences([frame.tracked for frame in frames])
    hota, detection, association, localization = _hota(frames, truth, tracked)
    mota, motp, matches, switches = _clear(frames, truth, tracked)
    return TrackScores(
        hota,
        detection,
        association,
        localization,
        _idf1(frames, truth, tracked),
        mota,
        motp,
        matches,
        int(truth.sum()) - matches,
        int(tracked.sum()) - matches,
        switches,
    )


def _occurrences(ids: Sequence[Int64]) -> Float64:
    """The number of frames with each id, float64 [largest id + 1]."""
    everything = np.concatenate([np.zeros(0, np.int64), *ids])
    return np.bincount(everything).astype(np.float64)


def _hota(frames: Sequence[TrackFrame], truth: Float64, tracked: Float64) -> tuple[float, float, float, float]:
    """(HOTA, DetA, AssA, LocA), each the mean over ALPHAS."""
    if not len(truth) or not len(tracked):
        return 0.0, 0.0, 0.0, 1.0
    alignment = _alignment(frames, truth, tracked)
    pairs, overlaps = [], []  # of all frames: pairs of ids as one number each, and their IoU
    for frame in frames:
        rows, columns = assign(alignment[np.ix_(frame.truth, frame.tracked)] * frame.overlap)
        pairs.append(frame.truth[rows] * len(tracked) + frame.tracked[columns])
        overlaps.append(frame.overlap[rows, columns])
    pair, overlap = np.concatenate(pairs), np.concatenate(overlaps)
    detection, association, localization = np.zeros((3, len(ALPHAS)))
    for level, alpha in enumerate(ALPHAS):
        good = overlap >= alpha - _ROUNDING
        hits = np.count_nonzero(good)
        of_both, matches = np.unique(pair[good], return_counts=True)
        either = truth[of_both // len(tracked)] + tracked[of_both % len(tracked)] - matches
        detection[level] = hits / (truth.sum() + tracked.sum() - hits)
        association[level] = (matches**2 / either).sum() / max(hits, 1)
        localization[level] = overlap[good].sum() / hits if hits else 1
    hota = np.sqrt(detection * association)
    return float(hota.mean()), float(detection.mean()), float(association.mean()), float(localization.mean())


def _alignment(frames: Sequence[TrackFrame], truth: Float64, tracked: Float64) -> Float64:
    """The agreement of each pair of ids over the whole sequence: HOTA's soft Jaccard index, [truth, tracked]."""
    shared = np.zeros((len(truth), len(tracked)))
    for frame in frames:
        either = frame.overlap.sum(0)[None, :] + frame.overlap.sum(1)[:, None] - frame.overlap
        part = np.divide(frame.overlap, either, out=np.zeros_like(frame.overlap), where=either > _ROUNDING)
        shared[np.ix_(frame.truth, frame.tracked)] += part
    return np.asarray(shared / np.maximum(truth[:, None] + tracked[None, :] - shared, _ROUNDING))


def _idf1(frames: Sequence[TrackFrame], truth: Float64, tracked: Float64) -> float:
    """F1 score of boxes under the best one-to-one assignment of ids for the whole sequence, at IoU 0.5."""
    if not len(truth) or not len(tracked):
        return 0.0
    together = np.zeros((len(truth), len(tracked)))
    for frame in frames:
        rows, columns = np.nonzero(frame.overlap >= 0.5)
        together[frame.truth[rows], frame.tracked[columns]] += 1
    return float(2 * together[assign(together)].sum() / (truth.sum() + tracked.sum()))


def _clear(frames: Sequence[TrackFrame], truth: Float64, tracked: Float64) -> tuple[float, float, int, int]:
    """(MOTA, MOTP, matches, id switches) at IoU 0.5; a pair of the frame before is preferred."""
    matches, switches, overlap_sum = 0, 0, 0.0
    last = np.full(len(truth), -1)  # the last id that each true object was matched to
    previous = np.full(len(truth), -1)  # in the frame before
    for frame in frames:
        if not len(frame.truth) or not len(frame.tracked):
            continue  # as in TrackEval: an empty frame does not end a match
        gains = 1000.0 * (frame.tracked[None, :] == previous[frame.truth][:, None]) + frame.overlap
        gains[frame.overlap < 0.5 - _ROUNDING] = 0
        rows, columns = assign(gains)
        objects, ids = frame.truth[rows], frame.tracked[columns]
        switches += int(((last[objects] >= 0) & (last[objects] != ids)).sum())
        last[objects] = ids
        previous[:] = -1
        previous[objects] = ids
        matches += len(rows)
        overlap_sum += float(frame.overlap[rows, columns].sum())
    if not len(tracked) or not len(truth):
        return 0.0, 0.0, 0, 0
    false_positives = tracked.sum() - matches
    return (
        float((matches - false_positives - switches) / truth.sum()),
        overlap_sum / max(matches, 1),
        matches,
        switches,
    )

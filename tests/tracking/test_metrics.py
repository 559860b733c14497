import tracemalloc

import numpy as np
import pytest
from trackers.eval import compute_clear_metrics, compute_hota_metrics, compute_identity_metrics

from ssd300.tracking.metrics import TrackFrame, track_scores


def random_frames(seed: int, frames: int = 40) -> list[TrackFrame]:
    """Ids that appear, vanish and swap, with overlaps from none to perfect."""
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(frames):
        truth = np.sort(draw.choice(8, draw.integers(0, 8), replace=False))
        tracked = np.sort(draw.choice(10, draw.integers(0, 10), replace=False))
        overlap = np.where(draw.random((len(truth), len(tracked))) < 0.25, draw.random((len(truth), len(tracked))), 0)
        same = truth[:, None] == tracked[None, :]
        overlap[same] = draw.uniform(0.3, 1, same.sum())
        found.append(TrackFrame(truth, tracked, overlap))
    return found


def test_without_frames_everything_is_zero() -> None:
    scores = track_scores([])
    assert (scores.hota, scores.idf1, scores.mota, scores.matches, scores.misses) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("empty", ["truth", "tracked"])
def test_one_side_without_boxes(empty) -> None:
    ids, none = np.array([0, 1]), np.zeros(0, np.int64)
    sides = (none, ids) if empty == "truth" else (ids, none)
    scores = track_scores([TrackFrame(*sides, np.zeros((len(sides[0]), len(sides[1]))))])
    assert (scores.hota, scores.idf1, scores.mota, scores.localization_accuracy) == (0, 0, 0, 1)
    assert (scores.misses, scores.false_positives) == ((0, 2) if empty == "truth" else (2, 0))


def test_where_nothing_matches_no_place_is_wrong() -> None:
    scores = track_scores([TrackFrame(np.arange(2), np.arange(3), np.zeros((2, 3)))])
    assert (scores.hota, scores.localization_accuracy, scores.misses, scores.false_positives) == (0, 1, 2, 3)


def test_perfect_tracks_score_one() -> None:
    scores = track_scores([TrackFrame(np.arange(3), np.arange(3), np.eye(3))] * 5)
    assert (scores.hota, scores.idf1, scores.mota, scores.motp) == pytest.approx((1, 1, 1, 1))


@pytest.mark.parametrize("seed", range(25))
def test_the_scores_are_those_of_the_oracle(seed) -> None:
    frames = random_frames(seed)
    given = [f.truth for f in frames], [f.tracked for f in frames], [f.overlap for f in frames]
    hota, clear, identity = (
        compute_hota_metrics(*given),
        compute_clear_metrics(*given),
        compute_identity_metrics(*given),
    )
    scores = track_scores(frames)
    assert scores.hota == pytest.approx(hota["HOTA"], abs=1e-9)
    assert scores.detection_accuracy == pytest.approx(hota["DetA"], abs=1e-9)
    assert scores.association_accuracy == pytest.approx(hota["AssA"], abs=1e-9)
    assert scores.localization_accuracy == pytest.approx(hota["LocA"], abs=1e-9)
    assert scores.idf1 == pytest.approx(identity["IDF1"], abs=1e-9)
    assert scores.mota == pytest.approx(clear["MOTA"], abs=1e-9)
    assert scores.motp == pytest.approx(clear["MOTP"], abs=1e-9)
    assert (scores.matches, scores.id_switches) == (clear["CLR_TP"], clear["IDSW"])
    assert (scores.misses, scores.false_positives) == (clear["CLR_FN"], clear["CLR_FP"])


def test_a_tracker_that_never_keeps_an_id_takes_little_memory() -> None:
    objects = np.arange(1000).reshape(100, 10)
    tracemalloc.start()
    scores = track_scores([TrackFrame(ids, ids, np.eye(10)) for ids in objects])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert scores.hota == pytest.approx(1)
    assert peak < 64 * 2**20  # a table of all pairs of ids for each of the 19 overlaps would be 150 MB

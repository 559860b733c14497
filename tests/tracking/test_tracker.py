import numpy as np
import pytest
import supervision
from trackers import ByteTrackTracker

from ssd300.boxes import iou
from ssd300.detections import Detections
from ssd300.errors import ArgumentError
from ssd300.labels import ClassList
from ssd300.tracking.bytetrack import LOW_SCORE, Tracker
from ssd300.tracking.metrics import TrackFrame, TrackScores, track_scores
from tracking.scenes import Scene, crossing

CLASSES = ClassList(("person", "dog"), (1, 18))
SIZE = (1080, 1920)


def found(*boxes, scores=None, ids=None) -> Detections:
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(count, 4),
        np.array([0.9] * count if scores is None else scores, np.float32),
        np.array([1] * count if ids is None else ids, np.int64),
        CLASSES,
        SIZE,
    )


def at(x: float, y: float = 100) -> tuple[float, float, float, float]:
    return x, y, x + 40, y + 80


def test_nothing_found() -> None:
    tracker = Tracker()
    for i in range(3):
        tracks = tracker.update(found(), i / 30)
        assert (len(tracks), tracks.track_ids.dtype) == (0, np.int64)


def test_ids_start_at_one_in_each_class() -> None:
    tracks = Tracker().update(found(at(0), at(500), at(900), ids=[1, 18, 1]))
    assert tracks.track_ids.tolist() == [1, 1, 2]


def test_a_new_object_gets_its_id_when_it_is_seen_again() -> None:
    tracker = Tracker()
    tracker.update(found())
    assert len(tracker.update(found(at(100)))) == 0
    assert tracker.update(found(at(102))).track_ids.tolist() == [1]


def test_a_flash_takes_no_id() -> None:
    tracker = Tracker()
    tracker.update(found(at(0)))
    for boxes in ([at(2), at(700)], [at(4)], [at(6), at(300)], [at(8), at(302)]):
        tracks = tracker.update(found(*boxes))
    assert tracks.track_ids.tolist() == [1, 2]


@pytest.mark.parametrize(("lost_seconds", "gap", "same"), [(1.0, 0.9, True), (1.0, 1.5, False), (0.0, 0.1, False)])
@pytest.mark.parametrize("rate", [5, 30, 60])
def test_a_loss_is_counted_in_seconds(lost_seconds, gap, same, rate) -> None:
    tracker = Tracker(lost_seconds=lost_seconds)
    for i in range(2 * rate):
        tracker.update(found(at(100 + 60 * i / rate)), i / rate)
    for i in range(2 * rate, 2 * rate + max(1, round(gap * rate) - 1)):
        tracker.update(found(), i / rate)
    later = 2 + max(2 / rate, gap)
    for i in range(2):
        tracks = tracker.update(found(at(100 + 60 * later + i)), later + i / rate)
    assert tracks.track_ids.tolist() == ([1] if same else [2])


def test_rare_frames_lose_nobody() -> None:
    tracker = Tracker(lost_seconds=1)
    assert [tracker.update(found(at(100 + i)), 5.0 * i).track_ids.tolist() for i in range(4)] == [[1]] * 4


def test_a_low_score_keeps_a_track_alive_and_starts_none() -> None:
    tracker = Tracker(lost_seconds=0)
    tracker.update(found(at(100)))
    for i in range(1, 6):
        tracks = tracker.update(found(at(100 + i), at(900), scores=[0.2, 0.2]))
        assert tracks.track_ids.tolist() == [1]
    assert len(tracker.update(found(at(106), scores=[LOW_SCORE / 2]))) == 0


def test_a_low_score_revives_no_lost_track() -> None:
    tracker = Tracker()
    tracker.update(found(at(100)))
    tracker.update(found())
    assert len(tracker.update(found(at(100), scores=[0.3]))) == 0
    assert tracker.update(found(at(100))).track_ids.tolist() == [1]


def test_only_consecutive_detections_begin_a_track() -> None:
    tracker = Tracker()
    for boxes in ([], [at(100)], [], [at(100)]):
        assert len(tracker.update(found(*boxes))) == 0
    assert tracker.update(found(at(100))).track_ids.tolist() == [1]


def test_an_older_track_comes_before_one_that_has_no_id_yet() -> None:
    tracker = Tracker()
    tracker.update(found(at(100)))
    tracker.update(found(at(100), at(110)))
    assert tracker.update(found(at(107))).track_ids.tolist() == [1]


@pytest.mark.parametrize(("score", "starts", "continues"), [(0.41, 1, 1), (0.4, 0, 1), (LOW_SCORE, 0, 1), (0.09, 0, 0)])
def test_scores_at_the_thresholds(score, starts, continues) -> None:
    assert len(Tracker().update(found(at(100), scores=[score]))) == starts
    tracker = Tracker()
    tracker.update(found(at(100)))
    assert len(tracker.update(found(at(100), scores=[score]))) == continues


@pytest.mark.parametrize(("lost_seconds", "ids"), [(0.05, [1]), (0.03, [])])
def test_frames_without_times_are_a_thirtieth_of_a_second_apart(lost_seconds, ids) -> None:
    tracker = Tracker(lost_seconds=lost_seconds)
    for boxes in ([at(100)], [at(100)], []):
        tracker.update(found(*boxes))
    assert tracker.update(found(at(100))).track_ids.tolist() == ids


def test_times_may_follow_frames_without_them() -> None:
    tracker = Tracker()
    tracker.update(found(at(100)))
    assert tracker.update(found(at(100)), 0.5).track_ids.tolist() == [1]


def test_classes_do_not_take_each_other_s_ids() -> None:
    tracker = Tracker()
    tracker.update(found(at(100)))
    tracks = tracker.update(found(at(100), ids=[18]))
    assert len(tracks) == 0
    assert tracker.update(found(at(100), ids=[18])).track_ids.tolist() == [1]


def test_the_answers_of_the_detector_are_not_changed() -> None:
    given = found(at(100), at(300), scores=[0.9, 0.8])
    tracks = Tracker().update(given)
    np.testing.assert_array_equal(tracks.boxes_xyxy, given.boxes_xyxy)
    np.testing.assert_array_equal(tracks.scores, given.scores)


@pytest.mark.parametrize("times", [(1.0, 1.0), (1.0, 0.5), (0.0, float("nan")), (float("nan"),), (float("inf"),)])
def test_a_time_that_does_not_grow_is_refused(times) -> None:
    tracker = Tracker()
    *before, last = times
    for time_s in before:
        tracker.update(found(), time_s)
    with pytest.raises(ArgumentError, match="time_s must grow"):
        tracker.update(found(), last)


@pytest.mark.parametrize("options", [{"lost_seconds": -1}, {"lost_seconds": float("nan")}, {"score_threshold": 2}])
def test_bad_options_are_refused(options) -> None:
    with pytest.raises(ArgumentError, match=next(iter(options))):
        Tracker(**options)


def detections_of(scene: Scene, frame: int) -> Detections:
    return found(*scene.boxes_xyxy[frame].tolist(), scores=scene.scores[frame])


def scored(scene: Scene, tracked: list[tuple[np.ndarray, np.ndarray]]) -> TrackScores:
    names = np.unique(np.concatenate([ids for ids, _ in tracked]))
    frames = []
    for ids, truth, (track_ids, boxes) in zip(scene.ids, scene.truth_xyxy, tracked, strict=True):
        frames.append(TrackFrame(ids, np.searchsorted(names, track_ids), iou(truth, boxes.astype(float))))
    return track_scores(frames)


def ours(scene: Scene) -> list[tuple[np.ndarray, np.ndarray]]:
    tracker = Tracker(score_threshold=0.3)
    answers = [tracker.update(detections_of(scene, i), i / 30) for i in range(len(scene.ids))]
    return [(tracks.track_ids, tracks.boxes_xyxy) for tracks in answers]


def theirs(scene: Scene) -> list[tuple[np.ndarray, np.ndarray]]:
    tracker = ByteTrackTracker(track_activation_threshold=0.3, high_conf_det_threshold=0.3)
    answers = []
    for boxes, scores in zip(scene.boxes_xyxy, scene.scores, strict=True):
        given = supervision.Detections(boxes, confidence=scores, class_id=np.zeros(len(boxes), int))
        tracks = tracker.update(given)
        known = tracks.tracker_id >= 0
        answers.append((tracks.tracker_id[known], tracks.xyxy[known]))
    return answers


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 4))])
def test_crossing_objects_score_as_with_the_oracle(seed) -> None:
    scene = crossing(seed)
    our_scores, their_scores = scored(scene, ours(scene)), scored(scene, theirs(scene))
    assert our_scores.hota >= their_scores.hota - 0.005
    assert our_scores.idf1 >= their_scores.idf1 - 0.005


def test_equal_videos_give_equal_ids() -> None:
    scene = crossing(7, frames=60)
    first, second = ours(scene), ours(scene)
    assert all((a == b).all() for (a, _), (b, _) in zip(first, second, strict=True))
    ids = np.unique(np.concatenate([ids for ids, _ in first]))
    assert ids.tolist() == list(range(1, len(ids) + 1))

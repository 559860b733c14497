"""Curves, confusions, kinds of error and the worst pictures, on cases counted by hand."""

import numpy as np
import pytest

from ssd300.evaluate.diagnosis import class_curves, diagnose, picture_errors
from ssd300.evaluate.matches import match_table
from ssd300.labels import ClassList

TWO = ClassList(("cat", "dog"), (7, 3))
A, B, C, FAR = [10, 10, 60, 60], [100, 100, 150, 160], [200, 10, 260, 70], [400, 300, 500, 400]


def test_no_pictures(make):
    told = diagnose(make.dataset([], TWO), [])
    assert told.confusion.tolist() == np.zeros((3, 3)).tolist()
    assert np.isnan(told.overall.best_threshold)
    assert [len(c.thresholds) for c in told.curves] == [0, 0]
    assert told.worst == ()


def test_pictures_without_boxes_are_not_without_errors(make):
    told = diagnose(make.dataset([make.picture(1)], TWO), [make.result([A], [0.5], [7])])
    assert np.isnan(told.curves[0].best_f1)
    assert told.confusion.tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0]]
    assert [e.wrong.tolist() for e in told.worst] == [[0]]


def test_the_best_threshold_by_hand(make):
    data = make.dataset([make.picture(1, make.annotations([A, B, C], [7, 7, 7]))], TWO)
    found = make.result([A, FAR, B, FAR, FAR], [0.9, 0.8, 0.7, 0.6, 0.6], [7] * 5)
    curve = class_curves(match_table(data, [found]))[0]
    assert curve.thresholds.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6])  # equal scores pass together
    assert curve.precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3, 2 / 5])
    assert curve.recall.tolist() == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert (curve.best_threshold, curve.best_f1) == pytest.approx((0.69, 2 / 3))
    assert (curve.best_precision, curve.best_recall) == pytest.approx((2 / 3, 2 / 3))


@pytest.mark.parametrize(
    "scores", [(0.32248262, 0.3), (0.5, 0.4999), (0.9, 0.05), (0.3, np.nextafter(np.float32(0.3), 0))]
)
def test_detection_at_the_best_threshold_gives_what_it_says(make, scores):
    """Detection keeps scores above its threshold, so the score of the last right one itself would lose it."""
    data = make.dataset([make.picture(1, make.annotations([A, B], [7, 3]))], TWO)
    found = make.result([A, FAR, FAR], [*scores, 0.02], [7, 7, 3])
    for curve in (class_curves(match_table(data, [found]))[0], diagnose(data, [found]).overall):
        kept = found[found.scores > np.float32(curve.best_threshold)]
        assert kept.scores.tolist() == found.scores[:1].tolist()
        assert curve.best_precision == 1


def test_crowd_and_ignored_boxes_move_no_curve(make):
    truth = make.annotations([A, B, C], [7, 7, 7], crowd=[False, True, False], ignore=[False, False, True])
    found = make.result([B, C, A], [0.9, 0.8, 0.7], [7, 7, 7])
    data = make.dataset([make.picture(1, truth)], TWO)
    curve = class_curves(match_table(data, [found]))[0]
    assert (curve.precision.tolist(), curve.recall.tolist()) == ([1], [1])
    errors = picture_errors(data, [found], 0, 0.0)
    assert (errors.right.tolist(), errors.wrong.tolist(), errors.missed.tolist()) == ([2], [], [])


@pytest.mark.parametrize("mark", ["crowd", "ignore"])
def test_no_detection_of_a_crowd_or_ignored_box_is_a_background_error(make, mark):
    data = make.dataset([make.picture(1, make.annotations([A, B], [7, 7], **{mark: [False, True]}))], TWO)
    for boxes, ids, nothing in (
        ([A], [7], [0, 0]),
        ([A, B, B], [7, 7, 7], [0, 0]),
        ([A, B], [7, 3], [0, 1]),  # a dog where cats are crowded is one
    ):
        told = diagnose(data, [make.result(boxes, [0.9, 0.95, 0.99][: len(boxes)], ids)])
        assert told.confusion.tolist() == [[1, 0, 0], [0, 0, 0], [*nothing, 0]]


@pytest.mark.parametrize("mark", ["crowd", "ignore"])
def test_a_detection_near_a_crowd_or_ignored_box_is_a_background_error(make, mark):
    """These boxes have no effect. It is no localization error: no box that counts is near."""
    data = make.dataset([make.picture(1, make.annotations([A, B], [7, 7], **{mark: [False, True]}))], TWO)
    told = diagnose(data, [make.result([A, [100, 135, 150, 195]], [0.5, 0.9], [7, 7])])
    assert {kind: count for kind, (_, count) in told.tide.items() if count} == {"Bkg": 1}
    assert told.tide["Bkg"][0] == pytest.approx(0.5)


def test_crowded_pictures_are_counted_whole(make):
    """COCO counts 100 detections of each class, so 140 of two classes are all counted."""
    boxes = [[20 * x, 20 * y, 20 * x + 15, 20 * y + 15] for y in range(10) for x in range(14)]
    ids = [7] * 70 + [3] * 70
    data = make.dataset([make.picture(1, make.annotations(boxes, ids))], TWO)
    told = diagnose(data, [make.result(boxes, np.linspace(0.9, 0.3, 140), ids)])
    assert told.confusion.tolist() == [[70, 0, 0], [0, 70, 0], [0, 0, 0]]
    assert told.worst == ()


def test_classes_that_are_always_confused_are_all_counted(make):
    data = make.dataset([make.picture(1, make.annotations([A, B, C], [7, 3, 3]))], TWO)
    told = diagnose(data, [make.result([A, B, C], [0.9, 0.8, 0.2], [3, 7, 7])])
    assert (len(told.overall.thresholds), told.threshold) == (3, 0)
    assert all(np.isnan(curve.best_threshold) for curve in (told.overall, *told.curves))  # each has F1 0
    assert told.confusion.tolist() == [[0, 1, 0], [2, 0, 0], [0, 0, 0]]
    assert [(len(e.wrong), len(e.missed)) for e in told.worst] == [(3, 3)]


def test_confusion_follows_the_order_of_the_classes(make):
    data = make.dataset([make.picture(1, make.annotations([A, B], [7, 3]))], TWO)
    told = diagnose(data, [make.result([A, B, FAR], [0.9, 0.8, 0.85], [7, 7, 3])])
    # The best threshold over all classes is below 0.9: one of two boxes found, nothing wrong.
    assert told.overall.best_threshold == pytest.approx(0.89)
    assert told.confusion.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]


def test_all_classes_share_one_curve_at_iou_one_half(make):
    data = make.dataset([make.picture(1, make.annotations([A, B], [7, 3]))], TWO)
    found = make.result([FAR, B, [25.8, 10, 75.8, 60]], [0.9, 0.8, 0.6], [7, 3, 7])  # the last has IoU 0.52 with A
    curve = diagnose(data, [found]).overall
    assert curve.thresholds.tolist() == pytest.approx([0.9, 0.8, 0.6])
    assert curve.precision.tolist() == pytest.approx([0, 1 / 2, 2 / 3])
    assert curve.recall.tolist() == pytest.approx([0, 1 / 2, 1])
    errors = picture_errors(data, [found], 0, 0.0)
    assert (sorted(errors.right.tolist()), errors.wrong.tolist(), errors.missed.tolist()) == ([1, 2], [0], [])


def test_a_dog_called_a_cat(make):
    data = make.dataset([make.picture(1, make.annotations([A, B], [7, 3]))], TWO)
    told = diagnose(data, [make.result([A, B], [0.9, 0.9], [7, 7])])
    assert told.confusion.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert told.tide["Cls"][1] == 1
    assert told.tide["Cls"][0] > 0


def test_the_worst_pictures_come_first_and_perfect_ones_never(make, monkeypatch):
    data = make.dataset(
        [
            make.picture(1, make.annotations([A], [7])),
            make.picture(2, make.annotations([A, B, C], [7, 7, 7])),
            make.picture(3, make.annotations([A, B], [7, 7])),
        ],
        TWO,
    )
    results = [make.result([A], [0.9], [7]), make.result([FAR], [0.9], [7]), make.result([A], [0.9], [7])]
    told = diagnose(data, results)
    assert [(e.position, e.errors) for e in told.worst] == [(1, 4), (2, 1)]
    assert [e.missed.tolist() for e in told.worst] == [[0, 1, 2], [1]]
    monkeypatch.setattr("ssd300.evaluate.diagnosis.WORST_PICTURES", 1)
    assert len(diagnose(data, results).worst) == 1


@pytest.mark.parametrize("seed", range(5))
def test_the_curve_ends_where_recall_of_coco_does(make, seed):
    data, results = make.random_case(seed)
    oracle = make.pycocotools_score(data, results)
    order = np.argsort(np.argsort(data.classes.ids))
    for k, curve in enumerate(class_curves(match_table(data, results))):
        assert curve.recall[-1] == pytest.approx(oracle.eval["recall"][0, order[k], 0, 2], abs=1e-12)

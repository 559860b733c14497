"""Intervals: resampling by weights is the same as evaluating a data set in which pictures are repeated."""

import time
from dataclasses import replace

import numpy as np
import pytest

from ssd300.errors import ArgumentError
from ssd300.evaluate import bootstrap
from ssd300.evaluate.bootstrap import Interval, ap_of_resamples, difference, intervals
from ssd300.evaluate.coco import coco_metrics
from ssd300.evaluate.matches import match_table
from ssd300.labels import ClassList

CAT = ClassList(("cat",), (1,))
BOX = [10, 10, 60, 60]


def test_no_pictures(make):
    ap, ap50 = intervals(match_table(make.dataset([], CAT), []), resamples=5)
    assert np.isnan([ap.value, ap.low, ap.high, ap50.value, ap50.low, ap50.high]).all()
    assert str(ap) == "undefined"


def test_no_bound_reads_minus_zero():
    assert str(Interval(0.004, -0.0002, 0.009)) == "0.004 [0.000, 0.009]"


def test_pictures_without_boxes(make):
    data, results = make.dataset([make.picture(1)], CAT), [make.result([BOX], [0.5], [1])]
    assert np.isnan(intervals(match_table(data, results), resamples=5)[0].value)


def test_one_class_has_a_number(make):
    data = make.dataset([make.picture(1, make.annotations([BOX], [1]))], CAT)
    both = intervals(match_table(data, [make.result([BOX], [0.5], [1])]), resamples=5)
    assert [one.value for one in both] == pytest.approx([1, 1])


@pytest.mark.parametrize("seed", range(40))
def test_the_pictures_as_they_are_give_the_ap_of_hotcoco(make, seed):
    data, results = make.random_case(seed, most_found=400 if seed % 4 == 0 else 40)
    metrics, table = coco_metrics(data, results), match_table(data, results)
    ap = ap_of_resamples(table, np.ones((1, len(data)), np.int32))[0]  # [T, K]
    expected = np.where(metrics.precision[:, 0] < 0, np.nan, metrics.precision.mean(axis=1))
    np.testing.assert_allclose(ap, expected, rtol=0, atol=1e-12)
    both = intervals(table, resamples=0)
    assert [both[0].value, both[1].value] == pytest.approx([metrics.ap, metrics.ap50], abs=1e-12)


@pytest.mark.parametrize("seed", range(25))
def test_a_weight_is_a_repeated_picture(make, seed):
    data, results = make.random_case(seed)
    # Without equal scores inside a picture, whose order among repeated pictures would be a matter of taste.
    results = [make.result(r.boxes_xyxy, r.scores - 1e-4 * np.arange(len(r.scores)), r.class_ids) for r in results]
    weights = np.random.default_rng(seed).integers(0, 4, (2, len(data))).astype(np.int32)
    for w in weights:
        order = np.argsort([p.image_id for p in data.pictures])
        repeated = np.repeat(order, w[order])
        pictures = [replace(data.pictures[i], image_id=n) for n, i in enumerate(repeated.tolist())]
        metrics = coco_metrics(make.dataset(pictures, data.classes), [results[i] for i in repeated])
        ap = ap_of_resamples(match_table(data, results), w[None])[0]
        expected = np.where(metrics.precision[:, 0] < 0, np.nan, metrics.precision.mean(axis=1))
        np.testing.assert_allclose(ap, expected, rtol=0, atol=1e-12)


def test_the_interval_holds_the_value_repeats_with_the_seed_and_shrinks_with_pictures(make):
    small = match_table(*make.random_case(1, pictures=100))
    large = match_table(*make.random_case(1, pictures=1600))
    ap, ap50 = intervals(small, resamples=400, seed=3)
    assert ap.low < ap.value < ap.high
    assert ap50.low < ap50.value < ap50.high
    assert intervals(small, resamples=400, seed=3) == (ap, ap50)
    assert intervals(small, resamples=400, seed=4) != (ap, ap50)
    wide = intervals(large, resamples=400)[0]
    assert 2.5 < (ap.high - ap.low) / (wide.high - wide.low) < 6  # sixteen times the pictures: a fourth


@pytest.mark.parametrize(
    ("drawn", "low", "high"),
    [
        ([], np.nan, np.nan),
        ([0.5], 0.3, 0.3),
        ([0.6, 0.6, 0.6], 0.3, 0.3),
        ([0.5, 0.6, 0.7], 0.205, 0.395),
        ([0.5, 0.6, 0.7, np.nan], 0.205, 0.395),
        ([0.0, 0.0, 0.9], 0.0, 0.855),
        ([0.9, 0.9, 0.0], 0.0, 0.6),
    ],
)
def test_resamples_are_moved_to_the_number_itself(drawn, low, high):
    """Their mean becomes the number, 0.3; the bounds are then the quantiles 2.5 and 97.5 %, cut to 0..1."""
    interval = bootstrap._interval(np.array([0.3, *drawn]), least=0.0, most=1.0)
    assert interval.value == 0.3
    np.testing.assert_allclose([interval.low, interval.high], [low, high], atol=1e-12)


def test_ap_of_resamples_leans_high_and_its_interval_does_not(make):
    """With few boxes a class the plain percentiles of the resamples lie above those that are reported."""
    table = match_table(*make.random_case(3, pictures=30, classes=20))
    draw = np.random.default_rng(0)
    weights = np.stack([np.bincount(draw.integers(0, 30, 30), minlength=30) for _ in range(400)]).astype(np.int32)
    drawn = np.nanmean(ap_of_resamples(table, weights), axis=(1, 2))
    ap = intervals(table, resamples=400)[0]
    assert drawn.mean() > ap.value + 0.005
    assert (ap.low + ap.high) / 2 == pytest.approx(ap.value, abs=0.1 * (ap.high - ap.low))


def test_the_difference_is_paired(make):
    data, results = make.random_case(2, pictures=150)
    table = match_table(data, results)
    same = difference(table, table, resamples=100)
    assert (same.ap.value, same.ap.low, same.ap.high, same.share_ahead) == (0, 0, 0, 0)
    worse = [make.result(r.boxes_xyxy[::5], r.scores[::5], r.class_ids[::5]) for r in results]
    gain = difference(match_table(data, worse), table, resamples=400)
    alone = intervals(table, resamples=400)[0]
    assert 0 < gain.ap.low < gain.ap.value < gain.ap.high
    assert gain.ap50.value > 0
    assert gain.share_ahead > 0.99
    assert gain.ap.high - gain.ap.low < alone.high - alone.low
    assert difference(table, match_table(data, worse), resamples=400).share_ahead < 0.01


def test_a_difference_between_different_pictures_is_refused(make):
    first, second = (match_table(*make.random_case(seed)) for seed in (1, 2))
    with pytest.raises(ArgumentError, match="results of the same pictures"):
        difference(first, second)


def test_a_thousand_resamples_are_quick(make):
    table = match_table(*make.random_case(5, pictures=500, classes=20))
    start = time.process_time()
    intervals(table, resamples=1000)
    assert time.process_time() - start < 8


def test_one_picture_has_no_interval(make):
    """Every resample of it is the same: bounds equal to the value would be a certainty that one picture cannot give."""
    data = make.dataset([make.picture(1, make.annotations([BOX], [1]))], CAT)
    table = match_table(data, [make.result([BOX], [0.5], [1])])
    ap = intervals(table, resamples=5)[0]
    assert str(ap) == "1.000 (no interval)"
    assert np.isnan([ap.low, ap.high]).all()
    assert np.isnan(difference(table, table, resamples=5).share_ahead)

import tracemalloc

import numpy as np
import pytest

from ssd300.boxes import iou
from ssd300.errors import ArgumentError, ModelError
from ssd300.postprocess import candidates, decode, decode_boxes, select
from ssd300.priors import NUM_PRIORS, default_boxes_xyxy


def probabilities_of(rows, num_classes=4):
    """(label, score) a prior -> probabilities (K, P) with the rest on the background."""
    probabilities = np.zeros((num_classes, len(rows)), np.float32)
    for prior, (label, score) in enumerate(rows):
        probabilities[label, prior] = score
        probabilities[0, prior] = 1 - score
    return probabilities


def assert_empty(result):
    boxes_xyxy, labels, scores = result
    assert (boxes_xyxy.shape, labels.shape, scores.shape) == ((0, 4), (0,), (0,))
    assert (boxes_xyxy.dtype, labels.dtype, scores.dtype) == (np.float32, np.int64, np.float32)


@pytest.mark.parametrize("count", [0, 3])
def test_nothing_found_keeps_shapes_and_dtypes(count):
    boxes_xyxy = np.zeros((count, 4), np.float32)
    assert_empty(select(boxes_xyxy, probabilities_of([(1, 0.01)] * count)))
    assert_empty(decode(np.zeros((4, NUM_PRIORS)), np.zeros((81, NUM_PRIORS))))


SQUARE, SHIFTED, FAR, POINT = [0, 0, 2, 2], [0, 0, 2, 1], [5, 5, 6, 6], [3, 3, 3, 3]  # SQUARE and SHIFTED: IoU 0.5


@pytest.mark.parametrize(
    ("boxes_xyxy", "rows", "options", "expected"),  # expected: (prior, label) best first
    [
        pytest.param([SQUARE], [(2, 0.9)], {}, [(0, 2)], id="one"),
        pytest.param([SQUARE, FAR], [(1, 0.5), (3, 0.9)], {}, [(1, 3), (0, 1)], id="best first"),
        pytest.param([SQUARE, SHIFTED], [(1, 0.9), (1, 0.8)], {}, [(0, 1)], id="IoU equal to the threshold drops"),
        pytest.param([SQUARE, SHIFTED], [(1, 0.9), (1, 0.8)], {"iou_threshold": 0.51}, [(0, 1), (1, 1)], id="below"),
        pytest.param([SQUARE, SHIFTED], [(1, 0.9), (2, 0.8)], {}, [(0, 1), (1, 2)], id="classes do not touch"),
        pytest.param([POINT, POINT], [(1, 0.9), (1, 0.8)], {}, [(0, 1)], id="NaN IoU of boxes without area drops"),
        pytest.param([SQUARE], [(1, 0.05)], {"score_threshold": np.float32(0.05)}, [], id="score strictly above"),
        pytest.param([SQUARE, FAR], [(1, 0.5), (1, 0.9)], {"max_detections": 1}, [(1, 1)], id="max_detections"),
        pytest.param([SQUARE, FAR], [(1, 0.5), (1, 0.9)], {"iou_threshold": 0}, [(1, 1), (0, 1)], id="apart at IoU 0"),
        pytest.param([SQUARE, SHIFTED], [(1, 0.5), (1, 0.9)], {"iou_threshold": 0}, [(1, 1)], id="overlap at IoU 0"),
        pytest.param([POINT, POINT], [(1, 0.9), (1, 0.8)], {"iou_threshold": 0}, [(0, 1)], id="NaN IoU at IoU 0"),
        pytest.param([SQUARE, SHIFTED], [(1, 0.9), (2, 0.8)], {"agnostic": True}, [(0, 1)], id="classes touch"),
        pytest.param(
            [[0, 0, 4, 1], [1, 0, 5, 1], [2, 0, 6, 1]],
            [(1, 0.9), (1, 0.8), (1, 0.7)],
            {},
            [(0, 1), (2, 1)],
            id="a dropped box drops nothing",
        ),
        pytest.param([SQUARE, FAR], [(1, 0.9), (1, 0.9)], {}, [(0, 1), (1, 1)], id="equal scores"),
    ],
)
def test_select(boxes_xyxy, rows, options, expected):
    boxes_xyxy = np.array(boxes_xyxy, np.float32)
    found, labels, scores = select(boxes_xyxy, probabilities_of(rows), **options)
    priors = [prior for prior, _ in expected]
    assert labels.tolist() == [label for _, label in expected]
    np.testing.assert_array_equal(found, boxes_xyxy[priors])
    np.testing.assert_array_equal(scores, np.float32([rows[prior][1] for prior in priors]))


def test_a_prior_may_appear_under_several_labels():
    probabilities = np.float32([[0.1], [0.5], [0.4]])
    _, labels, _ = select(np.float32([SQUARE]), probabilities)
    assert labels.tolist() == [1, 2]


def test_only_the_200_best_of_a_class_meet_nms():
    boxes_xyxy = np.arange(300, dtype=np.float32)[:, None] * 10 + np.float32([0, 0, 1, 1])  # far from each other
    rows = [(1, 0.9 - 0.001 * i) for i in range(300)]
    _, labels, scores = select(boxes_xyxy, probabilities_of(rows), max_detections=1000)
    assert len(labels) == 200
    assert scores[-1] == np.float32(rows[199][1])


def test_a_long_chain_of_overlaps_equals_one_box_at_a_time():
    """Every box overlaps the next one only, so NMS keeps every other: as many rounds as boxes."""
    boxes_xyxy = np.arange(200, dtype=np.float32)[:, None] * np.float32([1, 0, 1, 0]) + np.float32([0, 0, 4, 1])
    _, _, scores = select(boxes_xyxy, probabilities_of([(1, 0.9 - 0.001 * i) for i in range(200)]), iou_threshold=0.6)
    np.testing.assert_array_equal(scores, np.float32([0.9 - 0.001 * i for i in range(0, 200, 2)]))


def test_very_many_classes_are_compared_in_parts(monkeypatch):
    """Parts that hold some classes each give what one table of all gives."""
    draw = np.random.default_rng(6)
    corners = draw.uniform(0, 9, (400, 2)).astype(np.float32)
    boxes_xyxy = np.concatenate([corners, corners + draw.uniform(3, 8, (400, 2)).astype(np.float32)], 1)
    probabilities = probabilities_of([(1 + i % 30, score) for i, score in enumerate(draw.random(400))], 31)
    whole = select(boxes_xyxy, probabilities, max_detections=400)
    assert 100 < len(whole[2]) < 350
    for cells in (1, 1000):
        monkeypatch.setattr("ssd300.postprocess._CELLS", cells)
        for one, other in zip(select(boxes_xyxy, probabilities, max_detections=400), whole, strict=True):
            np.testing.assert_array_equal(one, other)


def test_without_offsets_the_boxes_are_the_priors():
    np.testing.assert_allclose(decode_boxes(np.zeros((4, NUM_PRIORS), np.float32)), default_boxes_xyxy(), atol=1e-7)


def test_decode_prunes_nothing_that_select_would_find():
    draw = np.random.default_rng(5)
    locs = draw.normal(0, 1, (4, NUM_PRIORS)).astype(np.float32)
    logits = draw.normal(0, 1.5, (5, NUM_PRIORS)).astype(np.float32)
    exponentials = np.exp(logits - logits.max(0))
    probabilities = exponentials / exponentials.sum(0)
    for threshold in (0, 0.05, 0.4, 0.8, 1):
        pruned = decode(locs, logits, score_threshold=threshold)
        whole = select(decode_boxes(locs), probabilities, score_threshold=threshold)
        for a, b in zip(pruned, whole, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("most", [1, 30, 2000])
def test_many_candidates_without_regard_to_classes_equal_one_box_at_a_time(most):
    """More than meet in one table."""
    draw = np.random.default_rng(4)
    corners = draw.uniform(0, 30, (700, 2)).astype(np.float32)
    boxes_xyxy = np.concatenate([corners, corners + draw.uniform(1, 2, (700, 2)).astype(np.float32)], 1)
    scores = draw.permutation(np.linspace(0.1, 0.9, 700))
    rows = [(1 + i % 5, score) for i, score in enumerate(scores)]
    found, _, kept_scores = select(boxes_xyxy, probabilities_of(rows, 6), max_detections=most, agnostic=True)
    kept = []
    for i in np.argsort(-scores):
        if scores[i] > np.float32(0.05) and (iou(boxes_xyxy[None, i], boxes_xyxy[kept]) < np.float32(0.5)).all():
            kept.append(i)
    assert len(kept) > 100
    np.testing.assert_array_equal(found, boxes_xyxy[kept[:most]])
    np.testing.assert_array_equal(kept_scores, np.float32(scores[kept[:most]]))


def test_the_memory_of_nms_across_classes_does_not_grow_with_the_boxes_kept():
    corners = np.stack(np.divmod(np.arange(5000, dtype=np.float32), 100), 1)
    boxes_xyxy = np.concatenate([corners, corners + np.float32(0.9)], 1)
    probabilities = probabilities_of([(1 + i % 40, 0.5) for i in range(5000)], 41)  # 125 of each class
    tracemalloc.start()
    try:
        _, labels, _ = select(boxes_xyxy, probabilities, max_detections=5000, agnostic=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(labels) == 5000
    assert peak < 50e6  # a table of all pairs has 100 MB


@pytest.mark.parametrize("threshold", [0.05, 0.4, 0.8])
@pytest.mark.parametrize(("below", "kept"), [(-1, 1), (0, 1), (5e-4, 1), (2e-3, 0)])
def test_candidates_errs_on_the_side_of_keeping(threshold, below, kept):
    """A margin that rounding may have put below the threshold is kept: `select` decides on the probability itself."""
    margin = np.full(NUM_PRIORS, -50, np.float32)
    margin[7] = np.log(threshold / (1 - threshold)) - below
    logits = np.stack([np.zeros(NUM_PRIORS, np.float32), margin])
    boxes_xyxy, probabilities = candidates(np.zeros((4, NUM_PRIORS), np.float32), logits, margin, threshold)
    assert (boxes_xyxy.shape, probabilities.shape) == ((kept, 4), (2, kept))
    assert np.array_equal(boxes_xyxy, decode_boxes(np.zeros((4, NUM_PRIORS), np.float32))[7 : 7 + kept])


def test_candidates_keeps_all_priors_without_a_threshold():
    """Also those whose probability of an object is next to nothing."""
    locs, logits = np.zeros((4, NUM_PRIORS), np.float32), np.zeros((3, NUM_PRIORS), np.float32)
    logits[0] = 80
    boxes_xyxy, probabilities = candidates(locs, logits, logits[1:].max(0) - logits[0])
    assert (boxes_xyxy.shape, probabilities.shape) == ((NUM_PRIORS, 4), (3, NUM_PRIORS))


def test_inputs_are_never_changed():
    draw = np.random.default_rng(0)
    locs, logits = draw.normal(0, 1, (4, NUM_PRIORS)), draw.normal(0, 2, (4, NUM_PRIORS))
    for dtype in (np.float32, np.float64):
        arrays = [locs.astype(dtype), logits.astype(dtype)]
        copies = [array.copy() for array in arrays]
        for array in arrays:
            array.setflags(write=False)
        decode(*arrays)
        select(decode_boxes(arrays[0]), np.abs(arrays[1]))
        for array, copy in zip(arrays, copies, strict=True):
            np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score_threshold": 1.5}, "score_threshold must be a number from 0 to 1, got 1.5"),
        ({"score_threshold": "high"}, "score_threshold must be a number from 0 to 1, got 'high'"),
        ({"score_threshold": float("nan")}, "score_threshold must be a number from 0 to 1, got nan"),
        ({"iou_threshold": -0.1}, "iou_threshold must be a number from 0 to 1, got -0.1"),
        ({"max_detections": 0}, "max_detections must be a whole number of at least 1, got 0"),
        ({"max_detections": 2.5}, "max_detections must be a whole number of at least 1, got 2.5"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ArgumentError, match=message):
        select(np.zeros((1, 4), np.float32), np.zeros((2, 1), np.float32), **options)


@pytest.mark.parametrize(
    ("locs", "logits"),
    [((4, 10), (81, 10)), ((1, 4, NUM_PRIORS), (1, 81, NUM_PRIORS)), ((4, NUM_PRIORS), (1, NUM_PRIORS))],
)
def test_wrong_shapes(locs, logits):
    with pytest.raises(ArgumentError, match=r"expected locs \(4, 8732\) and logits \(K, 8732\) of one picture"):
        decode(np.zeros(locs, np.float32), np.zeros(logits, np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_are_not_numbers_are_an_error(value):
    logits = np.zeros((3, NUM_PRIORS), np.float32)
    logits[1, 7] = value
    with pytest.raises(ModelError, match="holds NaN: its weights are damaged"):
        decode(np.zeros((4, NUM_PRIORS), np.float32), logits)
    with pytest.raises(ModelError, match="holds NaN"):
        select(np.zeros((1, 4), np.float32), np.full((3, 1), np.nan, np.float32))

"""Augmentation keeps boxes on their objects, and its chances are those of the published rule."""

import numpy as np
import pytest

from ssd300.learn import augment
from ssd300.learn.augment import Sample, augmented

DRAWS = 6000


def sample_of(boxes_xyxy, size_hw=(60, 90), crowd=(), doubtful=(), fill=0):
    boxes = np.array(boxes_xyxy, np.float32).reshape(-1, 4)
    flags = {name: np.isin(np.arange(len(boxes)), rows) for name, rows in (("crowd", crowd), ("doubtful", doubtful))}
    picture = np.full((*size_hw, 3), fill, np.uint8)
    labels = np.arange(1, len(boxes) + 1)
    return Sample(picture, boxes, labels, flags["doubtful"], flags["crowd"])


@pytest.mark.parametrize("name", augment.DRAWS)
def test_without_boxes(name):
    out = augmented(name, sample_of([]), np.random.default_rng(0))
    assert out.picture.shape == (300, 300, 3)
    assert out.picture.dtype == np.uint8
    assert out.boxes_xyxy.shape == (0, 4)
    assert out.labels.shape == (0,)


@pytest.mark.parametrize("name", augment.DRAWS)
def test_boxes_stay_on_their_objects(name):
    """A white rectangle on black: wherever the picture goes, the box still frames what is white."""
    picture = np.zeros((240, 320, 3), np.uint8)
    picture[60:150, 100:220] = 255
    sample = sample_of([[100 / 320, 60 / 240, 220 / 320, 150 / 240]])
    sample = Sample(picture, sample.boxes_xyxy, sample.labels, sample.doubtful, sample.crowd)
    compared = 0
    for draw in range(100):
        out = augmented(name, sample, np.random.default_rng(draw))
        assert len(out.boxes_xyxy) == 1
        is_white = (out.picture > 180).all(2) & (out.picture.astype(int).sum(2) > 3 * 180)
        rows, columns = is_white.any(1).nonzero()[0], is_white.any(0).nonzero()[0]
        if len(rows) == 0:  # contrast and brightness may darken white below the test's threshold
            continue
        seen = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        np.testing.assert_allclose(seen, out.boxes_xyxy[0] * 300, atol=4)
        compared += 1
    assert compared > 50


@pytest.mark.parametrize("name", augment.DRAWS)
def test_equal_generators_give_equal_samples(name):
    sample = sample_of([[0.1, 0.1, 0.6, 0.6]], fill=90)
    one, two = (augmented(name, sample, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one.picture, two.picture)
    np.testing.assert_array_equal(one.boxes_xyxy, two.boxes_xyxy)


def simulated_windows(boxes, draws, seed):
    """The published crop rule written anew, in Python floats: (minimum IoU or None, window, boxes kept) a draw."""
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        while True:
            option = [None, 0, 0.1, 0.3, 0.5, 0.7, 0.9][int(rng.random() * 7)]
            if option is None:
                yield None, (0.0, 0.0, 1.0, 1.0), len(boxes)
                break
            w, h = 0.3 + 0.7 * rng.random(), 0.3 + 0.7 * rng.random()
            if w / h < 0.5 or w / h > 2:
                continue
            x, y = rng.random() * (1 - w), rng.random() * (1 - h)
            overlaps, kept = [], 0
            for left, top, right, bottom in boxes:
                inter_w = max(0.0, min(right, x + w) - max(left, x))
                inter_h = max(0.0, min(bottom, y + h) - max(top, y))
                inter = inter_w * inter_h
                overlaps.append(inter / ((right - left) * (bottom - top) + w * h - inter))
                kept += x <= (left + right) / 2 <= x + w and y <= (top + bottom) / 2 <= y + h
            if min(overlaps) >= option and kept:
                yield option, (x, y, x + w, y + h), kept
                break


@pytest.mark.parametrize(
    "boxes_xyxy",
    [
        [[0.3, 0.2, 0.7, 0.8]],
        [[0.05, 0.1, 0.3, 0.5], [0.4, 0.3, 0.9, 0.95]],
        [[0.0, 0.0, 1.0, 1.0]],
    ],
    ids=["one", "two", "whole picture"],
)
def test_crop_statistics_equal_an_independent_simulation(boxes_xyxy):
    boxes = np.array(boxes_xyxy, np.float32)
    rng = np.random.default_rng(1)
    windows = np.array([augment.crop_window(boxes, rng, every_box=True) for _ in range(DRAWS)])
    expected = list(simulated_windows(boxes_xyxy, DRAWS, 2))
    expected_windows = np.array([window for _, window, _ in expected])

    def area_of(w):
        return (w[:, 2:] - w[:, :2]).prod(1)

    def worst_iou(w):
        return np.array([augment.window_iou(boxes, window.astype(np.float32)).min() for window in w])

    whole = (area_of(windows) == 1).mean(), (area_of(expected_windows) == 1).mean()
    assert whole[0] == pytest.approx(whole[1], abs=0.02)
    assert area_of(windows).mean() == pytest.approx(area_of(expected_windows).mean(), abs=0.02)
    kept = np.mean([augment.centers_inside(boxes, w.astype(np.float32)).mean() for w in windows])
    assert kept == pytest.approx(np.mean([k / len(boxes) for _, _, k in expected]), abs=0.02)
    np.testing.assert_allclose(windows.mean(0), expected_windows.mean(0), atol=0.02)
    edges = [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.001]  # the shares of the crop modes show in the IoU's distribution
    shares = [np.histogram(worst_iou(w), edges)[0] / DRAWS for w in (windows, expected_windows)]
    np.testing.assert_allclose(*shares, atol=0.02)


def test_flip_is_drawn_half_the_time():
    sample, lefts = sample_of([[0.0, 0.0, 0.2, 1.0]]), []
    for draw in range(2000):
        plan = augment.DRAWS["published"](sample.boxes_xyxy, np.random.default_rng(draw), 300)
        lefts.append(augment.move_boxes(sample, plan, 300).boxes_xyxy[0, 0] == 0)
    assert np.mean(lefts) == pytest.approx(0.5, abs=0.03)


def colored(picture, seed):
    return augment.recolor(picture, augment.draw_color(np.random.default_rng(seed)))


def test_color_ranges_are_the_published_ones():
    """Gray only sees contrast and brightness; the spread of a saturated pixel tells the saturation factor."""
    gray = np.full((1, 1, 3), 128, np.uint8)
    levels = np.array([colored(gray, i)[0, 0, 0] for i in range(DRAWS)])
    assert levels.min() == pytest.approx(128 * 0.875, abs=1)
    assert levels.max() == pytest.approx(128 * 1.125, abs=1)
    assert levels.mean() == pytest.approx(128, rel=0.02)
    dark = np.full((1, 1, 3), 78, np.uint8)  # 50 below the center: brightness * (128 - 50 * contrast)
    levels = np.array([colored(dark, i)[0, 0, 0] for i in range(DRAWS)], float)
    draws = np.random.default_rng(3)
    expected = draws.uniform(0.875, 1.125, DRAWS) * (128 - 50 * draws.uniform(0.5, 1.5, DRAWS))
    assert levels.mean() == pytest.approx(expected.mean(), rel=0.02)
    assert levels.std() == pytest.approx(expected.std(), rel=0.04)


@pytest.mark.parametrize("saturation", [0.5, 1.0, 1.5])
def test_saturation_scales_color_and_keeps_brightness(saturation):
    matrix = augment.hue_saturation_matrix(0.0, saturation)
    np.testing.assert_allclose(matrix @ [1, 1, 1], [1, 1, 1], atol=5e-3)
    rgb = np.array([0.6, 0.4, 0.5])
    luma = np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(luma @ (matrix @ rgb), luma @ rgb, atol=5e-3)
    np.testing.assert_allclose(matrix @ rgb - luma @ rgb, saturation * (rgb - luma @ rgb), atol=5e-3)


def test_crowds_follow_the_window_though_their_center_is_outside():
    sample = sample_of([[0.0, 0.0, 0.9, 0.9], [0.6, 0.6, 0.8, 0.8]], crowd=[0])
    out = augment.move_boxes(sample, augment.Plan(np.array([0.5, 0.5, 1, 1], np.float32)), 300)
    np.testing.assert_allclose(out.boxes_xyxy, [[0, 0, 0.8, 0.8], [0.2, 0.2, 0.6, 0.6]], atol=1e-6)
    assert out.crowd.tolist() == [True, False]


def test_a_box_that_rounds_to_a_line_is_left_out():
    """As one of 1e-13 pixels at the left border, mirrored: the offsets of a prior to it would be infinite."""
    sample = sample_of([[0, 0.2, 1e-13, 0.6], [0.1, 0.2, 0.3, 0.6]])
    assert augment.move_boxes(sample, augment.Plan(), 300).labels.tolist() == [1, 2]
    assert augment.move_boxes(sample, augment.Plan(flipped=True), 300).labels.tolist() == [2]

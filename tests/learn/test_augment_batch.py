"""Augmentation on the device gives the pictures of the loader's, to rounding."""

import numpy as np
import pytest
import torch

from ssd300.learn.augment import DRAWS, Plan, apply_plan
from ssd300.learn.augment_batch import MOST_PIXELS, augment_batch, limit_size, pack_plans, stack_padded
from ssd300.learn.loader import TrainingPictures, collate
from ssd300.learn.recipe import resolve_recipe


def pictures_of(count, seed=0):
    """Smooth pictures of several sizes with some noise."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(count):
        height, width = rng.integers(40, 420, 2)
        y, x = np.mgrid[:height, :width]
        waves = [np.sin(x / rng.uniform(5, 60)) + np.cos(y / rng.uniform(5, 60)) for _ in range(3)]
        rgb = 128 + 50 * np.stack(waves, 2) + rng.normal(0, 8, (height, width, 3))
        out.append(rgb.clip(0, 255).astype(np.uint8))
    return out


def on_device(pictures, plans, size=300):
    numbers = pack_plans(plans, [p.shape[:2] for p in pictures], size)
    return augment_batch(torch.from_numpy(stack_padded(pictures)), torch.from_numpy(numbers), size).numpy()


def test_a_plan_that_changes_nothing():
    rgb = pictures_of(1)[0]
    rgb = np.ascontiguousarray(np.resize(rgb, (300, 300, 3)))
    np.testing.assert_array_equal(on_device([rgb], [Plan()])[0], rgb)


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("size", [192, 300])
def test_pixels_equal_the_loader_s(name, size):
    pictures, rng = pictures_of(4, seed=size), np.random.default_rng(1)
    boxes = np.array([[0.2, 0.2, 0.8, 0.8]], np.float32)
    plans = [DRAWS[name](boxes, rng, size) for _ in pictures]
    ours = on_device(pictures, plans, size).astype(float)
    theirs = np.stack([apply_plan(rgb, plan, size) for rgb, plan in zip(pictures, plans, strict=True)]).astype(float)
    assert np.abs(ours - theirs).mean() < 0.5
    assert np.abs(ours - theirs).max() <= 4
    for statistic in (np.mean, np.std):
        np.testing.assert_allclose(statistic(ours, (0, 1, 2)), statistic(theirs, (0, 1, 2)), rtol=0.02)


def test_large_pictures_are_made_smaller_first():
    assert limit_size(np.zeros((1300, 700, 3), np.uint8)).shape == (MOST_PIXELS, 345, 3)


def test_batches_of_both_ways_teach_the_same(squares):
    batches = []
    for where in ("loader", "device"):
        pictures = TrainingPictures(squares, resolve_recipe("modern", augment_on=where, blank_share=0.2))
        batches.append(collate([pictures[0, index, 300] for index in range(8)]).ready(torch.device("cpu")))
    assert torch.equal(batches[0].truths.rows, batches[1].truths.rows)
    difference = (batches[0].pictures.float() - batches[1].pictures.float()).abs()
    assert batches[1].pictures.shape == (8, 300, 300, 3)
    assert difference.mean() < 0.5

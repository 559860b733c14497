"""Pictures of nothing: every kind is a whole picture without boxes, and their share is what the recipe says."""

import numpy as np
import pytest

from learn.test_augment import sample_of
from ssd300.learn.blanks import MAKERS, darken, gradient, make_blank, noise, plain_color, texture
from ssd300.learn.loader import TrainingPictures
from ssd300.learn.recipe import resolve_recipe


@pytest.mark.parametrize("boxes", [[], [[0.1, 0.1, 0.6, 0.6]]], ids=["none", "one"])
@pytest.mark.parametrize("size", [192, 300])
def test_a_blank_has_no_boxes(boxes, size):
    for seed in range(12):
        out = make_blank(sample_of(boxes, fill=90), np.random.default_rng(seed), size)
        assert out.picture.shape == (size, size, 3)
        assert out.picture.dtype == np.uint8
        assert len(out.boxes_xyxy) == len(out.labels) == len(out.crowd) == 0


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_objects_are_gone_and_pictures_differ(make):
    """A small white square on black is in none of them, and chance makes each one another."""
    rgb = np.zeros((96, 96, 3), np.uint8)
    rgb[40:52, 40:52] = 255
    made = [np.broadcast_to(make(rgb, np.random.default_rng(seed)), rgb.shape) for seed in range(8)]
    levels = [m.mean(2).ravel() for m in made]
    likeness = [np.corrcoef(rgb[..., 0].ravel(), gray)[0, 1] for gray in levels if gray.std() > 1]
    assert all(abs(value) < 0.6 for value in likeness)
    assert len({m.tobytes() for m in made}) > 4


def grays(make) -> np.ndarray:
    """The gray values of 60 pictures of a kind, of a photograph's size and brightness: [60, 96, 96]."""
    rgb = np.full((96, 96, 3), 128, np.uint8)
    made = [np.clip(np.broadcast_to(make(rgb, np.random.default_rng(seed)), rgb.shape), 0, 255) for seed in range(60)]
    return np.array(made) @ [0.3, 0.5, 0.2]


def test_each_kind_is_what_its_name_says():
    colors = grays(plain_color)
    assert np.ptp(colors, (1, 2)).max() < 1e-9
    assert len(set(colors[:, 0, 0].round(3))) > 20

    slopes = grays(gradient)
    contrast, steps = np.ptp(slopes, (1, 2)), np.abs(np.diff(slopes, axis=2)).max((1, 2))
    assert (contrast > 5).mean() > 0.9
    assert (steps <= 0.1 * contrast).all()

    stripes = grays(texture)
    shares = (stripes - stripes.min((1, 2), keepdims=True)) / np.ptp(stripes, (1, 2))[:, None, None]
    hard = ((shares < 0.01) | (shares > 0.99)).mean((1, 2)) > 0.9
    edges = np.abs(np.diff(shares > 0.5, axis=1)).sum((1, 2)) + np.abs(np.diff(shares > 0.5, axis=2)).sum((1, 2))
    assert 0.3 < hard.mean() < 0.7
    assert edges.min() > 2 * 96

    pixels = grays(noise)
    likeness = [np.corrcoef(one[:, 1:].ravel(), one[:, :-1].ravel())[0, 1] for one in pixels]
    assert 0.3 < np.mean(np.array(likeness) < 0.1) < 0.7
    assert pixels.std((1, 2)).min() > 1

    assert grays(darken).mean((1, 2)).max() < 128 * 0.15 + 3


def test_their_share_is_that_of_the_recipe_and_keyed(squares):
    recipe = resolve_recipe("modern", blank_share=0.3)
    pictures = TrainingPictures(squares, recipe)
    keys = [(epoch, index, 96) for epoch in range(20) for index in range(1, 8)]
    empty = [len(pictures[key].sample.labels) == 0 for key in keys]
    assert np.mean(empty) == pytest.approx(0.3, abs=0.09)
    assert empty == [len(TrainingPictures(squares, recipe)[key].sample.labels) == 0 for key in keys]


def test_without_a_share_there_are_none(squares):
    pictures = TrainingPictures(squares, resolve_recipe("quick", augment="none"))
    assert all(len(pictures[epoch, 3, 300].sample.labels) == 1 for epoch in range(20))

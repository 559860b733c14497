"""The rate and the size of pictures follow the steps, or the clock where that is ahead."""

import pytest

from ssd300.errors import ArgumentError
from ssd300.learn.display import Display, format_duration
from ssd300.learn.recipe import image_size, learning_rate, resolve_recipe, run_share
from ssd300.learn.run import Position
from ssd300.priors import default_boxes, map_sizes


def test_without_a_limit_no_time_is_used():
    assert Position(wall=1e9).time_share(None) == 0


@pytest.mark.parametrize(
    ("wall", "measuring", "share"), [(0, 0, 0), (30, 0, 0.5), (30, 10, 0.6), (50, 10, 1), (90, 0, 1.5), (1, 60, 1e9)]
)
def test_the_last_validation_ends_within_the_limit(wall, measuring, share):
    assert Position(wall=wall, measuring=measuring).time_share(60) == pytest.approx(share)


def test_the_rate_falls_by_the_clock():
    recipe = resolve_recipe("modern", epochs=10, warmup=0)
    rates = [learning_rate(recipe, 5, 100, 32, share) for share in (0, 0.005, 0.5, 1)]
    assert rates[0] == rates[1] == learning_rate(recipe, 5, 100, 32)
    assert rates[2] == pytest.approx(recipe.lr / 2)
    assert rates[3] == 0


def test_published_steps_follow_the_clock_too():
    recipe = resolve_recipe("published")
    assert [learning_rate(recipe, 0, 100, 32, s) / recipe.lr for s in (0, 0.7, 0.9)] == pytest.approx([1, 0.1, 0.01])


def test_sizes_come_in_turn():
    assert image_size(resolve_recipe("modern"), 0.9) == 300
    recipe = resolve_recipe("modern", image_sizes=(160, 224, 300), size_milestones=(0.3, 0.7))
    assert [image_size(recipe, share) for share in (0, 0.29, 0.3, 0.69, 0.7, 1)] == [160, 160, 224, 224, 300, 300]
    assert [run_share(recipe, 65, 10, share) for share in (0, 0.05, 0.2, 3)] == [0.1, 0.1, 0.2, 1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"image_sizes": ()}, "the last must be 300"),
        ({"image_sizes": (192,)}, "the last must be 300"),
        ({"image_sizes": (192, 300)}, "2 --image-sizes need 1 --size-milestones, got 0"),
        ({"image_sizes": (19, 300), "size_milestones": (0.5,)}, "expected a whole number, 96 to 300"),
        ({"image_sizes": (192.5, 300), "size_milestones": (0.5,)}, "expected a whole number, 96 to 300"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(settings, words):
    with pytest.raises(ArgumentError, match=words):
        resolve_recipe("modern", **settings)


@pytest.mark.parametrize(
    ("size", "maps"),
    [(300, (38, 19, 10, 5, 3, 1)), (192, (24, 12, 6, 3, 1)), (224, (28, 14, 7, 4, 2)), (96, (12, 6, 3, 2))],
)
def test_smaller_pictures_skip_the_last_maps(size, maps):
    assert map_sizes(size) == maps
    assert len(default_boxes(300)) == 8732


@pytest.mark.parametrize(
    ("epoch", "step", "limit", "left"),
    [
        (0, 0, None, 200 * 2 + 4 * 30),  # validations after epochs 3, 6, 9 and 10
        (4, 90, None, 110 * 2 + 3 * 30),
        (9, 199, None, 2 + 30),
        (4, 90, 600, 100),  # the limit is for the last validation, too
        (4, 90, 400, 0),
    ],
)
def test_the_time_left_has_the_validations(epoch, step, limit, left, tmp_path):
    show = Display(10, 20, 3, tmp_path, shown=False)
    assert show.seconds_left(Position(epoch=epoch, step=step, measuring=30, wall=500), 2.0, limit) == left


def test_the_line_of_an_epoch_has_no_exponents_of_many_seconds(tmp_path, capsys):
    Display(1, 1, 1, tmp_path, shown=True).end_epoch(
        {"epoch": 10400, "lr": 2.98e-08, "seconds": 12345.6, "AP": 0.59344}
    )
    assert capsys.readouterr().err == "epoch 10400, lr 2.98e-08, seconds 12346, AP 0.5934\n"


@pytest.mark.parametrize(("seconds", "words"), [(0, "0 s"), (89, "89 s"), (3599, "1 h 00 min"), (7300, "2 h 02 min")])
def test_durations(seconds, words):
    assert format_duration(seconds) == words

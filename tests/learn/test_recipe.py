"""One table of settings: published defaults, ranges, and errors that suggest the nearest name."""

import numpy as np
import pytest

from ssd300.errors import ArgumentError
from ssd300.learn.recipe import RECIPES, Recipe, advise_warmup, option_of, resolve_recipe


def test_without_overrides_a_recipe_is_itself():
    assert resolve_recipe("published") == Recipe()
    assert resolve_recipe("modern", lr=None) == RECIPES["modern"]


def test_published_values():
    recipe = resolve_recipe("published")
    assert (recipe.epochs, recipe.batch_size, recipe.lr, recipe.momentum, recipe.weight_decay) == (
        65,
        32,
        2.6e-3,
        0.9,
        5e-4,
    )
    assert [round(share * recipe.epochs) for share in recipe.milestones] == [43, 54]


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("publised", {}, "unknown recipe 'publised': did you mean 'published'?"),
        (None, {}, "unknown recipe None: Known: published, modern, quick"),
        ("quick", {"epoch": 3}, "unknown training setting 'epoch': did you mean 'epochs'?"),
        ("quick", {"epochs": 0}, "--epochs is 0: expected a whole number, 1 or more"),
        ("quick", {"epochs": 1.5}, "epochs is 1.5: expected a whole number"),
        ("quick", {"ema": 1.5}, "ema is 1.5: expected a number, 0 to 1"),
        ("modern", {"background_prior": 1}, "--background-prior is 1: expected a number, 0 to 0.9999"),
        ("quick", {"lr": "fast"}, "lr is 'fast': expected a number"),
        ("quick", {"freeze": "stemm"}, "unknown value of --freeze 'stemm': did you mean 'stem'?"),
        ("quick", {"milestones": (0.5, 2.0)}, "milestones is (0.5, 2.0)"),
        ("quick", {"image_sizes": 300}, "--image-sizes is 300: expected several numbers, as a list"),
        ("quick", {"image_sizes": [200]}, "--image-sizes is (200,): the last must be 300"),
        ("quick", {"epochs": [1]}, "--epochs is (1,): expected one value"),
        ("quick", {"milestones": (None,)}, "--milestones is (None,): expected a number, 0 to 1"),
        ("quick", {"milestones": (0.5,)}, "--milestones is for --schedule step, and the schedule is cosine: add"),
        ("published", {"lr_floor": 0.1}, "--lr-floor is for --schedule cosine, and the schedule is step: add"),
        (
            "quick",
            {"seed": 2**64},
            "--seed is 18446744073709551616: expected a whole number, 0 to 18446744073709551615",
        ),
    ],
)
def test_wrong_settings(name, settings, message):
    with pytest.raises(ArgumentError) as error:
        resolve_recipe(name, **settings)
    assert message in str(error.value)


def test_numbers_of_numpy_become_pythons():
    """JSON and the state of a run hold no others."""
    given = {"lr": np.float32(0.5), "seed": np.int64(3), "flip": np.bool_(False), "milestones": np.array([0.5, 0.75])}
    recipe = resolve_recipe("published", **given)
    assert recipe == resolve_recipe("published", lr=0.5, seed=3, flip=False, milestones=(0.5, 0.75))
    assert {type(value) for value in recipe.to_dict().values()} == {bool, float, int, str, tuple}


def test_adamw_cannot_have_a_momentum_of_one():
    with pytest.raises(ArgumentError, match="momentum is 1"):
        resolve_recipe("quick", momentum=1)


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [("freeze_norm", "yes", "True or False"), ("sync_norm", 3, "True or False"), ("epochs", True, "a whole number")],
)
def test_yes_and_no_are_no_numbers(setting, value, expected):
    with pytest.raises(ArgumentError, match=f"{option_of(setting)} is .*: expected {expected}"):
        resolve_recipe("quick", **{setting: value})


def test_a_warm_up_of_one_step_would_never_leave_its_start():
    with pytest.raises(ArgumentError, match="learning rate would stay at 0"):
        resolve_recipe("quick", warmup=1)


@pytest.mark.parametrize("setting", ["lr", "momentum", "ema"])
def test_not_a_number_is_refused(setting):
    with pytest.raises(ArgumentError, match=rf"{setting} is nan: expected a number"):
        resolve_recipe("quick", **{setting: float("nan")})


@pytest.mark.parametrize(
    ("pictures", "epochs", "advised"), [(0, 40, True), (24, 2, True), (200, 2, True), (201, 2, False)]
)
def test_a_run_that_ends_within_its_warmup_is_pointed_out(pictures: int, epochs: int, advised: bool) -> None:
    messages = advise_warmup(pictures, resolve_recipe("quick", epochs=epochs))
    assert bool(messages) == advised
    assert all("--warmup" in message for message in messages)


def test_a_run_of_one_step_has_one_step() -> None:
    assert "the run has 1 step, and" in advise_warmup(8, resolve_recipe("quick", epochs=1))[0]


def test_without_warmup_there_is_no_message() -> None:
    assert advise_warmup(8, resolve_recipe("published", epochs=1)) == ()

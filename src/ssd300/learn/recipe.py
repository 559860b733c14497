"""Every setting of training, one line each, and the three recipes made of them.

`published` is the published recipe, unchanged, `modern` uses later methods (`benchmarks/ablation.py`
measures each part of it), `quick` fine-tuning for a few hundred pictures. The command line, the Python function and the
documents read this one table.
"""

from dataclasses import asdict, dataclass, field, fields, replace
from math import cos, pi
from typing import Any, Literal, get_args, get_origin

from ssd300.errors import ArgumentError, unknown_name

FREEZABLE = ("none", "stem", "layer1", "layer2", "layer3")


def setting(default: Any, effect: str, low: float | None = None, high: float | None = None) -> Any:
    """One setting: its default, what it does, and the range it must lie in."""
    return field(default=default, metadata={"effect": effect, "low": low, "high": high})


def describe_limits(kind: Any, low: float | None, high: float | None) -> str:
    """The values that a setting takes, in words.

    >>> describe_limits(int, 1, None)
    '1 or more'
    """
    if get_origin(kind) is Literal:
        return ", ".join(get_args(kind))
    if kind is bool:
        return "True or False"
    return "any" if low is None else f"{low} or more" if high is None else f"{low} to {high}"


def _check(name: str, value: Any, kind: Any, low: float | None, high: float | None) -> None:
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise unknown_name(f"value of {name}", str(value), get_args(kind))
        return
    numbers = value if isinstance(value, tuple) else (value,)
    kind = get_args(kind)[0] if get_origin(kind) is tuple else kind
    for number in numbers:
        of_kind = isinstance(number, bool) if kind is bool else not isinstance(number, str | bool)
        whole = kind is not int or isinstance(number, int)
        if (
            not (of_kind and whole)
            or (low is not None and not number >= low)  # NaN compares as false, so it is refused too
            or (high is not None and not number <= high)
        ):
            words = {bool: "", int: "a whole number, "}.get(kind, "a number, ")
            raise ArgumentError(f"{name} is {value!r}: expected {words}{describe_limits(kind, low, high)}")


@dataclass(frozen=True)
class Recipe:
    """The settings of one training run; the defaults are the published recipe."""

    # fmt: off
    epochs: int = setting(65, "passes over the pictures", 1)
    batch_size: int = setting(32, "pictures a step, in each process; batch norm needs 2", 2)
    accumulate: int = setting(1, "batches whose gradients are added up before a step", 1)
    optimizer: Literal["sgd", "adamw"] = setting("sgd", "how gradients become steps")
    lr: float = setting(2.6e-3, "learning rate for 32 pictures a step; it scales with the real number", 0)
    trunk_lr: float = setting(1.0, "the trunk's share of the learning rate", 0, 1)
    momentum: float = setting(0.9, "momentum of sgd, first beta of adamw", 0, 0.9999)
    weight_decay: float = setting(5e-4, "on kernels; biases and batch norms have none", 0)
    schedule: Literal["step", "cosine"] = setting("step", "how the learning rate falls")
    milestones: tuple[float, ...] = setting((43 / 65, 54 / 65), "step: a tenth of the rate after these shares", 0, 1)
    lr_floor: float = setting(0.0, "cosine: the share of the rate that is left at the end", 0, 1)
    warmup: int = setting(0, "steps over which the rate rises from 0", 0)
    clip_norm: float = setting(0.0, "cut gradients to this norm; 0 leaves them", 0)
    loss: Literal["multibox", "aligned"] = setting("multibox", "published, or task-aligned with soft targets")
    background_prior: float = setting(0.0, "first probability of background; 0: the bias stays", 0, 0.9999)
    augment: Literal["none", "published", "modern"] = setting("published", "what is done to pictures")
    augment_on: Literal["loader", "device"] = setting("loader", "where pictures are cropped, resized, colored")
    blank_share: float = setting(0.0, "share of the pictures replaced by pictures of nothing", 0, 0.5)
    image_sizes: tuple[int, ...] = setting((300,), "pixels a side of the pictures, in turn; the last is 300", 96, 300)
    size_milestones: tuple[float, ...] = setting((), "shares of the run after which the next size begins", 0, 1)
    min_score: float = setting(0.35, "boxes with a lower score are neither object nor background", 0, 1)
    ema: float = setting(0.0, "decay of the averaged weights that are saved; 0 is off", 0, 1)
    freeze: Literal["none", "stem", "layer1", "layer2", "layer3"] = setting("none", "freeze the trunk up to this part")
    freeze_norm: bool = setting(False, "the trunk's batch norms keep their statistics")
    sync_norm: bool = setting(False, "batch-norm statistics over all processes (CUDA only)")
    seed: int = setting(0, "seed of all random draws", 0)
    # fmt: on

    def __post_init__(self) -> None:
        for f in fields(self):
            _check(f.name, getattr(self, f.name), f.type, f.metadata["low"], f.metadata["high"])
        if self.warmup == 1:
            raise ArgumentError("warmup is 1: the rate would stay at 0, where it begins; give 0, or 2 and more")
        if self.image_sizes[-1:] != (300,):
            raise ArgumentError(f"image_sizes is {self.image_sizes}: the last must be 300, at which the model detects")
        if len(self.size_milestones) != len(self.image_sizes) - 1:
            raise ArgumentError(
                f"{len(self.image_sizes)} image_sizes need {len(self.image_sizes) - 1} size_milestones, "
                f"got {len(self.size_milestones)}"
            )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


PUBLISHED = Recipe()
MODERN = Recipe(
    batch_size=8,
    optimizer="adamw",
    lr=1.2e-3,
    weight_decay=0.02,
    schedule="cosine",
    warmup=300,
    clip_norm=10.0,
    loss="aligned",
    background_prior=0.99,
    ema=0.999,
    blank_share=0.03,
)
QUICK = replace(
    MODERN, epochs=40, warmup=50, augment="modern", ema=0.99, freeze="layer1", freeze_norm=True, blank_share=0.0
)
RECIPES = {"published": PUBLISHED, "modern": MODERN, "quick": QUICK}


def resolve_recipe(recipe: str | Recipe, **overrides: Any) -> Recipe:
    """A recipe, or the one of a name, with some settings changed; None leaves a setting as it is.

    >>> resolve_recipe("published", batch_size=16).batch_size
    16
    """
    if isinstance(recipe, str):
        if recipe not in RECIPES:
            raise unknown_name("recipe", recipe, RECIPES)
        recipe = RECIPES[recipe]
    known = [f.name for f in fields(Recipe)]
    for key in overrides:
        if key not in known:
            raise unknown_name("training setting", key, known)
    return replace(recipe, **{k: v for k, v in overrides.items() if v is not None})


def learning_rate(
    recipe: Recipe, step: int, steps_per_epoch: int, pictures_per_step: int, time_share: float = 0.0
) -> float:
    """The rate of a step, counted from 0 over the whole run.

    Step schedule: a tenth of the rate after each milestone, from the start of an epoch on. The warm-up begins at 0 and
    stays at (W - 1) / W of the rate after its W steps, as published. `time_share`: how much of the time limit is used;
    the schedule follows the clock where that is ahead of the steps.
    """
    base = recipe.lr * pictures_per_step / 32
    if recipe.warmup:
        base *= min(step, recipe.warmup - 1) / recipe.warmup
    if recipe.schedule == "step":
        epoch = step // steps_per_epoch
        passed = (epoch >= round(share * recipe.epochs) or time_share >= share for share in recipe.milestones)
        return base * 0.1 ** sum(passed)
    share = run_share(recipe, step, steps_per_epoch, time_share)
    return base * (recipe.lr_floor + (1 - recipe.lr_floor) * (1 + cos(pi * share)) / 2)


def run_share(recipe: Recipe, step: int, steps_per_epoch: int, time_share: float = 0.0) -> float:
    """How much of the run is done, 0 to 1, by its steps or by the clock, whichever is further."""
    return min(1.0, max(time_share, step / (recipe.epochs * steps_per_epoch)))


def image_size(recipe: Recipe, share: float) -> int:
    """Pixels a side of the pictures of a step, when this share of the run is done."""
    return recipe.image_sizes[sum(share >= milestone for milestone in recipe.size_milestones)]

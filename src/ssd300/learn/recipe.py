"""Every setting of training, one line each, and the three recipes.

`published` is the published recipe, unchanged, `modern` uses later methods (`benchmarks/ablation.py` measures each of
them), `quick` is for fine-tuning on a few hundred pictures. The command line, the Python function and the documents
are generated from this table.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from math import cos, pi
from typing import Any, Literal, get_args, get_origin

from ssd300.data.notes import LEAST_SCORE
from ssd300.digits import as_plain, counted
from ssd300.errors import ArgumentError, unknown_name

FREEZABLE = ("none", "stem", "layer1", "layer2", "layer3")


def setting(default: Any, effect: str, low: float | None = None, high: float | None = None) -> Any:
    """One setting: its default, its effect, and its range."""
    return field(default=default, metadata={"effect": effect, "low": low, "high": high})


def option_of(name: str) -> str:
    """A setting as an option of the command line.

    >>> option_of("batch_size")
    '--batch-size'
    """
    return f"--{name.replace('_', '-')}"


def describe_limits(kind: Any, low: float | None, high: float | None) -> str:
    """The range of a setting, as text.

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
            raise unknown_name(f"value of {option_of(name)}", str(value), get_args(kind))
        return
    numbers = value if isinstance(value, tuple) else (value,)
    if (get_origin(kind) is tuple) != isinstance(value, tuple):
        expected = "several numbers, as a list" if get_origin(kind) is tuple else "one value"
        raise ArgumentError(f"{option_of(name)} is {value!r}: expected {expected}")
    kind = get_args(kind)[0] if get_origin(kind) is tuple else kind
    for number in numbers:
        of_kind = isinstance(number, int | float) and isinstance(number, bool) == (kind is bool)
        whole = kind is not int or isinstance(number, int)
        if (
            not (of_kind and whole)
            or (low is not None and not number >= low)  # NaN compares as false, so it is also refused
            or (high is not None and not number <= high)
        ):
            words = {bool: "", int: "a whole number, "}.get(kind, "a number, ")
            raise ArgumentError(f"{option_of(name)} is {value!r}: expected {words}{describe_limits(kind, low, high)}")


@dataclass(frozen=True)
class Recipe:
    """The settings of one training run; the defaults are the published recipe."""

    # fmt: off
    epochs: int = setting(65, "passes over the pictures", 1)
    batch_size: int = setting(32, "pictures per step, in each process; batch norm needs 2", 2)
    accumulate: int = setting(1, "batches whose gradients are accumulated per step", 1)
    optimizer: Literal["sgd", "adamw", "muon"] = setting("sgd", "optimizer; muon has adamw for biases")
    lr: float = setting(2.6e-3, "learning rate for 32 pictures per step; scaled by the actual number", 0)
    trunk_lr: float = setting(1.0, "factor of the trunk's learning rate", 0, 1)
    momentum: float = setting(0.9, "momentum of sgd and muon, first beta of adamw", 0, 0.9999)
    weight_decay: float = setting(5e-4, "weight decay of kernels; none for biases and batch norms", 0)
    schedule: Literal["step", "cosine"] = setting("step", "schedule of the learning rate")
    milestones: tuple[float, ...] = setting((43 / 65, 54 / 65), "step: a tenth of the rate after these fractions", 0, 1)
    lr_floor: float = setting(0.0, "cosine: final rate, as a fraction of lr", 0, 1)
    warmup: int = setting(0, "steps of linear warm-up from 0", 0)
    clip_norm: float = setting(0.0, "clip gradients to this norm; 0: off", 0)
    loss: Literal["multibox", "aligned"] = setting("multibox", "published, or task-aligned with soft targets")
    background_prior: float = setting(0.0, "initial probability of background; 0: bias unchanged", 0, 0.9999)
    augment: Literal["none", "published", "modern"] = setting("published", "augmentation")
    flip: bool = setting(True, "mirror half of the pictures, unless there is no augmentation")
    augment_on: Literal["loader", "device"] = setting("loader", "where pictures are cropped, resized, colored")
    blank_share: float = setting(0.0, "fraction of pictures replaced by ones without objects", 0, 0.5)
    image_sizes: tuple[int, ...] = setting((300,), "picture sizes in pixels, in turn; the last is 300", 96, 300)
    size_milestones: tuple[float, ...] = setting((), "fractions of the run after which the next size begins", 0, 1)
    min_score: float = setting(LEAST_SCORE, "boxes with a lower score are neither object nor background", 0, 1)
    ema: float = setting(0.0, "decay of the averaged weights; 0: off", 0, 1)
    freeze: Literal["none", "stem", "layer1", "layer2", "layer3"] = setting("none", "freeze the trunk up to this part")
    freeze_norm: bool = setting(False, "the trunk's batch norms keep their statistics")
    freeze_kernels: bool = setting(False, "train only biases and batch norms, with fixed statistics")
    sync_norm: bool = setting(False, "batch-norm statistics over all processes (CUDA only)")
    seed: int = setting(0, "seed of all random draws", 0, 2**64 - 1)
    # fmt: on

    def __post_init__(self) -> None:
        for f in fields(self):
            object.__setattr__(self, f.name, as_plain(getattr(self, f.name)))
            _check(f.name, getattr(self, f.name), f.type, f.metadata["low"], f.metadata["high"])
        if self.warmup == 1:
            raise ArgumentError("--warmup is 1: the learning rate would stay at 0; use 0, or at least 2")
        if self.image_sizes[-1:] != (300,):
            raise ArgumentError(f"--image-sizes is {self.image_sizes}: the last must be 300, the size for detection")
        if len(self.size_milestones) != len(self.image_sizes) - 1:
            raise ArgumentError(
                f"{len(self.image_sizes)} --image-sizes need {len(self.image_sizes) - 1} --size-milestones, "
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
    MODERN,
    epochs=40,
    optimizer="muon",
    lr=4.8e-3,
    warmup=50,
    augment="modern",
    ema=0.99,
    freeze="layer1",
    freeze_norm=True,
    blank_share=0.0,
)
RECIPES = {"published": PUBLISHED, "modern": MODERN, "quick": QUICK}


def resolve_recipe(recipe: str | Recipe, **overrides: Any) -> Recipe:
    """A recipe, or a named one, with some settings changed; None does not change a setting.

    Raises ArgumentError, also for a setting that would have no effect, as it is one of the other schedule.

    >>> resolve_recipe("published", batch_size=16).batch_size
    16
    """
    if not isinstance(recipe, Recipe):
        if recipe not in RECIPES:
            raise unknown_name("recipe", recipe, RECIPES)
        recipe = RECIPES[recipe]
    known = [f.name for f in fields(Recipe)]
    for key in overrides:
        if key not in known:
            raise unknown_name("training setting", key, known)
    chosen = replace(recipe, **{key: value for key, value in overrides.items() if value is not None})
    for name, schedule in (("milestones", "step"), ("lr_floor", "cosine")):
        if chosen.schedule != schedule and getattr(chosen, name) != getattr(recipe, name):
            raise ArgumentError(
                f"{option_of(name)} is for --schedule {schedule}, and the schedule is {chosen.schedule}: "
                f"add --schedule {schedule}, or leave {option_of(name)} out"
            )
    return chosen


def as_options(settings: Mapping[str, Any]) -> str:
    """Settings as options of the command line.

    >>> as_options({"lr": 0.0024, "flip": False, "size_milestones": (0.5, 0.8)})
    '--lr 0.0024 --no-flip --size-milestones 0.5 --size-milestones 0.8'
    """
    words = []
    for name, value in settings.items():
        option = option_of(f"no_{name}" if value is False else name)
        values = ("",) if isinstance(value, bool) else value if isinstance(value, tuple) else (value,)
        words += [f"{option} {one}".rstrip() for one in values]
    return " ".join(words)


def learning_rate(
    recipe: Recipe, step: int, steps_per_epoch: int, pictures_per_step: int, time_share: float = 0.0
) -> float:
    """The learning rate of a step, counted from 0 over the whole run.

    Step schedule: a tenth of the rate after each milestone, from the start of an epoch on. The warm-up begins at 0 and
    stays at (W - 1) / W of the rate after its W steps, as published. `time_share`: the used fraction of the time limit;
    the schedule follows the clock if that is ahead of the steps.
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


def advise_warmup(pictures: int, recipe: Recipe, processes: int = 1) -> tuple[str, ...]:
    """A message if the run ends before its warm-up does."""
    steps = recipe.epochs * -(-pictures // (recipe.batch_size * recipe.accumulate * processes))
    if steps > recipe.warmup:
        return ()
    words = (
        f"the run has {counted(steps, 'step')}, and its warm-up {recipe.warmup}: the learning rate stays low to the end"
    )
    return (f"{words}; train longer (--epochs), or give a shorter --warmup",)


def run_share(recipe: Recipe, step: int, steps_per_epoch: int, time_share: float = 0.0) -> float:
    """The completed fraction of the run, 0 to 1, by steps or by the clock, whichever is further."""
    return min(1.0, max(time_share, step / (recipe.epochs * steps_per_epoch)))


def image_size(recipe: Recipe, share: float) -> int:
    """Pixels per side of the pictures of a step at this fraction of the run."""
    return recipe.image_sizes[sum(share >= milestone for milestone in recipe.size_milestones)]

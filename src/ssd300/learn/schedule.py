"""What changes in the course of a run: the learning rate, the size of the pictures, and the time that is left."""

from dataclasses import dataclass
from math import cos, pi

from ssd300.learn.recipe import Recipe


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


@dataclass
class Clock:
    """The wall time of a run, resumed parts included. `limit`: seconds allowed, None without a limit.

    `measuring` is what the longest validation took: the last one has to end within the limit, too.
    """

    limit: float | None
    used: float = 0.0
    measuring: float = 0.0

    @property
    def share(self) -> float:
        """How much of the time for training is used; 0 without a limit, 1 and more when it is over."""
        if self.limit is None:
            return 0.0
        return self.used / max(self.limit - self.measuring, 1e-9)

    def left(self) -> float:
        """Seconds of training that are left by the limit; infinite without one."""
        return float("inf") if self.limit is None else max(0.0, self.limit - self.measuring - self.used)


def duration(seconds: float) -> str:
    """A time in words.

    >>> duration(40), duration(725), duration(3900)
    ('40 s', '12 min', '1 h 05 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"

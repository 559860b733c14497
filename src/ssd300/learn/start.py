"""The start of training: data sets, and initial weights from a bundled model, ImageNet, a checkpoint, or random."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ssd300.data.dataset import Dataset
from ssd300.data.load import load_training, load_validation
from ssd300.data.usable import refuse_unusable, usable_sets
from ssd300.errors import ArgumentError, ModelError, TrainingError, unknown_name
from ssd300.files import sha256_of
from ssd300.labels import ClassList
from ssd300.learn.device import Compute, rank_and_world
from ssd300.learn.network import SSD300
from ssd300.learn.recipe import Recipe, advise_warmup, option_of
from ssd300.priors import ANCHORS_PER_CELL
from ssd300.weights import catalog
from ssd300.weights.published import is_backbone_file, read_backbone
from ssd300.weights.state import State


@dataclass(frozen=True)
class Origin:
    """The origin of initial weights.

    words    a description
    sha256   of the file, if any
    licence  of the file, if any
    shared   the names of the classes that have trained heads
    """

    words: str
    sha256: str | None = None
    licence: str | None = None
    shared: tuple[str, ...] = ()


RANDOM = Origin("random weights")


def make_starting_network(
    backbone: str, classes: ClassList, start: str | Path | None, background_prior: float = 0.0
) -> tuple[SSD300, Origin]:
    """A network with its initial weights, and their origin.

    background_prior: the initial probability of background for new heads. 0: random heads are unchanged, and
    beside a trained background all new classes start as likely as it.

    start: None (the bundled `default`, ResNet-18 only), "imagenet" (downloads torchvision's file), "none" (random), a
    catalog name, an SSD300 checkpoint, or a torchvision ResNet file.
    """
    network = SSD300(backbone, len(classes) + 1)
    if background_prior:
        set_background_prior(network, background_prior)
    if start is None:
        if backbone != "resnet18":
            raise TrainingError(
                f"no starting weights are bundled for {backbone}: give --start FILE (a checkpoint or a torchvision "
                f"{backbone} file), --start imagenet (downloads torchvision's file) or --start none (random weights)"
            )
        start = "default"
    if start == "none":
        return network, RANDOM
    path = catalog.resolve(f"imagenet-{backbone}" if start == "imagenet" else start)
    if path.suffix.lower() in catalog.SUFFIXES and is_backbone_file(path):
        network.load_state_dict(replace_tensors(network, read_backbone(path, backbone)))
        return network, Origin(f"the ImageNet trunk {path.name}", sha256_of(path))
    state, metadata = catalog.load_weights(path)
    if metadata.backbone != backbone:
        raise ModelError(
            f"{path}: its backbone is {metadata.backbone}, but {backbone} was requested: "
            f"pass --backbone {metadata.backbone}"
        )
    shared = copy_head_rows(network, state, metadata.classes, classes, background_prior)
    trunk = {k: v for k, v in state.items() if not k.startswith("conf.")}
    network.load_state_dict(replace_tensors(network, trunk))
    words = f"{path.name} ({describe_shared(shared, classes)})"
    return network, Origin(words, sha256_of(path), metadata.licence, tuple(shared))


def refuse_untrained(recipe: Recipe, origin: Origin, classes: ClassList) -> None:
    """Raise TrainingError if something would keep random weights, because the recipe does not train it."""
    if origin == RANDOM and (recipe.freeze != "none" or recipe.freeze_norm):
        raise TrainingError(
            f"--start none has no trained trunk, and --freeze {recipe.freeze}{' --freeze-norm' * recipe.freeze_norm} "
            "would keep it random: add --freeze none --no-freeze-norm, or take --recipe modern"
        )
    new = [name for name in classes.names if name not in origin.shared]
    if recipe.freeze_kernels and new:
        raise TrainingError(
            f"--freeze-kernels trains no new classes, but {len(new)} of {len(classes)} have no trained weights "
            f"({', '.join(new[:3])}{', ...' if len(new) > 3 else ''}): start from a model that has them, "
            "or leave the option out"
        )


def describe_shared(kept: list[str], classes: ClassList) -> str:
    """A description of the class rows that were copied.

    >>> describe_shared(["cat"], ClassList.from_names(["cat", "zorp"]))
    '1 of 2 classes by name: cat'
    """
    if not kept or len(kept) == len(classes):
        return f"all {len(classes)} classes by name" if kept else "no class name in common"
    return f"{len(kept)} of {len(classes)} classes by name: {', '.join(kept)}"


def replace_tensors(network: SSD300, arrays: State) -> dict[str, Tensor]:
    """The network's state with some of its tensors replaced."""
    given = {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in arrays.items()}
    return network.state_dict() | given


@torch.no_grad()
def copy_head_rows(
    network: SSD300, state: State, old: ClassList, new: ClassList, background_prior: float = 0.0
) -> list[str]:
    """Initialize the class heads from trained ones; return the names that are in both lists.

    Background and the shared names keep their rows. A new class starts as the background's row, minus the margin of
    the background prior: the softmax depends only on differences between rows, and a random row beside the trained
    background would give objects everywhere.
    """
    shared = [name for name in new.names if name in old.names]
    rows = [(0, 0)] + [(old.names.index(name) + 1, new.names.index(name) + 1) for name in shared]
    old_rows, new_rows = zip(*rows, strict=True)
    margin = prior_margin(background_prior, len(new)) if background_prior else 0.0
    for k, (head, anchors) in enumerate(zip(network.conf, ANCHORS_PER_CELL, strict=True)):
        assert isinstance(head, torch.nn.Conv2d)
        assert head.bias is not None
        for leaf, parameter, below in (("weight", head.weight, 0.0), ("bias", head.bias, margin)):
            # Channel = class * anchors + anchor.
            source = torch.from_numpy(state[f"conf.{k}.{leaf}"]).reshape(len(old) + 1, anchors, *parameter.shape[1:])
            target = parameter.view(len(new) + 1, anchors, *parameter.shape[1:])
            target[1:] = source[0] - below
            target[list(new_rows)] = source[list(old_rows)]
    return shared


@torch.no_grad()
def set_background_prior(network: SSD300, probability: float) -> None:
    """Set the biases of the class heads so that background has this probability and the classes share the rest equally.

    Without it empty priors dominate the first hundred steps (Focal loss, Lin et al. 2017, section 4.1).
    """
    margin = prior_margin(probability, network.num_classes - 1)
    for head, anchors in zip(network.conf, ANCHORS_PER_CELL, strict=True):
        assert isinstance(head, torch.nn.Conv2d)
        assert head.bias is not None
        head.bias.zero_()
        head.bias[:anchors] = margin
        head.weight.mul_(0.1)  # small logits, so that random differences between classes do not outweigh the prior


def prior_margin(probability: float, classes: int) -> float:
    """The background's logit minus that of each of `classes` equally likely classes, for this probability."""
    return float(np.log(probability / (1 - probability) * classes))


def load_training_sets(
    data: Dataset | str | Path | Sequence[str | Path],
    val: Dataset | str | Path | None,
    recipe: Recipe,
    *,
    allow_lost: bool = False,
) -> tuple[Dataset, Dataset | None, tuple[str, ...]]:
    """Training set, validation set, and messages for the user about them.

    Raises TrainingError or DatasetError if they cannot be used; `allow_lost` accepts many boxes that were left out.
    """
    seed, min_score = recipe.seed, recipe.min_score
    if not isinstance(data, Dataset) and not isinstance(val, Dataset):
        sets = usable_sets(data, val, seed=seed, allow_lost=allow_lost, min_score=min_score)
        return sets.train, sets.val, (*sets.messages, *_advise(sets.train, recipe))
    train_set = data if isinstance(data, Dataset) else load_training(data)
    held_out = val if val is None or isinstance(val, Dataset) else load_validation(val)
    check_usable(train_set, held_out)
    refuse_unusable(train_set, allow_lost=allow_lost, min_score=min_score)
    if held_out is not None:
        refuse_unusable(held_out, allow_lost=allow_lost)
        held_out = held_out.with_classes(train_set.classes)
    return train_set, held_out, _advise(train_set, recipe)


def _advise(data: Dataset, recipe: Recipe) -> tuple[str, ...]:
    return *advise_flip(data.classes, recipe), *advise_warmup(len(data), recipe, rank_and_world()[1])


def advise_flip(classes: ClassList, recipe: Recipe) -> tuple[str, ...]:
    """A message if mirrored pictures would show one class under the name of another."""
    pairs = classes.mirrored_pairs() if recipe.flip and recipe.augment != "none" else []
    return tuple(
        f"a mirrored {a} may look like a {b}, and half of the pictures are mirrored: add --no-flip"
        for a, b in pairs[:1]
    )


def check_names(settings: Iterable[str], own: Iterable[str]) -> None:
    """Raises ArgumentError for a keyword that is neither one of `train`'s `own` nor a setting of the recipe."""
    known = [*(name for name in own if name != "settings"), *(f.name for f in fields(Recipe))]
    for name in settings:
        if name not in known:
            raise unknown_name("training setting", name, known)


def check_counts(least: int, **counts: int) -> None:
    """Raises ArgumentError for numbers below `least`, which would otherwise fail at the end of an epoch."""
    for name, value in counts.items():
        if not isinstance(value, int) or value < least:
            raise ArgumentError(f"{option_of(name)} is {value!r}: expected a whole number, {least} or more")


def limit_in_seconds(minutes: float | None) -> float | None:
    if minutes is not None and not (isinstance(minutes, int | float) and minutes > 0):  # NaN compares as false
        raise ArgumentError(f"--time-limit is {minutes!r}: expected minutes, more than 0")
    return minutes and 60 * minutes


def interval_in_seconds(checkpoint_minutes: float) -> float:
    if not isinstance(checkpoint_minutes, int | float) or not checkpoint_minutes >= 0:
        raise ArgumentError(f"checkpoint_minutes is {checkpoint_minutes!r}: expected minutes, 0 or more")
    return 60 * checkpoint_minutes


def folder_to_resume(out: str | Path | None) -> Path:
    if out is None:
        raise ArgumentError("--resume needs --out: the folder of the run to continue")
    return Path(out)


def check_usable(data: Dataset, val: Dataset | None) -> None:
    """Raises TrainingError if there is nothing to train on, or nothing to validate on."""
    if len(data) == 0:
        raise TrainingError(f"{data.name} has no pictures to train on")
    if not data.classes.names:
        raise TrainingError(f"{data.name} has no classes: none of its {len(data)} pictures has a box with a name")
    if val is not None and len(val) == 0:
        raise TrainingError(f"{val.name} has no pictures to validate on; leave out --val to draw a fifth of the data")


def describe_inputs(data: Dataset, val: Dataset | None, origin: Origin, compute: Compute, out: Path) -> str:
    """What a run trains and measures on, from what, how and where, in one line of text."""
    measured = "nothing" if val is None else f"{len(val)} pictures, {val.name}"
    how = f"{compute.device.type} {compute.precision}, out {out}"
    return f"{data.summary()}; measured on {measured}; from {origin.words}; {how}"

"""What a training step changes: network, optimizer, gradient scale and averaged weights, saved and restored as one."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ssd300.data.dataset import Dataset
from ssd300.errors import ArgumentError, TrainingError
from ssd300.learn.device import Compute
from ssd300.learn.muon import Muon
from ssd300.learn.network import SSD300
from ssd300.learn.recipe import FREEZABLE, Recipe, as_options
from ssd300.learn.run import Position
from ssd300.learn.start import Origin
from ssd300.priors import IMAGE_SIZE, map_sizes

# The limit of `freeze`, as the number of children of the trunk (0 conv, 1 norm, 2 relu, 3 pool, 4 5 6 stages).
_FROZEN_CHILDREN = dict(zip(FREEZABLE, (0, 4, 5, 6, 7), strict=True))


def freeze(network: SSD300, recipe: Recipe) -> None:
    """Freeze what the recipe does not train. Call after every `network.train()`.

    With `freeze_kernels` only biases and batch norms are trained (Ben Zaken et al. 2022, "BitFit").
    """
    trunk = network.feature_extractor.feature_extractor
    for child in list(trunk)[: _FROZEN_CHILDREN[recipe.freeze]]:
        child.requires_grad_(False).eval()
    held = network if recipe.freeze_kernels else trunk
    if recipe.freeze_norm or recipe.freeze_kernels:
        for module in held.modules():
            if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm):
                module.eval()
    if recipe.freeze_kernels:
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.requires_grad_(False)


def parameter_groups(network: nn.Module, weight_decay: float, trunk_lr: float = 1.0) -> list[dict[str, Any]]:
    """Weight decay on kernels; none on biases and one-dimensional tensors (batch norms), as published.

    With `trunk_lr` below 1 the trunk has separate groups. `lr_share` is the factor of a group's learning rate.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            decay = 0.0 if parameter.dim() == 1 or name.endswith(".bias") else weight_decay
            share = trunk_lr if name.startswith("feature_extractor.") else 1.0
            groups.setdefault((share, decay), []).append(parameter)
    return [{"params": groups[key], "lr_share": key[0], "weight_decay": key[1]} for key in sorted(groups)]


def lacks_maps(recipe: Recipe) -> bool:
    """Whether the smallest pictures are too small for the last maps: their parameters then have no gradient."""
    return len(map_sizes(min(recipe.image_sizes))) < len(map_sizes(IMAGE_SIZE))


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    groups = parameter_groups(network, recipe.weight_decay, recipe.trunk_lr)
    if recipe.optimizer == "sgd":
        # The fused one fails where some parameters have their first gradient later than others.
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, fused=not lacks_maps(recipe))
    if recipe.optimizer == "muon":
        return Muon(groups, lr=recipe.lr, momentum=recipe.momentum)
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=(recipe.momentum, 0.999), fused=True)


def make_average(network: nn.Module) -> AveragedModel:
    """A moving average of a network's weights, which is less noisy and more accurate than the last step."""
    averaged = AveragedModel(network, use_buffers=True)
    averaged.n_averaged.fill_(1)  # the start counts
    return averaged


@torch.no_grad()
def update_average(averaged: AveragedModel, network: nn.Module, decay: float) -> None:
    """Count the network's current weights in an exponential moving average; counters are copied.

    The decay grows from 2/11 to its full value, so that the initial weights are forgotten. `AveragedModel`'s own update
    copies its counter to the device, which would wait for a GPU in every step.
    """
    updates = int(averaged.n_averaged)
    averages = [t.detach() for t in (*averaged.module.parameters(), *averaged.module.buffers())]
    values = [t.detach() for t in (*network.parameters(), *network.buffers())]
    floats = [i for i, average in enumerate(averages) if average.is_floating_point()]
    share = 1 - min(decay, (1 + updates) / (10 + updates))
    torch._foreach_lerp_([averages[i] for i in floats], [values[i] for i in floats], share)
    for average, value in zip(averages, values, strict=True):
        if not average.is_floating_point():
            average.copy_(value)
    averaged.n_averaged += 1


@dataclass
class Learner:
    """The parts of a run that learn. `network` is the plain network, also where DDP wraps it."""

    network: SSD300
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    averaged: AveragedModel | None
    recipe: Recipe

    def start_learning(self) -> None:
        """Set training mode, except for frozen parts."""
        self.network.train()
        freeze(self.network, self.recipe)

    def step(self, lr: float) -> None:
        """One optimizer step with the accumulated gradients, which are cleared."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_share"]
        self.scaler.unscale_(self.optimizer)
        if self.recipe.clip_norm:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        if self.averaged:
            update_average(self.averaged, self.network, self.recipe.ema)

    def best_weights(self) -> dict[str, Tensor]:
        """The state to validate and save: the averaged weights if the recipe has them."""
        network: nn.Module = self.averaged.module if self.averaged else self.network
        return network.state_dict()

    def state(self, position: Position) -> dict[str, Any]:
        """Everything that a resumed run needs. Random draws have no state: they are keyed to seed, epoch, picture."""
        averaged = self.averaged and (self.averaged.module.state_dict(), int(self.averaged.n_averaged))
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "averaged": averaged,
            "progress": vars(position),
            "recipe": self.recipe.to_dict(),
        }

    def load(self, state: dict[str, Any], conditions: dict[str, str]) -> Position:
        """Restore a saved state. A run continues only with the same recipe, start and data."""
        settings = self.recipe.to_dict()
        unknown = state["recipe"].keys() - settings.keys() | state["progress"].keys() - vars(Position()).keys()
        if unknown:
            raise TrainingError(
                f"the run to resume is of another version of ssd300, as its state has {', '.join(sorted(unknown))}: "
                "resume it with that one, or train on from its best.safetensors: --start FILE, with another --out"
            )
        position = Position(**state["progress"])
        mine = settings | conditions
        theirs = mine | Recipe().to_dict() | state["recipe"] | position.conditions  # an older run lacks the newest
        differs = {k: f"{k}: {theirs[k]!r} there, {v!r} requested" for k, v in mine.items() if theirs[k] != v}
        for name, checksum in (("start", "the initial weights"), ("data", "the data"), ("val", "val")):
            if name in differs:  # which says more than its checksum
                differs.pop(f"sha256 of {checksum}", None)
        if differs:
            options = as_options({name: theirs[name] for name in settings if name in differs})
            older = f" (and {options}, if a recipe has changed since)" if options else ""
            raise TrainingError(
                f"the run to resume has other settings: {'; '.join(differs.values())}; repeat its command with "
                f"--resume{older}, or train on from its best.safetensors: --start FILE, with another --out"
            )
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:  # empty unless the run computed in f16
            self.scaler.load_state_dict(state["scaler"])
        if self.averaged:
            weights, count = state["averaged"]
            self.averaged.module.load_state_dict(weights)
            self.averaged.n_averaged.fill_(count)
        return position


def describe_conditions(
    network: SSD300, origin: Origin, data: Dataset, val: Dataset | None, pictures_per_step: int
) -> dict[str, str]:
    """The conditions beside the recipe on which the results of a run depend, as text."""
    return {
        "backbone": network.backbone,
        "start": origin.words,
        "sha256 of the initial weights": str(origin.sha256),
        "classes": ", ".join(data.classes.names),
        "data": f"{len(data)} pictures",
        "sha256 of the data": content_sha256(data),
        "pictures per step": str(pictures_per_step),
        "val": f"{len(val)} pictures, {sum(len(p.annotations) for p in val.pictures)} boxes" if val else "none",
        "sha256 of val": content_sha256(val) if val else "none",
    }


def content_sha256(data: Dataset) -> str:
    """A checksum of names, sizes and boxes, in order; pixels and folders do not count."""
    content = hashlib.sha256()
    for picture in data.pictures:
        boxes = picture.annotations
        content.update(
            f"{picture.file_name}\0{picture.width}x{picture.height}\0{len(boxes)}\0".encode("utf-8", "replace")
        )
        for values in (boxes.boxes_xyxy, boxes.class_ids, boxes.crowd, boxes.ignore, boxes.area, boxes.scores):
            content.update(np.ascontiguousarray(values).tobytes())
    return content.hexdigest()


def make_learner(network: SSD300, recipe: Recipe, compute: Compute) -> Learner:
    """Move the network to its device and create its optimizer."""
    nn.Module.to(network, compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recipe.sync_norm and compute.device.type != "cuda":
        raise ArgumentError("--sync-norm is for CUDA: on CPUs each process has its own batch-norm statistics")
    if recipe.sync_norm:
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    freeze(network, recipe)
    return Learner(
        network,
        make_optimizer(network, recipe),
        torch.amp.GradScaler(compute.device.type, enabled=compute.precision == "f16"),
        make_average(network) if recipe.ema else None,
        recipe,
    )


def prepare_for_steps(network: SSD300, compute: Compute, compiled: bool) -> nn.Module:
    """The network as the steps call it: itself, or compiled for a GPU."""
    if not compiled:
        return network
    if compute.device.type != "cuda":
        raise ArgumentError("--compile is for CUDA: on a CPU it is not faster")
    network.compile(dynamic=False)  # in place: its state keeps the published names
    return network

"""What a training step changes: network, optimizer, gradient scale and averaged weights, saved and restored as one."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ssd300.data.dataset import Dataset
from ssd300.errors import ArgumentError, TrainingError
from ssd300.learn.device import Compute
from ssd300.learn.network import SSD300
from ssd300.learn.optim import AveragedWeights, freeze, make_optimizer
from ssd300.learn.recipe import Recipe
from ssd300.learn.run import Progress
from ssd300.learn.start import Origin


@dataclass
class Learner:
    """The parts of a run that learn. `network` is the plain network, also where DDP wraps it."""

    network: SSD300
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    averaged: AveragedWeights | None
    recipe: Recipe

    def start_learning(self) -> None:
        """Training mode, with the frozen parts held."""
        self.network.train()
        freeze(self.network, self.recipe.freeze, self.recipe.freeze_norm)

    def step(self, lr: float) -> None:
        """One optimizer step with the gradients that have been added up; they are gone afterwards."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_share"]
        self.scaler.unscale_(self.optimizer)
        if self.recipe.clip_norm:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        if self.averaged:
            self.averaged.update(self.network)

    def best_weights(self) -> dict[str, Tensor]:
        """The state to measure and to save: the averaged weights where the recipe has them."""
        return self.averaged.state if self.averaged else self.network.state_dict()

    def state(self, progress: Progress) -> dict[str, Any]:
        """Everything that a resumed run needs. Chance needs nothing: it is keyed to seed, epoch and picture."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "averaged": (self.averaged.state, self.averaged.updates) if self.averaged else None,
            "progress": vars(progress),
            "recipe": self.recipe.to_dict(),
        }

    def load(self, state: dict[str, Any], conditions: dict[str, str]) -> Progress:
        """Put a saved state back. A run goes on with its own recipe, start and data; others are refused."""
        progress = Progress(**state["progress"])
        mine, theirs = self.recipe.to_dict() | conditions, state["recipe"] | progress.conditions
        differs = [f"{k}: {theirs.get(k)!r} there, {v!r} asked for" for k, v in mine.items() if theirs.get(k) != v]
        if differs:
            raise TrainingError("the run to resume has other settings: " + "; ".join(differs))
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.averaged:
            saved, self.averaged.updates = state["averaged"]
            for key, value in self.averaged.state.items():  # into what lies on the device
                value.copy_(saved[key])
        return progress


def conditions_of(
    network: SSD300, origin: Origin, data: Dataset, val: Dataset | None, pictures_per_step: int
) -> dict[str, str]:
    """What a run's steps and numbers depend on beside the recipe, in words."""
    return {
        "backbone": network.backbone,
        "start": origin.words,
        "sha256 of the start": str(origin.sha256),
        "classes": ", ".join(data.classes.names),
        "data": f"{len(data)} pictures",
        "pictures a step": str(pictures_per_step),
        "val": f"{len(val)} pictures, {sum(len(p.annotations) for p in val.pictures)} boxes" if val else "none",
    }


def make_learner(network: SSD300, recipe: Recipe, compute: Compute) -> Learner:
    """Move the network to its device and give it its optimizer."""
    nn.Module.to(network, compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recipe.sync_norm and compute.device.type != "cuda":
        raise ArgumentError("sync_norm is for CUDA: on CPUs batch-norm statistics stay each process's own")
    if recipe.sync_norm:
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    freeze(network, recipe.freeze, recipe.freeze_norm)
    return Learner(
        network,
        make_optimizer(network, recipe),
        torch.amp.GradScaler(compute.device.type, enabled=compute.precision == "f16"),
        AveragedWeights(network, recipe.ema) if recipe.ema else None,
        recipe,
    )

"""Parameter groups, the learning rate of every step, and the averaged weights."""

from math import cos, pi
from typing import Any

import torch
from torch import nn

from ssd300.learn.network import SSD300
from ssd300.learn.recipe import FREEZABLE, Recipe

# What `freeze` stops at, as the number of children of the trunk (0 conv, 1 norm, 2 relu, 3 pool, 4 5 6 stages).
_FROZEN_CHILDREN = dict(zip(FREEZABLE, (0, 4, 5, 6, 7), strict=True))


def freeze(network: SSD300, upto: str, freeze_norm: bool) -> None:
    """Stop the trunk's first parts from learning; hold batch-norm statistics. Call after every `network.train()`."""
    trunk = network.feature_extractor.feature_extractor
    for child in list(trunk)[: _FROZEN_CHILDREN[upto]]:
        child.requires_grad_(False).eval()
    if freeze_norm:
        for module in trunk.modules():
            if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm):
                module.eval()


def parameter_groups(network: nn.Module, weight_decay: float, trunk_lr: float = 1.0) -> list[dict[str, Any]]:
    """Weight decay on kernels; none on biases and one-dimensional tensors (batch norms), as published.

    With `trunk_lr` below 1 the trunk has groups of its own. `lr_share` is what a group takes of the learning rate.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            decay = 0.0 if parameter.dim() == 1 or name.endswith(".bias") else weight_decay
            share = trunk_lr if name.startswith("feature_extractor.") else 1.0
            groups.setdefault((share, decay), []).append(parameter)
    return [{"params": groups[key], "lr_share": key[0], "weight_decay": key[1]} for key in sorted(groups)]


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    groups = parameter_groups(network, recipe.weight_decay, recipe.trunk_lr)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, fused=True)
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=(recipe.momentum, 0.999), fused=True)


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int, pictures_per_step: int) -> float:
    """The rate of a step, counted from 0 over the whole run.

    Step schedule: a tenth of the rate after each milestone, from the start of an epoch on. The warm-up begins at 0 and
    stays at (W - 1) / W of the rate after its W steps, as published.
    """
    base = recipe.lr * pictures_per_step / 32
    if recipe.warmup:
        base *= min(step, recipe.warmup - 1) / recipe.warmup
    if recipe.schedule == "step":
        epoch = step // steps_per_epoch
        return base * 0.1 ** sum(epoch >= round(share * recipe.epochs) for share in recipe.milestones)
    progress = step / (recipe.epochs * steps_per_epoch)
    return base * (recipe.lr_floor + (1 - recipe.lr_floor) * (1 + cos(pi * progress)) / 2)


class AveragedWeights:
    """Exponential moving average of a network's state: less noisy, and better, than the last step's weights.

    The decay grows from 2/11 to its full value, so that early averages forget the start. Counters are copied.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.state = {key: value.detach().clone() for key, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        self.updates += 1
        weight = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        floats = [(self.state[k], v) for k, v in network.state_dict().items() if v.is_floating_point()]
        torch._foreach_lerp_([mean for mean, _ in floats], [value for _, value in floats], weight)
        for key, value in network.state_dict().items():
            if not value.is_floating_point():
                self.state[key].copy_(value)

"""Muon: kernels move along the nearest orthogonal matrix, everything else as with AdamW."""

import copy

import pytest
import torch
from torch import nn

from ssd300.learn.muon import Muon, orthogonalize


def test_a_step_without_gradients_changes_nothing():
    layer = nn.Conv2d(3, 4, 3)
    before = copy.deepcopy(layer.state_dict())
    optimizer = Muon(layer.parameters(), lr=0.1)
    optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    assert optimizer.state_dict()["state"] == {}


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (16, 300), (300, 16), (256, 2304)])
def test_directions_stay_and_singular_values_come_close_to_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 1e-3
    u, s, vt = torch.linalg.svd(matrix, full_matrices=False)
    inside = u.T @ orthogonalize(matrix) @ vt.T  # diagonal if the directions are the same
    large = s > 0.02 * torch.linalg.norm(matrix)  # smaller ones are not yet at 0.68
    values = inside.diagonal()[large]
    assert 0.65 < values.min() <= values.max() < 1.16
    torch.testing.assert_close(inside, torch.diag(inside.diagonal()), atol=1e-4, rtol=0)


def test_zeros_stay_zeros():
    assert torch.equal(orthogonalize(torch.zeros(3, 5)), torch.zeros(3, 5))


def test_a_kernel_moves_by_the_learning_rate_and_decays():
    """The root mean square of a step is that of AdamW's, 0.2 of the rate, whatever the scale of the gradient."""
    kernel = nn.Parameter(torch.zeros(8, 16, 3, 3))
    decayed = nn.Parameter(torch.ones(8, 16, 3, 3))
    optimizer = Muon([{"params": [kernel]}, {"params": [decayed], "weight_decay": 0.5}], lr=0.1)
    kernel.grad = torch.randn(8, 16, 3, 3, generator=torch.Generator().manual_seed(0)) * 1e3
    decayed.grad = torch.zeros(8, 16, 3, 3)
    optimizer.step()
    assert 0.65 * 0.02 < kernel.square().mean().sqrt() < 1.15 * 0.02
    torch.testing.assert_close(decayed.detach(), torch.full_like(decayed, 0.95))


def test_biases_and_norms_move_as_with_adamw():
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    theirs = copy.deepcopy(ours)
    first, second = Muon(ours.parameters(), lr=0.1), torch.optim.AdamW(theirs.parameters(), lr=0.1, betas=(0.9, 0.999))
    for _ in range(3):
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            mine.grad = torch.randn_like(mine)
            other.grad = mine.grad.clone()
        first.step()
        second.step()
    for name, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name]) == (name != "0.weight"), name


def test_a_restored_optimizer_goes_on_as_if_uninterrupted():
    def step(layer, optimizer, seed):
        torch.manual_seed(seed)
        for parameter in layer.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizer.step()

    layer = nn.Conv2d(3, 4, 3)
    optimizer = Muon(layer.parameters(), lr=0.1)
    step(layer, optimizer, 0)
    again = copy.deepcopy(layer)
    restored = Muon(again.parameters(), lr=0.1)
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    step(layer, optimizer, 1)
    step(again, restored, 1)
    assert all(torch.equal(a, b) for a, b in zip(layer.parameters(), again.parameters(), strict=True))

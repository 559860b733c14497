"""Winograd's method gives the convolutions and gradients of torch, up to rounding, and is used in training alone."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssd300.learn import winograd
from ssd300.learn.network import SSD300, both_heads


def results(convolve, x: Tensor, kernel: Tensor, grad: Tensor) -> list[Tensor]:
    """The output, and the gradients of both inputs."""
    x, kernel = (tensor.detach().clone().requires_grad_() for tensor in (x, kernel))
    out = convolve(x, kernel)
    out.backward(grad)
    assert x.grad is not None
    assert kernel.grad is not None
    return [out.detach(), x.grad, kernel.grad]


def assert_near(mine: Tensor, exact: Tensor, share: float = 1e-5) -> None:
    """Equal up to a share of the largest value."""
    assert mine.shape == exact.shape
    assert (mine - exact).abs().max() <= share * exact.abs().max()


def test_no_pictures_give_no_maps_and_no_gradient() -> None:
    mine = results(winograd.convolve, torch.zeros(0, 3, 8, 8), torch.ones(5, 3, 3, 3), torch.zeros(0, 5, 8, 8))
    assert mine[0].shape == (0, 5, 8, 8)
    assert mine[1].shape == (0, 3, 8, 8)
    assert torch.equal(mine[2], torch.zeros(5, 3, 3, 3))


@pytest.mark.parametrize("size", [(1, 1), (3, 9), (4, 4), (10, 10), (19, 38), (38, 38)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_results_are_those_of_a_direct_convolution(size: tuple[int, int], layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    x, grad = torch.randn(2, 7, *size).to(memory_format=layout), torch.randn(2, 11, *size).to(memory_format=layout)
    kernel = torch.randn(11, 7, 3, 3)
    exact = results(lambda x, kernel: F.conv2d(x, kernel, padding=1), x.double(), kernel.double(), grad.double())
    for mine, direct in zip(results(winograd.convolve, x, kernel, grad), exact, strict=True):
        assert_near(mine.double(), direct)


def heads_and_map() -> tuple[nn.Conv2d, nn.Conv2d, Tensor]:
    torch.manual_seed(0)
    return nn.Conv2d(96, 16, 3, padding=1), nn.Conv2d(96, 84, 3, padding=1), torch.randn(1, 96, 10, 10)


@pytest.mark.parametrize("live", [0.0, 0.1, 1.0])
def test_heads_give_plain_results_where_they_are_computed_this_way(live: float) -> None:
    loc, conf, x = heads_and_map()
    assert winograd.is_faster(x, loc.out_channels + conf.out_channels)
    grads = [torch.randn(1, channels, 10, 10) * (torch.rand(1, 1, 10, 10) < live) for channels in (16, 84)]
    found: list[list[Tensor]] = []
    for forward in (both_heads, lambda x, loc, conf: (loc(x), conf(x))):
        here = x.clone().requires_grad_()
        for layer in (loc, conf):
            layer.zero_grad()
        out = forward(here, loc, conf)
        torch.autograd.backward(out, grads)
        assert here.grad is not None
        found.append(
            [*(one.detach() for one in out), here.grad, *(p.grad for p in (*loc.parameters(), *conf.parameters()))]
        )
    for mine, direct in zip(*found, strict=True):
        assert_near(mine, direct)


def test_a_network_that_is_not_in_training_answers_as_torch_does(monkeypatch) -> None:
    """With or without gradients, to the bit: answers of a model must not depend on how training is computed."""
    network, pictures = SSD300("resnet18", 3).eval(), torch.rand(1, 3, 300, 300)
    with torch.no_grad():
        plain = network(pictures)
    monkeypatch.setattr(winograd, "convolve", None)
    monkeypatch.setattr(winograd, "multiply", None)
    for mine, theirs in zip(network(pictures), plain, strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize(
    ("x", "out_channels"),
    [
        (torch.zeros(1, 96, 38, 38, dtype=torch.float64), 96),
        (torch.zeros(1, 96, 38, 38, dtype=torch.bfloat16), 96),
        (torch.zeros(1, 95, 38, 38), 96),
        (torch.zeros(1, 96, 38, 38), 95),
        (torch.zeros(1, 96, 9, 38), 96),
    ],
)
def test_other_types_and_small_maps_are_convolved_directly(x: Tensor, out_channels: int) -> None:
    assert not winograd.is_faster(x, out_channels)


def test_under_autocast_torch_convolves() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert not winograd.is_faster(torch.zeros(1, 96, 38, 38), 96)


@pytest.mark.parametrize("frozen", [0, 1])
def test_a_frozen_input_gets_no_gradient(frozen: int) -> None:
    inputs = [torch.randn(1, 3, 8, 8, requires_grad=True), torch.randn(5, 3, 3, 3, requires_grad=True)]
    inputs[frozen].requires_grad_(False)
    winograd.convolve(*inputs).sum().backward()
    assert inputs[frozen].grad is None
    assert inputs[1 - frozen].grad is not None

"""Both heads of a map give the gradients of two plain convolutions, wherever the gradient is zero."""

import pytest
import torch
from torch import nn

from ssd300.learn.network import both_heads

Heads = tuple[nn.Conv2d, nn.Conv2d]


def plain(x: torch.Tensor, loc: nn.Conv2d, conf: nn.Conv2d) -> tuple[torch.Tensor, torch.Tensor]:
    return loc(x), conf(x)


def heads(kernel: int = 3) -> Heads:
    torch.manual_seed(0)
    loc, conf = (nn.Conv2d(5, channels, kernel, padding=kernel // 2).double() for channels in (4, 12))
    return loc, conf


def gradients(forward, layers: Heads, x: torch.Tensor, grads: list[torch.Tensor]) -> list[torch.Tensor]:
    """Gradients of the input, and of both kernels and biases."""
    x = x.clone().requires_grad_()
    for layer in layers:
        layer.zero_grad()
    torch.autograd.backward(forward(x, *layers), grads)
    return [x.grad, *(parameter.grad.clone() for layer in layers for parameter in layer.parameters())]


@pytest.mark.parametrize("share", [0.0, 0.02, 0.2, 0.5, 1.0])
@pytest.mark.parametrize(("kernel", "size"), [(3, 1), (3, 2), (3, 9), (1, 4), (5, 7)])
def test_gradients_equal_those_of_plain_convolutions(share: float, kernel: int, size: int) -> None:
    layers = heads(kernel)
    x = torch.randn(3, 5, size, size, dtype=torch.float64)
    grads = [
        torch.randn(3, channels, size, size, dtype=torch.float64) * (torch.rand(3, 1, size, size) < share)
        for channels in (4, 12)
    ]
    for mine, theirs in zip(both_heads(x, *layers), plain(x, *layers), strict=True):
        assert torch.equal(mine, theirs)
    for mine, theirs in zip(gradients(both_heads, layers, x, grads), gradients(plain, layers, x, grads), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-7)


def test_a_gradient_of_one_head_alone_reaches_the_map() -> None:
    layers = heads()
    x = torch.randn(1, 5, 6, 6, dtype=torch.float64)
    loc, conf = torch.zeros(1, 4, 6, 6, dtype=torch.float64), torch.zeros(1, 12, 6, 6, dtype=torch.float64)
    loc[0, 2, 0, 5] = 1.0
    for grads in ([loc, conf], [loc * 0, conf + 1]):
        ours, others = (gradients(forward, layers, x, grads) for forward in (both_heads, plain))
        for mine, theirs in zip(ours, others, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-7)


def test_channels_last_and_bfloat16_give_the_plain_gradients_to_rounding() -> None:
    layers = heads()
    for layer in layers:
        layer.float().to(memory_format=torch.channels_last)
    x = torch.randn(2, 5, 8, 8).contiguous(memory_format=torch.channels_last)
    grads = [torch.zeros(2, channels, 8, 8, dtype=torch.bfloat16) for channels in (4, 12)]
    grads[0][0, 3, 2, 2], grads[1][1, :, 7, 0] = 1.0, 0.25
    with torch.autocast("cpu", torch.bfloat16):
        mine, theirs = (gradients(forward, layers, x, grads) for forward in (both_heads, plain))
    for a, b in zip(mine, theirs, strict=True):
        assert a.dtype == b.dtype == torch.float32
        torch.testing.assert_close(a, b, rtol=0.02, atol=0.02)


def test_without_gradients_they_are_plain_convolutions() -> None:
    layers = heads()
    x = torch.randn(1, 5, 4, 4, dtype=torch.float64)
    with torch.no_grad():
        for mine, theirs in zip(both_heads(x, *layers), plain(x, *layers), strict=True):
            assert torch.equal(mine, theirs)
            assert not mine.requires_grad

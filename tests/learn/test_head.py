"""The heads' convolution gives the gradients of a plain one, wherever the gradient is zero."""

import pytest
import torch
from torch import nn

from ssd300.learn.head import HeadConv


def gradients(layer: nn.Conv2d, x: torch.Tensor, grad: torch.Tensor) -> list[torch.Tensor]:
    """Gradients of the input, the kernel and the bias."""
    x = x.clone().requires_grad_()
    layer.zero_grad()
    layer(x).backward(grad)
    return [tensor.grad.clone() for tensor in (x, layer.weight, layer.bias)]


def layers(kernel: int = 3) -> tuple[HeadConv, nn.Conv2d]:
    torch.manual_seed(0)
    ours, plain = (kind(5, 12, kernel, padding=kernel // 2).double() for kind in (HeadConv, nn.Conv2d))
    plain.load_state_dict(ours.state_dict())
    return ours, plain


@pytest.mark.parametrize("share", [0.0, 0.02, 0.2, 0.5, 1.0])
@pytest.mark.parametrize(("kernel", "size"), [(3, 1), (3, 2), (3, 9), (1, 4), (5, 7)])
def test_gradients_equal_those_of_a_plain_convolution(share: float, kernel: int, size: int) -> None:
    ours, plain = layers(kernel)
    x = torch.randn(3, 5, size, size, dtype=torch.float64)
    grad = torch.randn(3, 12, size, size, dtype=torch.float64) * (torch.rand(3, 1, size, size) < share)
    assert torch.equal(ours(x), plain(x))
    for mine, theirs in zip(gradients(ours, x, grad), gradients(plain, x, grad), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-7)


def test_channels_last_and_bfloat16_give_the_plain_gradients_to_rounding() -> None:
    ours, plain = (layer.float().to(memory_format=torch.channels_last) for layer in layers())
    x = torch.randn(2, 5, 8, 8).contiguous(memory_format=torch.channels_last)
    grad = torch.zeros(2, 12, 8, 8, dtype=torch.bfloat16)
    grad[0, 3, 2, 2], grad[1, :, 7, 0] = 1.0, 0.25
    with torch.autocast("cpu", torch.bfloat16):
        pairs = list(zip(gradients(ours, x, grad), gradients(plain, x, grad), strict=True))
    for mine, theirs in pairs:
        assert mine.dtype == theirs.dtype == torch.float32
        torch.testing.assert_close(mine, theirs, rtol=0.02, atol=0.02)


def test_without_gradients_it_is_a_plain_convolution() -> None:
    ours, plain = layers()
    x = torch.randn(1, 5, 4, 4, dtype=torch.float64)
    with torch.no_grad():
        assert torch.equal(ours(x), plain(x))
        assert not ours(x).requires_grad

"""The convolutions of the heads, with a backward pass that costs as much as there is to learn from.

Hard-negative mining leaves nearly all of the 8732 priors without any gradient (SSD paper, section 2.2), yet a dense
backward pass multiplies their zeros: a sixth of all the arithmetic of a ResNet-50 training step. Here the cells of the
map whose gradient is all zeros are left out. The gradients are those of the plain convolution.
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

SPARSE_SHARE = 0.6  # above this share of cells with a gradient the dense backward pass is the faster one


class HeadConv(nn.Conv2d):
    """An `nn.Conv2d` of odd kernel, stride 1 and same padding. The saving is for CPUs; GPUs compute it densely."""

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu" and torch.is_grad_enabled():
            out: Tensor = _SparseBackward.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]
            return out
        return super().forward(x)


class _SparseBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """grad [B, O, H, W] of the output -> gradients of x [B, I, H, W], weight [O, I, k, k] and bias [O]."""
        x, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        x, kernel = x.to(grad.dtype), weight.to(grad.dtype)
        live = grad.ne(0).any(1)  # [B, H, W]
        if live.sum() > SPARSE_SHARE * live.numel():
            grad_x, grad_weight, grad_bias = _dense(grad, x, kernel)
        else:
            grad_x, grad_weight, grad_bias = _sparse(grad, x, kernel, live)
        return grad_x, grad_weight.to(weight.dtype), grad_bias.to(weight.dtype)


def _dense(grad: Tensor, x: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    pad = kernel.shape[-1] // 2
    gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        grad, x, kernel, [len(kernel)], [1, 1], [pad, pad], [1, 1], False, [0, 0], 1, [True, True, True]
    )
    return gradients


def _sparse(grad: Tensor, x: Tensor, kernel: Tensor, live: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The convolution at L live cells as a product of matrices: their k * k neighbourhoods times the kernel."""
    out_channels, channels, k, _ = kernel.shape
    image, row, column = live.nonzero(as_tuple=True)
    grad_cells = grad.permute(0, 2, 3, 1)[image, row, column]  # [L, O]
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, k // 2, k // 2, k // 2, k // 2))  # [B, H + k - 1, W + k - 1, I]
    height, width = padded.shape[1:3]
    taps = (torch.arange(k)[:, None] * width + torch.arange(k)).reshape(-1)  # [k * k]
    rows = (((image * height + row) * width + column)[:, None] + taps).reshape(-1)  # [L * k * k], rows of `padded`
    matrix = kernel.permute(0, 2, 3, 1).reshape(out_channels, -1)  # [O, k * k * I]

    neighbourhoods = (
        padded.reshape(-1, channels).index_select(0, rows).reshape(len(image), matrix.shape[1])
    )  # [L, k * k * I]
    grad_weight = (grad_cells.T @ neighbourhoods).reshape(out_channels, k, k, channels).permute(0, 3, 1, 2)
    # A sum into rows that repeat is what an embedding does in its backward pass; this is the fast kernel for it.
    spread = (grad_cells @ matrix).reshape(-1, channels)  # [L * k * k, I]
    summed = torch.ops.aten.embedding_dense_backward(spread, rows, len(x) * height * width, -1, False)
    inner = slice(k // 2, -(k // 2) or None)
    grad_x = summed.reshape(len(x), height, width, channels)[:, inner, inner].permute(0, 3, 1, 2)
    return grad_x, grad_weight, grad_cells.sum(0)

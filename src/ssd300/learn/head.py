"""The two heads of a feature map, with a backward pass that costs as much as there is to learn from.

Hard-negative mining leaves nearly all of the 8732 priors without any gradient (SSD paper, section 2.2), yet a dense
backward pass multiplies their zeros: a sixth of all the arithmetic of a ResNet-50 training step. Here the cells of the
map whose gradient is all zeros are left out, and what both heads read is read once. The gradients are those of the two
plain convolutions.
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

SPARSE_SHARE = 0.6  # above this share of cells with a gradient the dense backward pass is the faster one
_OUTSIDE = -1  # the row of a tap that lies beyond the map's border


def both_heads(x: Tensor, loc: nn.Conv2d, conf: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """x [B, C, F, F] -> loc(x) [B, O1, F, F] and conf(x) [B, O2, F, F].

    Both have the same odd kernel, stride 1 and same padding. The saving is for CPUs; GPUs compute them densely.
    """
    if x.device.type == "cpu" and torch.is_grad_enabled():
        out: tuple[Tensor, Tensor] = _SparseBackward.apply(  # type: ignore[no-untyped-call]
            x, loc.weight, loc.bias, conf.weight, conf.bias
        )
        return out
    return loc(x), conf(x)


class _SparseBackward(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, loc: Tensor, loc_bias: Tensor, conf: Tensor, conf_bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        kernel = torch.cat([loc, conf])  # [O1 + O2, C, k, k]
        out = F.conv2d(x, kernel, torch.cat([loc_bias, conf_bias]), padding=kernel.shape[-1] // 2)
        ctx.save_for_backward(x, loc, conf)
        return out[:, : len(loc)], out[:, len(loc) :]

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor, ...]:
        """Gradients of the outputs [B, O, F, F] -> of x [B, C, F, F], both kernels [O, C, k, k] and biases [O]."""
        x, loc, conf = ctx.saved_tensors  # type: ignore[attr-defined]
        dtype = grads[0].dtype
        x, kernel = x.to(dtype), torch.cat([loc.to(dtype), conf.to(dtype)])
        live = grads[0].ne(0).any(1) | grads[1].ne(0).any(1)  # [B, F, F]
        backward = _dense if live.sum() > SPARSE_SHARE * live.numel() else _sparse
        grad_x, grad_kernel, grad_bias = backward(grads, x, kernel, live)
        grad_kernel, grad_bias, n = grad_kernel.to(loc.dtype), grad_bias.to(loc.dtype), len(loc)
        return grad_x, grad_kernel[:n], grad_bias[:n], grad_kernel[n:], grad_bias[n:]


def _dense(grads: tuple[Tensor, ...], x: Tensor, kernel: Tensor, live: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    pad = kernel.shape[-1] // 2
    gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        torch.cat(grads, 1), x, kernel, [len(kernel)], [1, 1], [pad, pad], [1, 1], False, [0, 0], 1, [True, True, True]
    )
    return gradients


def _sparse(grads: tuple[Tensor, ...], x: Tensor, kernel: Tensor, live: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The convolution at L live cells as a product of matrices: their k * k neighborhoods times the kernel."""
    out_channels, channels, k, _ = kernel.shape
    batch, _, height, width = x.shape
    cells = live.nonzero(as_tuple=True)  # image, row, column: [L] each
    grad_cells = torch.cat([grad.permute(0, 2, 3, 1)[cells] for grad in grads], 1)  # [L, O]
    # Filled up with cells whose gradient is zero: memory of a new size at every step would be taken beside the old.
    extra = _filled(len(grad_cells)) - len(grad_cells)
    cells, grad_cells = tuple(F.pad(index, (0, extra)) for index in cells), F.pad(grad_cells, (0, 0, 0, extra))
    rows = _neighbors(cells, height, width, k)  # [L * k * k] of x as [B * F * F, C]
    matrix = kernel.permute(0, 2, 3, 1).reshape(out_channels, -1)  # [O, k * k * C]

    neighborhoods = x.permute(0, 2, 3, 1).reshape(-1, channels).index_select(0, rows.clamp(min=0))
    neighborhoods.masked_fill_((rows == _OUTSIDE)[:, None], 0)
    grad_kernel = grad_cells.T @ neighborhoods.reshape(-1, matrix.shape[1])  # [O, k * k * C]
    grad_kernel = grad_kernel.reshape(out_channels, k, k, channels).permute(0, 3, 1, 2)
    # A sum into rows that repeat is what an embedding does in its backward pass; this is the fast kernel for it.
    spread = (grad_cells @ matrix).reshape(-1, channels)  # [L * k * k, C]
    grad_x = torch.ops.aten.embedding_dense_backward(spread, rows, batch * height * width, _OUTSIDE, False)
    return grad_x.reshape(batch, height, width, channels).permute(0, 3, 1, 2), grad_kernel, grad_cells.sum(0)


def _filled(count: int) -> int:
    """The next of a few sizes: at most an eighth more, and a multiple of 64.

    >>> [_filled(n) for n in (0, 1, 64, 1000, 1025)]
    [0, 64, 64, 1024, 1152]
    """
    step = max(64, 1 << max(0, count.bit_length() - 4))
    return -(-count // step) * step


def _neighbors(cells: tuple[Tensor, ...], height: int, width: int, k: int) -> Tensor:
    """The k * k cells around each cell, as rows of the maps laid out cell by cell; _OUTSIDE beyond the border."""
    image, row, column = (index[:, None, None] for index in cells)  # [L, 1, 1]
    step = torch.arange(k, device=row.device) - k // 2
    row, column = row + step[:, None], column + step  # [L, k, 1], [L, 1, k]
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return torch.where(inside, (image * height + row) * width + column, _OUTSIDE).reshape(-1)

"""3x3 convolutions on CPUs by Winograd's method F(4x4, 3x3): a quarter of the multiplications of a direct one.

Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks", section 4.3: tiles of 6x6 inputs and the
kernel are transformed, multiplied for each of the 36 places, and transformed back to 4x4 outputs. torch computes
convolutions on CPUs directly, with nine multiplications for each output. The result differs from the direct one by its
rounding errors, some 1e-5 of the largest value.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

_LEAST_CHANNELS = 96  # below, or on smaller maps, the transforms take longer than the multiplications saved
_LEAST_SIDE = 10
_OUT, _IN = 4, 6  # sides of a tile's outputs and inputs

# The transforms of a tile in one dimension.
_INPUT: list[list[float]] = [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
]
_KERNEL: list[list[float]] = [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
]
_OUTPUT: list[list[float]] = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]


def _in_two_dimensions(rows: Sequence[Sequence[float]]) -> Tensor:
    """The transform of a flattened square tile."""
    matrix = torch.tensor(rows, dtype=torch.float64)
    return torch.kron(matrix, matrix).float()


_INPUTS = _in_two_dimensions(_INPUT)  # [36, 36]
_KERNELS = _in_two_dimensions(_KERNEL)  # [36, 9]
_OUTPUTS = _in_two_dimensions(_OUTPUT)  # [16, 36]


def is_faster(x: Tensor, out_channels: int) -> bool:
    """Whether to convolve x [B, C, H, W] this way: in float32 on a CPU, with enough channels and cells."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and min(x.shape[1], out_channels) >= _LEAST_CHANNELS
        and min(x.shape[2:]) >= _LEAST_SIDE
    )


def convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """x [B, C, H, W], kernel [O, C, 3, 3] -> [B, O, H, W], with stride 1 and padding 1; differentiable once."""
    out: Tensor = _Convolution.apply(x, kernel)  # type: ignore[no-untyped-call]
    return out


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor) -> Tensor:
        tiles = transform_inputs(x)
        ctx.save_for_backward(tiles, kernel)
        ctx.shape = x.shape
        return multiply(tiles, kernel, x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        tiles, kernel = ctx.saved_tensors
        of_x, of_kernel = ctx.needs_input_grad
        products = transform_gradient(grad)
        return (
            input_gradient(products, kernel, ctx.shape) if of_x else None,
            kernel_gradient(products, tiles) if of_kernel else None,
        )


def transform_inputs(x: Tensor) -> Tensor:
    """x [B, C, H, W] -> its T = B * rows * columns tiles, transformed: [36, T, C]."""
    channels, rows, columns = x.shape[1], *_grid(x.shape)
    bottom, right = (_OUT * count + 1 - side for count, side in zip((rows, columns), x.shape[2:], strict=True))
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, right, 1, bottom))  # [B, H', W', C]
    tiles = padded.unfold(1, _IN, _OUT).unfold(2, _IN, _OUT).permute(4, 5, 0, 1, 2, 3)  # [6, 6, B, rows, columns, C]
    return (_INPUTS @ tiles.reshape(_IN**2, -1)).view(_IN**2, -1, channels)


def multiply(tiles: Tensor, kernel: Tensor, shape: torch.Size) -> Tensor:
    """The convolution of transformed tiles of an input of `shape`: [B, O, H, W]."""
    out_channels, (batch, _, height, width), (rows, columns) = len(kernel), shape, _grid(shape)
    products = torch.bmm(tiles, _transform_kernel(kernel).transpose(1, 2))  # [36, T, O]
    blocks = (_OUTPUTS @ products.view(_IN**2, -1)).view(_OUT, _OUT, batch, rows, columns, out_channels)
    out = blocks.permute(2, 3, 0, 4, 1, 5).reshape(batch, _OUT * rows, _OUT * columns, out_channels)
    return out[:, :height, :width].permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def transform_gradient(grad: Tensor) -> Tensor:
    """The gradient of the output [B, O, H, W] -> that of the products [36, T, O]."""
    (batch, channels, height, width), (rows, columns) = grad.shape, _grid(grad.shape)
    padded = F.pad(grad.permute(0, 2, 3, 1), (0, 0, 0, _OUT * columns - width, 0, _OUT * rows - height))
    blocks = padded.view(batch, rows, _OUT, columns, _OUT, channels).permute(2, 4, 0, 1, 3, 5)
    return (_OUTPUTS.T @ blocks.reshape(_OUT**2, -1)).view(_IN**2, -1, channels)


def kernel_gradient(products: Tensor, tiles: Tensor) -> Tensor:
    """The gradient of the kernel [O, C, 3, 3], from `transform_gradient` and `transform_inputs`."""
    transformed = torch.bmm(products.transpose(1, 2), tiles)  # [36, O, C]
    return (_KERNELS.T @ transformed.view(_IN**2, -1)).view(3, 3, *transformed.shape[1:]).permute(2, 3, 0, 1)


def input_gradient(products: Tensor, kernel: Tensor, shape: torch.Size) -> Tensor:
    """The gradient of the input of `shape` [B, C, H, W], from `transform_gradient`."""
    (batch, channels, height, width), (rows, columns) = shape, _grid(shape)
    transformed = torch.bmm(products, _transform_kernel(kernel))  # [36, T, C]
    tiles = (_INPUTS.T @ transformed.view(_IN**2, -1)).view(_IN, _IN, batch, rows, columns, channels)
    return _sum_tiles(tiles)[:, 1 : height + 1, 1 : width + 1].permute(0, 3, 1, 2)


def _transform_kernel(kernel: Tensor) -> Tensor:
    """[O, C, 3, 3] -> [36, O, C]."""
    out_channels, channels = kernel.shape[:2]
    return (_KERNELS @ kernel.permute(2, 3, 0, 1).reshape(9, -1)).view(_IN**2, out_channels, channels)


def _sum_tiles(tiles: Tensor) -> Tensor:
    """Add up the overlapping tiles [6, 6, B, rows, columns, C], four apart: [B, 4 * rows + 4, 4 * columns + 4, C]."""
    batch, rows, columns, channels = tiles.shape[2:]
    total = tiles.new_zeros(batch, rows + 1, _OUT, columns + 1, _OUT, channels)
    tiles = tiles.permute(2, 3, 0, 4, 1, 5)  # [B, rows, 6, columns, 6, C]
    # A tile's first four rows lie in its own block, the last two in the next; so do its columns.
    for down, row in enumerate((slice(0, _OUT), slice(_OUT, _IN))):
        for across, column in enumerate((slice(0, _OUT), slice(_OUT, _IN))):
            part = tiles[:, :, row, :, column]
            place = total[:, down : rows + down, : part.shape[2], across : columns + across, : part.shape[4]]
            place += part
    return total.view(batch, _OUT * (rows + 1), _OUT * (columns + 1), channels)


def _grid(shape: torch.Size) -> tuple[int, int]:
    """Rows and columns of tiles over a map of a tensor's `shape` [B, C, H, W]."""
    return -(-shape[2] // _OUT), -(-shape[3] // _OUT)

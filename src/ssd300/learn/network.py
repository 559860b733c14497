"""The trainable network (torch), built from `architecture.py` with the published state_dict names, shapes and order."""

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ssd300.architecture import BATCH_NORM_EPS, Architecture, Conv, ResidualBlock, architecture
from ssd300.learn import winograd
from ssd300.priors import map_sizes

# Above this fraction of cells with a gradient the dense backward pass is faster: direct, and by Winograd's method.
_SPARSE_SHARE, _SPARSE_SHARE_FAST = 0.6, 0.35
_OUTSIDE = -1  # the row of a kernel element outside the map


class Convolution(nn.Conv2d):
    """A convolution that takes Winograd's method in training where that is faster; answers stay those of torch."""

    def forward(self, x: Tensor) -> Tensor:
        fits = self.kernel_size == (3, 3) and self.stride == self.padding == (1, 1) and self.bias is None
        if fits and self.training and torch.is_grad_enabled() and winograd.is_faster(x, self.out_channels):
            return winograd.convolve(x, self.weight)
        return super().forward(x)


def conv_modules(conv: Conv) -> list[nn.Module]:
    """The convolution and its batch norm, if it has one."""
    bias = conv.norm_key is None
    layer = Convolution(conv.in_channels, conv.out_channels, conv.kernel, conv.stride, conv.padding, bias=bias)
    return [layer] if bias else [layer, nn.BatchNorm2d(conv.out_channels, eps=BATCH_NORM_EPS)]


class Residual(nn.Module):
    """A torchvision block: conv1 bn1 relu conv2 bn2 (relu conv3 bn3), plus shortcut, relu."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        for i, conv in enumerate(block.convs, 1):
            layer, norm = conv_modules(conv)
            self.add_module(f"conv{i}", layer)
            self.add_module(f"bn{i}", norm)
        self.depth = len(block.convs)
        self.downsample = nn.Sequential(*conv_modules(block.shortcut)) if block.shortcut else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for i in range(1, self.depth + 1):
            out = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(out))
            if i < self.depth:
                out = torch.relu_(out)
        return torch.relu_(out.add_(self.downsample(x)))


class Trunk(nn.Module):
    """ResNet up to its third stage: [B, 3, 300, 300] -> [B, C, 38, 38]. Children 0 1 (2 3) 4 5 6 as published."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        stages = [nn.Sequential(*map(Residual, stage)) for stage in arch.stages]
        self.feature_extractor = nn.Sequential(
            *conv_modules(arch.stem), nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2, padding=1), *stages
        )

    def forward(self, pictures: Tensor) -> Tensor:
        out: Tensor = self.feature_extractor(pictures)
        return out


class SSD300(nn.Module):
    """The SSD300 detector (SSD paper, section 2.1, on a ResNet trunk), randomly initialized; nothing is downloaded.

    Args:
        backbone: resnet18, resnet34, resnet50, resnet101 or resnet152.
        num_classes: classes including the background, which is index 0; 81 for COCO.

    `forward(pictures [B, 3, 300, 300], normalized RGB)` gives `locs [B, 4, 8732]` and `logits [B, num_classes, 8732]`,
    raw, in the published layout: prior index = map offset + anchor * F * F + row * F + column. Smaller square pictures
    have fewer priors (`priors.map_sizes`); training may begin with them.
    """

    def __init__(self, backbone: str = "resnet50", num_classes: int = 81) -> None:
        super().__init__()
        arch = architecture(backbone, num_classes)
        self.backbone, self.num_classes = backbone, num_classes
        self.feature_extractor = Trunk(arch)
        self.additional_blocks = nn.ModuleList(
            nn.Sequential(*conv_modules(narrow), nn.ReLU(inplace=True), *conv_modules(wide), nn.ReLU(inplace=True))
            for narrow, wide in arch.extras
        )
        self.loc = nn.ModuleList(conv_modules(conv)[0] for conv in arch.location_heads)
        self.conf = nn.ModuleList(conv_modules(conv)[0] for conv in arch.class_heads)
        self._init_weights()

    def _init_weights(self) -> None:
        """Xavier-uniform kernels in the extra blocks and heads, as published; the trunk keeps He's initialization."""
        for module in self.feature_extractor.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for part in (self.additional_blocks, self.loc, self.conf):
            for parameter in part.parameters():
                if parameter.dim() > 1:
                    nn.init.xavier_uniform_(parameter)

    def feature_maps(self, pictures: Tensor) -> Iterator[Tensor]:
        """The six maps [B, C, F, F], F = 38 19 10 5 3 1; smaller ones, and fewer, of smaller pictures."""
        x = self.feature_extractor(pictures)
        yield x
        for block in self.additional_blocks[: len(map_sizes(pictures.shape[2])) - 1]:
            x = block(x)
            yield x

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        locs, logits = [], []
        heads = zip(cast(list[nn.Conv2d], self.loc), cast(list[nn.Conv2d], self.conf), strict=True)
        for x, (loc_head, conf_head) in zip(self.feature_maps(pictures), heads, strict=False):
            loc, conf = both_heads(x, loc_head, conf_head)
            # x.shape[0], not len(x): torch.export keeps the batch open.
            # Channel = coordinate (or class) * anchors + anchor, so a plain reshape puts anchors before cells.
            locs.append(loc.reshape(x.shape[0], 4, -1))
            logits.append(conf.reshape(x.shape[0], self.num_classes, -1))
        return torch.cat(locs, 2), torch.cat(logits, 2)


def both_heads(x: Tensor, loc: nn.Conv2d, conf: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """x [B, C, F, F] -> loc(x) [B, O1, F, F] and conf(x) [B, O2, F, F].

    Both have the same odd kernel, stride 1 and same padding. On CPUs the backward pass is sparse, on GPUs dense.
    """
    if x.device.type == "cpu" and torch.is_grad_enabled():
        fast = (
            loc.training and loc.kernel_size == (3, 3) and winograd.is_faster(x, loc.out_channels + conf.out_channels)
        )
        out: tuple[Tensor, Tensor] = _SparseBackward.apply(  # type: ignore[no-untyped-call]
            x, loc.weight, loc.bias, conf.weight, conf.bias, fast
        )
        return out
    return loc(x), conf(x)


class _SparseBackward(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, loc: Tensor, loc_bias: Tensor, conf: Tensor, conf_bias: Tensor, fast: bool
    ) -> tuple[Tensor, Tensor]:
        kernel = torch.cat([loc, conf])  # [O1 + O2, C, k, k]
        bias = torch.cat([loc_bias, conf_bias])
        ctx.fast = fast
        if fast:
            out = winograd.multiply(winograd.transform_inputs(x), kernel, x.shape).add_(bias[:, None, None])
        else:
            out = F.conv2d(x, kernel, bias, padding=kernel.shape[-1] // 2)
        ctx.save_for_backward(x, loc, conf)
        return out[:, : len(loc)], out[:, len(loc) :]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the outputs [B, O, F, F] -> of x [B, C, F, F], both kernels [O, C, k, k] and biases [O]."""
        x, loc, conf = ctx.saved_tensors
        dtype = grads[0].dtype
        x, kernel = x.to(dtype), torch.cat([loc.to(dtype), conf.to(dtype)])
        live = grads[0].ne(0).any(1) | grads[1].ne(0).any(1)  # [B, F, F]
        if live.sum() <= (_SPARSE_SHARE_FAST if ctx.fast else _SPARSE_SHARE) * live.numel():
            grad_x, grad_kernel, grad_bias = _sparse_backward(grads, x, kernel, live)
        else:
            grad_x, grad_kernel, grad_bias = _dense_backward(torch.cat(grads, 1), x, kernel, ctx.fast)
        grad_kernel, grad_bias, n = grad_kernel.to(loc.dtype), grad_bias.to(loc.dtype), len(loc)
        return grad_x, grad_kernel[:n], grad_bias[:n], grad_kernel[n:], grad_bias[n:], None


def _dense_backward(grad: Tensor, x: Tensor, kernel: Tensor, fast: bool) -> tuple[Tensor, Tensor, Tensor]:
    if fast:
        products = winograd.transform_gradient(grad)
        grad_kernel = winograd.kernel_gradient(products, winograd.transform_inputs(x))
        return winograd.input_gradient(products, kernel, x.shape), grad_kernel, grad.sum((0, 2, 3))
    pad = kernel.shape[-1] // 2
    gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        grad, x, kernel, [len(kernel)], [1, 1], [pad, pad], [1, 1], False, [0, 0], 1, [True, True, True]
    )
    return gradients


def _sparse_backward(
    grads: tuple[Tensor, ...], x: Tensor, kernel: Tensor, live: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The convolution at L live cells as a matrix product: their k * k neighborhoods times the kernel."""
    out_channels, channels, k, _ = kernel.shape
    batch, _, height, width = x.shape
    cells = live.nonzero(as_tuple=True)  # image, row, column: [L] each
    grad_cells = torch.cat([grad.permute(0, 2, 3, 1)[cells] for grad in grads], 1)  # [L, O]
    # Padded with cells whose gradient is zero, so that allocations have the same sizes every step.
    extra = _round_up(len(grad_cells)) - len(grad_cells)
    cells, grad_cells = tuple(F.pad(index, (0, extra)) for index in cells), F.pad(grad_cells, (0, 0, 0, extra))
    rows = _neighbors(cells, height, width, k)  # [L * k * k] of x as [B * F * F, C]
    matrix = kernel.permute(0, 2, 3, 1).reshape(out_channels, -1)  # [O, k * k * C]

    neighborhoods = x.permute(0, 2, 3, 1).reshape(-1, channels).index_select(0, rows.clamp(min=0))
    neighborhoods.masked_fill_((rows == _OUTSIDE)[:, None], 0)
    grad_kernel = grad_cells.T @ neighborhoods.reshape(-1, matrix.shape[1])  # [O, k * k * C]
    grad_kernel = grad_kernel.reshape(out_channels, k, k, channels).permute(0, 3, 1, 2)
    # The backward pass of an embedding sums into repeated rows; it is the fastest kernel for this.
    spread = (grad_cells @ matrix).reshape(-1, channels)  # [L * k * k, C]
    grad_x = torch.ops.aten.embedding_dense_backward(spread, rows, batch * height * width, _OUTSIDE, False)
    return grad_x.reshape(batch, height, width, channels).permute(0, 3, 1, 2), grad_kernel, grad_cells.sum(0)


def _round_up(count: int) -> int:
    """Round up to one of a few sizes: at most an eighth more, and a multiple of 64.

    >>> [_round_up(n) for n in (0, 1, 64, 1000, 1025)]
    [0, 64, 64, 1024, 1152]
    """
    step = max(64, 1 << max(0, count.bit_length() - 4))
    return -(-count // step) * step


def _neighbors(cells: tuple[Tensor, ...], height: int, width: int, k: int) -> Tensor:
    """The k * k cells around each cell, as rows of the flattened maps; _OUTSIDE beyond the border."""
    image, row, column = (index[:, None, None] for index in cells)  # [L, 1, 1]
    step = torch.arange(k, device=row.device) - k // 2
    row, column = row + step[:, None], column + step  # [L, k, 1], [L, 1, k]
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return torch.where(inside, (image * height + row) * width + column, _OUTSIDE).reshape(-1)

"""The network as data: every convolution of SSD300 on ResNet-18/34/50/101/152, with its published key.

Three builders read it: `learn/network.py` (torch), `runtime/graph.py` (OpenVINO) and `export/onnx_network.py` (ONNX).

    picture [B, 3, 300, 300]
      -> stem (7x7, stride 2; max-pool) -> stages 0 1 2 of residual blocks -> map 0 [38x38]
      -> five extra blocks (1x1 then 3x3)                          -> maps 1..5 [19x19 .. 1x1]
    each map -> one location head (4 offsets per anchor) and one class head (K logits per anchor)

The trunk is torchvision's ResNet without its last stage; the first block of stage 2 has stride 1, so it stays at 38x38.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ssd300.errors import ArgumentError, unknown_name
from ssd300.priors import ANCHORS_PER_CELL

BATCH_NORM_EPS = 1e-5
MEAN = (0.485, 0.456, 0.406)  # ImageNet, of RGB in 0..1
STD = (0.229, 0.224, 0.225)

_BLOCKS = {
    "resnet18": ("basic", (2, 2, 2)),
    "resnet34": ("basic", (3, 4, 6)),
    "resnet50": ("bottleneck", (3, 4, 6)),
    "resnet101": ("bottleneck", (3, 4, 23)),
    "resnet152": ("bottleneck", (3, 8, 36)),
}
BACKBONES = tuple(_BLOCKS)
_STEM_WIDTH = 64
_STAGE_WIDTHS = (64, 128, 256)
_STAGE_STRIDES = (1, 2, 1)  # stage 2 has stride 1 here, 2 in torchvision
_EXTRA_MIDDLES = (256, 256, 128, 128, 128)
_EXTRA_WIDTHS = (512, 512, 256, 256, 256)  # the last is 128 for resnet18
_EXTRA_STRIDES = (2, 2, 2, 1, 1)
_EXTRA_PADDINGS = (1, 1, 1, 0, 0)
_TRUNK = "feature_extractor.feature_extractor"


@dataclass(frozen=True)
class Conv:
    """A convolution, without bias and followed by batch norm if `norm_key` is given, else with bias."""

    key: str  # of its weight in the state dict, without ".weight"
    norm_key: str | None
    in_channels: int
    out_channels: int
    kernel: int
    stride: int = 1
    padding: int = 0

    def state_shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{self.key}.weight", (self.out_channels, self.in_channels, self.kernel, self.kernel)
        if self.norm_key is None:
            yield f"{self.key}.bias", (self.out_channels,)
            return
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            yield f"{self.norm_key}.{leaf}", (self.out_channels,)
        yield f"{self.norm_key}.num_batches_tracked", ()


@dataclass(frozen=True)
class ResidualBlock:
    """out = relu(convs(x) + shortcut(x)), a relu after every conv but the last; shortcut None is the identity."""

    convs: tuple[Conv, ...]
    shortcut: Conv | None


@dataclass(frozen=True)
class Architecture:
    """One SSD300 network. `num_classes` counts the background."""

    backbone: str
    num_classes: int
    stem: Conv
    stages: tuple[tuple[ResidualBlock, ...], ...]
    extras: tuple[tuple[Conv, Conv], ...]
    location_heads: tuple[Conv, ...]
    class_heads: tuple[Conv, ...]

    def convs(self) -> Iterator[Conv]:
        """Every convolution, in the order of the published state dict."""
        yield self.stem
        for stage in self.stages:
            for block in stage:
                yield from block.convs
                if block.shortcut:
                    yield block.shortcut
        for extra in self.extras:
            yield from extra
        yield from self.location_heads
        yield from self.class_heads

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Key -> shape of the published state dict, in published order."""
        return dict(entry for conv in self.convs() for entry in conv.state_shapes())


def architecture(backbone: str = "resnet50", num_classes: int = 81) -> Architecture:
    """The SSD300 network of a backbone; `num_classes` includes the background (81 for COCO).

    >>> [head.in_channels for head in architecture("resnet18").class_heads]
    [256, 512, 512, 256, 256, 128]
    """
    if backbone not in _BLOCKS:
        raise unknown_name("backbone", backbone, BACKBONES)
    if not isinstance(num_classes, int | np.integer) or num_classes < 2:
        raise ArgumentError(
            f"num_classes is {num_classes!r}, expected a whole number: background and at least one class make 2"
        )
    stages = tuple(_stages(backbone))
    last = _EXTRA_WIDTHS[-1] // (2 if backbone == "resnet18" else 1)
    map_channels = [stages[-1][-1].convs[-1].out_channels, *_EXTRA_WIDTHS[:-1], last]
    extras = []
    for k, (middle, stride, padding) in enumerate(zip(_EXTRA_MIDDLES, _EXTRA_STRIDES, _EXTRA_PADDINGS, strict=True)):
        name = f"additional_blocks.{k}"
        narrow = Conv(f"{name}.0", f"{name}.1", map_channels[k], middle, 1)
        extras.append((narrow, Conv(f"{name}.3", f"{name}.4", middle, map_channels[k + 1], 3, stride, padding)))
    return Architecture(
        backbone,
        num_classes,
        Conv(f"{_TRUNK}.0", f"{_TRUNK}.1", 3, _STEM_WIDTH, 7, 2, 3),
        stages,
        tuple(extras),
        _heads("loc", map_channels, 4),
        _heads("conf", map_channels, num_classes),
    )


def _stages(backbone: str) -> Iterator[tuple[ResidualBlock, ...]]:
    kind, depths = _BLOCKS[backbone]
    channels = _STEM_WIDTH
    for stage, (depth, width, stride) in enumerate(zip(depths, _STAGE_WIDTHS, _STAGE_STRIDES, strict=True)):
        blocks = []
        for b in range(depth):
            name = f"{_TRUNK}.{4 + stage}.{b}"
            block = _residual_block(kind, name, channels, width, stride if b == 0 else 1)
            blocks.append(block)
            channels = block.convs[-1].out_channels
        yield tuple(blocks)


def _residual_block(kind: str, name: str, channels: int, width: int, stride: int) -> ResidualBlock:
    if kind == "basic":
        out = width
        shapes = [(channels, width, 3, stride), (width, width, 3, 1)]
    else:  # torchvision's "v1.5": the stride is on the 3x3
        out = 4 * width
        shapes = [(channels, width, 1, 1), (width, width, 3, stride), (width, out, 1, 1)]
    convs = tuple(
        Conv(f"{name}.conv{i}", f"{name}.bn{i}", c_in, c_out, kernel, s, kernel // 2)
        for i, (c_in, c_out, kernel, s) in enumerate(shapes, 1)
    )
    shortcut = None
    if channels != out or stride != 1:
        shortcut = Conv(f"{name}.downsample.0", f"{name}.downsample.1", channels, out, 1, stride)
    return ResidualBlock(convs, shortcut)


def _heads(name: str, map_channels: list[int], numbers: int) -> tuple[Conv, ...]:
    """Heads have no batch norm. Channel of coordinate or class c and anchor a = c * anchors + a, as published."""
    return tuple(
        Conv(f"{name}.{k}", None, channels, anchors * numbers, 3, 1, 1)
        for k, (channels, anchors) in enumerate(zip(map_channels, ANCHORS_PER_CELL, strict=True))
    )

"""The trainable network (torch), built from `architecture.py` with the published state_dict names, shapes and order."""

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from ssd300.architecture import BATCH_NORM_EPS, Architecture, Conv, ResidualBlock, architecture
from ssd300.learn.head import both_heads
from ssd300.priors import map_sizes


def conv_modules(conv: Conv) -> list[nn.Module]:
    """The convolution and, where the architecture has one, its batch norm."""
    bias = conv.norm_key is None
    layer = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel, conv.stride, conv.padding, bias=bias)
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

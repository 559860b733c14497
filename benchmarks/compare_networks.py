"""Other detectors as torch modules with random weights, written from their published structure, to measure speed.

`python benchmarks/compare_networks.py` prints the number of parameters of each and the published number.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from compare_nanodet import NanoDetPlus, conv

# kernel, expanded, out, squeeze-and-excite, h-swish, stride; the tail of SSDLite's MobileNetV3-Large is halved
MOBILENET = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 80, True, True, 2),
    (5, 480, 80, True, True, 1),
    (5, 480, 80, True, True, 1),
)
VGG_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3))
PARAMETERS = {"ssdlite320": 3_440_060, "ssd300-vgg16": 35_641_826, "nanodet-plus-m": 1_170_000}


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        quarter = channels // 4
        middle = max(8, (quarter + 4) // 8 * 8)
        middle += 8 if middle < 0.9 * quarter else 0
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, middle, 1),
            nn.ReLU(),
            nn.Conv2d(middle, channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


class Inverted(nn.Module):
    """MobileNetV3's block; SSDLite also uses the map after `expand`."""

    def __init__(self, inside: int, row: Sequence[int | bool]) -> None:
        super().__init__()
        kernel, wide, out, squeeze, swish, stride = row
        act = nn.Hardswish if swish else nn.ReLU
        self.expand = conv(inside, wide, act=act()) if wide != inside else nn.Identity()
        rest = [conv(wide, wide, kernel, stride, wide, act())]
        self.rest = nn.Sequential(*rest, *([SqueezeExcite(wide)] if squeeze else []), conv(wide, out))
        self.added = stride == 1 and inside == out

    def forward(self, x: Tensor) -> Tensor:
        y = self.rest(self.expand(x))
        return x + y if self.added else y


def flat(heads: nn.ModuleList, maps: list[Tensor], values: int) -> Tensor:
    """The outputs of all maps as [B, anchors, values]."""
    parts = [head(x) for head, x in zip(heads, maps, strict=True)]
    return torch.cat([part.permute(0, 2, 3, 1).reshape(part.shape[0], -1, values) for part in parts], 1)


class SSDLite320(nn.Module):
    """SSDLite with MobileNetV3-Large at 320: [B, 3234, 91] scores and [B, 3234, 4] offsets."""

    def __init__(self, classes: int = 91) -> None:
        super().__init__()
        ins = [16, *(row[2] for row in MOBILENET)]
        self.stem = conv(3, 16, 3, 2, act=nn.Hardswish())
        self.blocks = nn.ModuleList(Inverted(inside, row) for inside, row in zip(ins, MOBILENET, strict=False))
        self.last = conv(80, 480, act=nn.Hardswish())
        self.extra = nn.ModuleList()
        for inside, out in pairwise((480, 512, 256, 256, 128)):
            half = out // 2
            layers = (conv(inside, half, act=nn.ReLU6()), conv(half, half, 3, 2, half, nn.ReLU6()))
            self.extra.append(nn.Sequential(*layers, conv(half, out, act=nn.ReLU6())))
        widths = (672, 480, 512, 256, 256, 128)
        self.scores, self.boxes = (nn.ModuleList(self.head(w, 6 * n) for w in widths) for n in (classes, 4))
        self.classes = classes

    @staticmethod
    def head(width: int, out: int) -> nn.Module:
        return nn.Sequential(conv(width, width, 3, groups=width, act=nn.ReLU6()), nn.Conv2d(width, out, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(x)
        for block in self.blocks[:12]:
            x = block(x)
        maps = [self.blocks[12].expand(x)]
        x = self.blocks[12].rest(maps[0])
        for block in self.blocks[13:]:
            x = block(x)
        maps.append(self.last(x))
        for block in self.extra:
            maps.append(block(maps[-1]))
        return flat(self.scores, maps, self.classes).softmax(-1), flat(self.boxes, maps, 4)


class SSD300VGG16(nn.Module):
    """SSD300 with VGG16: [B, 8732, 91] scores and [B, 8732, 4] offsets."""

    def __init__(self, classes: int = 91) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inside = 3
        for number, (width, count) in enumerate(VGG_STAGES):
            layers += [nn.MaxPool2d(2, ceil_mode=True)] if number else []
            for _ in range(count):
                layers += [nn.Conv2d(inside, width, 3, padding=1), nn.ReLU()]
                inside = width
        self.trunk = nn.Sequential(*layers)
        self.scale = nn.Parameter(torch.full((1, 512, 1, 1), 20.0))
        tail: list[nn.Module] = [nn.MaxPool2d(2, ceil_mode=True)]
        for _ in range(3):
            tail += [nn.Conv2d(512, 512, 3, padding=1), nn.ReLU()]
        tail += [nn.MaxPool2d(3, 1, 1), nn.Conv2d(512, 1024, 3, padding=6, dilation=6), nn.ReLU()]
        self.tail = nn.Sequential(*tail, nn.Conv2d(1024, 1024, 1), nn.ReLU())
        shapes = ((1024, 256, 512, 2, 1), (512, 128, 256, 2, 1), (256, 128, 256, 1, 0), (256, 128, 256, 1, 0))
        self.extra = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 1), nn.ReLU(), nn.Conv2d(b, c, 3, stride, pad), nn.ReLU())
            for a, b, c, stride, pad in shapes
        )
        heads = tuple(zip((512, 1024, 512, 256, 256, 256), (4, 6, 6, 6, 4, 4), strict=True))
        self.scores, self.boxes = (
            nn.ModuleList(nn.Conv2d(w, count * n, 3, padding=1) for w, count in heads) for n in (classes, 4)
        )
        self.classes = classes

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.trunk(x)
        maps = [self.scale * nn.functional.normalize(x), self.tail(x)]
        for block in self.extra:
            maps.append(block(maps[-1]))
        return flat(self.scores, maps, self.classes).softmax(-1), flat(self.boxes, maps, 4)


NETWORKS = {"ssdlite320": SSDLite320, "ssd300-vgg16": SSD300VGG16, "nanodet-plus-m": NanoDetPlus}


def main() -> None:
    for name, network in NETWORKS.items():
        count = sum(parameter.numel() for parameter in network().parameters())
        print(f"{name:16}{count:>12,} parameters here, {PARAMETERS[name]:,} published")


if __name__ == "__main__":
    main()

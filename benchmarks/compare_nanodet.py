"""NanoDet-Plus-m as a torch module with random weights, written from its published structure, to measure its speed."""

import torch
from torch import Tensor, nn


def conv(
    inside: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1, act: nn.Module | None = None
) -> nn.Sequential:
    """A convolution without bias, batch normalization, and an activation if one is given."""
    layers = [nn.Conv2d(inside, out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(out)]
    return nn.Sequential(*layers, *([act] if act else []))


class Shuffle(nn.Module):
    """ShuffleNetV2's block; at stride 2 both branches take the whole input."""

    def __init__(self, inside: int, out: int, stride: int) -> None:
        super().__init__()
        half, start = out // 2, inside if stride == 2 else out // 2
        self.halved = stride == 2
        layers = (conv(start, half, act=nn.LeakyReLU(0.1)), conv(half, half, 3, stride, half))
        self.main = nn.Sequential(*layers, conv(half, half, act=nn.LeakyReLU(0.1)))
        if self.halved:
            self.side = nn.Sequential(conv(inside, inside, 3, 2, inside), conv(inside, half, act=nn.LeakyReLU(0.1)))

    def forward(self, x: Tensor) -> Tensor:
        if self.halved:
            x = torch.cat((self.side(x), self.main(x)), 1)
        else:
            kept, used = x.chunk(2, 1)
            x = torch.cat((kept, self.main(used)), 1)
        b, c, h, w = x.shape
        return x.reshape(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w)


class GhostHalf(nn.Module):
    """Half of the channels by a 1x1 convolution, the other half from these by a depthwise convolution."""

    def __init__(self, inside: int, out: int, act: bool) -> None:
        super().__init__()
        self.first = conv(inside, out // 2, act=nn.LeakyReLU(0.1) if act else None)
        self.cheap = conv(out // 2, out // 2, 3, groups=out // 2, act=nn.LeakyReLU(0.1) if act else None)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return torch.cat((x, self.cheap(x)), 1)


class Ghost(nn.Module):
    """Two GhostHalf in sequence and a shortcut: 192 channels to 96."""

    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Sequential(GhostHalf(192, 96, True), GhostHalf(96, 96, False))
        self.side = nn.Sequential(conv(192, 192, 5, groups=192), conv(192, 96))

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x) + self.side(x)


def separable(stride: int) -> nn.Module:
    act = nn.LeakyReLU(0.1)
    return nn.Sequential(conv(96, 96, 5, stride, 96, act), conv(96, 96, act=act))


class NanoDetPlus(nn.Module):
    """NanoDet-Plus-m: ShuffleNetV2 1.0x, Ghost-PAN of 96 channels, strides 8 to 64: [B, cells, 80 + 32]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 24, 3, 2, act=nn.LeakyReLU(0.1)), nn.MaxPool2d(3, 2, 1))
        widths = ((24, 116, 4), (116, 232, 8), (232, 464, 4))
        self.stages = nn.ModuleList(
            nn.Sequential(Shuffle(a, b, 2), *(Shuffle(b, b, 1) for _ in range(count - 1))) for a, b, count in widths
        )
        self.reduce = nn.ModuleList(conv(b, 96, act=nn.LeakyReLU(0.1)) for _, b, _ in widths)
        self.down_blocks, self.up_blocks = (nn.ModuleList(Ghost() for _ in range(2)) for _ in range(2))
        self.shrink = nn.ModuleList(separable(2) for _ in range(2))
        self.from_backbone, self.from_neck = separable(2), separable(2)
        self.towers = nn.ModuleList(nn.Sequential(separable(1), separable(1)) for _ in range(4))
        self.heads = nn.ModuleList(nn.Conv2d(96, 112, 1) for _ in range(4))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x, maps = self.stem(x), []
        for stage, reduce in zip(self.stages, self.reduce, strict=True):
            x = stage(x)
            maps.append(reduce(x))
        down = [maps[2]]
        for lower, block in zip((maps[1], maps[0]), self.down_blocks, strict=True):
            larger = nn.functional.interpolate(down[0], scale_factor=2.0, mode="bilinear")
            down.insert(0, block(torch.cat((larger, lower), 1)))
        up = [down[0]]
        for upper, block, shrink in zip(down[1:], self.up_blocks, self.shrink, strict=True):
            up.append(block(torch.cat((shrink(up[-1]), upper), 1)))
        up.append(self.from_backbone(maps[2]) + self.from_neck(up[-1]))
        cells = [head(tower(y)).flatten(2) for tower, head, y in zip(self.towers, self.heads, up, strict=True)]
        scores, sides = torch.cat(cells, 2).transpose(1, 2).split((80, 32), 2)
        return scores.sigmoid(), sides

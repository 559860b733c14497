"""The network as ONNX nodes: pictures -> locs and logits, from `architecture.py` and a state of numbers."""

import numpy as np

from ssd300.architecture import MEAN, STD, Architecture, Conv, ResidualBlock
from ssd300.arrays import Float64
from ssd300.export.onnx_graph import Graph
from ssd300.weights.folding import folded
from ssd300.weights.state import State


class Network:
    """Writes one network into a graph. `half` stores the kernels as float16; the arithmetic stays float32."""

    def __init__(self, graph: Graph, architecture: Architecture, state: State, *, half: bool = False) -> None:
        self.graph, self.architecture, self.state, self.half = graph, architecture, state, half

    def heads(self, pictures: str, *, uint8: bool) -> tuple[str, str]:
        """locs [B, 4, P] and logits [B, K, P], raw, in the published layout.

        pictures: uint8 [B, 300, 300, 3] in 0..255, or float32 [B, 3, 300, 300] in 0..1; RGB.
        """
        x = self._stem(pictures, uint8)
        for stage in self.architecture.stages:
            for block in stage:
                x = self._residual(x, block)
        maps = [x]
        for narrow, wide in self.architecture.extras:
            x = self._conv_relu(self._conv_relu(x, narrow), wide)
            maps.append(x)
        locs = self._joined("locs", maps, self.architecture.location_heads, 4)
        return locs, self._joined("logits", maps, self.architecture.class_heads, self.architecture.num_classes)

    def _stem(self, pictures: str, uint8: bool) -> str:
        """Normalisation, first convolution, max-pool.

        The mean is subtracted here and the deviation divides the kernel. Folding the mean into the bias would be
        wrong at the border, where the padding is zero.
        """
        scale = 255 if uint8 else 1
        x = pictures
        if uint8:
            x = self.graph.node("Transpose", x, name="pictures.nchw", perm=[0, 3, 1, 2])
            x = self.graph.node("Cast", x, name="pictures.float", to=1)  # 1: float32
        mean = self.graph.constant("mean", np.array(MEAN).reshape(1, 3, 1, 1) * scale, np.float32)
        x = self.graph.node("Sub", x, mean, name="pictures.centred")
        stem = self.architecture.stem
        kernel, bias = folded(stem, self.state)
        x = self._convolution(x, kernel / (np.array(STD).reshape(1, 3, 1, 1) * scale), bias, stem)
        x = self.graph.node("Relu", x, name=f"{stem.key}.relu")
        return self.graph.node("MaxPool", x, name="max_pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])

    def _residual(self, x: str, block: ResidualBlock) -> str:
        y = x
        for conv in block.convs[:-1]:
            y = self._conv_relu(y, conv)
        last = block.convs[-1]
        y = self._convolution(y, *folded(last, self.state), last)
        if block.shortcut:
            x = self._convolution(x, *folded(block.shortcut, self.state), block.shortcut)
        y = self.graph.node("Add", y, x, name=f"{last.key}.sum")
        return self.graph.node("Relu", y, name=f"{last.key}.relu")

    def _joined(self, name: str, maps: list[str], heads: tuple[Conv, ...], rows: int) -> str:
        """[B, rows, P]. Channel = row * anchors + anchor, so a plain reshape gives the published order of priors."""
        shape = self.graph.constant(f"{name}.shape", [0, rows, -1])
        parts = []
        for x, head in zip(maps, heads, strict=True):
            y = self._convolution(x, *folded(head, self.state), head)
            parts.append(self.graph.node("Reshape", y, shape, name=f"{head.key}.rows"))
        return self.graph.node("Concat", *parts, name=name, axis=2)

    def _conv_relu(self, x: str, conv: Conv) -> str:
        y = self._convolution(x, *folded(conv, self.state), conv)
        return self.graph.node("Relu", y, name=f"{conv.key}.relu")

    def _convolution(self, x: str, kernel: Float64, bias: Float64, conv: Conv) -> str:
        weight = self.graph.constant(f"{conv.key}.weight", kernel, np.float16 if self.half else np.float32)
        if self.half:
            weight = self.graph.node("Cast", weight, name=f"{conv.key}.weight.float", to=1)
        offset = self.graph.constant(f"{conv.key}.bias", bias, np.float32)
        return self.graph.node(
            "Conv",
            x,
            weight,
            offset,
            name=conv.key,
            kernel_shape=[conv.kernel] * 2,
            strides=[conv.stride] * 2,
            pads=[conv.padding] * 4,
        )

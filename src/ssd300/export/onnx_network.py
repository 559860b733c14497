"""The network as ONNX nodes: pictures -> locs and logits, from `architecture.py` and a state.

In INT8 each activation that a convolution or a residual sum reads passes a QuantizeLinear and a DequantizeLinear, and
kernels and biases are integers before a DequantizeLinear, which onnxruntime fuses into INT8 operators.
"""

import numpy as np

from ssd300.architecture import MEAN, STD, Architecture, Conv, ResidualBlock
from ssd300.arrays import Float32, Float64
from ssd300.export.onnx_graph import Graph
from ssd300.weights.int8 import LEVELS, LOGITS_THAT_COUNT, PICTURES, Int8, quantize_kernel
from ssd300.weights.state import State, fold_batch_norm


class Network:
    """Writes one network into a graph.

    half: store the kernels as float16; the arithmetic stays float32. int8: compute in INT8.
    """

    def __init__(
        self, graph: Graph, architecture: Architecture, state: State, *, half: bool = False, int8: Int8 | None = None
    ) -> None:
        self.graph, self.architecture, self.state, self.half, self.int8 = graph, architecture, state, half, int8
        self._rounded: dict[str, tuple[str, Float32]] = {}  # activation -> its quantized value and scale

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
        locs = self._join_heads("locs", maps, self.architecture.location_heads, 4)
        return locs, self._join_heads("logits", maps, self.architecture.class_heads, self.architecture.num_classes)

    def _stem(self, pictures: str, uint8: bool) -> str:
        """Normalization, first convolution, max-pool.

        The mean is subtracted here and the kernel is divided by the deviation. Folding the mean into the bias would be
        wrong at the border, where the padding is zero.
        """
        scale = 255 if uint8 or self.int8 else 1  # the largest value of a pixel: ranges belong to 0..255
        x = pictures
        if uint8:
            x = self.graph.node("Transpose", x, name="pictures.nchw", perm=[0, 3, 1, 2])
            x = self.graph.node("Cast", x, name="pictures.float", to=1)  # 1: float32
        elif self.int8:
            x = self.graph.node("Mul", x, self.graph.constant("pixel", 255, np.float32), name="pictures.255")
        mean = self.graph.constant("mean", np.array(MEAN).reshape(1, 3, 1, 1) * scale, np.float32)
        x = self.graph.node("Sub", x, mean, name=PICTURES)
        stem = self.architecture.stem
        kernel, bias = fold_batch_norm(stem, self.state)
        x = self._convolution(x, kernel / (np.array(STD).reshape(1, 3, 1, 1) * scale), bias, stem)
        relu = self.graph.node("Relu", x, name=f"{stem.key}.relu")
        pool = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
        x = self.graph.node("MaxPool", self._round(relu), name="max_pool", **pool)
        if relu in self._rounded:  # pooled in 8 bits: the same levels before and after
            self._rounded[x] = self._quantize(x, f"{relu}.scale", f"{relu}.zero"), self._rounded[relu][1]
        return x

    def _residual(self, x: str, block: ResidualBlock) -> str:
        y = x
        for conv in block.convs[:-1]:
            y = self._conv_relu(y, conv)
        last = block.convs[-1]
        y = self._convolution(y, *fold_batch_norm(last, self.state), last)
        if block.shortcut:
            x = self._convolution(x, *fold_batch_norm(block.shortcut, self.state), block.shortcut)
        y = self.graph.node("Add", self._round(y), self._round(x), name=f"{last.key}.sum")
        return self.graph.node("Relu", y, name=f"{last.key}.relu")

    def _join_heads(self, name: str, maps: list[str], heads: tuple[Conv, ...], rows: int) -> str:
        """[B, rows, P]. Channel = row * anchors + anchor, so a plain reshape gives the published order of priors."""
        shape = self.graph.constant(f"{name}.shape", [0, rows, -1])
        parts = []
        for k, (x, head) in enumerate(zip(maps, heads, strict=True)):
            kernel, bias = fold_batch_norm(head, self.state)
            # In the OpenVINO graph both heads of a map are one convolution: location before classes.
            first = 0 if name == "locs" else self.architecture.location_heads[k].out_channels
            y = self._convolution(x, kernel, bias, head, f"head.{k}", first)
            rounded = self.int8 if self.int8 and self.int8.rounds(f"head.{k}") else None
            part = self.graph.node("Reshape", self._round(y) if rounded else y, shape, name=f"{head.key}.rows")
            if rounded and name == "logits":
                part = self._keep_background(part, rows, *rounded.ranges[y])
            parts.append(part)
        return self.graph.node("Concat", *parts, name=name, axis=2)

    def _keep_background(self, part: str, rows: int, low: float, high: float) -> str:
        """Logits [B, K, P] in the range low..high, with objects at its lowest level moved far below it.

        Where the background is cut to that level, too, softmax would make all classes equally likely.
        """
        floor = np.full((1, rows, 1), low - LOGITS_THAT_COUNT)
        floor[0, 0] = low
        above = self.graph.constant(f"{part}.lowest", low + (high - low) / (LEVELS - 1) / 2, np.float32)
        above = self.graph.node("Greater", part, above, name=f"{part}.above")
        return self.graph.node(
            "Where", above, part, self.graph.constant(f"{part}.floor", floor, np.float32), name=f"{part}.kept"
        )

    def _conv_relu(self, x: str, conv: Conv) -> str:
        y = self._convolution(x, *fold_batch_norm(conv, self.state), conv)
        return self.graph.node("Relu", y, name=f"{conv.key}.relu")

    def _convolution(
        self, x: str, kernel: Float64, bias: Float64, conv: Conv, name: str = "", first_channel: int = 0
    ) -> str:
        """name, first_channel: the convolution's name in `int8` and its first channel there."""
        name = name or conv.key
        if self.int8 and self.int8.rounds(name):
            if name in self.int8.biases:
                bias = self.int8.biases[name][first_channel : first_channel + conv.out_channels].astype(np.float64)
            x, weight, offset = self._quantize_inputs(x, kernel, bias, conv)
        else:
            weight = self.graph.constant(f"{conv.key}.weight", kernel, np.float16 if self.half else np.float32)
            if self.half:
                weight = self.graph.node("Cast", weight, name=f"{conv.key}.weight.float", to=1)
            offset = self.graph.constant(f"{conv.key}.bias", bias, np.float32)
        return self.graph.node(
            "Conv",
            x,
            weight,
            offset,
            name=f"{conv.key}.biased",
            kernel_shape=[conv.kernel] * 2,
            strides=[conv.stride] * 2,
            pads=[conv.padding] * 4,
        )

    def _quantize_inputs(self, x: str, kernel: Float64, bias: Float64, conv: Conv) -> tuple[str, str, str]:
        """The inputs of a convolution in INT8: activation, kernel as int8, bias as int32."""
        x = self._round(x)
        [x_scale] = [scale for value, scale in self._rounded.values() if value == x]
        numbers, scale = quantize_kernel(kernel, stem=conv.in_channels == 3)
        scale = scale.ravel()
        bias_scale = scale * x_scale
        constant = self.graph.constant
        weight = self.graph.node(
            "DequantizeLinear",
            constant(f"{conv.key}.weight.int8", numbers, np.int8),
            constant(f"{conv.key}.weight.scale", scale, np.float32),
            constant(f"{conv.key}.weight.zero", np.zeros(len(scale)), np.int8),
            name=f"{conv.key}.weight",
            axis=0,
        )
        offset = self.graph.node(
            "DequantizeLinear",
            constant(f"{conv.key}.bias.int32", np.rint(bias / bias_scale), np.int32),
            constant(f"{conv.key}.bias.scale", bias_scale, np.float32),
            constant(f"{conv.key}.bias.zero", np.zeros(len(scale)), np.int32),
            name=f"{conv.key}.bias",
            axis=0,
        )
        return x, weight, offset

    def _round(self, x: str) -> str:
        """Quantize x to 256 levels, once for all readers; return x itself if it has no range."""
        if self.int8 is None or (x not in self.int8.ranges and x not in self._rounded):
            return x
        if x not in self._rounded:
            low, high = self.int8.ranges[x]
            scale = np.float32((high - low) / (LEVELS - 1))
            self.graph.constant(f"{x}.scale", scale, np.float32)
            self.graph.constant(f"{x}.zero", round(-low / float(scale)), np.uint8)
            self._rounded[x] = self._quantize(x, f"{x}.scale", f"{x}.zero"), np.asarray(scale)
        return self._rounded[x][0]

    def _quantize(self, x: str, scale: str, zero: str) -> str:
        numbers = self.graph.node("QuantizeLinear", x, scale, zero, name=f"{x}.uint8")
        return self.graph.node("DequantizeLinear", numbers, scale, zero, name=f"{x}.rounded")

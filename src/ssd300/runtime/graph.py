"""The OpenVINO graph of an SSD300, built from the weights: no torch, no export step.

    uint8 RGB [B, 300, 300, 3] -> trunk and extra blocks of architecture.py -> six maps, one convolution for both heads
      -> "outputs" [B, 4 + K, P]   the raw locs and logits in the published layout, concatenated
      -> "margin"  [B, P]          best logit of an object minus the logit of the background

The margin selects the priors that can be detections (`postprocess.candidates`), so softmax, box decoding and
copying need a few dozen columns of `outputs` and not 8732 x 81 numbers. Alternatives: docs/research/performance.md.

For INT8 a FakeQuantize follows each activation that a convolution or a residual sum reads, and kernels are int8 values
times a scale: OpenVINO then computes convolutions and sums in INT8. The heads' outputs and everything after them stay
float.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset1 as ops

from ssd300.architecture import MEAN, STD, Architecture, Conv, ResidualBlock, architecture
from ssd300.arrays import Float64
from ssd300.priors import ANCHORS_PER_CELL
from ssd300.weights.graphs import RT_INFO_PATH
from ssd300.weights.int8 import LEVELS, PICTURES, Int8, quantize_kernel
from ssd300.weights.metadata import ModelMetadata
from ssd300.weights.state import State, fold_batch_norm

INPUT, OUTPUTS, MARGIN = "pictures", "outputs", "margin"
Node = Any  # openvino comes without types


def build_graph(state: State, metadata: ModelMetadata, int8: Int8 | None = None) -> ov.Model:
    """A state with the published keys and its metadata -> the graph above, with dynamic batch size; `int8` for INT8.

    Every node is named after the key of its weights, so that the same weights always give the same file. The metadata
    is in the model's rt_info, as one JSON text.
    """
    network = architecture(metadata.backbone, metadata.num_classes)
    builder = _Builder(state, int8)
    pictures = _name_node(ops.parameter([-1, 300, 300, 3], ov.Type.u8), INPUT)
    x = builder.stem(pictures, network.stem)
    for stage in network.stages:
        for block in stage:
            x = builder.residual(x, block)
    maps = [x]
    for narrow, wide in network.extras:
        x = builder.conv_relu(builder.conv_relu(x, narrow), wide)
        maps.append(x)
    outputs = builder.heads(maps, network)
    margin = _margin(outputs, metadata.num_classes)
    results = [_name_node(ops.result(node), f"{name}.result") for node, name in ((outputs, OUTPUTS), (margin, MARGIN))]
    for result, name in zip(results, (OUTPUTS, MARGIN), strict=True):
        result.output(0).set_names({name})
    pictures.output(0).set_names({INPUT})
    model = ov.Model(results, [pictures], f"ssd300-{metadata.backbone}")
    model.set_rt_info(metadata.to_json(), list(RT_INFO_PATH))
    return model


@dataclass
class _Builder:
    """Adds nodes for the parts of one network; `int8` None builds it in float."""

    state: State
    int8: Int8 | None
    _rounded: dict[str, Node] = field(default_factory=dict)

    def stem(self, pictures: Node, conv: Conv) -> Node:
        """Normalization, first convolution, max-pool.

        (x / 255 - mean) / std becomes a subtraction here and a division of the kernel. Folding the mean into the bias
        would be wrong at the border, where the padding is zero. A quantizer is placed right before the convolution.
        """
        x = _name_node(ops.convert(pictures, "f32"), f"{INPUT}.float")
        x = _name_node(ops.transpose(x, _constant(np.array([0, 3, 1, 2]), f"{INPUT}.nchw.order")), f"{INPUT}.nchw")
        mean = np.array(MEAN).reshape(1, 3, 1, 1) * 255
        x = _name_node(ops.subtract(x, _constant(mean.astype(np.float32), f"{INPUT}.mean")), PICTURES)
        kernel, bias = fold_batch_norm(conv, self.state)
        x = self.convolution(x, kernel / (np.array(STD).reshape(1, 3, 1, 1) * 255), bias, conv, conv.key)
        # Quantized before pooling, which commutes with it: the convolution then writes 8 bits.
        x = self.quantize(_name_node(ops.relu(x), f"{conv.key}.relu"))
        return _name_node(ops.max_pool(x, [2, 2], [1, 1], [1, 1], [3, 3], "floor"), "max_pool")

    def residual(self, x: Node, block: ResidualBlock) -> Node:
        y = x
        for conv in block.convs[:-1]:
            y = self.conv_relu(y, conv)
        last = block.convs[-1]
        y = self.convolution(y, *fold_batch_norm(last, self.state), last, last.key)
        if block.shortcut:
            x = self.convolution(x, *fold_batch_norm(block.shortcut, self.state), block.shortcut, block.shortcut.key)
        y = _name_node(ops.add(self.quantize(y), self.quantize(x)), f"{last.key}.sum")
        return _name_node(ops.relu(y), f"{last.key}.relu")

    def conv_relu(self, x: Node, conv: Conv) -> Node:
        return _name_node(
            ops.relu(self.convolution(x, *fold_batch_norm(conv, self.state), conv, conv.key)), f"{conv.key}.relu"
        )

    def heads(self, maps: Sequence[Node], network: Architecture) -> Node:
        """[B, 4 + K, P]: one convolution per map for both heads, so each map is read once."""
        columns = []
        heads = zip(maps, network.location_heads, network.class_heads, ANCHORS_PER_CELL, strict=True)
        for k, (x, loc, conf, anchors) in enumerate(heads):
            kernels, biases = zip(fold_batch_norm(loc, self.state), fold_batch_norm(conf, self.state), strict=True)
            y = self.convolution(x, np.concatenate(kernels), np.concatenate(biases), loc, f"head.{k}")
            # Channel = (coordinate or class) * anchors + anchor, so a plain reshape gives the published order.
            rows = (loc.out_channels + conf.out_channels) // anchors
            shape = _constant(np.array([0, rows, -1]), f"head.{k}.shape")
            columns.append(_name_node(ops.reshape(y, shape, special_zero=True), f"head.{k}.rows"))
        return _name_node(ops.concat(columns, 2), OUTPUTS)

    def convolution(self, x: Node, kernel: Float64, bias: Float64, conv: Conv, name: str) -> Node:
        stride, padding = [conv.stride] * 2, [conv.padding] * 2
        if self.int8 and self.int8.rounds(name):
            x = self.quantize(x)
            numbers, scale = quantize_kernel(kernel, stem=conv.in_channels == 3)
            weight = _name_node(ops.convert(_constant(numbers, f"{name}.weight.int8"), "f32"), f"{name}.weight.float")
            weight = _name_node(ops.multiply(weight, _constant(scale, f"{name}.weight.scale")), f"{name}.weight")
            bias = np.asarray(self.int8.biases.get(name, bias), np.float64)
        else:
            weight = _constant(kernel.astype(np.float32), f"{name}.weight")
        y = _name_node(ops.convolution(x, weight, stride, padding, padding, [1, 1]), name)
        offset = _constant(bias.astype(np.float32).reshape(1, -1, 1, 1), f"{name}.bias")
        return _name_node(ops.add(y, offset), f"{name}.biased")

    def quantize(self, x: Node) -> Node:
        """Quantize x to 8 bits, with one node for all its readers; return x itself if it has no range."""
        name = x.get_friendly_name()
        if self.int8 is None or name not in self.int8.ranges:
            return x
        if name not in self._rounded:
            ends = zip(("low", "high"), self.int8.ranges[name], strict=True)
            low, high = (_constant(np.array(value, np.float32), f"{name}.{end}") for end, value in ends)
            self._rounded[name] = _name_node(ops.fake_quantize(x, low, high, low, high, LEVELS), f"{name}.int8")
        return self._rounded[name]


def _margin(outputs: Node, num_classes: int) -> Node:
    axis, lengths = np.array(1), np.array([4, 1, num_classes - 1])
    split = ops.variadic_split(outputs, _constant(axis, "split.axis"), _constant(lengths, "split.lengths"))
    _, background, objects = _name_node(split, "split").outputs()
    best = _name_node(ops.reduce_max(objects, _constant(np.array([1]), "best.axis"), keep_dims=False), "best")
    background = _name_node(ops.squeeze(background, _constant(np.array([1]), "background.axis")), "background")
    return _name_node(ops.subtract(best, background), MARGIN)


def _constant(values: NDArray[Any], name: str) -> Node:
    return _name_node(ov.op.Constant(np.ascontiguousarray(values)), name)  # ops.constant goes through a Python list


def _name_node(node: Node, name: str) -> Node:
    node.set_friendly_name(name)
    return node

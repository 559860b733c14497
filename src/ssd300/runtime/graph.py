"""The OpenVINO graph of an SSD300, built from the weights: no torch, no export step.

    uint8 RGB [B, 300, 300, 3] -> trunk and extra blocks of architecture.py -> six maps, one convolution for both heads
      -> "outputs" [B, 4 + K, P]   the raw locs and logits in the published layout, one above the other
      -> "margin"  [B, P]          best logit of an object minus the logit of the background

The margin says which priors can hold a detection (`postprocess.possible_priors`), so softmax, box decoding and
copying touch a few dozen columns of `outputs` and not 8732 x 81 numbers. What else was tried is in docs/performance.md.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset1 as ops

from ssd300.architecture import MEAN, STD, Architecture, Conv, ResidualBlock, architecture
from ssd300.arrays import Float64
from ssd300.priors import ANCHORS_PER_CELL
from ssd300.weights.embedded import RT_INFO_PATH
from ssd300.weights.folding import folded
from ssd300.weights.metadata import ModelMetadata
from ssd300.weights.state import State

INPUT, OUTPUTS, MARGIN = "pictures", "outputs", "margin"
Node = Any  # openvino comes without types


def build_graph(state: State, metadata: ModelMetadata) -> ov.Model:
    """A state with the published keys and its metadata -> the graph drawn above, batch size open.

    Every node is named after the key of its weights, so that the same weights always give the same file. The metadata
    travels in the model's rt_info, as one JSON text.
    """
    network = architecture(metadata.backbone, metadata.num_classes)
    pictures = _named(ops.parameter([-1, 300, 300, 3], ov.Type.u8), INPUT)
    x = _stem(pictures, network.stem, state)
    for stage in network.stages:
        for block in stage:
            x = _residual(x, block, state)
    maps = [x]
    for narrow, wide in network.extras:
        x = _conv_relu(_conv_relu(x, narrow, state), wide, state)
        maps.append(x)
    outputs = _heads(maps, network, state)
    margin = _margin(outputs, metadata.num_classes)
    results = [_named(ops.result(node), f"{name}.result") for node, name in ((outputs, OUTPUTS), (margin, MARGIN))]
    for result, name in zip(results, (OUTPUTS, MARGIN), strict=True):
        result.output(0).set_names({name})
    pictures.output(0).set_names({INPUT})
    model = ov.Model(results, [pictures], f"ssd300-{metadata.backbone}")
    model.set_rt_info(metadata.to_json(), list(RT_INFO_PATH))
    return model


def _stem(pictures: Node, conv: Conv, state: State) -> Node:
    """Normalisation, first convolution, max-pool.

    (x / 255 - mean) / std becomes a subtraction here and a division of the kernel. Folding the mean into the bias
    would be wrong at the border, where the padding is zero; a quantiser then sits right before the convolution.
    """
    x = _named(ops.convert(pictures, "f32"), f"{INPUT}.float")
    x = _named(ops.transpose(x, _constant(np.array([0, 3, 1, 2]), f"{INPUT}.nchw.order")), f"{INPUT}.nchw")
    mean = np.array(MEAN).reshape(1, 3, 1, 1) * 255
    x = _named(ops.subtract(x, _constant(mean.astype(np.float32), f"{INPUT}.mean")), f"{INPUT}.centred")
    kernel, bias = folded(conv, state)
    x = _convolution(x, kernel / (np.array(STD).reshape(1, 3, 1, 1) * 255), bias, conv, conv.key)
    x = _named(ops.relu(x), f"{conv.key}.relu")
    return _named(ops.max_pool(x, [2, 2], [1, 1], [1, 1], [3, 3], "floor"), "max_pool")


def _residual(x: Node, block: ResidualBlock, state: State) -> Node:
    y = x
    for conv in block.convs[:-1]:
        y = _conv_relu(y, conv, state)
    last = block.convs[-1]
    y = _convolution(y, *folded(last, state), last, last.key)
    if block.shortcut:
        x = _convolution(x, *folded(block.shortcut, state), block.shortcut, block.shortcut.key)
    return _named(ops.relu(_named(ops.add(y, x), f"{last.key}.sum")), f"{last.key}.relu")


def _conv_relu(x: Node, conv: Conv, state: State) -> Node:
    return _named(ops.relu(_convolution(x, *folded(conv, state), conv, conv.key)), f"{conv.key}.relu")


def _heads(maps: Sequence[Node], network: Architecture, state: State) -> Node:
    """[B, 4 + K, P]: one convolution a map for both heads, so each map is read once."""
    columns = []
    heads = zip(maps, network.location_heads, network.class_heads, ANCHORS_PER_CELL, strict=True)
    for k, (x, loc, conf, anchors) in enumerate(heads):
        kernels, biases = zip(folded(loc, state), folded(conf, state), strict=True)
        y = _convolution(x, np.concatenate(kernels), np.concatenate(biases), loc, f"head.{k}")
        # Channel = (coordinate or class) * anchors + anchor, so a plain reshape gives the published order of priors.
        rows = (loc.out_channels + conf.out_channels) // anchors
        shape = _constant(np.array([0, rows, -1]), f"head.{k}.shape")
        columns.append(_named(ops.reshape(y, shape, special_zero=True), f"head.{k}.rows"))
    return _named(ops.concat(columns, 2), OUTPUTS)


def _margin(outputs: Node, num_classes: int) -> Node:
    axis, lengths = np.array(1), np.array([4, 1, num_classes - 1])
    split = ops.variadic_split(outputs, _constant(axis, "split.axis"), _constant(lengths, "split.lengths"))
    _, background, objects = _named(split, "split").outputs()
    best = _named(ops.reduce_max(objects, _constant(np.array([1]), "best.axis"), keep_dims=False), "best")
    background = _named(ops.squeeze(background, _constant(np.array([1]), "background.axis")), "background")
    return _named(ops.subtract(best, background), MARGIN)


def _convolution(x: Node, kernel: Float64, bias: Float64, conv: Conv, name: str) -> Node:
    stride, padding = [conv.stride] * 2, [conv.padding] * 2
    weight = _constant(kernel.astype(np.float32), f"{name}.weight")
    y = _named(ops.convolution(x, weight, stride, padding, padding, [1, 1]), name)
    offset = _constant(bias.astype(np.float32).reshape(1, -1, 1, 1), f"{name}.bias")
    return _named(ops.add(y, offset), f"{name}.biased")


def _constant(values: NDArray[Any], name: str) -> Node:
    return _named(ov.op.Constant(np.ascontiguousarray(values)), name)  # ops.constant goes through a Python list


def _named(node: Node, name: str) -> Node:
    node.set_friendly_name(name)
    return node

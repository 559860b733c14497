"""Alternatives to the end of the graph that `ssd300.runtime.graph` builds, measured by graph.py."""

from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset8 as ops

from ssd300.architecture import Architecture
from ssd300.boxes import cxcywh_to_xyxy
from ssd300.priors import ANCHORS_PER_CELL, NUM_PRIORS, WH_VARIANCE, XY_VARIANCE, default_boxes
from ssd300.runtime.base import PICTURE_SHAPE
from ssd300.runtime.graph import MARGIN, OUTPUTS

Node = Any  # openvino comes without types
TOP, IOU_THRESHOLD = 200, 0.5


# ---- heads: from the six maps to outputs and margin
def two_convolutions(model: ov.Model, network: Architecture) -> ov.Model:
    """One convolution for the locations and one for the classes of each map; two outputs instead of one."""
    parts: tuple[list[Node], list[Node]] = ([], [])
    for k, anchors in enumerate(ANCHORS_PER_CELL):
        x, kernel, bias = _head(model, k)
        for rows, part, nodes in (
            (4, slice(None, 4 * anchors), parts[0]),
            (network.num_classes, slice(4 * anchors, None), parts[1]),
        ):
            y = _convolution(x, kernel[part], bias[part], f"head.{k}.{rows} rows")
            nodes.append(ops.reshape(y, np.array([0, rows, -1]), special_zero=True))
    locs, logits = ops.concat(parts[0], 2), ops.concat(parts[1], 2)
    logits.set_friendly_name(OUTPUTS)
    margin = _margin(logits, 1, [1, network.num_classes - 1])
    return ov.Model([ops.result(locs), ops.result(logits), ops.result(margin)], model.get_parameters(), "two")


def prior_major(model: ov.Model, network: Architecture) -> ov.Model:
    """Outputs [B, P, 4 + K]: the values of a default box are adjacent, the boxes are in the order of the cells."""
    columns = 4 + network.num_classes
    parts = []
    for k, anchors in enumerate(ANCHORS_PER_CELL):
        x, kernel, bias = _head(model, k)
        order = np.arange(columns * anchors).reshape(columns, anchors).T.ravel()  # channel = anchor * columns + column
        y = ops.transpose(_convolution(x, kernel[order], bias[order], f"head.{k}.prior-major"), np.array([0, 2, 3, 1]))
        parts.append(ops.reshape(y, np.array([0, -1, columns]), special_zero=True))
    outputs = ops.concat(parts, 1)
    outputs.set_friendly_name(OUTPUTS)
    margin = _margin(outputs, 2, [4, 1, network.num_classes - 1])
    return ov.Model([ops.result(outputs), ops.result(margin)], model.get_parameters(), "prior-major")


def from_maps(model: ov.Model) -> ov.Model:
    """The heads alone, for one picture: the maps they read are the inputs."""
    model, inputs = model.clone(), {}
    model.reshape([1, *PICTURE_SHAPE])
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Convolution" or not node.get_friendly_name().startswith("head."):
            continue
        port = node.input(0)
        if port.get_source_output().get_node().get_type_name() == "FakeQuantize":
            port = port.get_source_output().get_node().input(0)
        source = port.get_source_output()
        name = source.get_node().get_friendly_name()
        if name.startswith("map of "):
            continue
        if name not in inputs:
            inputs[name] = ops.parameter(list(source.get_shape()), np.float32)
            inputs[name].set_friendly_name(f"map of {name}")
        port.replace_source_output(inputs[name].output(0))
    return ov.Model(model.get_results(), list(inputs.values()), "heads")


def _head(model: ov.Model, k: int) -> tuple[Node, NDArray[np.float32], NDArray[np.float32]]:
    """Map k, and the kernel and bias of the convolution that reads it."""
    nodes = {node.get_friendly_name(): node for node in model.get_ops()}
    kernel, bias = (nodes[f"head.{k}.{name}"].data.copy() for name in ("weight", "bias"))
    return nodes[f"head.{k}"].input_value(0), kernel, bias.ravel()


def _convolution(x: Node, kernel: NDArray[np.float32], bias: NDArray[np.float32], name: str) -> Node:
    y = ops.convolution(x, ov.op.Constant(np.ascontiguousarray(kernel)), [1, 1], [1, 1], [1, 1], [1, 1])
    y.set_friendly_name(name)
    return ops.add(y, ov.op.Constant(bias.reshape(1, -1, 1, 1).copy()))


def _margin(values: Node, axis: int, lengths: list[int]) -> Node:
    """Best object minus background; the last two lengths along the axis are those of background and objects."""
    *_, background, objects = ops.variadic_split(values, np.int64(axis), np.array(lengths)).outputs()
    best = ops.reduce_max(objects, np.array([axis]))
    margin = ops.subtract(best, ops.squeeze(background, np.array([axis])))
    margin.set_friendly_name(MARGIN)
    return margin


# ---- tails: from outputs [1, 4 + K, P] on, as graphs of their own
def margin_beside(model: ov.Model) -> ov.Model:
    """As in the graph: the margin, computed from outputs that the graph returns unchanged."""
    model = model.clone()
    [outputs] = [node for node in model.get_ops() if node.get_friendly_name() == OUTPUTS]
    values = _outputs(list(outputs.get_output_shape(0)))
    outputs.output(0).replace(values.output(0))
    return ov.Model([result for result in model.get_results() if MARGIN in result.output(0).get_names()], [values])


def boxes_and_probabilities(shape: list[int]) -> ov.Model:
    """Boxes [1, 4, P] in the unit frame and probabilities [1, K, P]."""
    values = _outputs(shape)
    locs, logits = _split(values)
    priors_cxcywh = default_boxes().T[None]  # [1, 4, P]
    size = priors_cxcywh[:, 2:]
    offsets, scales = ops.split(locs, np.int64(1), 2).outputs()
    center = ops.add(ops.multiply(offsets, _constant(XY_VARIANCE * size)), _constant(priors_cxcywh[:, :2]))
    half = ops.multiply(ops.exp(ops.multiply(scales, _constant(WH_VARIANCE))), _constant(size / 2))
    boxes = ops.concat([ops.subtract(center, half), ops.add(center, half)], 1)
    return ov.Model([ops.result(boxes), ops.result(ops.softmax(logits, 1))], [values])


def detection_output(shape: list[int], score_threshold: float) -> ov.Model:
    """OpenVINO's own selection: [1, 1, 200, 7] of (picture, label, score, box), per class, with fixed thresholds."""
    values = _outputs(shape)
    locs, logits = _split(values)
    flat = np.array([1, -1])
    locs = ops.reshape(ops.transpose(locs, np.array([0, 2, 1])), flat, special_zero=False)
    probabilities = ops.transpose(ops.softmax(logits, 1), np.array([0, 2, 1]))
    xyxy = cxcywh_to_xyxy(default_boxes())
    variances = np.tile(np.array([XY_VARIANCE] * 2 + [WH_VARIANCE] * 2), NUM_PRIORS)
    priors = np.stack([xyxy.ravel(), variances])[None]  # [1, 2, 4 P]
    settings = {
        "background_label_id": 0,
        "top_k": TOP,
        "keep_top_k": [TOP],
        "code_type": "caffe.PriorBoxParameter.CENTER_SIZE",
        "share_location": True,
        "variance_encoded_in_target": False,
        "normalized": True,
        "confidence_threshold": score_threshold,
        "nms_threshold": float(np.nextafter(np.float32(IOU_THRESHOLD), np.float32(0))),  # it keeps equality
    }
    probabilities = ops.reshape(probabilities, flat, special_zero=False)
    return ov.Model([ops.result(ops.detection_output(locs, probabilities, _constant(priors), settings))], [values])


def _outputs(shape: list[int]) -> Node:
    return ops.parameter(shape, np.float32)


def _split(values: Node) -> list[Node]:
    rows = values.get_output_shape(0)[1]
    return ops.variadic_split(values, np.int64(1), np.array([4, rows - 4])).outputs()


def _constant(values: Any) -> Node:
    return ov.op.Constant(np.ascontiguousarray(values, np.float32))

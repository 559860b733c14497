"""Calibration for INT8: ranges and corrected biases from NNCF, and the error of each layer in INT8.

NNCF quantizes the float graph; `weights/int8.py` stores the ranges and biases, and `build_graph` builds the INT8 graph.
Nothing is sent: NNCF reports its use through the package openvino_telemetry, whose import `ssd300.runtime` blocks.
"""

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from itertools import pairwise
from typing import Any

import numpy as np
import openvino as ov

from ssd300.architecture import Architecture, architecture
from ssd300.arrays import Float32, UInt8
from ssd300.errors import ModelError, needs
from ssd300.priors import ANCHORS_PER_CELL, MAP_SIZES
from ssd300.runtime.graph import MARGIN, OUTPUTS, Node, build_graph
from ssd300.weights.int8 import LOGITS_THAT_COUNT, Int8, activation_names, align_zero, convolution_sizes, head_names
from ssd300.weights.metadata import ModelMetadata
from ssd300.weights.state import State

_PICTURES_FOR_ERRORS = 4
_ROOM = 1.25
_CORRECTED = 1e-6  # a smaller change of a bias is only rounding
_redirecting = threading.Lock()


@contextmanager
def _stdout_free() -> Iterator[None]:
    """Inside, stdout is stderr, for the whole process: two threads inside would restore it in the wrong order."""
    with _redirecting, redirect_stdout(sys.stderr):
        yield


def import_nncf() -> Any:
    """The package nncf, silent on stdout. Raises MissingExtraError."""
    os.environ.setdefault("NNCF_CI", "1")  # its switch against telemetry, which must be set before the import
    # Its logger keeps the stream of the time of import.
    with needs("`ssd300 quantize`", "quantize"), _stdout_free():
        import nncf
    nncf.set_log_level(logging.ERROR)
    return nncf


def quantize_graph(model: ov.Model, pictures: UInt8) -> ov.Model:
    """A float graph -> the same graph with NNCF's quantizers, calibrated on pictures [N, 300, 300, 3], N at least 1.

    Everything after the node `outputs` stays float. Raises MissingExtraError.
    """
    nncf = import_nncf()
    with _stdout_free():  # of progress bars
        return nncf.quantize(
            model,
            nncf.Dataset(list(pictures[:, None])),  # batches of one
            subset_size=len(pictures),
            target_device=nncf.TargetDevice.CPU,
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(subgraphs=[nncf.Subgraph(inputs=[OUTPUTS], outputs=[MARGIN])]),
            # Weights of 7 bits in the first layer alone, as `quantize_kernel` has them: biases are corrected for that.
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.FIRST_LAYER),
        )


def calibrate(state: State, metadata: ModelMetadata, pictures: UInt8) -> Int8:
    """Ranges and corrected biases of a model, calibrated on pictures [N, 300, 300, 3], N at least 1.

    Deterministic on the same kind of CPU. Raises MissingExtraError; ModelError if an activation is constant, so that it
    has no range.
    """
    network = architecture(metadata.backbone, metadata.num_classes)
    exact = build_graph(state, metadata)
    before = {node.get_friendly_name(): node for node in exact.get_ops()}
    quantized = quantize_graph(exact, pictures)
    ranges: dict[str, tuple[float, float]] = {}
    after: dict[str, Node] = {}
    for node in quantized.get_ops():
        after[node.get_friendly_name()] = node
        if node.get_type_name() == "FakeQuantize":
            source = node.input_value(0).get_node().get_friendly_name()
            low, high = (float(_constant(node, i).item()) for i in (1, 2))
            ranges[source] = (low, high)
    biases = {}
    for name in convolution_sizes(network):
        old, new = (_constant(nodes[f"{name}.biased"], 1).ravel() for nodes in (before, after))
        if np.abs(new - old).max() > _CORRECTED:
            biases[name] = new.copy()
    ranges |= _head_ranges(exact, pictures, network)
    if missing := [name for name in activation_names(network) if name not in ranges]:
        raise ModelError(
            f"NNCF found no range for {len(missing)} activations, such as {missing[0]}; try other pictures"
        )
    # Through the text of the file, so that the measured values are those that are written.
    return Int8.from_json(Int8(ranges, biases).to_json(), network, "the calibration")


def measure_convolution_errors(state: State, metadata: ModelMetadata, int8: Int8, pictures: UInt8) -> dict[str, float]:
    """The relative error of `outputs` with a single convolution in INT8: |INT8 - exact| / |exact|, by its name.

    Measured on the first few pictures; compiling a graph per convolution takes some seconds in total.
    """
    pictures = pictures[:_PICTURES_FOR_ERRORS]
    network = architecture(metadata.backbone, metadata.num_classes)
    graph = build_graph(state, metadata)
    exact = np.concatenate(list(_outputs(graph, pictures)))
    nodes = {node.get_friendly_name(): node for node in graph.get_ops()}
    names = list(convolution_sizes(network))
    errors = {}
    for name in names:
        read = _input_name(nodes[name])
        others = [other for other in names if other != name]
        alone = Int8({read: int8.ranges[read]}, int8.biases, tuple(others))
        moved = np.concatenate(list(_outputs(build_graph(state, metadata, alone), pictures))) - exact
        errors[name] = float(np.linalg.norm(moved) / np.linalg.norm(exact))
    return errors


def _head_ranges(graph: ov.Model, pictures: UInt8, network: Architecture) -> dict[str, tuple[float, float]]:
    """The range of each head's output: its mean minimum and maximum over the pictures, with a margin.

    For logits the maximum over all pictures is used, because logits above the range become equal, also object and
    background. Logits far below it never give an object (`onnx_network.py` sees to that), so the range is cut there and
    its levels are finer.
    """
    lows, highs = [], []
    starts = np.cumsum([0, *(size**2 * anchors for size, anchors in zip(MAP_SIZES, ANCHORS_PER_CELL, strict=True))])
    for outputs in _outputs(graph, pictures):
        parts = [rows[:, a:b] for rows in (outputs[0, :4], outputs[0, 4:]) for a, b in pairwise(starts.tolist())]
        lows.append([float(part.min()) for part in parts])
        highs.append([float(part.max()) for part in parts])
    found = {}
    for name, low, high in zip(head_names(network), np.array(lows).T, np.array(highs).T, strict=True):
        if name.startswith("conf"):
            top = _ROOM * float(high.max())
            found[name] = align_zero(max(_ROOM * float(low.min()), top - LOGITS_THAT_COUNT), top)
        else:
            found[name] = align_zero(_ROOM * float(low.mean()), _ROOM * float(high.mean()))
    return found


def _input_name(convolution: Node) -> str:
    """The activation that a convolution reads, before max-pooling, which comes after quantization."""
    node = convolution.input_value(0).get_node()
    name: str = (node.input_value(0).get_node() if node.get_type_name() == "MaxPool" else node).get_friendly_name()
    return name


def _constant(node: Node, place: int) -> Float32:
    values: Float32 = node.input_value(place).get_node().data
    return values


def _outputs(model: ov.Model, pictures: UInt8) -> Iterator[Float32]:
    """The raw locs and logits [1, 4 + K, P] of each of the pictures [N, 300, 300, 3]."""
    request = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    for picture in pictures:
        request.infer([picture[None]])
        yield request.get_tensor(OUTPUTS).data.copy()

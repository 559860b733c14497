"""Graphs in INT8: NNCF's post-training quantisation of what `build_graph` makes, and what it costs each convolution.

Nothing is sent: NNCF reports its use through the package openvino_telemetry, which `ssd300.runtime` keeps from loading.
"""

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset1 as ops

from ssd300.errors import MissingExtraError
from ssd300.images.orientation import UInt8
from ssd300.runtime.graph import MARGIN, OUTPUTS

_PICTURES_FOR_ERRORS = 8
Node = Any  # openvino comes without types


def import_nncf() -> Any:
    """The package nncf, silent on stdout. Raises MissingExtraError."""
    os.environ.setdefault("NNCF_CI", "1")  # its own switch against reporting, which must be set before the import
    try:
        with redirect_stdout(sys.stderr):  # its log keeps the stream that it finds here
            import nncf
    except ImportError as error:
        raise MissingExtraError("`ssd300 quantize`", "quantize") from error
    nncf.set_log_level(logging.ERROR)
    return nncf


def quantise_graph(model: ov.Model, pictures: UInt8, kept_float: Sequence[str] = ()) -> ov.Model:
    """A float graph -> the same graph with quantisers, calibrated on pictures [N, 300, 300, 3], N at least 1.

    From the node `outputs` on all stays float, and so do the convolutions named in `kept_float`. The same arguments
    give the same graph, bit for bit. Raises MissingExtraError.
    """
    nncf = import_nncf()
    with redirect_stdout(sys.stderr):  # progress bars
        return nncf.quantize(
            model,
            nncf.Dataset(list(pictures[:, None])),  # batches of one
            subset_size=len(pictures),
            target_device=nncf.TargetDevice.CPU,
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(
                names=sorted(kept_float), subgraphs=[nncf.Subgraph(inputs=[OUTPUTS], outputs=[MARGIN])]
            ),
            # CPUs without VNNI add products in 16 bits, which can saturate. Weights of 7 bits never do, but cost accuracy
            # everywhere, and on AVX2 no less than saturation does (docs/quantize.md): so in the first layer alone.
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.FIRST_LAYER),
        )


def quantised_convolutions(model: ov.Model) -> list[str]:
    """The names of the convolutions whose input is quantised, in the order of computation."""
    return [
        node.get_friendly_name()
        for node in model.get_ordered_ops()
        if node.get_type_name() == "Convolution" and _producer(node).get_type_name() == "FakeQuantize"
    ]


def convolution_errors(model: ov.Model, quantised: ov.Model, pictures: UInt8) -> dict[str, float]:
    """How far each quantised convolution is off when its input is exact: |INT8 - float| / |float|, by name.

    The quantised graph is cut before every quantiser, and what the float graph computes there is fed in: so the error
    of a layer is its own, without what came before.
    """
    names = quantised_convolutions(quantised)
    cut, sources = _cut(quantised.clone(), names)
    tapped = model.clone()
    by_name = {node.get_friendly_name(): node for node in tapped.get_ops()}
    wanted = [by_name[name] for name in [*sources, *map(_biased, names)]]
    tapped = ov.Model([ops.result(node) for node in wanted], tapped.get_parameters(), "tapped")
    exact, rounded = _request(tapped), _request(cut)
    error, norm = np.zeros(len(names)), np.zeros(len(names))
    for picture in pictures[:_PICTURES_FOR_ERRORS]:
        exact.infer([picture[None]])
        values = [exact.get_output_tensor(i).data for i in range(len(wanted))]
        rounded.infer(values[: len(sources)])
        for i, expected in enumerate(values[len(sources) :]):
            error[i] += np.square(rounded.get_output_tensor(i).data - expected, dtype=np.float64).sum()
            norm[i] += np.square(expected, dtype=np.float64).sum()
    relative = np.sqrt(error / np.maximum(norm, np.finfo(np.float64).tiny))
    return dict(zip(names, relative.tolist(), strict=True))


def _cut(model: ov.Model, names: Sequence[str]) -> tuple[ov.Model, list[str]]:
    """Parameters in place of what is before the quantisers; the outputs of the convolutions with their bias as results.

    Returns the new graph and the names of the nodes whose values its parameters take. `model` is taken apart.
    """
    by_name = {node.get_friendly_name(): node for node in model.get_ops()}
    parameters: dict[str, Node] = {}
    for name in names:
        quantiser = _producer(by_name[name])
        source = quantiser.input_value(0)
        source_name = source.get_node().get_friendly_name()
        if source_name in by_name:  # else a parameter of ours: two convolutions read one quantiser
            parameters[source_name] = ops.parameter(source.get_partial_shape(), source.get_element_type())
            quantiser.input(0).replace_source_output(parameters[source_name].output(0))
    results = [ops.result(by_name[_biased(name)]) for name in names]
    return ov.Model(results, list(parameters.values()), "cut"), list(parameters)


def _producer(convolution: Node) -> Node:
    return convolution.input_value(0).get_node()


def _biased(name: str) -> str:
    return f"{name}.biased"  # build_graph's name for convolution plus bias


def _request(model: ov.Model) -> Any:
    return ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()

"""Graphs in INT8: NNCF's post-training quantisation of what `build_graph` makes, and what it costs each convolution.

Nothing is sent: NNCF reports its use through the package openvino_telemetry, which `ssd300.runtime` keeps from loading.
"""

import logging
import os
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import openvino as ov

from ssd300.arrays import Float32, UInt8
from ssd300.errors import MissingExtraError
from ssd300.runtime.graph import MARGIN, OUTPUTS

_PICTURES_FOR_ERRORS = 4
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


def quantize_graph(model: ov.Model, pictures: UInt8, kept_float: Sequence[str] = ()) -> ov.Model:
    """A float graph -> the same graph with quantisers, calibrated on pictures [N, 300, 300, 3], N at least 1.

    From the node `outputs` on all stays float, and so do the convolutions named in `kept_float`. The same arguments
    give the same graph, bit for bit. Raises MissingExtraError.
    """
    nncf = import_nncf()
    with redirect_stdout(sys.stderr):  # progress bars
        quantised = nncf.quantize(
            model,
            nncf.Dataset(list(pictures[:, None])),  # batches of one
            subset_size=len(pictures),
            target_device=nncf.TargetDevice.CPU,
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(
                names=sorted(kept_float), subgraphs=[nncf.Subgraph(inputs=[OUTPUTS], outputs=[MARGIN])]
            ),
            # CPUs without VNNI add products in 16 bits, which can saturate. Weights of 7 bits never do, but cost more
            # accuracy than saturation does, on AVX2 too (docs/quantize.md): so they are for the first layer alone.
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.FIRST_LAYER),
        )
    _name_nodes(quantised)
    return quantised


def _name_nodes(model: ov.Model) -> None:
    """Names by place for the nodes that OpenVINO numbered by how many there had been in the process before."""
    for i, node in enumerate(model.get_ordered_ops()):
        if re.fullmatch(rf"{node.get_type_name()}_\d+", node.get_friendly_name()):
            node.set_friendly_name(f"quantised.{i}")


def quantised_convolutions(model: ov.Model) -> list[str]:
    """The names of the convolutions whose input is quantised, in the order of computation."""
    return [
        node.get_friendly_name()
        for node in model.get_ordered_ops()
        if node.get_type_name() == "Convolution" and _quantiser(node).get_type_name() == "FakeQuantize"
    ]


def convolution_errors(model: ov.Model, quantised: ov.Model, pictures: UInt8) -> dict[str, float]:
    """How far `outputs` moves when one convolution alone is in INT8: |moved - exact| / |exact|, by its name.

    Measured on the first few pictures: a graph is compiled for each convolution, which takes seconds in all.
    """
    pictures = pictures[:_PICTURES_FOR_ERRORS]
    exact = _outputs(model, pictures)
    names = quantised_convolutions(quantised)
    moved = ((name, _outputs(_with_one_rounded(model, quantised, name), pictures) - exact) for name in names)
    return {name: float(np.linalg.norm(difference) / np.linalg.norm(exact)) for name, difference in moved}


def _with_one_rounded(model: ov.Model, quantised: ov.Model, name: str) -> ov.Model:
    """The float graph with one convolution, its quantisers and its bias taken from the quantised graph."""
    model, quantised = model.clone(), quantised.clone()
    into = {node.get_friendly_name(): node for node in model.get_ops()}
    taken = {node.get_friendly_name(): node for node in quantised.get_ops()}
    quantiser = _quantiser(taken[name])
    source = quantiser.input_value(0).get_node().get_friendly_name()
    quantiser.input(0).replace_source_output(into[source].output(0))
    biased = f"{name}.biased"  # build_graph's name of convolution plus bias
    for reader in into[biased].output(0).get_target_inputs():
        reader.replace_source_output(taken[biased].output(0))
    return ov.Model(model.get_results(), model.get_parameters(), name)


def _outputs(model: ov.Model, pictures: UInt8) -> Float32:
    """The raw locs and logits of pictures [N, 300, 300, 3]: [N, 4 + K, P]."""
    request = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    found = []
    for picture in pictures:
        request.infer([picture[None]])
        found.append(request.get_tensor(OUTPUTS).data.copy())
    return np.concatenate(found)


def _quantiser(convolution: Node) -> Node:
    """The node that a convolution reads, seen through max-pooling, which NNCF places after a quantiser."""
    node = convolution.input_value(0).get_node()
    return node.input_value(0).get_node() if node.get_type_name() == "MaxPool" else node

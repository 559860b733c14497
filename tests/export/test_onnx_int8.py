"""The bundled model as an ONNX file in INT8."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest

from ssd300.architecture import architecture
from ssd300.export.files import export_onnx
from ssd300.export.onnx import OnnxOptions
from ssd300.runtime.onnx import load_onnx
from ssd300.weights import catalog
from ssd300.weights.checkpoint import read_checkpoint, read_int8
from ssd300.weights.int8 import Int8, activation_names


@pytest.mark.parametrize("options", [OnnxOptions(), OnnxOptions(nms=False, input="float", dynamic_batch=True)])
def test_onnx_in_int8(options, tmp_path):
    """onnxruntime runs every convolution and sum in INT8, and answers as OpenVINO does, but for roundings."""
    model, path = catalog.resolve("default"), tmp_path / "m.onnx"
    (state, metadata), int8 = read_checkpoint(model), read_int8(model)
    result = export_onnx(state, metadata, path, options, int8=int8)
    assert result.probabilities < 0.1
    assert result.detections > 100
    assert path.stat().st_size < 0.6 * model.stat().st_size  # of float16
    settings = onnxruntime.SessionOptions()
    settings.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    settings.log_severity_level = 4
    onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert (kinds["QLinearConv"], kinds["Conv"], kinds["QLinearAdd"]) == (37, 0, 6)


def test_a_layer_of_zeros_keeps_its_bias(narrow, narrow_checkpoint, tmp_path):
    """In steps of a tiny scale its bias would not fit into int32."""
    state, metadata = read_checkpoint(narrow_checkpoint)
    network = architecture(metadata.backbone, metadata.num_classes)
    anchors = network.class_heads[1].out_channels // metadata.num_classes
    zeros = np.zeros_like(state["conf.1.weight"])
    bias = np.repeat(np.arange(metadata.num_classes, dtype=np.float32), anchors)
    int8 = Int8(dict.fromkeys(activation_names(network), (-8.0, 8.0)))
    state |= {"conf.1.weight": zeros, "conf.1.bias": bias}
    result = export_onnx(state, metadata, tmp_path / "m.onnx", OnnxOptions(nms=False), int8=int8)
    assert result.probabilities < 0.1


@pytest.mark.parametrize(
    ("kept_float", "background", "objects"),
    [((), -30.0, -40.0), (tuple(f"head.{k}" for k in range(6)), 30.0, 20.0)],
    ids=["rounded", "float"],
)
def test_logits_outside_of_their_range_give_no_object(
    narrow, narrow_checkpoint, tmp_path, kept_float, background, objects
):
    """Cut to the lowest level, background and objects are equal; heads that stay float are not cut at all."""
    state, metadata = read_checkpoint(narrow_checkpoint)
    network = architecture(metadata.backbone, metadata.num_classes)
    for head in network.class_heads:
        anchors = head.out_channels // metadata.num_classes
        state[f"{head.key}.weight"] = np.zeros_like(state[f"{head.key}.weight"])
        state[f"{head.key}.bias"] = np.full(head.out_channels, objects, np.float32)
        state[f"{head.key}.bias"][:anchors] = background
    int8 = Int8(dict.fromkeys(activation_names(network), (-8.0, 8.0)), kept_float=kept_float)
    path = tmp_path / "m.onnx"
    export_onnx(state, metadata, path, OnnxOptions(nms=False), int8=int8)
    [(_, probabilities)] = load_onnx(path).infer(np.zeros((1, 300, 300, 3), np.uint8))
    assert probabilities[1:].max() < 1e-3

"""The metadata of OpenVINO and ONNX models."""

import numpy as np
import pytest

from ssd300.errors import ModelError
from ssd300.weights.checkpoint import (
    read_metadata,
)


@pytest.mark.parametrize("name", ["model", "model.bin", "model.txt"])
def test_metadata_is_read_by_suffix(tmp_path, name) -> None:
    with pytest.raises(ModelError, match=r"expected \.safetensors, \.xml or \.onnx"):
        read_metadata(tmp_path / name)


IR = '<?xml version="1.0"?><net name="m" version="11"><layers/><rt_info><ssd300>{}</ssd300></rt_info></net>'


def test_the_metadata_of_an_openvino_model_is_read(tmp_path, metadata) -> None:
    import openvino
    from openvino import opset13

    parameter = opset13.parameter([1, 3], np.float32)
    model = openvino.Model([opset13.relu(parameter)], [parameter], "m")
    model.set_rt_info(metadata.to_json(), ["ssd300", "meta"])
    openvino.save_model(model, tmp_path / "m.xml")
    assert read_metadata(tmp_path / "m.xml") == metadata


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not an OpenVINO model: no element found"),
        ("<net>", "not an OpenVINO model"),
        ("<net/>", "no ssd300 metadata in it"),
        (IR.format(""), "no ssd300 metadata in it"),
        (IR.format('<meta value="{"/>'), "not JSON"),
        (
            '<!DOCTYPE x [<!ENTITY a "b">]>' + IR.format('<meta value="&a;"/>'),
            "with a DOCTYPE is not an OpenVINO model",
        ),
    ],
)
def test_bad_openvino_files_are_refused(tmp_path, text, words) -> None:
    (tmp_path / "m.xml").write_text(text)
    with pytest.raises(ModelError) as caught:
        read_metadata(tmp_path / "m.xml")
    assert words in str(caught.value)


def test_the_metadata_of_an_onnx_model_is_read(tmp_path, metadata) -> None:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    x, y = (helper.make_tensor_value_info(name, kind, [1]) for name in "xy")
    model = helper.make_model(helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y]))
    onnx.save(model, tmp_path / "bare.onnx")
    helper.set_model_props(model, {"ssd300": metadata.to_json()})
    onnx.save(model, tmp_path / "m.onnx")
    assert read_metadata(tmp_path / "m.onnx") == metadata
    (tmp_path / "bad.onnx").write_bytes(b"\xff" * 40)
    for name, words in (("bare", "no ssd300 metadata"), ("bad", "not an ONNX model"), ("missing", "cannot be read")):
        with pytest.raises(ModelError, match=words):
            read_metadata(tmp_path / f"{name}.onnx")

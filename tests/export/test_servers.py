"""Model repositories for other servers: they say of their model what it is, and OpenVINO, which OVMS runs, agrees."""

import json
import re

import numpy as np
import onnx
import openvino
import pytest

from ssd300.errors import OutputError
from ssd300.export.files import OnnxDetections
from ssd300.export.onnx import OnnxOptions
from ssd300.export.servers import MOST_PICTURES, export_server, make_triton_config
from ssd300.export.verify import make_comparison_pictures

KINDS = {"UINT8": onnx.TensorProto.UINT8, "FP32": onnx.TensorProto.FLOAT, "INT32": onnx.TensorProto.INT32}
TENSOR = (
    r'^(input|output) \[ \{ name: "(\w+)" data_type: TYPE_(\w+) dims: \[([\d, ]+)\]( reshape \{ shape: \[ \] \})?'
    r" \} \]$"
)

pytestmark = pytest.mark.usefixtures("narrow")


def tensors(text: str) -> dict[str, tuple[str, int, list[int]]]:
    found = re.findall(TENSOR, text, re.M)
    return {
        name: (role, KINDS[kind], [] if scalar else [int(n) for n in dims.split(",")])
        for role, name, kind, dims, scalar in found
    }


@pytest.mark.parametrize(
    "options", [OnnxOptions(), OnnxOptions(dynamic_batch=True, max_detections=7), OnnxOptions(max_detections=900)]
)
def test_triton_is_told_what_the_file_takes_and_gives(options, seeded_model, tmp_path) -> None:
    state, metadata = seeded_model("resnet18")
    export_server(state, metadata, tmp_path / "r", "triton", options)
    graph = onnx.load(tmp_path / "r" / "ssd300" / "1" / "model.onnx").graph
    text = (tmp_path / "r" / "ssd300" / "config.pbtxt").read_text()
    assert text == make_triton_config(metadata, options)
    told = tensors(text)
    assert f"max_batch_size: {MOST_PICTURES if options.dynamic_batch else 0}\n" in text
    for role, values in (("input", graph.input), ("output", graph.output)):
        for value in values:
            dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            dims = dims[1:] if options.dynamic_batch else dims
            assert told.pop(value.name) == (role, value.type.tensor_type.elem_type, dims)
    assert told == {}
    labels = (tmp_path / "r" / "ssd300" / "labels.txt").read_text("utf-8").splitlines()
    assert labels == list(metadata.classes.names)


def test_openvino_answers_as_onnxruntime_does(seeded_model, tmp_path) -> None:
    state, metadata = seeded_model("resnet18")
    export_server(state, metadata, tmp_path / "models", "ovms", OnnxOptions())
    [entry] = json.loads((tmp_path / "models" / "config.json").read_text())["model_config_list"]
    assert entry == {"config": {"name": "ssd300", "base_path": "/models/ssd300"}}
    path = tmp_path / "models" / "ssd300" / "1" / "model.onnx"
    ours = OnnxDetections(path.read_bytes())
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for picture in make_comparison_pictures()[:2]:
        boxes_xyxy, labels, scores = ours.detect(picture)
        found = compiled({"pictures": picture[None]})
        [number] = found["num_detections"]
        assert number == len(scores) > 0
        assert np.array_equal(found["labels"][0, :number] + 1, labels)
        assert np.allclose(found["scores"][0, :number], scores, atol=1e-4)
        assert np.allclose(found["boxes"][0, :number], boxes_xyxy, atol=1e-4)


@pytest.mark.parametrize("make", ["file", "full", "link"])
def test_what_is_there_stays(make, seeded_model, tmp_path) -> None:
    state, metadata = seeded_model("resnet18")
    target = tmp_path / "r"
    (tmp_path / "real").mkdir()
    if make == "file":
        target.write_text("mine")
    elif make == "full":
        target.mkdir()
        (target / "mine").touch()
    else:
        target.symlink_to(tmp_path / "real")
    with pytest.raises(OutputError, match="a new or an empty folder"):
        export_server(state, metadata, target, "ovms", OnnxOptions())
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(
        {"r", "real", *(["mine"] if make == "full" else [])}
    )

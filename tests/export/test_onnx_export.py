"""Whole ONNX files: accepted by the checker, self-contained, equal to our own runtime, with what a user must know."""

import json
from dataclasses import asdict

import numpy as np
import onnx
import onnxruntime
import pytest

from ssd300.errors import ArgumentError
from ssd300.export.files import export_onnx, make_reference
from ssd300.export.onnx import EXPORT_KEY, OnnxOptions, build_onnx
from ssd300.export.verify import count_equal, make_comparison_pictures
from ssd300.postprocess import select
from ssd300.weights.checkpoint import read_metadata

STANDARD = ("", "ai.onnx")
NARROW = pytest.mark.usefixtures("narrow")


@pytest.fixture(scope="module")
def pictures():
    return make_comparison_pictures()[:3]  # blocks, noise, and in a clone a photograph


def outputs_of(model, fed):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"pictures": fed})


@pytest.mark.parametrize(
    "backbone",
    [
        "resnet18",
        pytest.param("resnet34", marks=pytest.mark.slow),
        "resnet50",
        pytest.param("resnet101", marks=pytest.mark.slow),
        pytest.param("resnet152", marks=pytest.mark.slow),
    ],
)
def test_detections_equal_ours(backbone, seeded_model, pictures):
    state, metadata = seeded_model(backbone)
    model = build_onnx(state, metadata, OnnxOptions(dynamic_batch=True))
    boxes, scores, labels, number = outputs_of(model, pictures)
    assert number.sum() > 50
    ours = make_reference(state, metadata).infer(pictures)
    for i, (candidates, n) in enumerate(zip(ours, number, strict=True)):
        found = boxes[i, :n], labels[i, :n].astype(np.int64) + 1, scores[i, :n]
        expected = select(*candidates)
        # Two libraries round differently, so the 200th place or a threshold may fall to either of two.
        assert abs(len(expected[1]) - n) <= 1
        assert count_equal(expected, found, 1e-4) >= n - 1


@NARROW
@pytest.mark.parametrize("options", [OnnxOptions(), OnnxOptions(input="float", opset=21)])
def test_one_picture_and_many_give_the_same(options, seeded_model, pictures):
    state, metadata = seeded_model("resnet18")
    fed = pictures if options.input == "uint8" else pictures.transpose(0, 3, 1, 2) / np.float32(255)
    single = build_onnx(state, metadata, options)
    assert [d.dim_value for d in single.graph.input[0].type.tensor_type.shape.dim][:1] == [1]
    many = build_onnx(state, metadata, OnnxOptions(input=options.input, opset=options.opset, dynamic_batch=True))
    together = outputs_of(many, fed)
    assert all(len(output) == len(pictures) for output in together)
    for i in range(len(pictures)):
        for one, batch in zip(outputs_of(single, fed[i : i + 1]), together, strict=True):
            np.testing.assert_allclose(one[0], batch[i], atol=1e-5)
    alone = outputs_of(many, fed[:1])
    np.testing.assert_allclose(alone[1][0], together[1][0], atol=1e-5)


@NARROW
def test_nothing_found(seeded_model, pictures):
    boxes, scores, labels, number = outputs_of(
        build_onnx(*seeded_model("resnet18", objects=False), OnnxOptions()), pictures[:1]
    )
    assert (boxes.shape, scores.shape, labels.shape, number.tolist()) == ((1, 200, 4), (1, 200), (1, 200), [0])


@NARROW
@pytest.mark.parametrize("opset", [17, 18, 19, 20, 21, onnx.defs.onnx_opset_version()])
def test_the_checker_accepts_every_opset(opset, seeded_model):
    model = build_onnx(*seeded_model("resnet18"), OnnxOptions(opset=opset))
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]
    assert {node.domain for node in model.graph.node} <= set(STANDARD)
    assert not any(tensor.external_data for tensor in model.graph.initializer)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"opset": 16}, "opset is 16: expected 17 to"),
        ({"opset": 999}, "opset is 999"),
        ({"opset": 18.0}, "opset is 18.0: expected 17 to"),
    ],
)
def test_unknown_opsets_are_refused(options, words, seeded_model):
    with pytest.raises(ArgumentError, match=words):
        build_onnx(*seeded_model("resnet18"), OnnxOptions(**options))


@pytest.mark.parametrize("options", [{"input": "bgr"}, {"score_threshold": 2}, {"max_detections": 0}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ArgumentError):
        OnnxOptions(**options)


@NARROW
def test_the_file_says_what_it_is(seeded_model, tmp_path):
    state, metadata = seeded_model("resnet18")
    path = tmp_path / "model.onnx"
    verification = export_onnx(state, metadata, path, OnnxOptions(score_threshold=0.2))
    assert verification.boxes < 1e-4
    assert verification.equal == verification.detections > 50
    assert read_metadata(path) == metadata
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]
    properties = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    assert json.loads(properties["ssd300"])["classes"][3] == {"id": 900, "name": "Größe"}
    assert json.loads(properties[EXPORT_KEY])["score_threshold"] == 0.2


def test_half_stores_half(seeded_model, tmp_path):
    state, metadata = seeded_model("resnet18")
    verification = export_onnx(state, metadata, tmp_path / "half.onnx", OnnxOptions(half=True))
    assert 1e-5 < verification.probabilities < 2e-2
    whole = len(build_onnx(state, metadata, OnnxOptions()).SerializeToString())
    assert (tmp_path / "half.onnx").stat().st_size < 0.52 * whole


def test_numbers_of_numpy_become_pythons():
    """The file has its options as JSON."""
    options = OnnxOptions(score_threshold=np.float32(0.5), max_detections=np.int64(3), opset=np.int64(17))
    assert options == OnnxOptions(score_threshold=0.5, max_detections=3)
    assert json.loads(json.dumps(asdict(options)))["max_detections"] == 3

"""The selection inside an ONNX file equals `postprocess.decode`, on every reference case, ties included."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from ssd300.export.onnx import OnnxOptions, build_tail
from ssd300.postprocess import decode

DATA = Path(__file__).parents[1] / "parity" / "data" / "decode.json"
CASES = {name: case for name, case in json.loads(DATA.read_text()).items() if not name.startswith("_")}


def run(model, locs, logits):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs = session.run(None, {"locs": locs, "logits": logits})
    return dict(zip([output.name for output in session.get_outputs()], outputs, strict=True))


def assert_equals_decode(outputs, locs, logits, **thresholds):
    for i in range(len(locs)):
        boxes_xyxy, labels, scores = decode(locs[i], logits[i], **thresholds)
        number = outputs["num_detections"][i]
        assert number == len(labels)
        np.testing.assert_array_equal(outputs["labels"][i, :number] + 1, labels)
        np.testing.assert_allclose(outputs["boxes"][i, :number], boxes_xyxy, atol=1e-6, rtol=1e-6)
        np.testing.assert_allclose(outputs["scores"][i, :number], scores, atol=1e-6, rtol=0)
        assert not outputs["boxes"][i, number:].any()
        assert not outputs["scores"][i, number:].any()
        assert (outputs["labels"][i, number:] == -1).all()


def test_nothing_found_keeps_shapes_and_kinds(seeded):
    locs, logits = seeded.raw_heads("empty", "nothing", 2, 81)
    outputs = run(build_tail(81, OnnxOptions(dynamic_batch=True, max_detections=50)), locs, logits)
    shapes = {name: (value.shape, str(value.dtype)) for name, value in outputs.items()}
    assert shapes == {
        "boxes": ((2, 50, 4), "float32"),
        "scores": ((2, 50), "float32"),
        "labels": ((2, 50), "int32"),
        "num_detections": ((2,), "int32"),
    }
    assert_equals_decode(outputs, locs, logits, max_detections=50)


@pytest.mark.parametrize("name", CASES)
def test_equals_decode_on_the_reference_cases(name, seeded):
    case = CASES[name]
    thresholds = {"iou_threshold": case["criteria"], "max_detections": case["max_output"]}
    locs, logits = seeded.raw_heads(case["kind"], case["key"], case["batch"], case["classes"])
    model = build_tail(case["classes"], OnnxOptions(dynamic_batch=True, **thresholds))
    assert_equals_decode(run(model, locs, logits), locs, logits, **thresholds)


@pytest.mark.parametrize("opset", [17, 18, 19, 20, 21, min(24, onnx.defs.onnx_opset_version())])
@pytest.mark.parametrize(
    ("score_threshold", "iou_threshold", "max_detections"),
    [(0.05, 0.5, 200), (0.0, 1.0, 1000), (0.3, 0.0, 7), (1.0, 0.5, 1)],
)
def test_every_opset_and_extreme_thresholds(opset, score_threshold, iou_threshold, max_detections, seeded):
    thresholds = {
        "score_threshold": score_threshold,
        "iou_threshold": iou_threshold,
        "max_detections": max_detections,
    }
    locs, logits = seeded.raw_heads("crowded", "opsets", 1, 4)
    outputs = run(build_tail(4, OnnxOptions(opset=opset, **thresholds)), locs, logits)
    # Three classes of 200 candidates make 600 places at most.
    assert outputs["scores"].shape == (1, min(max_detections, 600))
    assert_equals_decode(outputs, locs, logits, **thresholds)


def test_without_nms_all_boxes_and_probabilities_leave(seeded):
    from ssd300.postprocess import candidates

    locs, logits = seeded.raw_heads("sparse", "raw", 2, 4)
    outputs = run(build_tail(4, OnnxOptions(nms=False, dynamic_batch=True)), locs, logits)
    assert list(outputs) == ["boxes", "probabilities"]
    for i in range(2):
        boxes_xyxy, probabilities = candidates(locs[i], logits[i], np.zeros(8732, np.float32))
        np.testing.assert_allclose(outputs["boxes"][i], boxes_xyxy, atol=1e-6)
        np.testing.assert_allclose(outputs["probabilities"][i], probabilities, atol=1e-6)

"""OpenCV's dnn runs files without NMS inside. It is no dependency: without it there is nothing to run."""

import numpy as np
import onnxruntime
import pytest

from ssd300.export.onnx import OnnxOptions, build_onnx

cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")


@pytest.mark.parametrize("kind", ["uint8", "float"])
def test_opencv_answers_like_onnxruntime(kind, seeded_model, tmp_path):
    path = str(tmp_path / "m.onnx")
    (tmp_path / "m.onnx").write_bytes(
        build_onnx(*seeded_model("resnet18"), OnnxOptions(nms=False, input=kind)).SerializeToString()
    )
    pixels = np.random.default_rng(0).integers(0, 256, (1, 300, 300, 3), dtype=np.uint8)
    fed = pixels if kind == "uint8" else np.ascontiguousarray(pixels.transpose(0, 3, 1, 2) / np.float32(255))
    network = cv2.dnn.readNetFromONNX(path)
    network.setInput(fed)
    found = network.forward(["boxes", "probabilities"])
    expected = onnxruntime.InferenceSession(path).run(["boxes", "probabilities"], {"pictures": fed})
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)

"""The OpenVINO graph equals the published forward pass, and torch on the same weights, for every backbone."""

import numpy as np
import openvino as ov
import pytest
import torch

from ssd300.architecture import MEAN, STD, architecture
from ssd300.labels import COCO, ClassList
from ssd300.learn.network import SSD300
from ssd300.postprocess import decode_boxes
from ssd300.priors import NUM_PRIORS
from ssd300.runtime.graph import build_graph
from ssd300.runtime.openvino import OpenVINORuntime
from ssd300.weights.metadata import ModelMetadata

FAST, SLOW = ("resnet18", "resnet50"), ("resnet34", "resnet101", "resnet152")
BACKBONES = [*FAST, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
BORDERS = np.cumsum([0, 5776, 2166, 600, 150, 36, 4])  # of the six maps, in priors


def seeded_model(seeded, backbone, num_classes=81):
    network = architecture(backbone, num_classes)
    classes = COCO if num_classes == 81 else ClassList.from_names([f"c{i}" for i in range(1, num_classes)])
    state = {key: seeded.weight(key, shape) for key, shape in network.state_shapes().items()}
    return state, ModelMetadata(backbone, classes)


def forward_of_normalized(model, pictures):
    """The outputs [B, 4 + K, P] of a graph whose first nodes are cut off, so that it takes the reference's floats.

    The reference's input is normalized already: multiplied by std here, because the graph divides its first kernel
    by std * 255, and given to the convolution in place of the centered picture.
    """
    centered = next(op for op in model.get_ordered_ops() if op.get_friendly_name() == "pictures.centered")
    parameter = ov.opset1.parameter([-1, 3, 300, 300], ov.Type.f32)
    for user in centered.output(0).get_target_inputs():
        user.replace_source_output(parameter.output(0))
    cut = ov.Model(model.get_results(), [parameter])
    compiled = ov.Core().compile_model(cut, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    request.infer([(pictures * (np.float32(STD) * 255).reshape(1, 3, 1, 1)).astype(np.float32)])
    return request.get_tensor("outputs").data.copy()


@pytest.mark.parametrize(
    ("name", "backbone", "num_classes"),
    [
        ("resnet18", "resnet18", 81),
        ("resnet18_4classes", "resnet18", 4),
        ("resnet50", "resnet50", 81),
        *(pytest.param(name, name, 81, marks=pytest.mark.slow) for name in SLOW),
    ],
)
def test_graph_equals_published_forward(name, backbone, num_classes, seeded, reference_json, reference_npz):
    outputs = forward_of_normalized(
        build_graph(*seeded_model(seeded, backbone, num_classes)), seeded.image_batch("fwd", 2)
    )
    arrays, facts = reference_npz(f"forward_{name}"), reference_json("forward")[name]
    for what, ours in (("locs", outputs[:, :4]), ("logits", outputs[:, 4:])):
        tolerance = 5e-5 + 1e-5 * facts[what]["absmax"]
        np.testing.assert_allclose(ours.reshape(-1)[arrays[f"{what}_index"]], arrays[what], atol=tolerance, rtol=0)
        means = [m.mean((0, 2), dtype=np.float64) for m in np.split(ours, BORDERS[1:-1], axis=2)]
        np.testing.assert_allclose(means, arrays[f"{what}_map_mean"], atol=tolerance, rtol=0)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("backbone", BACKBONES)
def test_runtime_equals_torch(backbone, seeded):
    """Probabilities within 1e-4; boxes within 0.05 pixel or 2e-5 of the box's side, whichever is larger."""
    state, metadata = seeded_model(seeded, backbone)
    pictures = seeded.uniform("pictures", (2, 300, 300, 3), 0, 256).astype(np.uint8)
    pictures[1] = np.repeat(np.repeat(pictures[1, ::25, ::25], 25, 0), 25, 1)
    network = SSD300(backbone).eval()
    network.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in state.items()})
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    with torch.inference_mode():
        locs, logits = network(((torch.from_numpy(pictures) / 255 - mean) / std).permute(0, 3, 1, 2))
        expected = logits.softmax(1).numpy()
    results = OpenVINORuntime(build_graph(state, metadata), metadata, "f32").infer(pictures)
    for i, (boxes_xyxy, probabilities) in enumerate(results):
        assert (boxes_xyxy.shape, probabilities.shape) == ((NUM_PRIORS, 4), (81, NUM_PRIORS))
        np.testing.assert_allclose(probabilities, expected[i], atol=1e-4, rtol=0)
        expected_boxes = decode_boxes(locs[i].numpy()) * 300
        side = np.abs(expected_boxes[:, 2:] - expected_boxes[:, :2]).max(1, keepdims=True)
        assert (np.abs(boxes_xyxy * 300 - expected_boxes) <= np.maximum(0.05, 2e-5 * side)).all()

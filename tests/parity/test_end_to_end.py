"""Picture -> prepare_input -> seeded ResNet-18 -> decode_results equals the published chain."""

import numpy as np
import pytest

from ssd300.hub import Processing, nvidia_ssd

torch = pytest.importorskip("torch")


def test_the_hub_helpers_on_a_seeded_network(request, seeded, reference_json, reference_npz):
    case, arrays = reference_json("end_to_end"), reference_npz("end_to_end")
    network = nvidia_ssd(pretrained=False, backbone=case["backbone"], num_classes=case["classes"]).eval()
    network.load_state_dict(
        {key: torch.from_numpy(seeded.weight(key, tuple(v.shape))) for key, v in network.state_dict().items()}
    )
    folder = request.path.parent / "data" / "pictures"
    inputs = [Processing.prepare_input(folder / f"{name}.png") for name in case["pictures"]]
    with torch.no_grad():
        predictions = network(Processing.prepare_tensor(inputs))
    for (name, picture), detections in zip(
        case["pictures"].items(), Processing.decode_results(predictions), strict=True
    ):
        boxes, labels, scores = detections
        assert len(scores) == picture["detections"]
        assert (np.diff(scores) >= 0).all()
        assert len(Processing.pick_best(detections, 0.40)[2]) == picture["above_040"]
        # As a set: scores as close as 6e-6 may swap.
        used = set()
        for box, label, score in zip(
            *(arrays[f"{name}.{what}"] for what in ("boxes", "labels", "scores")), strict=True
        ):
            near = (np.abs(boxes - box).max(1) < 1e-3) & (labels == label) & (np.abs(scores - score) < 1e-4)
            partner = next(i for i in np.flatnonzero(near) if i not in used)
            used.add(partner)

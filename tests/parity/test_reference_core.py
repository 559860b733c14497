"""Default boxes, state keys and class list equal the published ones, and the reference data is what it says."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ssd300.architecture import BACKBONES, architecture
from ssd300.labels import COCO
from ssd300.priors import default_boxes, default_boxes_xyxy

DATA = Path(__file__).parent / "data"
PARAMETERS = {
    "resnet18": 14_048_310,
    "resnet34": 19_975_222,
    "resnet50": 22_894_902,
    "resnet101": 41_887_030,
    "resnet152": 57_530_678,
}


def test_the_reference_data_passes_its_own_check():
    """It rebuilds seeded inputs and compares their digests."""
    check = subprocess.run(
        [sys.executable, "-B", str(DATA / "check_shapes.py")], capture_output=True, text=True, timeout=120, check=True
    )
    assert "seeded recipe reproduces bit for bit" in check.stdout
    assert "encode box set rebuilt exactly" in check.stdout
    assert "NOT FINITE" not in check.stdout


@pytest.mark.parametrize(("name", "boxes"), [("cxcywh", default_boxes), ("ltrb", default_boxes_xyxy)])
def test_default_boxes(name, boxes, reference_npz):
    expected = reference_npz("priors")[name]
    assert boxes().dtype == expected.dtype
    np.testing.assert_allclose(boxes(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_state_keys_and_shapes_in_published_order(backbone, reference_json):
    expected = [(key, tuple(shape)) for key, shape in reference_json("state_keys")[backbone]["state"]]
    assert list(architecture(backbone, 81).state_shapes().items()) == expected


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_torch_network_has_the_same_state(backbone, reference_json):
    torch = pytest.importorskip("torch")
    from ssd300.learn.network import SSD300

    with torch.device("meta"):
        network = SSD300(backbone)
    expected = reference_json("state_keys")[backbone]
    assert [(key, list(value.shape)) for key, value in network.state_dict().items()] == [
        tuple(item) for item in expected["state"]
    ]
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[backbone]


def test_coco_categories(reference_json):
    expected = reference_json("coco_categories")
    assert list(COCO.ids) == [category["id"] for category in expected]
    assert list(COCO.names) == [category["name"] for category in expected]

"""Backbones in torchvision's files."""

from collections import OrderedDict

import pytest
import torch
from safetensors.numpy import save_file

from ssd300.errors import ModelError
from ssd300.learn.network import SSD300
from ssd300.weights.published import is_backbone_file, read_backbone
from weights.torch_files import assert_same, save


def torchvision_state(network, *, whole: bool) -> dict:
    """The trunk of a network under torchvision's names; `whole` adds what SSD300 does not use."""
    names = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3"}
    trunk = "feature_extractor.feature_extractor."
    state = {}
    for key, value in network.state_dict().items():
        if key.startswith(trunk):
            child, rest = key.removeprefix(trunk).split(".", 1)
            state[f"{names[child]}.{rest}"] = value
    unused = {"layer4.0.conv1.weight": torch.ones(3, 3), "fc.weight": torch.ones(3, 2), "fc.bias": torch.ones(3)}
    return state | (unused if whole else {})


@pytest.mark.parametrize(
    ("backbone", "suffix"),
    [("resnet18", ".pt"), ("resnet18", ".safetensors"), ("resnet34", ".pth"), ("resnet50", ".pth")],
)
def test_the_trunk_of_a_torchvision_file_is_renamed(tmp_path, backbone, suffix) -> None:
    network = SSD300(backbone, 2)
    path = tmp_path / f"resnet{suffix}"
    state = torchvision_state(network, whole=suffix != ".safetensors")
    if suffix == ".safetensors":
        save_file({key: value.numpy() for key, value in state.items()}, path)
    else:
        save(state, path, zipped=suffix == ".pt")
    assert is_backbone_file(path)
    trunk = {k: v for k, v in network.state_dict().items() if k.startswith("feature_extractor.")}
    assert_same(read_backbone(path), trunk)
    assert_same(read_backbone(path, backbone), trunk)
    with pytest.raises(ModelError, match=f"its depth is {backbone}'s, but resnet152 was requested"):
        read_backbone(path, "resnet152")


def test_old_torchvision_files_have_parameters_and_no_counters(tmp_path, network) -> None:
    state = torchvision_state(network, whole=True)
    old = {k: torch.nn.Parameter(v) for k, v in state.items() if not k.endswith("num_batches_tracked")}
    save(OrderedDict(old), tmp_path / "old.pth", zipped=False)
    read = read_backbone(tmp_path / "old.pth", "resnet18")
    expected = {k: v for k, v in network.state_dict().items() if k.startswith("feature_extractor.")}
    assert_same(read, {k: v if v.ndim else torch.zeros_like(v) for k, v in expected.items()})


def test_a_detector_is_no_backbone_file(tmp_path, network, checkpoint) -> None:
    save(network.state_dict(), tmp_path / "x.pt")
    for path in (tmp_path / "x.pt", checkpoint):
        assert not is_backbone_file(path)
        with pytest.raises(ModelError, match=r"not torchvision's resnet18 \(conv1 to layer3\)"):
            read_backbone(path)


def test_a_damaged_trunk_is_refused(tmp_path, network) -> None:
    state = torchvision_state(network, whole=True)
    save(state | {"conv1.weight": torch.ones(8, 1, 7, 7)}, tmp_path / "gray.pth")
    with pytest.raises(ModelError, match=r"is \[8, 1, 7, 7\], expected \[8, 3, 7, 7\]"):
        read_backbone(tmp_path / "gray.pth")
    save(state | {"bn1.bias": torch.full((8,), torch.inf)}, tmp_path / "inf.pth")
    with pytest.raises(ModelError, match=r"bn1\.bias has 8 of 8 numbers that are NaN or infinite"):
        read_backbone(tmp_path / "inf.pth")

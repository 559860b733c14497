from collections import OrderedDict

import numpy as np
import pytest
import torch

from ssd300.errors import ModelError
from ssd300.labels import COCO
from ssd300.learn.network import SSD300
from ssd300.weights.published import read_named_specs, read_published
from ssd300.weights.torch_file import open_torch_file
from weights.torch_files import assert_same, save

LAYOUTS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])


def training_state(network, optimizer) -> dict:
    """What a training writes: everything beside the model."""
    optimizer = optimizer(network.parameters(), lr=1e-3)
    for parameter in network.parameters():
        parameter.grad = torch.full_like(parameter, 1e-9)
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [43, 54], 0.1)
    scaler = torch.amp.GradScaler("cpu", enabled=True)
    return {
        "epoch": 3,
        "iteration": 100,
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "scaler": scaler.state_dict(),
        "device": torch.device("cpu"),
        "size": torch.Size([3, 300, 300]),
        "milestones": (1.5, None, True, -7, 2**40, "é"),
    }


@LAYOUTS
def test_a_file_without_tensors_is_refused(tmp_path, zipped) -> None:
    for value, words in (
        ({}, "found a dict"),
        ([], "found a list"),
        (None, "NoneType"),
        ({"model": {}}, "found a dict"),
    ):
        save(value, tmp_path / "x.pt", zipped)
        with pytest.raises(ModelError, match="no weights in it") as caught:
            read_published(tmp_path / "x.pt")
        assert words in str(caught.value)


@LAYOUTS
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9, weight_decay=5e-4),
        lambda p, lr: torch.optim.AdamW(p, lr),
    ],
    ids=["SGD", "AdamW"],
)
def test_a_training_checkpoint_is_bit_equal(tmp_path, network, zipped, optimizer) -> None:
    path = tmp_path / "epoch_3.pt"
    save(training_state(network, optimizer) | {"model": network.state_dict()}, path, zipped)
    state, metadata = read_published(path)
    assert_same(state, network.state_dict())
    assert (metadata.backbone, metadata.classes.names) == ("resnet18", ("class_1", "class_2", "class_3"))
    assert "a published checkpoint" in metadata.training["note"]


@pytest.mark.parametrize(
    ("home", "prefix", "zipped"),
    [
        (None, "", True),
        (None, "", False),
        ("model", "module.1.", True),
        ("state_dict", "module.", False),
        ("model", "module._orig_mod.", True),
        ("model_state_dict", "", True),
        ("state_dict", "model.", True),
    ],
)
def test_the_state_is_found_where_trainings_put_it(tmp_path, network, home, prefix, zipped) -> None:
    state = OrderedDict((prefix + key, value) for key, value in network.state_dict().items())
    save({home: state, "epoch": 1} if home else state, tmp_path / "x.pt", zipped)
    assert_same(read_published(tmp_path / "x.pt")[0], network.state_dict())


def test_the_state_of_an_averaged_model_is_read(tmp_path, network) -> None:
    save(torch.optim.swa_utils.AveragedModel(network).state_dict(), tmp_path / "x.pt")
    assert_same(read_published(tmp_path / "x.pt")[0], network.state_dict())


@pytest.mark.parametrize(
    ("weights", "average", "pack"),
    [
        (
            "model",
            "model_ema",
            lambda state: {"n_averaged": torch.tensor(7)} | {f"module.{k}": v for k, v in state.items()},
        ),
        ("state_dict", "state_dict_ema", dict),
        ("model_state_dict", "ema_state_dict", dict),
        ("model", "ema", lambda state: {"module": state, "updates": 7}),
    ],
    ids=["torchvision", "timm", "usual", "RT-DETR"],
)
def test_of_weights_and_their_averages_the_averages_are_read(tmp_path, network, weights, average, pack) -> None:
    averaged = {k: v + 1 if v.is_floating_point() else v for k, v in network.state_dict().items()}
    save({weights: network.state_dict(), average: pack(averaged), "epoch": 3}, tmp_path / "x.pt")
    state, metadata = read_published(tmp_path / "x.pt")
    assert_same(state, averaged)
    assert f"its averaged weights ({average})" in metadata.training["note"]
    for none in (None, {}, {"decay": 0.99, "every": 4}):
        save({weights: network.state_dict(), average: none}, tmp_path / "x.pt")
        assert_same(read_published(tmp_path / "x.pt")[0], network.state_dict())


def test_averages_that_are_no_state_are_not_passed_over(tmp_path, network) -> None:
    save({"model": network.state_dict(), "ema": {"decay": 0.99, "shadow_params": []}}, tmp_path / "x.pt")
    with pytest.raises(ModelError, match=r"2 of 2 entries of 'ema' are not tensors \('decay', 'shadow_params'\)"):
        read_published(tmp_path / "x.pt")


@pytest.mark.parametrize(("dtype", "zipped"), [(torch.float16, True), (torch.bfloat16, False), (torch.float64, True)])
def test_other_kinds_of_float_become_float32(tmp_path, network, dtype, zipped) -> None:
    state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in network.state_dict().items()}
    save(state, tmp_path / "x.pt", zipped)
    assert_same(read_published(tmp_path / "x.pt")[0], state)
    assert read_named_specs(tmp_path / "x.pt")["conf.0.bias"].dtype == str(dtype).removeprefix("torch.")


def test_the_published_float16_layout_keeps_batch_norms(tmp_path, network) -> None:
    state = {k: v.half() if v.is_floating_point() and v.ndim == 4 else v for k, v in network.state_dict().items()}
    save({"model": state}, tmp_path / "x.pt")
    assert_same(read_published(tmp_path / "x.pt")[0], state)


@LAYOUTS
def test_tensors_that_share_a_storage_are_read(tmp_path, network, zipped) -> None:
    """As when all parameters are views of one flat buffer, in any order and with strides."""
    state = network.state_dict()
    flat = torch.cat([value.flatten() for value in state.values() if value.is_floating_point()])
    views, start = {}, 0
    for key, value in state.items():
        if value.is_floating_point():
            views[key] = flat[start : start + value.numel()].view(value.shape)
            start += value.numel()
        else:
            views[key] = value
    save(views, tmp_path / "x.pt", zipped)
    assert_same(read_published(tmp_path / "x.pt")[0], views)


@LAYOUTS
def test_all_kinds_of_tensor_and_value_are_read(tmp_path, zipped) -> None:
    kinds = ("float32", "float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool")
    value = {kind: torch.tensor([[0, 1, 3], [1, 0, 2]]).to(getattr(torch, kind)) for kind in kinds}
    value |= {"empty": torch.zeros(0, 3), "scalar": torch.tensor(5), "turned": torch.arange(6).view(2, 3).T}
    value |= {"parameter": torch.nn.Parameter(torch.ones(2)), 3: [1, "two", (3.0, None)]}
    save(value, tmp_path / "x.pt", zipped)
    with open_torch_file(tmp_path / "x.pt") as file:
        assert list(file.tree) == list(value)
        assert file.tree[3] == [1, "two", (3.0, None)]
        for key, tensor in value.items():
            if isinstance(tensor, torch.Tensor):
                expected = tensor.detach()
                expected = expected.float() if expected.dtype == torch.bfloat16 else expected
                array = file.array(file.tree[key])
                assert array.dtype == expected.numpy().dtype
                np.testing.assert_array_equal(array, expected.numpy())


@pytest.mark.parametrize("classes", ["coco", "own", "too few", "not names", "half characters"])
def test_class_names_come_from_the_label_map(tmp_path, network, classes) -> None:
    maps = {
        "own": {0: "background", 1: "red", 2: "white", 3: "platelet"},
        "too few": {0: "background", 1: "red"},
        "not names": {0: "background", 1: 1, 2: 2, 3: 3},
        "half characters": {0: "background", 1: "red", 2: "white", 3: "plate\ud800"},
        "coco": {0: "background"} | dict(enumerate(COCO.names, 1)),
    }
    big = SSD300("resnet18", 81) if classes == "coco" else network
    save({"model": big.state_dict(), "label_map": maps[classes]}, tmp_path / "x.pt")
    metadata = read_published(tmp_path / "x.pt")[1]
    expected = {"own": ("red", "white", "platelet"), "coco": COCO.names}
    assert metadata.classes.names == expected.get(classes, ("class_1", "class_2", "class_3"))
    assert (metadata.classes == COCO) == (classes == "coco")


def test_mixed_prefixes_are_refused(tmp_path, network) -> None:
    state = network.state_dict()
    save(state | {"module.conf.0.bias": state["conf.0.bias"]}, tmp_path / "x.pt")
    with pytest.raises(ModelError, match="with and without a wrapper's prefix"):
        read_published(tmp_path / "x.pt")


def test_a_prefix_within_a_key_is_kept(tmp_path, network) -> None:
    state = network.state_dict()
    state["loc.module.bias"] = state.pop("loc.0.bias")
    save(state, tmp_path / "x.pt")
    with pytest.raises(ModelError, match=r"1 missing \(loc.0.bias\); 1 unexpected \('loc.module.bias'"):
        read_published(tmp_path / "x.pt")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"model": torch.nn.Linear(2, 2)}, "its pickle refers to 'torch.nn.modules.linear.Linear'"),
        ({"best": np.float64(0.5), "model": {}}, "its pickle refers to 'numpy."),
        ({"a": torch.ones(1), "epoch": 3}, "1 of 2 entries are not tensors ('epoch')"),
        ({"a": torch.ones(1)}, "not an SSD300 model: found 1 tensors ('a')"),
        ({"conv1.weight": torch.ones(1), "layer1.0.conv1.weight": torch.ones(1)}, "`ssd300 train --start FILE`"),
    ],
)
def test_files_that_hold_something_else_are_refused(tmp_path, value, words) -> None:
    save(value, tmp_path / "x.pt")
    with pytest.raises(ModelError) as caught:
        read_published(tmp_path / "x.pt")
    assert words in str(caught.value)


def test_numbers_that_are_not_finite_are_refused(tmp_path, network) -> None:
    save(network.state_dict() | {"loc.0.bias": torch.full((16,), torch.nan)}, tmp_path / "x.pt")
    with pytest.raises(ModelError, match=r"loc\.0\.bias has 16 of 16 numbers that are NaN or infinite"):
        read_published(tmp_path / "x.pt")

"""What a network that starts from a trained one knows at once."""

import numpy as np
import pytest
import torch

from ssd300.errors import ModelError
from ssd300.labels import ClassList
from ssd300.learn.network import SSD300
from ssd300.learn.recipe import resolve_recipe
from ssd300.learn.start import (
    advise_flip,
    copy_head_rows,
    load_training_sets,
    make_starting_network,
    set_background_prior,
)
from ssd300.priors import ANCHORS_PER_CELL

OLD = ClassList.from_names(("cat", "dog", "cup"))


def trained_heads() -> dict[str, np.ndarray]:
    """Class heads whose background row is far from 0, as training leaves them."""
    rng = np.random.default_rng(0)
    heads = {}
    for k, conv in enumerate(SSD300("resnet18", len(OLD) + 1).conf):
        heads[f"conf.{k}.weight"] = rng.normal(0, 0.1, conv.weight.shape).astype(np.float32)
        heads[f"conf.{k}.bias"] = rng.normal(3, 5, conv.bias.shape).astype(np.float32)
    return heads


def probabilities(head: torch.nn.Module, k: int) -> torch.Tensor:
    """[1, K, anchors, 5, 5] of random features."""
    features = torch.randn(1, head.in_channels, 5, 5, generator=torch.Generator().manual_seed(k))
    return head(features).unflatten(1, (-1, ANCHORS_PER_CELL[k])).softmax(1)


@torch.no_grad()
def test_no_class_in_common_starts_at_the_background_prior():
    network = SSD300("resnet18", 3)
    assert copy_head_rows(network, trained_heads(), OLD, ClassList.from_names(("red cell", "platelet")), 0.99) == []
    for k, head in enumerate(network.conf):
        p = probabilities(head, k)
        np.testing.assert_allclose(p[:, 0], 0.99, rtol=1e-4)
        np.testing.assert_allclose(p[:, 1:], 0.005, rtol=1e-2)


@torch.no_grad()
def test_shared_names_keep_their_odds_against_background():
    old = SSD300("resnet18", len(OLD) + 1)
    heads = trained_heads()
    old.load_state_dict(old.state_dict() | {key: torch.from_numpy(value) for key, value in heads.items()})
    network = SSD300("resnet18", 4)
    assert copy_head_rows(network, heads, OLD, ClassList.from_names(("cup", "spoon", "cat")), 0.99) == ["cup", "cat"]
    for k, (before, after) in enumerate(zip(old.conf, network.conf, strict=True)):
        was, now = probabilities(before, k), probabilities(after, k)
        for old_label, label in ((3, 1), (1, 3)):
            np.testing.assert_allclose(now[:, label] / now[:, 0], was[:, old_label] / was[:, 0], rtol=1e-3)
        np.testing.assert_allclose(now[:, 2] / now[:, 0], 0.01 / 0.99 / 3, rtol=1e-3)


@pytest.mark.parametrize("name", ["", "m.onnx", "m.xml"])
def test_files_without_weights_are_no_start(name, tmp_path):
    path = tmp_path / (name or "m")
    path.write_bytes(b"\x08\x08\x12\x06ssd300")
    with pytest.raises(ModelError, match=r"its extension is '.*', expected weights: \.safetensors, \.pt, \.pth"):
        make_starting_network("resnet18", OLD, path)


@pytest.mark.parametrize("probability", [0.5, 0.99])
@torch.no_grad()
def test_untrained_heads_start_at_the_background_prior(probability):
    network = SSD300("resnet18", 81)
    set_background_prior(network, probability)
    for k, head in enumerate(network.conf):
        assert probabilities(head, k)[:, 0].mean().item() == pytest.approx(probability, abs=0.1)


@pytest.mark.parametrize(
    ("names", "settings", "advised"),
    [
        ((), {}, False),
        (("left", "right"), {}, True),
        (("Turn_Right", "stop", "turn_left"), {}, True),
        (("left", "right"), {"flip": False}, False),
        (("left", "right"), {"augment": "none"}, False),
        (("left", "straight"), {}, False),
        (("bright", "light"), {}, False),
    ],
)
def test_classes_that_mirroring_would_swap_are_reported(names, settings, advised):
    messages = advise_flip(ClassList.from_names(names), resolve_recipe("quick", **settings))
    assert bool(messages) == advised
    assert all("--no-flip" in message for message in messages)


@pytest.mark.parametrize(("processes", "advised"), [(1, False), (2, True)])
def test_a_warmup_longer_than_the_run_of_several_processes_is_reported(same_squares, monkeypatch, processes, advised):
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    recipe = resolve_recipe("quick", epochs=30, batch_size=4)  # 60 steps of one process; a warm-up of 50
    messages = load_training_sets(same_squares, None, recipe)[2]
    assert any("--warmup" in message for message in messages) == advised

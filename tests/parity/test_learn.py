"""Matching, loss, network and training steps equal the published code's numbers."""

import numpy as np
import pytest
import torch

from ssd300.learn.learner import parameter_groups
from ssd300.learn.losses.multibox import match, matched_loss
from ssd300.learn.losses.truths import Boxes, get_priors
from ssd300.learn.network import SSD300
from ssd300.learn.recipe import learning_rate, resolve_recipe
from ssd300.priors import default_boxes

ENCODE_SETS = [
    "border", "crowded60", "crowded60_at_035", "crowded60_at_070", "duplicates", "equal_to_priors", "mixed12", "one",
    "overlapping20", "partly_outside", "shared_best_prior", "slivers", "tiny10", "two", "whole_picture", "zero_width",
]  # fmt: skip
LOSS_CASES = [
    "batch4", "four_classes", "large_logits", "large_offsets", "many_positives", "none_at_all", "one_picture_without",
    "single", "single_without", "two_pictures_without", "zero_predictions", "zero_width_box",
]  # fmt: skip
BACKBONES = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]


PRIORS = get_priors(torch.device("cpu"))


def matched_one(boxes_xyxy, labels, iou_threshold=0.5):
    """The matched boxes [8732, 4] and labels [8732] of one picture, as arrays."""
    boxes = torch.from_numpy(np.asarray(boxes_xyxy, np.float32).reshape(-1, 4))
    labels = torch.from_numpy(np.asarray(labels, np.int64))
    matched = match(Boxes(boxes, labels, torch.zeros_like(labels)), 1, PRIORS, iou_threshold)
    return [tensor[0].numpy().copy() for tensor in matched]


def loss_of(locs, logits, boxes_cxcywh, labels):
    return sum(matched_loss(locs, logits, boxes_cxcywh, labels, PRIORS))


def test_every_reference_case_is_listed(reference_json):
    assert set(ENCODE_SETS) | {"no_boxes"} == set(reference_json("encode"))
    assert set(LOSS_CASES) == set(reference_json("loss"))


@pytest.mark.parametrize("name", ENCODE_SETS)
def test_matching_equals_published(name, reference_json, reference_npz):
    arrays = reference_npz("encode")
    boxes_xyxy, labels = arrays[f"{name}.boxes"], arrays[f"{name}.labels"]
    matched_boxes_cxcywh, matched_labels = matched_one(boxes_xyxy, labels, reference_json("encode")[name]["criteria"])
    expected_labels = np.zeros(8732, np.int64)
    expected_labels[arrays[f"{name}.prior"]] = arrays[f"{name}.prior_label"]
    expected_boxes = default_boxes()
    expected_boxes[arrays[f"{name}.prior"]] = arrays[f"{name}.prior_box"]
    np.testing.assert_array_equal(matched_labels, expected_labels)
    np.testing.assert_allclose(matched_boxes_cxcywh, expected_boxes, atol=1e-6, rtol=0)


def targets_of(case, seeded, arrays):
    """The matched boxes [B, P, 4] and labels [B, P] of a loss case, and its two predictions."""
    boxes_cxcywh, labels = [], []
    for i, name in enumerate(case["targets"]):
        boxes, label = matched_one(np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
        if name is not None:
            boxes, label = matched_one(arrays[f"{name}.boxes"], arrays[f"{name}.labels"])
        if "relabel" in case:
            first = slice(0, case["relabel"][i])
            label[first], boxes[first] = 5, default_boxes()[first]
        if case.get("classes") == 4:
            label = np.where(label > 0, (label - 1) % 3 + 1, 0)
        boxes_cxcywh.append(boxes)
        labels.append(label)
    return torch.from_numpy(np.stack(boxes_cxcywh)), torch.from_numpy(np.stack(labels))


@pytest.mark.parametrize("name", LOSS_CASES)
def test_loss_and_gradient_equal_published(name, seeded, reference_json, reference_npz):
    case = reference_json("loss")[name]
    matched = targets_of(case, seeded, reference_npz("encode"))
    predictions = seeded.predictions(f"loss/{name}", len(case["targets"]), case.get("classes", 81), case["spread"])
    locs, logits = (torch.from_numpy(p).requires_grad_() for p in predictions)
    assert (matched[1] > 0).sum(1).tolist() == case["positives"]
    loss = loss_of(locs, logits, *matched)
    loss.backward()
    assert loss.item() == pytest.approx(float(case["loss"]), rel=1e-5)
    assert locs.grad.double().norm().item() == pytest.approx(case["grad_norm_locs"], rel=1e-5)
    assert logits.grad.double().norm().item() == pytest.approx(case["grad_norm_logits"], rel=1e-5)
    assert (logits.grad != 0).any(1).sum(1).tolist() == case["grad_nonzero_priors"]
    gradients = reference_npz("loss_grad")
    for what, tensor in (("locs", locs), ("logits", logits)):
        if f"{name}.{what}_index" in gradients:
            ours = tensor.grad.flatten()[gradients[f"{name}.{what}_index"]]
            np.testing.assert_allclose(ours, gradients[f"{name}.{what}_grad"], atol=1e-6, rtol=0)


def seeded_network(seeded, backbone, num_classes=81):
    network = SSD300(backbone, num_classes)
    network.load_state_dict(
        {key: torch.from_numpy(seeded.weight(key, tuple(v.shape))) for key, v in network.state_dict().items()}
    )
    return network


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "resnet50",
        "resnet18_4classes",
        "resnet18_train",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("resnet34", "resnet101", "resnet152")),
    ],
)
def test_forward_equals_published(name, seeded, reference_json, reference_npz):
    case, arrays = reference_json("forward")[name], reference_npz(f"forward_{name}")
    network = seeded_network(seeded, case["backbone"], case["classes"]).train(case["train_mode"])
    with torch.no_grad():
        outputs = network(torch.from_numpy(seeded.image_batch("fwd", 2)))
    for what, output in zip(("locs", "logits"), outputs, strict=True):
        tolerance = 2e-4 if case["train_mode"] else 5e-5 + 1e-5 * case[what]["absmax"]
        np.testing.assert_allclose(
            output.flatten()[arrays[f"{what}_index"].astype(np.int64)], arrays[what], atol=tolerance, rtol=0
        )
    if case["train_mode"]:
        norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        for what in ("running_mean", "running_var"):
            sums = [getattr(m, what).double().sum().item() for m in norms]
            np.testing.assert_allclose(sorted(sums), sorted(arrays[f"bn_{what}_sum"]), rtol=1e-4)


def part_norms(named_tensors):
    """L2 norm by part of the network."""
    sums = {}
    for name, tensor in named_tensors:
        part = name.split(".")[0]
        sums[part] = sums.get(part, 0.0) + tensor.double().square().sum().item()
    return {part: total**0.5 for part, total in sums.items()}


def tolerance(part):
    return 1e-3 if part in ("loc", "conf") else 5e-3


def test_three_steps_equal_published(seeded, reference_json, reference_npz):
    case = reference_json("training")
    network = seeded_network(seeded, case["backbone"]).train()
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    groups = parameter_groups(network, case["weight_decay"])
    optimizer = torch.optim.SGD(groups, lr=case["lr"], momentum=case["momentum"])
    matched = targets_of(case, seeded, reference_npz("encode"))
    pictures = torch.from_numpy(seeded.image_batch("step", 2))
    for expected_loss, expected_norms in zip(case["losses"], case["grad_norms"], strict=True):
        loss = loss_of(*network(pictures), *matched)
        loss.backward()
        assert loss.item() == pytest.approx(expected_loss, rel=1e-4)
        for part, norm in part_norms((n, p.grad) for n, p in network.named_parameters()).items():
            assert norm == pytest.approx(expected_norms[part], rel=tolerance(part))
        optimizer.step()
        optimizer.zero_grad()
    changes = part_norms((name, p.detach() - before[name]) for name, p in network.named_parameters())
    weights = part_norms((name, p.detach()) for name, p in network.named_parameters())
    for part, norm in changes.items():
        assert norm == pytest.approx(case["update_norms_after"][part], rel=tolerance(part))
        assert weights[part] == pytest.approx(case["weight_norms_after"][part], rel=tolerance(part))


@pytest.mark.parametrize("setup", ["1gpu_bs32_nowarm", "1gpu_bs32_warm300", "8gpu_bs64_warm300"])
def test_learning_rate_equals_published(setup, reference_json):
    case = reference_json("training")["schedule"][setup]
    recipe = resolve_recipe("published", warmup=case["warmup"])
    pictures_per_step = round(case["base_lr"] / recipe.lr * 32)
    for _, iteration, lr in case["rows_epoch_iteration_lr"]:
        ours = learning_rate(recipe, iteration, case["iterations_per_epoch"], pictures_per_step)
        assert ours == pytest.approx(lr, rel=1e-12, abs=0)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_weight_decay_groups_equal_published(backbone, reference_json):
    expected = reference_json("state_keys")[backbone]
    plain, decayed = parameter_groups(SSD300(backbone), 5e-4)
    for group, name in ((plain, "no_decay"), (decayed, "decay")):
        sizes = [p.numel() for p in group["params"]]
        assert {"tensors": len(sizes), "numbers": sum(sizes)} == expected[name]

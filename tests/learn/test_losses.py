"""Matching and both losses where there is little or nothing to learn from, and where objects are in doubt."""

import numpy as np
import pytest
import torch

from ssd300.learn.aligned import AlignedLoss, Truth, assign, pair_iou
from ssd300.learn.augment import Sample
from ssd300.learn.criterion import AlignedCriterion, PublishedCriterion
from ssd300.learn.loss import MultiBoxLoss
from ssd300.learn.matching import IGNORED, ignored_priors, match
from ssd300.priors import default_boxes, default_boxes_xyxy

NO_BOXES = np.zeros((0, 4), np.float32)


def sample_of(boxes_xyxy, labels, doubtful=None, crowd=None):
    boxes = np.array(boxes_xyxy, np.float32).reshape(-1, 4)
    off = np.zeros(len(boxes), bool)
    flags = [off if flag is None else np.array(flag) for flag in (doubtful, crowd)]
    return Sample(np.zeros((0, 0, 3), np.uint8), boxes, np.array(labels, np.int64), *flags)


def outputs(batch, classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, n, 8732, generator=generator).requires_grad_() for n in (4, classes)]


def test_match_without_boxes():
    matched_boxes_cxcywh, matched_labels = match(NO_BOXES, np.zeros(0, np.int64))
    np.testing.assert_array_equal(matched_boxes_cxcywh, default_boxes())
    assert not matched_labels.any()


def test_match_speaks_numpy_and_torch_alike():
    boxes_xyxy, labels = np.array([[0.1, 0.1, 0.5, 0.6]], np.float32), np.array([3])
    in_numpy = match(boxes_xyxy, labels)
    in_torch = match(torch.from_numpy(boxes_xyxy), torch.from_numpy(labels))
    for a, b in zip(in_numpy, in_torch, strict=True):
        assert isinstance(b, torch.Tensor)
        np.testing.assert_array_equal(a, b.numpy())


def test_match_leaves_its_inputs_alone():
    boxes_xyxy, labels = np.array([[0.1, 0.1, 0.5, 0.6]], np.float32), np.array([3])
    match(boxes_xyxy, labels)
    assert boxes_xyxy.tolist() == np.array([[0.1, 0.1, 0.5, 0.6]], np.float32).tolist()


def test_nothing_ignored():
    assert not ignored_priors(NO_BOXES, NO_BOXES).any()


def test_ignored_objects_and_crowds_cover_priors():
    whole = np.array([[0, 0, 1, 1]], np.float32)
    as_object, as_crowd = ignored_priors(whole, NO_BOXES), ignored_priors(NO_BOXES, whole)
    assert 0 < as_object.sum() < 10  # only priors of the picture's own size
    assert as_crowd.mean() > 0.9  # but every prior that lies within


@pytest.mark.parametrize("criterion", [PublishedCriterion(), AlignedCriterion()], ids=["published", "aligned"])
def test_all_empty_batch_can_be_differentiated(criterion):
    locs, logits = outputs(2)
    box, label = criterion(locs, logits, [sample_of(NO_BOXES, [])] * 2)
    assert box.item() == 0
    assert torch.isfinite(label)
    (box + label).backward()
    assert torch.isfinite(locs.grad).all()
    assert torch.isfinite(logits.grad).all()


def test_published_loss_of_nothing_is_zero():
    locs, logits = outputs(1)
    loss = MultiBoxLoss()(locs, logits, *(torch.from_numpy(a)[None] for a in match(NO_BOXES, np.zeros(0, np.int64))))
    loss.backward()
    assert loss.item() == 0
    assert not locs.grad.any()


def test_doubtful_objects_are_no_negatives():
    sample = sample_of([[0.1, 0.1, 0.5, 0.5], [0.4, 0.4, 0.9, 0.9]], [1, 2], doubtful=[False, True])
    _, labels = PublishedCriterion.targets(sample)
    assert set(labels) == {IGNORED, 0, 1}
    locs, logits = outputs(1)
    sum(PublishedCriterion()(locs, logits, [sample])).backward()
    assert not logits.grad[0, :, labels == IGNORED].any()


@pytest.mark.parametrize("criterion", [PublishedCriterion(), AlignedCriterion()], ids=["published", "aligned"])
def test_a_step_downhill_lowers_the_loss(criterion):
    samples = [sample_of([[0.1, 0.2, 0.5, 0.7]], [2]), sample_of([[0.3, 0.3, 0.9, 0.8]], [1])]
    locs, logits = outputs(2)
    optimizer = torch.optim.SGD([locs, logits], lr=0.5)
    first = sum(criterion(locs, logits, samples))
    first.backward()
    optimizer.step()
    assert sum(criterion(locs, logits, samples)) < first


def test_pair_iou():
    a, b = torch.tensor([[0.0, 0, 2, 2], [0, 0, 1, 1]]), torch.tensor([[1.0, 1, 3, 3], [2, 2, 3, 3]])
    iou, giou = pair_iou(a, b)
    torch.testing.assert_close(iou, torch.tensor([1 / 7, 0.0]))
    torch.testing.assert_close(giou, torch.tensor([1 / 7 - 2 / 9, -7 / 9]))


def test_assignment_of_nothing():
    loss = AlignedLoss()
    none = Truth(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(8732, dtype=torch.bool))
    assert [len(part) for part in assign(loss.xyxy, torch.full((3, 8732), 0.3), loss, none)] == [0, 0, 0]


@pytest.mark.parametrize("box_xyxy", [[0.1, 0.1, 0.5, 0.6], [0.5, 0.5, 0.503, 0.503], [0, 0.49, 1, 0.51]])
def test_every_box_has_a_prior_even_tiny_and_elongated_ones(box_xyxy):
    loss = AlignedLoss()
    truth = Truth(torch.tensor([box_xyxy]), torch.tensor([1]), torch.zeros(8732, dtype=torch.bool))
    prior, box, quality = assign(loss.xyxy, torch.full((3, 8732), 0.3), loss, truth)
    assert len(prior) >= 1
    assert set(box.tolist()) == {0}
    assert ((quality >= 0) & (quality <= 1)).all()


def test_the_target_is_the_quality_of_the_box():
    """A predicted box equal to the true one is worth 1, whatever its class probability."""
    loss, target = AlignedLoss(), 4000
    box_xyxy = torch.from_numpy(default_boxes_xyxy()[[target]])
    truth = Truth(box_xyxy, torch.tensor([2]), torch.zeros(8732, dtype=torch.bool))
    prior, _, quality = assign(loss.xyxy, torch.full((3, 8732), 0.1), loss, truth)
    assert quality[prior == target].item() == pytest.approx(1, abs=1e-5)

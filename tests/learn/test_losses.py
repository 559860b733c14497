"""Matching and both losses where there is little or nothing to learn from, and where objects are in doubt."""

import numpy as np
import pytest
import torch

from learn.per_picture import PublishedCriterion
from learn.per_picture_aligned import AlignedCriterion
from ssd300.learn.augment import Sample
from ssd300.learn.losses import LOSSES, Truths
from ssd300.learn.losses.aligned import assign_priors, generalized_iou
from ssd300.learn.losses.multibox import IGNORED, match, matched_loss, multibox_loss
from ssd300.learn.losses.truths import get_priors, pair_iou
from ssd300.priors import default_boxes, default_boxes_xyxy

NO_BOXES = np.zeros((0, 4), np.float32)
PRIORS = get_priors(torch.device("cpu"))
ORACLES = {"multibox": PublishedCriterion(), "aligned": AlignedCriterion()}


def sample_of(boxes_xyxy, labels, doubtful=None, crowd=None):
    boxes = np.array(boxes_xyxy, np.float32).reshape(-1, 4)
    off = np.zeros(len(boxes), bool)
    flags = [off if flag is None else np.array(flag) for flag in (doubtful, crowd)]
    return Sample(np.zeros((0, 0, 3), np.uint8), boxes, np.array(labels, np.int64), *flags)


def truths_of(*args, **flags):
    return Truths.of([sample_of(*args, **flags)])


def outputs(batch, classes=4, seed=0, priors=8732):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, n, priors, generator=generator).requires_grad_() for n in (4, classes)]


def test_truths_of_no_pictures():
    assert Truths.of([]).counts == (0, 0, 0)
    assert Truths.of([]).left_out(PRIORS).shape == (0, 8732)


def test_match_without_boxes():
    matched_boxes_cxcywh, matched_labels = match(truths_of(NO_BOXES, []).objects, 1, PRIORS)
    np.testing.assert_array_equal(matched_boxes_cxcywh[0], default_boxes())
    assert not matched_labels.any()


def test_match_leaves_its_inputs_alone():
    truths = truths_of([[0.1, 0.1, 0.5, 0.6]], [3])
    before = truths.rows.clone()
    match(truths.objects, 1, PRIORS)
    assert torch.equal(truths.rows, before)


def test_nothing_ignored():
    assert not truths_of([[0.1, 0.1, 0.5, 0.6]], [3]).left_out(PRIORS).any()


def test_ignored_objects_and_crowds_cover_priors():
    whole = [[0, 0, 1, 1]]
    as_object = truths_of(whole, [1], doubtful=[True]).left_out(PRIORS)
    as_crowd = truths_of(whole, [1], crowd=[True]).left_out(PRIORS)
    assert 0 < as_object.sum() < 10  # only priors of the picture's own size
    assert as_crowd.float().mean() > 0.9  # but every prior that lies within


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_all_empty_batch_can_be_differentiated(loss):
    locs, logits = outputs(2)
    box, label = loss(locs, logits, Truths.of([sample_of(NO_BOXES, [])] * 2))
    assert box.item() == 0
    assert torch.isfinite(label)
    (box + label).backward()
    assert torch.isfinite(locs.grad).all()
    assert torch.isfinite(logits.grad).all()


def test_published_loss_of_nothing_is_zero():
    locs, logits = outputs(1)
    loss = sum(multibox_loss(locs, logits, truths_of(NO_BOXES, [])))
    loss.backward()
    assert loss.item() == 0
    assert not locs.grad.any()


@pytest.mark.parametrize("doubtful", [[0.4, 0.4, 0.9, 0.9], [0.7, 0.7, 0.72, 0.71]], ids=["large", "tiny"])
def test_doubtful_objects_are_no_negatives(doubtful):
    truths = truths_of([[0.1, 0.1, 0.5, 0.5], doubtful], [1, 2], doubtful=[False, True])
    _, labels = match(truths.objects, 1, PRIORS)
    left_out = truths.left_out(PRIORS) & (labels == 0)
    assert left_out.any()
    assert (labels == 1).any()
    locs, logits = outputs(1)
    sum(multibox_loss(locs, logits, truths)).backward()
    assert not logits.grad[0, :, left_out[0]].any()


def test_ignored_priors_count_neither_as_positives_nor_as_negatives():
    locs, logits = outputs(1)
    labels = torch.full((1, 8732), IGNORED)
    assert [part.item() for part in matched_loss(locs, logits, PRIORS.cxcywh[None], labels, PRIORS)] == [0, 0]


def test_one_positive_counts_in_full():
    locs, logits, labels = torch.zeros(1, 4, 8732), torch.zeros(1, 4, 8732), torch.zeros(1, 8732, dtype=torch.int64)
    locs[0, :, 4000], labels[0, 4000] = 2, 1  # smooth L1 of 2 is 1.5; one positive and three negatives, each ln 4
    box, label = matched_loss(locs, logits, PRIORS.cxcywh[None], labels, PRIORS)
    assert [box.item(), label.item()] == pytest.approx([6, 4 * np.log(4)])


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_step_downhill_lowers_the_loss(loss):
    truths = Truths.of([sample_of([[0.1, 0.2, 0.5, 0.7]], [2]), sample_of([[0.3, 0.3, 0.9, 0.8]], [1])])
    locs, logits = outputs(2)
    optimizer = torch.optim.SGD([locs, logits], lr=0.5)
    first = sum(loss(locs, logits, truths))
    first.backward()
    optimizer.step()
    assert sum(loss(locs, logits, truths)) < first


def test_pair_iou():
    a, b = torch.tensor([[0.0, 0, 2, 2], [0, 0, 1, 1]]), torch.tensor([[1.0, 1, 3, 3], [2, 2, 3, 3]])
    torch.testing.assert_close(pair_iou(a, b), torch.tensor([1 / 7, 0.0]))
    torch.testing.assert_close(generalized_iou(a, b), torch.tensor([1 / 7 - 2 / 9, -7 / 9]))


def assigned(truths, probability):
    log_p = torch.full((1, 3, 8732), probability).log()
    return assign_priors(PRIORS.xyxy[None], log_p, truths.objects, PRIORS)


def test_assignment_of_nothing():
    assert len(assigned(truths_of(NO_BOXES, []), 0.3).prior) == 0


@pytest.mark.parametrize("box_xyxy", [[0.1, 0.1, 0.5, 0.6], [0.5, 0.5, 0.503, 0.503], [0, 0.49, 1, 0.51]])
def test_every_box_has_a_prior_even_tiny_and_elongated_ones(box_xyxy):
    pairs = assigned(truths_of([box_xyxy], [1]), 0.3)
    assert pairs.chosen.sum() >= 1
    assert set(pairs.box[pairs.chosen].tolist()) == {0}
    assert ((pairs.quality >= 0) & (pairs.quality <= 1)).all()
    assert not pairs.quality[~pairs.chosen].any()


def test_the_target_is_the_quality_of_the_box():
    """A predicted box equal to the true one is worth 1, whatever its class probability."""
    target = 4000
    pairs = assigned(truths_of(default_boxes_xyxy()[[target]], [2]), 0.1)
    assert pairs.quality[(pairs.prior == target) & pairs.chosen].item() == pytest.approx(1, abs=1e-5)


def random_sample(rng, boxes):
    """Boxes of all sizes, some doubled, some doubtful or crowds; as many as asked for."""
    centers, sides = rng.uniform(0, 1, (boxes, 2)), rng.uniform(0.05, 1, (boxes, 2)) ** 2
    xyxy = np.concatenate([centers - sides / 2, centers + sides / 2], 1).clip(0, 1).astype(np.float32)
    doubled = rng.random(boxes) < 0.1
    xyxy[doubled] = xyxy[rng.integers(0, max(boxes, 1), doubled.sum())]
    crowd = rng.random(boxes) < 0.05
    return sample_of(xyxy, rng.integers(1, 11, boxes), (rng.random(boxes) < 0.2) & ~crowd, crowd)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("cases", [range(10), pytest.param(range(10, 1000), marks=pytest.mark.slow)])
@pytest.mark.timeout(1500)
def test_a_batch_costs_what_its_pictures_cost_one_by_one(name, cases):
    """Losses and gradients of batches with 0, 1, some and 200 boxes a picture, against the form of one picture."""
    for case in cases:
        rng = np.random.default_rng(case)
        counts = rng.choice([0, 1, 1, 3, 8, 20, 60, 200], size=1 + case % 3)
        samples = [random_sample(rng, count) for count in (counts * 0 if case == 0 else counts)]
        gradients, losses = [], []
        for loss in (ORACLES[name], lambda locs, logits, samples: LOSSES[name](locs, logits, Truths.of(samples))):
            locs, logits = outputs(len(samples), 11, seed=case)
            with torch.no_grad():
                logits[:, 0] += 4 * (case % 5)  # from a network that knows nothing to one that is mostly sure
            parts = loss(locs, logits, samples)
            sum(parts).backward()
            losses.append(torch.stack(parts))
            gradients.append((locs.grad, logits.grad))
        torch.testing.assert_close(losses[1], losses[0], rtol=1e-6, atol=0)
        for ours, theirs in zip(gradients[1], gradients[0], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max() + 1e-9))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("size", [160, 192, 224])
def test_smaller_pictures_have_fewer_priors(loss, size):
    locs, logits = outputs(1, priors=len(default_boxes(size)))
    box, label = loss(locs, logits, truths_of([[0.2, 0.2, 0.7, 0.7]], [2]), size)
    (box + label).backward()
    assert box > 0
    assert torch.isfinite(label)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_many_boxes_are_compared_in_parts(loss, monkeypatch):
    """Parts that end within a picture change nothing, doubled boxes and those left out included."""
    rng = np.random.default_rng(3)
    truths = Truths.of([random_sample(rng, 60) for _ in range(3)])
    heads = [torch.from_numpy(rng.normal(size=(3, n, 8732)).astype(np.float32)) for n in (4, 11)]
    whole = loss(*heads, truths)
    for module in ("aligned", "multibox", "truths"):
        monkeypatch.setattr(f"ssd300.learn.losses.{module}.ROWS", 7)
    assert loss(*heads, truths) == whole

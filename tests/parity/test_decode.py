"""`decode` equals the published code's numbers, and so does the reimplementation that other seeds are compared with."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from ssd300.postprocess import decode, decode_boxes

CASES = [
    "crowded_030_200", "crowded_050_20", "crowded_050_200", "crowded_070_200", "empty_050_200", "flat4_045_20",
    "flat4_050_200", "flat81_050_200", "medium4_050_200", "medium_045_200", "medium_050_200", "sparse_045_200",
    "sparse_050_20", "sparse_050_200", "ties_stable_050_200",
]  # fmt: skip
KINDS = ["empty", "sparse", "medium", "crowded", "flat", "ties"]


@pytest.fixture(scope="module")
def published_decode():
    path = Path(__file__).parents[2] / "benchmarks" / "published_steps.py"
    spec = importlib.util.spec_from_file_location("published_steps", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.published_decode


def heads(seeded, case):
    return seeded.raw_heads(case["kind"], case["key"], case["batch"], case["classes"])


def assert_same(ours, expected):
    """Labels and order exact, boxes and scores within the reference's tolerance; both best first."""
    np.testing.assert_array_equal(ours[1], expected[1])
    np.testing.assert_allclose(ours[0], expected[0], atol=1e-5, rtol=0)
    np.testing.assert_allclose(ours[2], expected[2], atol=1e-5, rtol=0)


def test_every_reference_case_is_listed(reference_json):
    names = {name for name in reference_json("decode") if not name.startswith("_")}
    assert names == {*CASES, "ties_050_200"}


@pytest.mark.parametrize("name", CASES)
def test_decode_equals_published(name, seeded, reference_json, reference_npz):
    case, arrays = reference_json("decode")[name], reference_npz("decode")
    for i, (locs, logits) in enumerate(zip(*heads(seeded, case), strict=True)):
        ours = decode(locs, logits, iou_threshold=case["criteria"], max_detections=case["max_output"])
        # The published order is ascending, ours descending.
        assert_same(ours, [arrays[f"{name}.{i}.{what}"][::-1] for what in ("boxes", "labels", "scores")])


def test_ties_hold_the_published_set(seeded, reference_json, reference_npz):
    """The published sort is unstable, so only the multiset of detections is defined."""
    case, arrays = reference_json("decode")["ties_050_200"], reference_npz("decode")
    locs, logits = heads(seeded, case)
    boxes_xyxy, labels, scores = decode(locs[0], logits[0], iou_threshold=0.5, max_detections=200)

    def rows(boxes_xyxy, labels, scores):
        table = np.column_stack([labels, boxes_xyxy.round(4), scores.round(4)])
        return table[np.lexsort(table.T)]

    expected = [arrays[f"ties_050_200.0.{what}"] for what in ("boxes", "labels", "scores")]
    np.testing.assert_allclose(rows(boxes_xyxy, labels, scores), rows(*expected), atol=2e-4)


def test_decoded_boxes_of_all_priors_equal_published(seeded, reference_json, reference_npz):
    arrays = reference_npz("decode")
    locs, _ = heads(seeded, reference_json("decode")["sparse_050_200"])
    boxes_xyxy = np.stack([decode_boxes(one) for one in locs])
    sampled = boxes_xyxy.reshape(-1)[arrays["all_priors.boxes_index"]]
    np.testing.assert_allclose(sampled, arrays["all_priors.boxes"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", [*CASES, "ties_050_200"])
def test_reimplementation_equals_published(name, seeded, reference_json, reference_npz, published_decode):
    case, arrays = reference_json("decode")[name], reference_npz("decode")
    if name == "ties_050_200":
        name = "ties_stable_050_200"  # the reimplementation sorts stably
    tensors = [torch.from_numpy(a) for a in heads(seeded, case)]
    results = published_decode(*tensors, criteria=case["criteria"], max_output=case["max_output"])
    for i, result in enumerate(results):
        expected = [arrays[f"{name}.{i}.{what}"] for what in ("boxes", "labels", "scores")]
        assert_same([t.numpy() for t in result], expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("classes", "criteria", "max_output"), [(81, 0.5, 200), (4, 0.45, 20), (2, 0.3, 200)])
def test_other_seeds_equal_the_reimplementation(kind, classes, criteria, max_output, seeded, published_decode):
    locs, logits = seeded.raw_heads(kind, f"other/{classes}", 1, classes, seed=777)
    expected = published_decode(
        torch.from_numpy(locs), torch.from_numpy(logits), criteria=criteria, max_output=max_output
    )[0]
    ours = decode(locs[0], logits[0], iou_threshold=criteria, max_detections=max_output)
    expected = [t.numpy()[::-1] for t in expected]
    np.testing.assert_array_equal(ours[2].shape, expected[2].shape)
    np.testing.assert_allclose(ours[2], expected[2], atol=1e-6, rtol=0)
    # Scores that differ by less than the rounding of two softmaxes may change places: each has a partner of its own.
    free = np.ones(len(expected[1]), bool)
    for box, label, score in zip(*ours, strict=True):
        near = (np.abs(expected[0] - box).max(1) <= 1e-5) & (np.abs(expected[2] - score) <= 1e-6)
        partners = np.flatnonzero(free & near & (expected[1] == label))
        assert len(partners), (box, label, score)
        free[partners[0]] = False

"""The published evaluation: its result rows from the raw heads, and its 12 numbers from its rows."""

from pathlib import Path

import numpy as np
import pytest

from ssd300.boxes import xywh_to_xyxy, xyxy_to_xywh
from ssd300.data.dataset import Annotations, Dataset, Picture
from ssd300.detections import Detections
from ssd300.evaluate.coco import coco_metrics
from ssd300.labels import COCO
from ssd300.postprocess import decode


@pytest.fixture(scope="module")
def reference(reference_json):
    return reference_json("evaluate")


@pytest.fixture(scope="module")
def rows(reference_npz):
    return reference_npz("evaluate")["rows"]  # [168, 7] image id, x, y, w, h, score, category id


@pytest.fixture(scope="module")
def dataset(reference):
    truth = reference["ground_truth"]
    pictures = []
    for image in truth["images"]:
        boxes = [a for a in truth["annotations"] if a["image_id"] == image["id"]]
        annotations = Annotations.of(
            xywh_to_xyxy(np.array([a["bbox"] for a in boxes], np.float64).reshape(-1, 4)),
            np.array([a["category_id"] for a in boxes], np.int64),
            crowd=np.array([a["iscrowd"] for a in boxes], bool),
            areas=np.array([a["area"] for a in boxes]),
        )
        name, width, height = image["file_name"], image["width"], image["height"]
        pictures.append(Picture(Path(name), image["id"], width, height, annotations, name))
    return Dataset("published", COCO, tuple(pictures))


@pytest.fixture(scope="module")
def found(reference, seeded, dataset):
    """What the package finds in each picture that the published code ran, from the same raw heads."""
    results = {}
    for picture in dataset.pictures:
        if picture.image_id not in reference["evaluated_image_ids"]:
            continue
        kind, key = reference["raw_heads"][str(picture.image_id)].split('"')[1:4:2]
        locs, logits = seeded.raw_heads(kind, key, 1, 81)
        boxes_xyxy, labels, scores = decode(
            locs[0], logits[0], score_threshold=0.05, iou_threshold=0.5, max_detections=200
        )
        boxes_xyxy = boxes_xyxy * np.array([picture.width, picture.height] * 2, np.float32)
        size_hw = (picture.height, picture.width)
        results[picture.image_id] = Detections(boxes_xyxy, scores, COCO.ids_of_labels(labels), COCO, size_hw)
    return results


def test_rows(rows, found):
    assert len(rows) == sum(len(detections) for detections in found.values())
    for image_id, detections in found.items():
        published = rows[rows[:, 0] == image_id][::-1]  # the published order is ascending
        np.testing.assert_array_equal(detections.class_ids, published[:, 6].astype(np.int64))
        np.testing.assert_allclose(xyxy_to_xywh(detections.boxes_xyxy), published[:, 1:5], rtol=0, atol=1e-2)
        np.testing.assert_allclose(detections.scores, published[:, 5], rtol=0, atol=1e-5)


def test_twelve_numbers_of_the_published_rows(reference, rows, dataset):
    results = []
    for picture in dataset.pictures:
        of_picture = rows[rows[:, 0] == picture.image_id][::-1]
        corners, ids = xywh_to_xyxy(of_picture[:, 1:5]), of_picture[:, 6].astype(np.int64)
        results.append(Detections(corners, of_picture[:, 5], ids, COCO, (picture.height, picture.width)))
    np.testing.assert_allclose(coco_metrics(dataset, results).stats, reference["stats"], rtol=0, atol=1e-6)


def test_twelve_numbers_from_the_raw_heads(reference, found, dataset):
    results = [found.get(p.image_id, Detections.empty(COCO, (p.height, p.width))) for p in dataset.pictures]
    np.testing.assert_allclose(coco_metrics(dataset, results).stats, reference["stats"], rtol=0, atol=1e-6)


def test_the_published_mode_drops_the_picture_without_boxes_and_changes_no_number(reference, found, dataset):
    kept = [i for i, p in enumerate(dataset.pictures) if len(p.annotations)]
    assert [dataset.pictures[i].image_id for i in kept] == reference["evaluated_image_ids"]
    metrics = coco_metrics(dataset.subset(kept), [found[dataset.pictures[i].image_id] for i in kept])
    np.testing.assert_allclose(metrics.stats, reference["stats"], rtol=0, atol=1e-6)
    assert metrics.pictures == 6

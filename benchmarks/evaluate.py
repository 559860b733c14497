"""Scoring time of a data set as large as COCO val2017: hotcoco through `coco_metrics` against pycocotools.

Synthetic: 5,000 pictures, 80 classes as uneven as COCO's, 36,000 boxes, about 60 detections a picture.
The goal: at most 1/5 of pycocotools' time, with bit-equal results.

    python benchmarks/evaluate.py [--pictures 5000]
"""

import argparse
import contextlib
import io
import json
import time
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO as CocoOfPycocotools
from pycocotools.cocoeval import COCOeval

from ssd300.data.dataset import Annotations, Dataset, Picture
from ssd300.detections import Detections
from ssd300.evaluate.bootstrap import intervals
from ssd300.evaluate.coco import coco_metrics
from ssd300.evaluate.matches import match_table
from ssd300.labels import COCO

WIDTH, HEIGHT = 640, 480


def synthetic(pictures: int, seed: int = 0) -> tuple[Dataset, list[Detections]]:
    """Pictures with 7.3 boxes on average; two of five detections lie near a box, the rest anywhere."""
    draw = np.random.default_rng(seed)
    ids, share = np.array(COCO.ids), draw.dirichlet(np.full(80, 0.3))
    made, results = [], []
    for number in range(1, pictures + 1):
        m, n = draw.poisson(7.3), int(draw.integers(20, 101))
        true_xyxy, true_ids = _boxes(draw, m), draw.choice(ids, m, p=share)
        truth = Annotations.of(true_xyxy, true_ids, crowd=draw.random(m) < 0.01)
        made.append(Picture(Path(f"{number}.jpg"), number, WIDTH, HEIGHT, truth, f"{number}.jpg"))
        found_xyxy, found_ids = _boxes(draw, n), draw.choice(ids, n, p=share)
        if m:
            near, source = draw.random(n) < 0.4, draw.integers(0, m, n)
            moved = true_xyxy[source] + draw.normal(0, 6, (n, 4))
            moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
            found_xyxy = np.where(near[:, None], moved, found_xyxy)
            found_ids = np.where(near, true_ids[source], found_ids)
        scores = -np.sort(-draw.beta(1, 5, n).astype(np.float32))
        results.append(Detections(found_xyxy.astype(np.float32), scores, found_ids, COCO, (HEIGHT, WIDTH)))
    return Dataset("synthetic", COCO, tuple(made)), results


def pycocotools_stats(dataset: Dataset, results: list[Detections]) -> tuple[list[float], float]:
    """The 12 numbers and the seconds they take, from dicts in memory (no file is read)."""
    truth_json = {
        "images": [{"id": p.image_id, "width": WIDTH, "height": HEIGHT} for p in dataset.pictures],
        "categories": [{"id": i, "name": n} for i, n in zip(COCO.ids, COCO.names, strict=True)],
        "annotations": [],
    }
    rows = []
    for picture, found in zip(dataset.pictures, results, strict=True):
        a = picture.annotations
        for box, class_id, crowd, size in zip(_xywh(a), a.class_ids.tolist(), a.crowd, a.area.tolist(), strict=True):
            number = len(truth_json["annotations"]) + 1
            row = {"id": number, "image_id": picture.image_id, "category_id": class_id, "bbox": box}
            truth_json["annotations"].append({**row, "iscrowd": int(crowd), "area": size})
        for box, class_id, score in zip(_xywh(found), found.class_ids.tolist(), found.scores.tolist(), strict=True):
            rows.append({"image_id": picture.image_id, "category_id": class_id, "bbox": box, "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        start = time.perf_counter()
        truth = CocoOfPycocotools()
        truth.dataset = truth_json
        truth.createIndex()
        scorer = COCOeval(truth, truth.loadRes(rows), "bbox")
        scorer.evaluate()
        scorer.accumulate()
        scorer.summarize()
    return scorer.stats.tolist(), time.perf_counter() - start


def _boxes(draw: np.random.Generator, count: int) -> np.ndarray:
    low = draw.random((count, 2)) * (WIDTH - 100, HEIGHT - 100)
    high = np.minimum(low + np.exp(draw.normal(4, 1, (count, 2))), (WIDTH, HEIGHT))
    return np.concatenate([low, high], axis=1)


def _xywh(boxes: Annotations | Detections) -> list[list[float]]:
    corners = boxes.boxes_xyxy.astype(np.float64)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=5000)
    pictures = parser.parse_args().pictures
    dataset, results = synthetic(pictures)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        metrics = coco_metrics(dataset, results)
        times.append(time.perf_counter() - start)
    stats, theirs = pycocotools_stats(dataset, results)
    start = time.perf_counter()
    ap, _ = intervals(match_table(dataset, results))
    measured = {
        "pictures": pictures,
        "boxes": metrics.boxes,
        "detections": metrics.detections,
        "ours_s": round(sorted(times)[1], 3),
        "pycocotools_s": round(theirs, 2),
        "times_faster": round(theirs / sorted(times)[1], 1),
        "same_bits": metrics.stats.tolist() == stats,
        "interval": str(ap),
        "interval_s": round(time.perf_counter() - start, 2),
    }
    print(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()

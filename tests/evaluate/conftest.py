"""Random data sets and results for the evaluation tests, and pycocotools as the oracle."""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ssd300.data.dataset import Annotations, Dataset, Picture
from ssd300.detections import Detections
from ssd300.detector import Failure
from ssd300.errors import ImageError
from ssd300.labels import ClassList


@dataclass(frozen=True)
class Result:
    boxes_xyxy: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray

    def __getitem__(self, mask: np.ndarray) -> "Result":
        return Result(self.boxes_xyxy[mask], self.scores[mask], self.class_ids[mask])


def annotations(boxes_xyxy=(), class_ids=(), crowd=None, ignore=None, areas=None) -> Annotations:
    boxes = np.asarray(boxes_xyxy, np.float32).reshape(-1, 4)
    return Annotations.of(boxes, np.asarray(class_ids, np.int64), crowd=crowd, ignore=ignore, areas=areas)


def picture(image_id, found=None, *, width=640, height=480, path=None) -> Picture:
    name = f"{image_id}.jpg"
    return Picture(Path(path or name), image_id, width, height, found or annotations(), name)


def dataset(pictures, classes: ClassList, name="random") -> Dataset:
    return Dataset(name=name, classes=classes, pictures=tuple(pictures))


def result(boxes_xyxy=(), scores=(), class_ids=()) -> Result:
    boxes = np.asarray(boxes_xyxy, np.float32).reshape(-1, 4)
    return Result(boxes, np.asarray(scores, np.float32), np.asarray(class_ids, np.int64))


def random_case(seed: int, pictures: int = 12, classes: int = 4, most_boxes: int = 9, most_found: int = 40):
    """A data set and results with crowd, ignored, tiny and huge boxes, tied scores, sparse ids and empty pictures.

    Found boxes are moved copies of true ones, so that every IoU between 0 and 1 occurs, exact thresholds too.
    """
    draw = np.random.default_rng(seed)
    class_ids = np.sort(draw.choice(np.arange(1, 91), classes, replace=False))[:: draw.choice([-1, 1])]
    image_ids = draw.permutation(np.cumsum(draw.integers(1, 900, pictures)))
    chosen, results = [], []
    for image_id in image_ids.tolist():
        m = int(draw.integers(0, most_boxes + 1)) * int(draw.random() > 0.25)
        low = draw.integers(0, 300, (m, 2))
        true_xyxy = np.concatenate([low, low + draw.choice([6, 20, 32, 60, 96, 200, 340], (m, 2))], 1)
        true_ids = draw.choice(class_ids, m)
        crowd, ignore = draw.random(m) < 0.12, draw.random(m) < 0.08
        area = (true_xyxy[:, 2] - true_xyxy[:, 0]) * (true_xyxy[:, 3] - true_xyxy[:, 1]) * draw.choice([1, 0.6], m)
        chosen.append(picture(image_id, annotations(true_xyxy, true_ids, crowd, ignore, area)))

        n = int(draw.integers(0, most_found + 1)) * int(draw.random() > 0.15)
        if m:
            base = draw.integers(0, m, n)
            moved = true_xyxy[base] + draw.choice([0, 0, 1, 2, 5, 10, 25], (n, 4))
            found_ids = np.where(draw.random(n) < 0.8, true_ids[base], draw.choice(class_ids, n))
        else:
            low = draw.integers(0, 300, (n, 2))
            moved = np.concatenate([low, low + draw.integers(1, 200, (n, 2))], 1)
            found_ids = draw.choice(class_ids, n)
        moved = np.concatenate([moved[:, :2], np.maximum(moved[:, 2:], moved[:, :2])], 1)
        scores = -np.sort(-np.round(draw.random(n), int(draw.integers(1, 4))))
        results.append(result(moved, scores, found_ids))
    names = tuple(f"class {i}" for i in class_ids)
    return dataset(chosen, ClassList(names, tuple(int(i) for i in class_ids))), results


def as_coco_json(data: Dataset, results) -> tuple[dict, list[dict]]:
    """The same case as pycocotools wants it: ignored boxes written as crowd boxes."""
    truth = {
        "images": [{"id": p.image_id, "width": p.width, "height": p.height} for p in data.pictures],
        "categories": [{"id": i, "name": n} for i, n in zip(data.classes.ids, data.classes.names, strict=True)],
        "annotations": [],
    }
    rows = []
    for p, found in zip(data.pictures, results, strict=True):
        a = p.annotations
        for k, (x0, y0, x1, y1) in enumerate(a.boxes_xyxy.astype(float).tolist()):
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": p.image_id,
                    "category_id": int(a.class_ids[k]),
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": float(a.area[k]),
                    "iscrowd": int(a.crowd[k] or a.ignore[k]),
                }
            )
        for k, (x0, y0, x1, y1) in enumerate(found.boxes_xyxy.astype(float).tolist()):
            rows.append(
                {
                    "image_id": p.image_id,
                    "category_id": int(found.class_ids[k]),
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "score": float(found.scores[k]),
                }
            )
    return truth, rows


def pycocotools_score(data: Dataset, results) -> COCOeval:
    """The oracle's finished run. It cannot read an empty result list, so that one is an empty COCO object."""
    truth_json, rows = as_coco_json(data, results)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = truth_json
        truth.createIndex()
        if rows:
            found = truth.loadRes(rows)
        else:
            found = COCO()
            found.dataset = {**truth_json, "annotations": []}
            found.createIndex()
        oracle = COCOeval(truth, found, "bbox")
        oracle.evaluate()
        oracle.accumulate()
        oracle.summarize()
    return oracle


class PlannedDetector:
    """A detector that answers what it was told to, by file name; a picture it was told nothing of cannot be read."""

    def __init__(self, classes: ClassList, answers: dict[str, Result], size_hw: tuple[int, int] = (480, 640)) -> None:
        self.classes, self.answers, self.size_hw = classes, answers, size_hw
        self.settings: dict = {}

    def detect_many(self, sources, *, on_error, **settings):
        assert on_error == "yield"
        self.settings = settings
        for source in sources:
            found = self.answers.get(source.file_name)
            if found is None:
                yield Failure(source.name, ImageError(f"{source.name}: not a picture"))
            else:
                yield Detections(
                    found.boxes_xyxy, found.scores, found.class_ids, self.classes, self.size_hw, source.name
                )


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The builders above, for test files (which cannot import a conftest)."""
    return SimpleNamespace(
        annotations=annotations,
        picture=picture,
        dataset=dataset,
        result=result,
        random_case=random_case,
        pycocotools_score=pycocotools_score,
        as_coco_json=as_coco_json,
        detector=PlannedDetector,
    )

"""What `data check` counts, compares and reports."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.planting import HARMLESS, annotation, edit_json
from ssd300.boxes import iou
from ssd300.data.check import check_dataset
from ssd300.data.check_boxes import best_prior_iou
from ssd300.data.check_pictures import HASH_SIDE, NEAR, difference_hash
from ssd300.data.load import load_dataset
from ssd300.data.notes import KINDS
from ssd300.data.pack import pack_dataset
from ssd300.priors import default_boxes_xyxy


@pytest.mark.parametrize("format", ["coco", "yolo", "voc"])
def test_a_sound_set_has_no_case(sets: dict[str, Path], format: str) -> None:
    report = check_dataset(sets[format])
    assert set(report.counts()) <= HARMLESS
    (totals,) = report.totals.values()
    assert (totals.format, totals.pictures, totals.without_boxes) == (format, 4, 1)
    assert (totals.kept, totals.clipped, totals.refused) == (4, 0, 0)


@pytest.mark.parametrize(
    ("orientation", "said", "kind"),
    [
        (6, (64, 48), "EXIF-rotated picture"),  # the annotations were made on the picture as it is stored
        (8, (64, 48), "EXIF-rotated picture"),
        (6, (48, 64), "EXIF-turned picture"),  # of the right size, yet worth a look
        (3, (64, 48), "EXIF-turned picture"),
        (1, (64, 48), None),
    ],
)
def test_exif_rotation(
    coco: Path, make_picture: Callable[..., Path], orientation: int, said: tuple[int, int], kind: str | None
) -> None:
    make_picture(coco / "images" / "a.jpg", 0, orientation=orientation)
    edit_json(coco, lambda content: content["images"][0].update(width=said[0], height=said[1]))
    edit_json(coco, lambda content: [box.update(bbox=[4, 6, 20, 30]) for box in content["annotations"][:1]])
    found = {case.kind for case in check_dataset(coco).cases} & {"EXIF-rotated picture", "EXIF-turned picture"}
    assert found == ({kind} if kind else set())


def test_leakage_of_a_changed_copy_is_found(coco: Path, tmp_path: Path, make_picture: Callable[..., Path]) -> None:
    val = tmp_path / "val"
    (val / "images").mkdir(parents=True)
    with Image.open(coco / "images" / "c.jpg") as picture:  # brighter, of another size and quality
        picture.resize((160, 120)).point(lambda level: level * 9 // 10 + 25).save(val / "images" / "x.jpg", quality=70)
    make_picture(val / "images" / "y.jpg", 77)
    names = [{"id": i, "file_name": f"{name}.jpg"} for i, name in enumerate("xy")]
    categories = [{"id": 7, "name": "cat"}, {"id": 1, "name": "cow"}]
    boxes = [{"id": 1, "image_id": 0, "category_id": 1, "bbox": [2, 2, 20, 20]}]
    (val / "annotations.json").write_text(json.dumps({"images": names, "annotations": boxes, "categories": categories}))
    report = check_dataset(coco, val)
    leaks = [case for case in report.cases if case.kind == "train/validation leakage"]
    assert [case.picture for case in leaks] == ["x.jpg"]
    assert "c.jpg of all" in leaks[0].words
    assert {"class unknown in training", "class not in validation"} <= set(report.counts())
    assert list(report.totals) == ["all", "val"]


def test_packed_sets_are_checked_too(coco: Path, tmp_path: Path) -> None:
    dataset = load_dataset(coco)
    pack_dataset(dataset.subset([0, 1, 2]), tmp_path / "packed" / "train.pack")
    pack_dataset(dataset.subset([2, 3]), tmp_path / "packed" / "val.pack")
    report = check_dataset(tmp_path / "packed")
    assert report.counts()["train/validation leakage"] == 1


def test_totals_count_what_became_of_every_box(coco: Path) -> None:
    def spoil(content: dict[str, Any]) -> None:
        content["annotations"][0]["bbox"] = [-1, 6, 20, 30]
        content["annotations"][1]["bbox"] = [90, 6, 20, 30]
        content["annotations"][2]["category_id"] = 5

    edit_json(coco, spoil)
    report = check_dataset(coco)
    totals = report.totals["all"]
    assert (totals.kept, totals.clipped, totals.refused) == (1, 1, 2)
    assert report.number("error") == 2
    assert [KINDS[case.kind].level for case in report.cases] == sorted(
        (KINDS[case.kind].level for case in report.cases), key=["error", "warning", "note"].index
    )


def test_every_case_is_in_the_file_and_the_json(coco: Path, tmp_path: Path) -> None:
    annotation(category_id=1)(coco)
    report = check_dataset(coco)
    report.write_cases(tmp_path / "cases.csv")
    with (tmp_path / "cases.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(report.cases) == len(report.to_dict()["cases"])
    assert rows[0]["kind"] == "unknown class id"
    assert rows[0]["annotation"] == "2"
    assert json.loads(json.dumps(report.to_dict()))["errors"] == 1


def test_all_splits_are_read_even_if_one_is_unusable(coco: Path) -> None:
    shutil.copyfile(coco / "annotations.json", coco / "train.json")
    (coco / "annotations.json").rename(coco / "val.json")
    (coco / "train.json").write_text('{"images": 1, "annotations": 1, "categories": 1}')
    report = check_dataset(coco)
    assert list(report.totals) == ["val"]
    assert report.counts()["unusable data set"] == 1


def test_progress_is_told(coco: Path) -> None:
    told: list[tuple[str, int, int]] = []
    check_dataset(coco, progress=lambda *state: told.append(state))
    assert told == [("all", done, 4) for done in (1, 2, 3, 4)]


def test_the_nearest_default_boxes_are_the_best_ones() -> None:
    rng = np.random.default_rng(0)
    low, size = rng.random((500, 2)), rng.random((500, 2)) ** 2
    boxes = np.concatenate([low * (1 - size), low * (1 - size) + size], axis=1).astype(np.float32)
    assert np.allclose(best_prior_iou(boxes), iou(boxes, default_boxes_xyxy()).max(axis=1), atol=2e-6)
    assert best_prior_iou(np.zeros((0, 4), np.float32)).shape == (0,)


def test_hashes_survive_scale_and_tell_pictures_apart(tmp_path: Path, make_picture: Callable[..., Path]) -> None:
    from ssd300.images.source import open_source

    hashes = [
        difference_hash(open_source(make_picture(tmp_path / f"{seed}-{size}.png", seed, size_wh=(size, size))))
        for seed, size in ((1, 100), (1, 300), (2, 100))
    ]
    assert (hashes[0] != hashes[1]).sum() <= NEAR < (hashes[0] != hashes[2]).sum()


def test_leakage_is_reported_of_every_frame(tmp_path: Path) -> None:
    """Also where a frame looks most like another one of its own split."""
    rgb = np.random.default_rng(0).integers(0, 200, (HASH_SIDE, HASH_SIDE + 1, 3), np.uint8)
    other = rgb.copy()
    other[3, 4] = 255 - other[3, 4]
    frames = {"train": [other], "val": [rgb, rgb + 1, rgb + 2]}
    for split, pixels in frames.items():
        (tmp_path / split).mkdir()
        images = []
        for number, one in enumerate(pixels):
            Image.fromarray(one).save(tmp_path / split / f"{number}.png")
            images.append({"id": number, "file_name": f"{number}.png"})
        content = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "cat"}]}
        (tmp_path / f"{split}.json").write_text(json.dumps(content))
    cases = [case for case in check_dataset(tmp_path).cases if case.kind == "train/validation leakage"]
    assert [case.picture for case in cases] == ["0.png", "1.png", "2.png"]
    assert re.fullmatch(r"in val: looks like 0.png of train \([1-4] of 256 bits differ\)", cases[0].words)


def test_leakage_is_reported_of_identical_pictures_that_look_like_one_of_training(coco: Path, tmp_path: Path) -> None:
    (coco / "annotations.json").rename(coco / "train.json")
    content = json.loads((coco / "train.json").read_text())
    content = content | {"annotations": [], "images": [{"id": n, "file_name": f"copy{n}.jpg"} for n in (1, 2)]}
    (coco / "val.json").write_text(json.dumps(content))
    Image.open(coco / "images/a.jpg").save(coco / "images/copy1.jpg", quality=70)
    shutil.copy(coco / "images/copy1.jpg", coco / "images/copy2.jpg")
    cases = [case for case in check_dataset(coco).cases if case.kind == "train/validation leakage"]
    assert [case.picture for case in cases] == ["copy1.jpg", "copy2.jpg"]


def test_every_kind_has_a_remedy() -> None:
    assert all(kind.remedy for kind in KINDS.values())


def test_of_very_many_pictures_only_identical_ones_are_found(coco: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssd300.data.check_pictures.SIMILAR_PICTURES", 3)
    monkeypatch.setattr("ssd300.data.check_pictures._find_similar", None)  # not called
    cases = [case.words for case in check_dataset(coco).cases if case.kind == "similar pictures"]
    assert cases == ["not looked for: 4 pictures are more than 3; identical ones were"]

"""Faults planted one at a time into a sound data set of each format: every one is found, by its name and place."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssd300.boxes import iou
from ssd300.data.check import check_dataset
from ssd300.data.check_boxes import best_prior_iou
from ssd300.data.check_pictures import NEAR, difference_hash
from ssd300.data.kinds import KINDS
from ssd300.data.load import load_dataset
from ssd300.data.pack import pack_dataset
from ssd300.priors import default_boxes_xyxy

HARMLESS = {"rare class"}  # the sound sets are small


def edit_json(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((root / "annotations.json").read_text())
    change(content)
    (root / "annotations.json").write_text(json.dumps(content))


def annotation(**fields: Any) -> Callable[[Path], object]:
    """Change the second annotation of the COCO set (picture a.jpg, id 2)."""
    return lambda root: edit_json(root, lambda content: content["annotations"][1].update(fields))


def image(**fields: Any) -> Callable[[Path], object]:
    """Change the first picture of the COCO set (a.jpg)."""
    return lambda root: edit_json(root, lambda content: content["images"][0].update(fields))


def append(key: str, entry: Any) -> Callable[[Path], object]:
    return lambda root: edit_json(root, lambda content: content[key].append(entry))


def text(name: str, content: str) -> Callable[[Path], object]:
    return lambda root: (root / name).write_text(content)


def data(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda root: (root / name).write_bytes(content)


def remove(name: str) -> Callable[[Path], object]:
    return lambda root: (root / name).unlink()


def replaced(name: str, old: str, new: str) -> Callable[[Path], object]:
    return lambda root: (root / name).write_text((root / name).read_text().replace(old, new, 1))


def copied(name: str, new: str) -> Callable[[Path], object]:
    return lambda root: shutil.copyfile(root / name, root / new)


def cut(name: str, share: float) -> Callable[[Path], object]:
    def shorten(root: Path) -> None:
        content = (root / name).read_bytes()
        (root / name).write_bytes(content[: int(len(content) * share)])

    return shorten


def both(*plants: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda root: [plant(root) for plant in plants]


ENTRY = {"id": 9, "image_id": 20, "category_id": 90}
LINE = "0 0.5 0.5 0.5 0.5\n"
BOX = "<bndbox><xmin>4</xmin><ymin>6</ymin><xmax>24</xmax><ymax>36</ymax></bndbox>"

# format, what is planted, the kind it must be named by, words that must stand in the case
PLANTED = [
    ("coco", annotation(image_id=11), "unknown image id", "annotation 2: image_id 11"),
    ("coco", annotation(category_id=1), "unknown class id", "a.jpg, annotation 2: category_id 1"),
    ("coco", annotation(bbox=[1, 2, 3]), "malformed box", "annotation 2"),
    ("coco", annotation(bbox=[float("nan"), 2, 3, 4]), "non-finite number", "annotation 2"),
    ("coco", annotation(area=float("inf")), "non-finite number", "area is inf"),
    ("coco", annotation(bbox=[40, 10, 25, 25]), "box over the edge", "reaches 1 px outside"),
    ("coco", annotation(bbox=[40, 10, 40, 25]), "box outside", "reaches 16 px outside"),
    ("coco", annotation(bbox=[40, 10, 0, 25]), "degenerate box", "no width or no height"),
    ("coco", annotation(bbox=[40, 10, -9, 25]), "degenerate box", "annotation 2"),
    ("coco", annotation(bbox=[40, 10, 1, 1]), "tiny box", "4.7x6.3 px"),
    ("coco", annotation(bbox=[1, 10, 60, 2]), "no matching prior", "IoU < 0.5"),
    ("coco", annotation(id=1), "duplicate annotation id", "1 is given twice"),
    ("coco", append("annotations", 5), "malformed entry", "#4"),
    ("coco", append("annotations", {**ENTRY, "bbox": [10, 12, 22, 18]}), "duplicate box", "dog is drawn twice"),
    (
        "coco",
        append("annotations", {**ENTRY, "bbox": [10, 12, 22, 18], "category_id": 7}),
        "one box, two classes",
        "cat",
    ),
    ("coco", append("images", {"id": 0, "file_name": "b.jpg"}), "duplicate image id", "0 is given twice"),
    ("coco", append("images", {"id": 99, "file_name": "a.jpg"}), "picture listed twice", "picture 0"),
    ("coco", append("images", {"id": 99, "file_name": "d.jpg"}), "missing picture", "images/d.jpg"),
    ("coco", append("categories", {"id": 7, "name": "bird"}), "duplicate class", "7"),
    ("coco", append("categories", {"id": 8, "name": "bird"}), "unused class", "'bird' has no box"),
    ("coco", append("categories", {"id": 8, "name": "Cat "}), "similar class names", "'cat' and 'Cat'"),
    ("coco", image(width=640, height=480), "wrong picture size", "of a copy of another size"),
    ("coco", image(width=-1), "wrong picture size", "width -1"),
    (
        "coco",
        text("annotations.json", '{"images": [], "annotations": [], "categories": ['),
        "unusable data set",
        "JSON",
    ),
    ("coco", cut("images/a.jpg", 0.5), "corrupt picture", "a.jpg"),
    ("coco", data("images/a.jpg", b"<html>not found</html>"), "corrupt picture", "a.jpg"),
    ("coco", copied("images/c.jpg", "images/empty.jpg"), "duplicate picture", "the same bytes as c.jpg"),
    ("coco", copied("images/c.jpg", "images/more.jpg"), "picture not listed", "more.jpg"),
    ("yolo", text("labels/train/a.txt", "2 0.5 0.5 0.5 0.5\n"), "unknown class id", "line 1: class index 2"),
    ("yolo", text("labels/train/a.txt", LINE + "0 0.5 0.5\n"), "malformed line", "line 2: 3 numbers"),
    ("yolo", text("labels/train/a.txt", "cat 0.5 0.5 0.5 0.5\n"), "malformed line", "not a row of numbers"),
    ("yolo", text("labels/train/a.txt", "0 0.5 nan 0.5 0.5\n"), "non-finite number", "line 1"),
    ("yolo", text("labels/train/a.txt", "0 32 24 20 10\n"), "pixels instead of fractions", "line 1"),
    ("yolo", text("labels/train/a.txt", "0 0.9 0.5 0.5 0.5\n"), "box outside", "reaches 9.6 px outside"),
    ("yolo", text("labels/train/a.txt", LINE + LINE), "duplicate box", "cat is drawn twice"),
    ("yolo", data("labels/train/a.txt", b"\xff\xfe0"), "unreadable label file", "not UTF-8"),
    ("yolo", text("labels/train/lost.txt", LINE), "label file without picture", "lost.txt"),
    ("yolo", remove("labels/train/a.txt"), "picture without label file", "a.jpg"),
    ("yolo", copied("images/train/a.jpg", "images/train/a.png"), "label file shared", "a.jpg"),
    ("yolo", replaced("data.yaml", "dog", "cat"), "unusable data set", "given twice"),
    ("yolo", replaced("data.yaml", "images/train", "images/nowhere"), "unusable data set", "Relative to this file"),
    ("yolo", both(*(text(f"labels/train/{n}.txt", "") for n in "abc")), "no boxes", "none of the 4 pictures"),
    ("voc", cut("Annotations/a.xml", 0.7), "malformed XML", "a.xml"),
    ("voc", text("Annotations/a.xml", '<!DOCTYPE a [<!ENTITY b "c">]><annotation/>'), "malformed XML", "refused"),
    ("voc", replaced("Annotations/a.xml", "<name>cat</name>", ""), "unknown class id", "object 1"),
    ("voc", replaced("Annotations/a.xml", "<xmin>4</xmin>", ""), "malformed box", "object 1: the box has xmin=None"),
    ("voc", replaced("Annotations/a.xml", BOX, BOX.replace("24", "2")), "degenerate box", "object 1"),
    ("voc", replaced("Annotations/a.xml", "<xmin>4</xmin>", "<xmin>-9</xmin>"), "box outside", "reaches 9 px"),
    ("voc", replaced("Annotations/a.xml", ">64<", ">48<"), "wrong picture size", "is 64x48, not 48x48"),
    ("voc", remove("JPEGImages/a.jpg"), "missing picture", "JPEGImages/a.jpg"),
    ("voc", remove("Annotations/a.xml"), "picture without label file", "a.jpg"),
    ("voc", replaced("Annotations/b.xml", "b.jpg", "a.jpg"), "picture listed twice", "also listed as picture a"),
    ("voc", replaced("Annotations/a.xml", "<pose>", ""), None, ""),
]


def test_there_are_at_least_thirty_in_three_formats() -> None:
    faults = [entry for entry in PLANTED if entry[2]]
    assert len(faults) >= 30
    assert {entry[0] for entry in faults} == {"coco", "yolo", "voc"}


@pytest.mark.parametrize(
    ("format", "plant", "kind", "words"), PLANTED, ids=[f"{n}-{p[0]}-{p[2]}" for n, p in enumerate(PLANTED)]
)
def test_a_planted_fault_is_found_and_named(
    sets: dict[str, Path], format: str, plant: Callable[[Path], object], kind: str | None, words: str
) -> None:
    root = sets[format]
    plant(root)
    cases = [case for case in check_dataset(root).cases if case.kind not in HARMLESS]
    if kind is None:
        assert cases == []
        return
    named = [case for case in cases if case.kind == kind]
    assert named, [(case.kind, str(case)) for case in cases]
    assert words in str(named[0])


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


def test_every_kind_has_a_remedy() -> None:
    assert all(kind.remedy for kind in KINDS.values())

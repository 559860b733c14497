"""Annotation files that were made to take for ever, or to break what reads them."""

import json
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from data.sets import TRUTH, WRITTEN, coco, coco_content, found, voc, voc_text, write, yolo
from ssd300.data.check import check_dataset
from ssd300.data.load import load_dataset
from ssd300.errors import DatasetError
from ssd300.limits import BOXES_PER_PICTURE, CLASSES


def bomb(key: str) -> str:
    lines = ["a0: &a0 [" + ",".join(["lol"] * 9) + "]"]
    lines += [f"a{i}: &a{i} [" + ",".join([f"*a{i - 1}"] * 9) + "]" for i in range(1, 30)]
    rest = {"train": "images", "names": "[cat, dog]"} | {key: "*a29"}
    return "\n".join([*lines, *(f"{name}: {value}" for name, value in rest.items())])


@pytest.mark.parametrize(
    "key", ["train", "val", "test", "path", "nc", "names", "kpt_shape", "download", "other", "Train"]
)
def test_aliases_that_multiply_cost_nothing(tmp_path: Path, key: str) -> None:
    yolo(tmp_path, bomb(key))
    start = time.monotonic()
    try:
        outcome = str(found(load_dataset(tmp_path, split="train")) == TRUTH)
    except DatasetError as error:
        outcome = str(error)
    assert len(outcome) < 1000
    assert outcome != "False"
    if key == "names":
        assert "`names` must list the class names" in outcome
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "text",
    ["[" * 20_000, "a: " * 3000, "x: 2020-13-45", "names: 2020-13-45", "\x00", "- a\n- b", "5", "",
     "? [a]\n: b", "&a [*a]",
     "names: &a [*a]\ntrain: x", "!!python/object/apply:os.system ['true']", "a: !!binary x", "\t- x",
     "names: {1: {2: 3}}",
     "train: [[images]]\nnames: [cat]", "train: {a: b}\nnames: [cat]", "names: [cat]\ntrain: 5", "a: b: c"],
)  # fmt: skip
def test_odd_yaml_is_a_dataset_error(tmp_path: Path, text: str) -> None:
    yolo(tmp_path, text)
    with pytest.raises(DatasetError):
        load_dataset(tmp_path / "data.yaml")


def of_classes(root: Path, format: str, count: int) -> Path:
    """A set of so many classes; of VOC each has a box, because boxes alone name them."""
    names = [f"class{n}" for n in range(count)]
    if format == "coco":
        categories = [{"id": n, "name": name} for n, name in enumerate(names)]
        coco(root, coco_content() | {"categories": categories})
    elif format == "yolo":
        yolo(root, "train: images\nnames:\n" + "".join(f"- {name}\n" for name in names))
    else:
        voc(root)
        write(root / "Annotations/a.xml", voc_text("a", [(name, (1.0, 1.0, 9.0, 9.0)) for name in names]))
        for other in "bc":
            write(root / f"Annotations/{other}.xml", voc_text(other, []))
    return root


@pytest.mark.parametrize("format", WRITTEN)
def test_too_many_classes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str) -> None:
    for module in ("records", "yolo.describe", "coco.entries"):
        monkeypatch.setattr(import_module(f"ssd300.data.{module}"), "CLASSES", 200)
    assert len(load_dataset(of_classes(tmp_path / "most", format, 200)).classes) == 200
    with pytest.raises(DatasetError, match=r"201 .*; at most 200 are read"):
        load_dataset(of_classes(tmp_path / "more", format, 201))


@pytest.mark.slow
@pytest.mark.parametrize("format", ["coco", "yolo"])
def test_the_most_classes_are_read_at_once(tmp_path: Path, format: str) -> None:
    start = time.process_time()
    assert len(load_dataset(of_classes(tmp_path, format, CLASSES)).classes) == CLASSES
    check_dataset(tmp_path)
    assert time.process_time() - start < 8


@pytest.mark.parametrize("format", WRITTEN)
def test_too_many_boxes_in_one_picture_are_a_fault_and_most_are_checked_in_time(tmp_path: Path, format: str) -> None:
    boxes: Any = [("cat", (4.0, 6.0, 24.0, 36.0))] * (BOXES_PER_PICTURE + 1)
    if format == "coco":
        content = coco_content()
        one = {"image_id": 1, "category_id": 1, "bbox": [4, 6, 20, 30]}
        content["annotations"] = [{"id": n + 1, **one} for n in range(BOXES_PER_PICTURE + 1)]
        coco(tmp_path, content)
    elif format == "yolo":
        yolo(tmp_path)
        write(tmp_path / "labels/a.txt", "0 0.5 0.5 0.5 0.5\n" * (BOXES_PER_PICTURE + 1))
    else:
        voc(tmp_path)
        write(tmp_path / "Annotations/a.xml", voc_text("a", boxes))
    with pytest.raises(DatasetError, match="too many boxes"):
        load_dataset(tmp_path)


def test_thousands_of_equal_boxes_are_each_named_once(tmp_path: Path) -> None:
    content = coco_content()
    one = {"image_id": 1, "category_id": 1, "bbox": [4, 6, 20, 30]}
    content["annotations"] = [{"id": n + 1, **one} for n in range(3000)]
    start = time.monotonic()
    report = check_dataset(coco(tmp_path, content))
    assert report.counts()["duplicate box"] == 2999
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    "change",
    [
        {"width": 10**400}, {"width": "9" * 399}, {"file_name": "x" * 5000}, {"file_name": "\ud800.jpg"},
        {"file_name": ["a"]},
        {"id": [1]}, {"id": {"a": 1}}, {"id": None}, {"id": True}, {"file_name": "/".join("x" * 3000)},
        {"source_id": [1]},
        {"file_name": ""}, {"file_name": " "}, {"file_name": "/"}, {"file_name": ".."}, {"height": float("nan")},
        {"file_name": "~"}, {"file_name": "http://["}, {"file_name": "?d="},
    ],
)  # fmt: skip
def test_odd_pictures_are_faults_and_nothing_else(tmp_path: Path, change: dict[str, Any]) -> None:
    content = coco_content()
    content["images"][0] |= change
    report = check_dataset(coco(tmp_path, content))
    report.write_cases(tmp_path / "cases.csv")
    json.dumps(report.to_dict())
    assert [case for case in report.cases if case.action == "fault"] or "source_id" in change


@pytest.mark.parametrize("value", [[1], {"a": 1}, None, 1e400, "x", -(2**70), "9" * 400, True])
@pytest.mark.parametrize("key", ["id", "name", "supercategory"])
def test_odd_categories_are_faults_and_nothing_else(tmp_path: Path, key: str, value: Any) -> None:
    content = coco_content()
    content["categories"] = [{**content["categories"][0], key: value}, content["categories"][1], {"id": 0, "name": "x"}]
    faults = [case for case in check_dataset(coco(tmp_path, content)).cases if case.action == "fault"]
    odd = key == "id" or (key == "name" and not isinstance(value, str))
    assert bool(faults) == odd, (faults, value)


def test_boxes_of_the_largest_numbers_are_refused_without_a_warning(tmp_path: Path) -> None:
    content = coco_content()
    content["annotations"][0]["bbox"] = [1e308] * 4
    notes = load_dataset(coco(tmp_path, content)).notes
    assert [note.action for note in notes] == ["refused"]

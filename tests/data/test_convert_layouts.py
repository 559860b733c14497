"""Converting what was found in unusual places: nothing is outside, and deep names read back."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data.sets import TRUTH, coco_content, found, pictures, voc, write
from data.test_class_files import folders, lists
from data.test_cvat import cvat, cvat_box
from data.test_labelme import labelme
from data.test_tables import table
from ssd300.cli.data import _load_splits
from ssd300.data.convert import convert_dataset
from ssd300.data.load import load_dataset


def named(root: Path, name: str) -> None:
    content = coco_content()
    for image in content["images"]:
        image["file_name"] = name.format(image["file_name"])
    write(root / "annotations.json", content)
    pictures(root / "images/v1/patch8")


def trainval(root: Path) -> None:
    voc(root)
    write(root / "ImageSets/Main/trainval.txt", "a\nb\n")
    write(root / "ImageSets/Main/test.txt", "c\n")


LAYOUTS: dict[str, Callable[[Path], object]] = {
    "a folder for each part": lambda root: folders(root, own="classes.txt"),
    "classes among labels": lambda root: lists(root, "labels/classes.txt"),
    "labelme beside images/": lambda root: [
        pictures(root / "images/train"),
        *(write(root / f"labels/train/{stem}.json", labelme(stem)) for stem in TRUTH),
    ],
    "CVAT in annotations/": lambda root: [pictures(root / "images"), write(root / "annotations/a.xml", cvat(cvat_box))],
    "table in annotations/": lambda root: [
        pictures(root / "images"), table(root, "filename,class,xmin,ymin,xmax,ymax", "images", "annotations/t.csv")
    ],
    "deep names": lambda root: named(root, "images/v1/patch8/{}"),
    "addresses": lambda root: named(root, "https://host.example/images/v1/patch8/{}"),
    "trainval and test": trainval,
}  # fmt: skip


@pytest.mark.parametrize("way", LAYOUTS)
@pytest.mark.parametrize("format", ["coco", "yolo", "voc"])
def test_layouts_are_converted(tmp_path: Path, way: str, format: str) -> None:
    LAYOUTS[way](tmp_path / "set")
    splits = _load_splits(tmp_path / "set", None, None)
    convert_dataset(splits, tmp_path / "out", format)
    again = {
        split: found(load_dataset(tmp_path / "out", split=split if len(splits) > 1 else "all")) for split in splits
    }
    assert again == {split: found(dataset) for split, dataset in splits.items()}
    assert sum(map(len, again.values())) == 3

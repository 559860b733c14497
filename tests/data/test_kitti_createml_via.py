"""KITTI, CreateML and VIA, in every way of writing them."""

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.sets import TRUTH, Boxes, append, found, pictures, write
from ssd300.data.load import load_dataset
from ssd300.errors import DatasetError


def kitti(root: Path, labels: str = "label_2", images: str = "image_2", suffix: str = ".png", more: str = "") -> None:
    for stem, things in TRUTH.items():
        lines = [f"{label} 0.00 0 -1.57 {' '.join(map(str, box))} 1 1 1 1 1 1 0{more}" for label, box in things]
        write(root / labels / f"{stem}.txt", "\n".join(lines) + "\n")
    pictures(root / images, suffix)


DONT_CARE = "DontCare -1 -1 -10 1 1 9 9 -1 -1 -1 -1 -1 -1 -1"
KITTI: dict[str, Callable[[Path], object]] = {
    "training": lambda root: kitti(root / "training"),
    "Training": lambda root: kitti(root / "Training"),
    "the folder itself": kitti,
    "jpeg": lambda root: kitti(root, suffix=".jpg"),
    "labels, images": lambda root: kitti(root, "labels", "images"),
    "label, image": lambda root: kitti(root, "label", "image"),
    "upper-case folders": lambda root: kitti(root, "Label_2", "Image_2"),
    "FiftyOne": lambda root: kitti(root, "labels", "data"),
    "CVAT": lambda root: kitti(root / "default"),
    "scores": lambda root: kitti(root, more=" 0.5"),
    "scores that are none": lambda root: kitti(root, more=" 73.2"),
    "DontCare": lambda root: [kitti(root), append(root / "label_2/a.txt", DONT_CARE)],
    "calibration beside": lambda root: [kitti(root), write(root / "calib/a.txt", "P0: 1 2 3")],
}  # fmt: skip


@pytest.mark.parametrize("way", KITTI)
def test_kitti(tmp_path: Path, way: str) -> None:
    KITTI[way](tmp_path)
    assert found(load_dataset(tmp_path)) == TRUTH


@pytest.mark.parametrize("line", ["{}", "{}.png", "training/image_2/{}.png"])
def test_stems_in_lists_of_kitti_may_have_a_dot(tmp_path: Path, line: str) -> None:
    kitti(tmp_path / "training")
    for path in [*tmp_path.rglob("*.png"), *tmp_path.rglob("*.txt")]:
        path.rename(path.with_name(f"2011.{path.name}"))
    write(tmp_path / "ImageSets/train.txt", "".join(f"{line.format(f'2011.{stem}')}\n" for stem in TRUTH))
    dataset = load_dataset(tmp_path)
    assert found(dataset) == {f"2011.{stem}": things for stem, things in TRUTH.items()}
    assert dataset.notes == ()


def test_lists_of_kitti_hold_names_that_are_not_utf_8(tmp_path: Path) -> None:
    kitti(tmp_path / "training")
    for path in [*tmp_path.rglob("a.png"), *tmp_path.rglob("a.txt")]:
        path.rename(path.with_stem(os.fsdecode(b"b\xe9b\xe9")))
    write(tmp_path / "ImageSets/train.txt", "")
    (tmp_path / "ImageSets/train.txt").write_bytes(b"b\xe9b\xe9\n")
    dataset = load_dataset(tmp_path)
    assert list(found(dataset).values()) == [TRUTH["a"]]
    assert dataset.notes == ()


def test_names_of_kitti_may_have_spaces(tmp_path: Path) -> None:
    kitti(tmp_path, more=" 0.5")
    for file in (tmp_path / "label_2").glob("*.txt"):
        file.write_text(file.read_text().replace("cat ", "big cat "))
    named = {stem: [(label.replace("cat", "big cat"), box) for label, box in things] for stem, things in TRUTH.items()}
    assert found(load_dataset(tmp_path)) == named


@pytest.mark.parametrize("name", ["area 51", "cat 1 2", "4 cat"])
@pytest.mark.parametrize("numbers", ["0 0 -10 4 6 24 36" + " -1" * 7, "0 0 -10 4 6 24"])
def test_lines_of_kitti_whose_columns_are_not_certain_are_faults(tmp_path: Path, name: str, numbers: str) -> None:
    kitti(tmp_path)
    append(tmp_path / "label_2/a.txt", f"{name} {numbers}")
    if name == "4 cat" and numbers.count(" ") == 13:
        assert "4 cat" in load_dataset(tmp_path).classes.names
        return
    with pytest.raises(DatasetError, match="malformed box"):
        load_dataset(tmp_path)


def test_the_first_files_of_kitti_may_be_empty(tmp_path: Path) -> None:
    kitti(tmp_path)
    for number in range(12):
        write(tmp_path / f"label_2/0{number}.txt", "")
        (tmp_path / f"image_2/0{number}.png").write_bytes((tmp_path / "image_2/a.png").read_bytes())
    assert load_dataset(tmp_path).num_boxes == 4


# CreateML


def createml(root: Path, file: str = "_annotations.createml.json", place: str = ".", **spelled: str) -> None:
    image, annotations = spelled.get("image", "image"), spelled.get("annotations", "annotations")
    content = []
    for stem, things in TRUTH.items():
        boxes = [
            {
                "label": label,
                "coordinates": {"x": (x1 + x2) / 2, "y": (y1 + y2) / 2, "width": x2 - x1, "height": y2 - y1},
            }
            for label, (x1, y1, x2, y2) in things
        ]
        content.append({image: spelled.get("name", "{}.jpg").format(stem), annotations: boxes})
    write(root / file, content)
    pictures(root / place)


CREATEML: dict[str, Callable[[Path], object]] = {
    "roboflow": lambda root: createml(root, "train/_annotations.createml.json", "train"),
    "Train": lambda root: createml(root, "Train/_annotations.createml.json", "Train"),
    "beside": createml,
    "annotations.json": lambda root: createml(root, "annotations.json"),
    "upper-case": lambda root: createml(root, "ANNOTATIONS.JSON"),
    "images": lambda root: createml(root, "annotations.json", "images"),
    "folders": lambda root: createml(root, "annotations.json", "images", name="images/{}.jpg"),
    "backslashes": lambda root: createml(root, "annotations.json", "images", name="images\\{}.jpg"),
    "another machine": lambda root: createml(root, "annotations.json", name="/Users/me/{}.jpg"),
    "imagefilename": lambda root: createml(root, image="imagefilename", annotations="annotation"),
    "upper-case names": lambda root: createml(root, name="{}.JPG"),
}


@pytest.mark.parametrize("way", CREATEML)
def test_createml(tmp_path: Path, way: str) -> None:
    CREATEML[way](tmp_path)
    assert found(load_dataset(tmp_path)) == TRUTH


# VIA


def via_regions(kind: str, things: Boxes, attribute: Any = "class") -> list[dict[str, Any]]:
    regions = []
    for label, (x1, y1, x2, y2) in things:
        shape: dict[str, Any] = {"name": "rect", "x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1}
        if kind == "polygon":
            shape = {"name": "polygon", "all_points_x": [x1, x2, x2], "all_points_y": [y1, y1, y2]}
        if kind == "ellipse":
            shape = {"name": kind, "cx": (x1 + x2) / 2, "cy": (y1 + y2) / 2, "rx": (x2 - x1) / 2, "ry": (y2 - y1) / 2}
        attributes = attribute(label) if callable(attribute) else {attribute: label}
        regions.append({"shape_attributes": shape, "region_attributes": attributes})
    return regions


def via(
    root: Path,
    kind: str = "rect",
    project: bool = False,
    as_dict: bool = False,
    attribute: Any = "class",
    place: str = ".",
) -> None:
    entries = {}
    for stem, things in TRUTH.items():
        regions: Any = via_regions(kind, things, attribute)
        regions = {str(n): region for n, region in enumerate(regions)} if as_dict else regions
        entries[f"{stem}.jpg99"] = {"filename": f"{stem}.jpg", "size": 99, "regions": regions, "file_attributes": {}}
    write(root / "via.json", {"_via_settings": {}, "_via_img_metadata": entries} if project else entries)
    pictures(root / place)


def via_table(root: Path) -> None:
    with (root / "via.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(
            [
                "filename",
                "file_size",
                "file_attributes",
                "region_count",
                "region_id",
                "region_shape_attributes",
                "region_attributes",
            ]
        )
        for stem, things in TRUTH.items():
            for n, region in enumerate(via_regions("rect", things)):
                shape, attributes = json.dumps(region["shape_attributes"]), json.dumps(region["region_attributes"])
                rows.writerow([f"{stem}.jpg", 99, "{}", len(things), n, shape, attributes])
    pictures(root)


VIA: dict[str, Callable[[Path], object]] = {
    "regions": via,
    "project": lambda root: via(root, project=True),
    "version 1": lambda root: via(root, as_dict=True),
    "polygons": lambda root: via(root, "polygon"),
    "ellipses": lambda root: via(root, "ellipse"),
    "label": lambda root: via(root, attribute="label"),
    "Type": lambda root: via(root, attribute="Type"),
    "own attribute": lambda root: via(root, attribute="animal"),
    "check box": lambda root: via(root, attribute=lambda label: {"animal": {label: True}}),
    "two attributes": lambda root: via(root, attribute=lambda label: {"age": "old", "class": label}),
    "images": lambda root: via(root, place="images"),
    "table": via_table,
}


@pytest.mark.parametrize("way", VIA)
def test_via(tmp_path: Path, way: str) -> None:
    VIA[way](tmp_path)
    assert found(load_dataset(tmp_path)) == TRUTH


def test_turned_ellipses_of_via_are_enclosed(tmp_path: Path) -> None:
    via(tmp_path, "ellipse")
    text = (
        (tmp_path / "via.json")
        .read_text()
        .replace('"ellipse", "cx": 14.0', '"ellipse", "theta": 1.5707963, "cx": 14.0')
    )
    write(tmp_path / "via.json", text)
    assert found(load_dataset(tmp_path))["a"] == [("cat", (0, 11, 29, 31)), TRUTH["a"][1]]


@pytest.mark.parametrize(
    "attributes",
    [{}, {"color": "red", "breed": "cat"}, {"animal": {"cat": True, "dog": True}}, {"animal": {}}, {"class": None}],
)
def test_a_region_without_one_class_is_a_fault(tmp_path: Path, attributes: dict[str, Any]) -> None:
    via(tmp_path, attribute=lambda label: attributes)
    with pytest.raises(
        DatasetError, match=r"4 faults \(.* lists them\): unknown class id: .*the class name is .*; expected a text"
    ):
        load_dataset(tmp_path)


def test_an_outline_of_via_with_more_xs_than_ys_is_a_fault(tmp_path: Path) -> None:
    via(tmp_path, "polygon")
    text = (tmp_path / "via.json").read_text().replace('"all_points_x": [', '"all_points_x": [1, ', 1)
    write(tmp_path / "via.json", text)
    with pytest.raises(DatasetError, match="malformed box"):
        load_dataset(tmp_path)


def test_points_of_via_are_counted(tmp_path: Path) -> None:
    via(tmp_path)
    text = (tmp_path / "via.json").read_text().replace('"name": "rect"', '"name": "point"', 1)
    write(tmp_path / "via.json", text)
    assert [note.words for note in load_dataset(tmp_path).notes] == ["1 points are not used"]

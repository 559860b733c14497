"""Boxes in CSV tables: Open Images, Roboflow, RetinaNet."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from data.sets import TRUTH, append, found, fractions, pictures, write
from ssd300.data.load import load_dataset
from ssd300.errors import DatasetError

OPEN_IMAGES = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
)


def open_images(root: Path, place: str = "train", name: str = "train-annotations-bbox.csv") -> None:
    lines = [OPEN_IMAGES]
    for stem, things in TRUTH.items():
        for label, box in things:
            x1, y1, x2, y2 = fractions(box)
            lines.append(f"{stem},xclick,/m/{label},1,{x1},{x2},{y1},{y2},0,0,0,0,0")
    write(root / name, "\n".join(lines) + "\n")
    write(root / Path(name).parent / "class-descriptions-boxable.csv", "/m/cat,cat\n/m/dog,dog\n")
    pictures(root / place)


def table(root: Path, columns: str, place: str = ".", name: str = "annotations.csv", end: str = "\n") -> None:
    lines = [columns]
    for stem, things in TRUTH.items():
        for label, (x1, y1, x2, y2) in things:
            known = {"xmin": x1, "ymin": y1, "xmax": x2, "ymax": y2, "x1": x1, "y1": y1, "x2": x2, "y2": y2}
            known |= {"width": 64, "height": 48, "class": label, "label": label, "labelname": label, "x_min": x1}
            known |= {"y_min": y1, "x_max": x2, "y_max": y2, "index": 3}
            lines.append(",".join(str(known.get(c.strip().lower(), f"{stem}.jpg")) for c in columns.split(",")))
    write(root / name, end.join(lines) + end)
    pictures(root / place)


def with_delimiter(root: Path, delimiter: str, write_table: Callable[..., object], *more: str) -> None:
    write_table(root, *more)
    path = root / "annotations.csv"
    path.write_text(path.read_text().replace(",", delimiter))


def bare(root: Path, folder: str = "") -> None:
    lines = [
        f"{folder}{stem}.jpg,{','.join(map(str, box))},{label}"
        for stem, things in TRUTH.items()
        for label, box in things
    ]
    write(root / "annotations.csv", "\n".join(lines))
    pictures(root / folder)


def coded(text: str) -> str:
    """The table with the class in the last column, and a number in its former place."""
    head, *rows = [line.split(",") for line in text.splitlines()]
    return "\n".join(",".join(row) for row in [head, *([r[0], "7", *r[2:6], r[1]] for r in rows)])


TABLES: dict[str, Callable[[Path], object]] = {
    "open images": open_images,
    "open images, flat": lambda root: open_images(root, "."),
    "open images, images/": lambda root: open_images(root, "images"),
    "open images, images/train": lambda root: open_images(root, "images/train"),
    "open images, data": lambda root: open_images(root, "data"),
    "open images, annotations/": lambda root: open_images(
        root, "train", "annotations/oidv6-train-annotations-bbox.csv"
    ),
    "tensorflow": lambda root: table(root, "filename,width,height,class,xmin,ymin,xmax,ymax"),
    "roboflow": lambda root: table(
        root, "filename,width,height,class,xmin,ymin,xmax,ymax", "train", "train/_annotations.csv"
    ),
    "without sizes": lambda root: table(root, "image,xmin,ymin,xmax,ymax,label"),
    "x1": lambda root: table(root, "image_path,x1,y1,x2,y2,class"),
    "x_min": lambda root: table(root, "image_name,x_min,y_min,x_max,y_max,label"),
    "other columns": lambda root: table(root, "index,filename,class,xmin,ymin,xmax,ymax"),
    "upper-case": lambda root: table(root, "Filename,Class,XMin,YMin,XMax,YMax", name="LABELS.CSV"),
    "spaces": lambda root: table(root, "filename, class, xmin, ymin, xmax, ymax"),
    "byte order mark": lambda root: table(root, "\ufefffilename,class,xmin,ymin,xmax,ymax"),
    "windows lines": lambda root: table(root, "filename,class,xmin,ymin,xmax,ymax", end="\r\n"),
    "semicolons": lambda root: with_delimiter(root, ";", table, "filename,class,xmin,ymin,xmax,ymax"),
    "tabs": lambda root: with_delimiter(root, "\t", table, "filename,class,xmin,ymin,xmax,ymax"),
    "retinanet, semicolons": lambda root: with_delimiter(root, ";", bare),
    "names without extension": lambda root: [
        table(root, "image_id,class,xmin,ymin,xmax,ymax"),
        write(root / "annotations.csv", (root / "annotations.csv").read_text().replace(".jpg", "")),
    ],
    "codes beside names": lambda root: [
        table(root, "filename,class,xmin,ymin,xmax,ymax,class_name"),
        write(root / "annotations.csv", coded((root / "annotations.csv").read_text())),
    ],
    "image_id beside names": lambda root: [
        table(root, "index,filename,class,xmin,ymin,xmax,ymax"),
        write(root / "annotations.csv", (root / "annotations.csv").read_text().replace("index", "image_id")),
    ],
    "open images, validation": lambda root: open_images(root, "validation", "validation-annotations-bbox.csv"),
    "open images, names with extension": lambda root: [
        open_images(root),
        write(
            root / "train-annotations-bbox.csv",
            re.sub("^([a-z]),", r"\1.jpg,", (root / "train-annotations-bbox.csv").read_text(), flags=re.M),
        ),
    ],
    "open images, FiftyOne": lambda root: [
        open_images(root, "train/data", "train/labels/detections.csv"),
        (root / "train/labels/class-descriptions-boxable.csv").unlink(),
        write(root / "train/metadata/classes.csv", "/m/cat,cat\n/m/dog,dog\n"),
    ],
    "retinanet": bare,
    "retinanet, names with numbers": lambda root: [bare(root), write(root / "classes.csv", "cat,0\ndog,1\n")],
    "a wide table with a short row": lambda root: [
        table(root, f"filename,class,xmin,ymin,{'index,' * 40}xmax,ymax"),
        append(root / "annotations.csv", "a.jpg\n"),
    ],
    "retinanet, folders": lambda root: bare(root, "images/"),
}


@pytest.mark.parametrize("way", TABLES)
def test_tables(tmp_path: Path, way: str) -> None:
    TABLES[way](tmp_path)
    assert found(load_dataset(tmp_path)) == TRUTH


def test_corners_of_outlines_are_no_boxes(tmp_path: Path) -> None:
    table(tmp_path, "filename,class,x1,y1,x2,y2,x3,y3,x4,y4")
    with pytest.raises(DatasetError, match=r"a table of boxes has the columns .*; found filename,class,x1,y1,x2,y2"):
        load_dataset(tmp_path)


def test_rows_without_a_box_are_pictures_without_objects(tmp_path: Path) -> None:
    bare(tmp_path)
    with (tmp_path / "annotations.csv").open("a", newline="") as file:
        file.write("\n")
        csv.writer(file).writerow(["d.jpg", "", "", "", "", ""])
    pictures(tmp_path, names="abcd")
    assert found(load_dataset(tmp_path)) == {**TRUTH, "d": []}


@pytest.mark.parametrize("empty", ["", "nan", "NaN", "None"])
def test_rows_of_a_class_without_a_box_are_counted(tmp_path: Path, empty: str) -> None:
    table(tmp_path, "image_id,class_name,xmin,ymin,xmax,ymax")
    row = ",".join(["d.jpg", "No finding", *[empty] * 4])
    write(tmp_path / "annotations.csv", (tmp_path / "annotations.csv").read_text().replace("class_name", "class") + row)
    pictures(tmp_path, names="abcd")
    dataset = load_dataset(tmp_path)
    assert found(dataset)["d"] == []
    assert [note.words for note in dataset.notes] == ["1 rows with a class and without a box are not used"]


@pytest.mark.parametrize(("value", "crowd"), [("0", False), ("1", True), ("True", True), ("False", False), ("", False)])
def test_open_images_groups_are_crowds(tmp_path: Path, value: str, crowd: bool) -> None:
    open_images(tmp_path)
    (tmp_path / "class-descriptions-boxable.csv").rename(tmp_path / "oidv7-class-descriptions-boxable.csv")
    path = tmp_path / "train-annotations-bbox.csv"
    path.write_text(path.read_text().replace(",0,0,0,0,0", f",0,0,{value},0,0", 1))
    dataset = load_dataset(tmp_path)
    assert dataset.classes.names == ("cat", "dog")
    assert dataset.pictures[0].annotations.crowd.tolist() == [crowd, False]

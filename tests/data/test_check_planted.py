"""Thirty faults and more, planted one by one into sound sets: each is found and named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data.planting import (
    BOX,
    ENTRY,
    HARMLESS,
    LINE,
    annotation,
    append,
    both,
    copied,
    cut,
    data,
    image,
    remove,
    replaced,
    text,
)
from ssd300.data.check import check_dataset

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
    ("coco", annotation(bbox=[40, 10, 1, 1]), "tiny box", "4.69x6.25 px"),
    ("coco", annotation(bbox=[40, 10, 1.7, 1]), "tiny box", "7.97x6.25 px once the picture is 300x300 (under 8)"),
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
    ("voc", replaced("Annotations/a.xml", "<name>", "<pose>Left</pose><name>"), "field not used", "<pose> of 1"),
]


@pytest.mark.parametrize(
    ("format", "plant", "kind", "words"), PLANTED, ids=[f"{n}-{p[0]}-{p[2]}" for n, p in enumerate(PLANTED)]
)
def test_a_planted_fault_is_found_and_named(
    sets: dict[str, Path], format: str, plant: Callable[[Path], object], kind: str, words: str
) -> None:
    root = sets[format]
    plant(root)
    cases = [case for case in check_dataset(root).cases if case.kind not in HARMLESS]
    named = [case for case in cases if case.kind == kind]
    assert named, [(case.kind, str(case)) for case in cases]
    assert words in str(named[0])

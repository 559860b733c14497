"""labelme's JSON files, in every way of writing and placing them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.sets import TRUTH, found, pictures, write
from ssd300.data.check import check_dataset
from ssd300.data.load import load_dataset
from ssd300.data.usable import usable_sets
from ssd300.errors import DatasetError


def labelme(stem: str, kind: str = "rectangle", **changes: Any) -> dict[str, Any]:
    shapes = []
    for label, (x1, y1, x2, y2) in TRUTH[stem]:
        points = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]] if kind == "polygon" else [[x1, y1], [x2, y2]]
        shapes.append({"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}})
    content = {"version": "5.0.1", "flags": {}, "shapes": shapes, "imagePath": f"{stem}.jpg", "imageData": None}
    return content | {"imageHeight": 48, "imageWidth": 64} | changes


def swapped(content: dict[str, Any]) -> dict[str, Any]:
    for shape in content["shapes"]:
        shape["points"].reverse()
    return content


def pointed(content: dict[str, Any]) -> dict[str, Any]:
    content["shapes"].append({"label": "nose", "points": [[1, 1]], "shape_type": "point"})
    return content


def written(
    images: str = ".",
    labels: str = "{}.json",
    kind: str = "rectangle",
    change: Callable[[dict[str, Any]], dict[str, Any]] = lambda content: content,
    **fields: Any,
) -> Callable[[Path], object]:
    """Writes the pictures to a folder, and the file of each to a path with its stem, which may be in texts, too."""

    def write_set(root: Path) -> None:
        pictures(root / images)
        for stem in TRUTH:
            own = {key: value.format(stem) if isinstance(value, str) else value for key, value in fields.items()}
            write(root / labels.format(stem), change(labelme(stem, kind, **own)))

    return write_set


LABELME: dict[str, Callable[[Path], object]] = {
    "beside": written(),
    "polygons": written(kind="polygon"),
    "upper-case": written(labels="{}.JSON"),
    "in annotations": written("images", "annotations/{}.json"),
    "relative path": written("images", "annotations/{}.json", imagePath="../images/{}.jpg"),
    "windows path": written("images", "annotations/{}.json", imagePath="..\\images\\{}.jpg"),
    "another machine": written(imagePath="C:\\photos\\{}.jpg"),
    "without sizes": written(imageWidth=None, imageHeight=None),
    "sizes as text": written(imageWidth="64", imageHeight="48"),
    "corners swapped": written(change=swapped),
    "points left out": written(change=pointed),
    "imagePath of a former name": written(imagePath="IMG_{}.jpg"),
    "folders of their own": lambda root: [
        *(pictures(root / s, names=s) for s in TRUTH),
        *(write(root / s / f"{s}.json", labelme(s)) for s in TRUTH),
    ],
    "folders of the part": written("images/train", "labels/train/{}.json"),
    "stray XML": lambda root: [
        written()(root),
        write(root / "pom.xml", "<?xml version='1.0'?><!-- x --><project/>"),
    ],
    "AppleDouble": lambda root: [written()(root), write(root / "._a.json", "\x00\x05")],
}


@pytest.mark.parametrize("way", LABELME)
def test_labelme(tmp_path: Path, way: str) -> None:
    LABELME[way](tmp_path)
    assert found(load_dataset(tmp_path)) == TRUTH


def test_labelme_in_folders_of_parts_and_circles(tmp_path: Path) -> None:
    for split, stem in (("Train", "a"), ("Val", "b")):
        pictures(tmp_path / split, names=stem)
        write(tmp_path / split / f"{stem}.json", labelme(stem))
    circle = {"label": "cat", "points": [[20, 20], [23, 24]], "shape_type": "circle"}
    write(tmp_path / "Train" / "a.json", labelme("a", shapes=[circle]))
    sets = usable_sets(tmp_path)
    assert found(sets.train) == {"a": [("cat", (15, 15, 25, 25))]}
    assert found(sets.val) == {"b": TRUTH["b"]}


@pytest.mark.parametrize(
    "changes",
    [
        {"shapes": "x"},
        {"shapes": [5]},
        {"shapes": [{"label": "cat", "points": [[1, "y"]]}]},
        {"shapes": [{"label": None, "points": []}]},
        {"imagePath": "x" * 300 + ".jpg"},
    ],
)
def test_a_faulty_labelme_file_is_a_case_of_its_own(tmp_path: Path, changes: dict[str, Any]) -> None:
    pictures(tmp_path)
    for stem in TRUTH:
        write(tmp_path / "labels" / f"{stem}.json", labelme(stem))
    write(tmp_path / "labels" / "a.json", labelme("a", **changes))
    report = check_dataset(tmp_path)
    assert {Path(case.file).name for case in report.cases if case.action == "fault"} == {"a.json"}
    assert report.totals["all"].pictures >= 2


def test_a_picture_that_is_only_in_the_file_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.json", labelme("a", imageData="A" * 9))
    with pytest.raises(DatasetError, match="its imageData is not read: save that picture beside the file"):
        load_dataset(tmp_path)


def test_shapes_of_one_label_and_group_are_one_object(tmp_path: Path) -> None:
    pictures(tmp_path, names="a")
    parts = [("cat", 1, 4, 9), ("cat", 1, 20, 30), ("dog", 1, 5, 8), ("cat", 2, 30, 33), ("cat", None, 40, 44)]
    shapes = [{"label": name, "group_id": n, "points": [[a, a], [b, b]]} for name, n, a, b in [*parts, parts[-1]]]
    write(tmp_path / "a.json", pointed(labelme("a", shapes=shapes)))
    dataset = load_dataset(tmp_path)
    assert [(name, box[:1] + box[3:]) for name, box in found(dataset)["a"]] == [
        ("cat", (4, 30)), ("dog", (5, 8)), ("cat", (30, 33)), ("cat", (40, 44)), ("cat", (40, 44)),
    ]  # fmt: skip
    assert [note.words for note in dataset.notes] == ["1 points are not used"]

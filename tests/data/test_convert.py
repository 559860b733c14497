import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssd300.data.check import check_dataset
from ssd300.data.convert import convert_dataset, new_names
from ssd300.data.dataset import Annotations, Dataset, Picture
from ssd300.data.load import find_parts, load_dataset
from ssd300.data.pack import pack_dataset
from ssd300.errors import ArgumentError, DatasetError, ImageError, OutputError
from ssd300.labels import ClassList

FORMATS = ("coco", "yolo", "voc")


def assert_same(one: Dataset, other: Dataset, annotation_ids: bool = True) -> None:
    """Equal to the last bit: classes with boxes, ids, sizes, every field of every box, and the pixels."""
    assert one.classes == other.classes
    ours, theirs = ({p.image_id: p for p in d.pictures} for d in (one, other))
    assert ours.keys() == theirs.keys()
    for image_id, picture in ours.items():
        again = theirs[image_id]
        assert (again.width, again.height) == (picture.width, picture.height)
        for name in ("boxes_xyxy", "class_ids", "crowd", "ignore", "area", "scores", "ids"):
            if name != "ids" or annotation_ids:
                assert np.array_equal(getattr(again.annotations, name), getattr(picture.annotations, name)), name
        assert np.array_equal(again.read(), picture.read())


def rich(content: dict[str, Any]) -> None:
    """Everything that YOLO or VOC have no place for."""
    content["annotations"][0].update(iscrowd=1, area=123.456, id=77)
    content["annotations"][1].update(ignore=1, score=0.123, bbox=[30.57, 10.33, 25.01, 25.99])
    content["categories"].append({"id": 3, "name": "bird, 'odd': #1"})


@pytest.mark.parametrize("first", FORMATS)
@pytest.mark.parametrize("second", FORMATS)
def test_there_and_back_is_equal(edit_coco: Callable[..., Path], tmp_path: Path, first: str, second: str) -> None:
    original = load_dataset(edit_coco(rich))
    dataset = original
    for step, format in enumerate((first, second, "coco")):
        convert_dataset({"all": dataset}, tmp_path / f"{step}", format)  # type: ignore[arg-type]
        dataset = load_dataset(tmp_path / f"{step}")
        assert find_parts(tmp_path / f"{step}")[0].format == format
    assert_same(original, dataset)
    assert [p.file_name for p in dataset.pictures] == [p.file_name for p in original.pictures]


@pytest.mark.parametrize("source", ["yolo", "voc"])
@pytest.mark.parametrize("between", FORMATS)
def test_yolo_and_voc_sets_come_back_equal(sets: dict[str, Path], tmp_path: Path, source: str, between: str) -> None:
    original = load_dataset(sets[source])
    convert_dataset({"all": original}, tmp_path / "1", between)  # type: ignore[arg-type]
    convert_dataset({"all": load_dataset(tmp_path / "1")}, tmp_path / "2", source)  # type: ignore[arg-type]
    # COCO numbers the annotations, which these formats do not.
    assert_same(original, load_dataset(tmp_path / "2"), annotation_ids=between != "coco")


@pytest.mark.parametrize("format", FORMATS)
def test_no_pictures(tmp_path: Path, format: str) -> None:
    empty = Dataset("none", ClassList(("cat",), (5,)), ())
    done = convert_dataset({"all": empty}, tmp_path / "out", format)  # type: ignore[arg-type]
    assert (done.pictures, done.boxes) == (0, 0)


@pytest.mark.parametrize("format", FORMATS)
def test_splits_stay_splits(coco: Path, voc: Path, tmp_path: Path, format: str) -> None:
    splits = {"train": load_dataset(coco), "val": load_dataset(voc)}
    done = convert_dataset(splits, tmp_path / "out", format)  # type: ignore[arg-type]
    assert (done.pictures, done.boxes) == (8, 8)
    for split in splits:
        assert load_dataset(tmp_path / "out", split=split).boxes_per_class() == {"cat": 2, "dog": 2}
    if format != "coco":  # the same names in both splits
        assert ("a.jpg", "a-2.jpg") in done.renamed


@pytest.mark.parametrize("format", FORMATS)
def test_an_empty_part_stays_an_empty_part(coco: Path, tmp_path: Path, format: str) -> None:
    whole = load_dataset(coco)
    splits = {"test": whole.subset([]), "train": whole}
    for step in "12":
        convert_dataset(splits, tmp_path / step, format)
        splits = {split: load_dataset(tmp_path / step, split=split) for split in splits}
        assert [len(dataset) for dataset in splits.values()] == [0, 4]
    assert check_dataset(tmp_path / "1").usable


def test_what_is_not_taken_along_is_said(edit_coco: Callable[..., Path], tmp_path: Path) -> None:
    def spoil(content: dict[str, Any]) -> None:
        content["annotations"][0]["segmentation"] = []
        content["annotations"][1]["bbox"] = [50, 10, 40, 10]

    done = convert_dataset({"all": load_dataset(edit_coco(spoil))}, tmp_path / "out", "yolo")
    assert len(done.lost) == 2
    assert any("segmentation" in line for line in done.lost)
    assert any("annotation 2" in line for line in done.lost)


@pytest.mark.parametrize(
    ("more", "words"), [("", ""), (" 0.5 0.9 0.1 0.9", "outlines"), (" 7", "track ids"), (" 0.5 7", "track ids")]
)
def test_numbers_of_yolo_that_are_not_taken_along_are_said(yolo: Path, tmp_path: Path, more: str, words: str) -> None:
    for file in (yolo / "labels/train").iterdir():
        file.write_text(f"0 0.5 0.5 0.5 0.5{more}\n")
    lost = convert_dataset({"train": load_dataset(yolo)}, tmp_path / "out", "coco").lost
    assert [words in line for line in lost] == [True] * bool(words)


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ([], []),
        (["a.jpg", "b.png"], ["a.jpg", "b.png"]),
        (["x/a.jpg", "y/a.jpg"], ["x/a.jpg", "y/a.jpg"]),
        (["a.jpg", "a.png", "A.jpg"], ["a.jpg", "a-2.png", "A-3.jpg"]),  # they would share a label file
        (["\u00e9.jpg", "e\u0301.jpg"], ["\u00e9.jpg", "e\u0301-2.jpg"]),  # one file on macOS
        (
            ["aux.jpg", "Con./a.jpg", "pets. /com1", "nul.x.png"],
            ["_aux.jpg", "_Con/a.jpg", "pets/_com1.jpg", "_nul.x.png"],
        ),
        (["/etc/a.jpg", "../../b.jpg", "C:\\c.jpg"], ["etc/a.jpg", "b.jpg", "C_/c.jpg"]),
        (["annotations/xmls/a.jpg", "Labels/x/images/b.jpg", "JPEGImages/c.jpg"], ["a.jpg", "x/b.jpg", "c.jpg"]),
        (
            ["train2017/a.jpg", "val/x/a.jpg", "Val/a.jpg"],
            ["a.jpg", "x/a.jpg", "a-2.jpg"],
        ),  # they would be read as parts
    ],
)
def test_new_names_are_relative_and_unlike(names: list[str], wanted: list[str]) -> None:
    pictures = [Picture(Path("x"), i, 1, 1, Annotations.empty(), name) for i, name in enumerate(names)]
    assert new_names(pictures) == wanted


def test_links_instead_of_copies(coco: Path, tmp_path: Path) -> None:
    convert_dataset({"all": load_dataset(coco)}, tmp_path / "out", "coco", link=True)
    assert (tmp_path / "out/images/a.jpg").samefile(coco / "images/a.jpg")


def test_a_packed_set_becomes_png(coco: Path, tmp_path: Path) -> None:
    original = load_dataset(coco)
    pack_dataset(original, tmp_path / "pets.pack", encoding="raw")
    packed = {"all": load_dataset(tmp_path / "pets.pack")}
    with pytest.raises(ArgumentError, match="--link links files, and pictures of a packed set are written as PNG"):
        convert_dataset(packed, tmp_path / "out", "voc", link=True)
    convert_dataset(packed, tmp_path / "out", "voc")
    assert_same(original, load_dataset(tmp_path / "out"))


def test_nothing_is_overwritten_and_nothing_half_is_left(coco: Path, tmp_path: Path) -> None:
    dataset = load_dataset(coco)
    with pytest.raises(DatasetError, match="exists already"):
        convert_dataset({"all": dataset}, coco, "yolo")
    (coco / "images" / "c.jpg").unlink()
    with pytest.raises(DatasetError, match=r"c\.jpg: cannot be copied"):
        convert_dataset({"all": dataset}, tmp_path / "new", "yolo")
    assert [path.name for path in tmp_path.iterdir()] == ["coco"]


def test_unknown_formats_and_splits_are_refused(coco: Path, tmp_path: Path) -> None:
    dataset = load_dataset(coco)
    with pytest.raises(ArgumentError, match="did you mean 'yolo'"):
        convert_dataset({"all": dataset}, tmp_path / "out", "yolo5")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="got summer, winter: name those to convert"):
        convert_dataset({"summer": dataset, "winter": dataset}, tmp_path / "out", "coco")


@pytest.mark.parametrize("format", FORMATS)
def test_a_set_whose_folders_are_named_as_parts(edit_coco: Callable[..., Path], tmp_path: Path, format: str) -> None:
    def move(content: dict[str, Any]) -> None:
        for image, part in zip(content["images"], ("train", "train", "val", "test"), strict=True):
            image["file_name"] = f"{part}/{image['file_name']}"

    root = edit_coco(move)
    for stem, part in (("a", "train"), ("b", "train"), ("c", "val"), ("empty", "test")):
        (root / "images" / part).mkdir(exist_ok=True)
        (root / f"images/{stem}.jpg").rename(root / f"images/{part}/{stem}.jpg")
    original = load_dataset(root)
    convert_dataset({"all": original}, tmp_path / "out", format)
    assert_same(original, load_dataset(tmp_path / "out"))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_size_that_is_not_the_picture_s_is_said(
    coco: Path, tmp_path: Path, make_picture: Any, orientation: int
) -> None:
    make_picture(coco / "images/a.jpg", 0, orientation=orientation)
    if orientation < 5:
        convert_dataset({"all": load_dataset(coco)}, tmp_path / "out", "yolo")
        return
    with pytest.raises(
        DatasetError, match=r"\(a\.jpg is 48x64, its annotations are for 64x48: see `ssd300 data check`\)"
    ):
        convert_dataset({"all": load_dataset(coco)}, tmp_path / "out", "yolo")


def test_coco_files_hold_the_numbers_as_the_user_wrote_them(edit_coco: Callable[..., Path], tmp_path: Path) -> None:
    convert_dataset({"all": load_dataset(edit_coco(rich))}, tmp_path / "out", "coco")
    content = json.loads((tmp_path / "out/annotations.json").read_text())
    assert list(content) == ["info", "images", "annotations", "categories"]  # versions of pycocotools need `info`
    assert load_dataset(tmp_path / "out").notes == ()
    written = content["annotations"]
    assert written[0] == {
        "id": 77,
        "image_id": 0,
        "category_id": 7,
        "bbox": [4, 6, 20, 30],
        "area": 123.456,
        "iscrowd": 1,
    }
    assert written[1]["bbox"] == [30.57, 10.33, 25.01, 25.99]
    assert written[1]["score"] == 0.123


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize("format", ["coco", "yolo", "voc"])
@pytest.mark.parametrize("link", [True, False])  # the labels alone are written, or pictures first
def test_a_full_disk_is_said_and_nothing_half_is_left(coco: Path, tmp_path: Path, format: str, link: bool) -> None:
    from full_disk import files_of_at_most

    pictures = load_dataset(coco)
    with files_of_at_most(10), pytest.raises(OutputError) as raised:
        convert_dataset({"all": pictures}, tmp_path / "out", format, link=link)
    assert str(raised.value) == f"{tmp_path / 'out'}: cannot be written: File too large; choose another folder"
    assert [entry.name for entry in tmp_path.iterdir()] == ["coco"]


def test_a_picture_that_cannot_be_read_is_no_silent_loss(coco: Path, tmp_path: Path) -> None:
    (coco / "images/a.jpg").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"a\.jpg"):
        pack_dataset(load_dataset(coco), tmp_path / "pets.pack")


@pytest.mark.parametrize("name", ["bird", "bird: odd"])
def test_voc_lists_its_classes_for_other_tools(edit_coco: Callable[..., Path], tmp_path: Path, name: str) -> None:
    dataset = load_dataset(edit_coco(lambda content: content["categories"].append({"id": 3, "name": name})))
    convert_dataset({"all": dataset}, tmp_path / "out", "voc")
    file = tmp_path / "out" / "labelmap.txt"
    if ":" in name:  # its lines are split at colons
        assert not file.exists()
        return
    lines = [line.split(":") for line in file.read_text().splitlines() if not line.startswith("#")]
    assert [(len(fields), fields[0]) for fields in lines] == [(4, name) for name in dataset.classes.names]

"""Ten variations or more of each kind of fault that people's sets had, where no other file of this folder has them.

The others: parts (test_parts), encodings (test_encodings), clutter, letter case and paths (test_paths), values
(test_values), class names (test_names_and_boxes), annotation tools (test_cvat, test_labelme, ...).
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.sets import TRUTH, coco, coco_content, darknet, found, line, pictures, voc, voc_text, write, yolo
from ssd300.data.check import check_dataset
from ssd300.data.fitting import BOX_FORMATS, describe_mismatch, to_corners
from ssd300.data.load import load_dataset
from ssd300.data.usable import usable_sets
from ssd300.errors import DatasetError

# Boxes written in another way than the format's


def boxes_as(way: str, seed: int, fractions: bool) -> tuple[Any, Any]:
    """Boxes [M, 4] of pictures of any size, written in a way, as integers in some sets; the sizes [M, 2]."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(20, 300))
    sizes = rng.integers(64, 4000, (count, 2)).astype(float)
    low = rng.uniform(0, 0.7, (count, 2))
    high = low + rng.uniform(0.05, 1, (count, 2)) * (1 - low)
    xyxy = np.concatenate([low, high], axis=1) * (1 if fractions else np.tile(sizes, 2))
    xyxy = np.round(xyxy, 6 if fractions else (0 if seed % 2 else 2))
    first, second = xyxy[:, :2], xyxy[:, 2:]
    written = {
        "xyxy": xyxy,
        "xywh": np.concatenate([first, second - first], axis=1),
        "cxcywh": np.concatenate([(first + second) / 2, second - first], axis=1),
    }[way]
    assert np.allclose(to_corners(written, way), xyxy, atol=1e-6)
    return written, np.ones_like(sizes) if fractions else sizes


@pytest.mark.parametrize("fractions", [False, True])
@pytest.mark.parametrize("read", BOX_FORMATS)
@pytest.mark.parametrize("written", BOX_FORMATS)
def test_a_way_of_writing_boxes_is_suspected_and_the_right_one_never(written: str, read: str, fractions: bool) -> None:
    for seed in range(50):
        words = describe_mismatch(*_as_read(written, seed, fractions, read))
        if written == read:
            assert words is None, seed
        else:
            assert words is not None, seed
            assert words.endswith(f"all fit as {BOX_FORMATS[written]}: they seem to be written that way"), (seed, words)


def test_a_box_that_fits_in_neither_way_is_not_counted_as_fitting() -> None:
    boxes = np.tile([[30.0, 30, 60, 60], [50, 50, 60, 60]], (100, 1))  # corners
    boxes[0] = [-50, 0, 99, 99]
    words = str(describe_mismatch(boxes, "xywh", np.full((200, 2), 64.0)))
    assert "200 of 200 boxes do not fit" in words
    assert "; 199 fit as the corners" in words


def _as_read(written: str, seed: int, fractions: bool, read: str) -> tuple[Any, str, Any]:
    boxes, sizes = boxes_as(written, seed, fractions)
    return boxes, read, sizes


@pytest.mark.parametrize("way", BOX_FORMATS)
def test_fractions_where_pixels_are_expected(way: str) -> None:
    for seed in range(20):
        boxes, _ = boxes_as(way, seed, fractions=True)
        words = describe_mismatch(boxes, "xywh", np.full((len(boxes), 2), 640.0))
        number = f"all {len(boxes)} boxes have numbers between 0 and 1"
        assert words == f"{number}: fractions of the picture where pixels are expected"
        boxes[0] = [9, 9, 30, 30]
        words = describe_mismatch(boxes, "xywh", np.full((len(boxes), 2), 640.0))
        assert str(words).startswith(f"{len(boxes) - 1} of {len(boxes)} boxes have numbers between 0 and 1")


# Output of trackers


@pytest.mark.parametrize(
    "more",
    [
        lambda n: f" {n + 2}",
        lambda n: f" {n + 2}.0",
        lambda n: f" 0.{n + 1} {n}",
        lambda n: f" 1 {n}",
        lambda n: f" 0 {1000 + n}",
        lambda n: f" 0.99999 {n}.0",
        lambda n: f" 1e-3 {n}",
        lambda n: f"  0.5\t{n} ",
        lambda n: f" 0.5 {n}\r",
        lambda n: " 0.5 1",
        lambda n: f" {10**6 + n}",
    ],
)
def test_of_a_tracker_s_lines_the_box_counts(tmp_path: Path, more: Any) -> None:
    yolo(tmp_path)
    for number, (stem, things) in enumerate(TRUTH.items()):
        text = "".join(line(label, box, more(number)) for label, box in things)
        (tmp_path / f"labels/{stem}.txt").write_bytes(text.encode())
    dataset = load_dataset(tmp_path)
    assert found(dataset) == TRUTH
    assert any("track ids" in note.words for note in dataset.notes)


# Names of files in other letters


@pytest.mark.parametrize(
    ("annotations", "folder"),
    [
        ("ANNOTATIONS.JSON", "."), ("Annotations.Json", "Images"), ("annotations.JSON", "IMAGES"),
        ("TRAIN.JSON", "TRAIN"),
        ("Annotations/INSTANCES_TRAIN2017.JSON", "TRAIN2017"), ("ANNOTATIONS/Instances_Train2017.json", "Train2017"),
        ("TRAIN/_ANNOTATIONS.COCO.JSON", "TRAIN"), ("Train/_annotations.coco.JSON", "Train"), ("LABELS.JSON", "DATA"),
        ("Result.JSON", "Images"), ("Annotations/train.Json", "images/Train"),
    ],
)  # fmt: skip
def test_letter_case_does_not_matter_in_coco(tmp_path: Path, annotations: str, folder: str) -> None:
    write(tmp_path / annotations, coco_content())
    pictures(tmp_path / folder, ".JPG")
    assert found(load_dataset(tmp_path)) == found(load_dataset(tmp_path / annotations)) == TRUTH


@pytest.mark.parametrize("name", ["DATA.YAML", "Data.Yaml", "data.YML", "Dataset.yml", "COCO.YAML"])
@pytest.mark.parametrize(("images", "labels"), [("Images/Train", "Labels/Train"), ("TRAIN/IMAGES", "TRAIN/LABELS")])
def test_letter_case_does_not_matter_in_yolo(tmp_path: Path, name: str, images: str, labels: str) -> None:
    yolo(tmp_path, f"TRAIN: {images.lower()}\nNames: [cat, dog]\n", images, labels, suffix=".TXT")
    (tmp_path / "data.yaml").rename(tmp_path / name)
    assert found(load_dataset(tmp_path)) == TRUTH


# Names of classes that are no text


@pytest.mark.parametrize(
    ("name", "read"),
    [
        (7, "7"), (0, "0"), (-3, "-3"), (2**60, str(2**60)), ("7", "7"), (" 7 ", "7"), (True, None), (False, None),
        (1.5, None), (7.0, None), (None, None), ([], None), (["cat"], None), ({"en": "cat"}, None), (2**64, None),
        ("", None), ("\t", None), ("x" * 501, None),
    ],
)  # fmt: skip
def test_names_of_categories_of_any_type(tmp_path: Path, name: Any, read: str | None) -> None:
    content = coco_content() | {"categories": [{"id": 1, "name": name}, {"id": 2, "name": "dog"}]}
    coco(tmp_path, content)
    if read is not None:
        assert load_dataset(tmp_path).classes.names == (read, "dog")
        return
    with pytest.raises(DatasetError, match="expected an integer `id` and a text `name`"):
        load_dataset(tmp_path)
    assert not check_dataset(tmp_path).usable


# A class in the validation part alone


def only_in_val(format: str, root: Path, listed: bool) -> None:
    """train: picture b with a cat; val: picture c with a dog, whose class training lists or does not."""
    if format == "coco":
        for part, names in (("train", "b"), ("val", "c")):
            content = coco_content(names)
            content["categories"] = [
                c for c in content["categories"] if listed or c["name"] == ("cat", "dog")[names == "c"]
            ]
            write(root / f"{part}.json", content)
            pictures(root / part, names=names)
    elif format == "yolo":
        for part, names in (("train", "b"), ("val", "c")):
            yolo(root, "train: images/train\nval: images/val\nnames: [cat, dog]\n", f"images/{part}", f"labels/{part}",
                 names=names)  # fmt: skip
    elif format == "voc":
        voc(root, names="abc" if listed else "bc")
        write(root / "ImageSets/Main/train.txt", "b\n" + "a\n" * listed)
        write(root / "ImageSets/Main/val.txt", "c\n")
    else:
        for part, names in (("train", "ab" if listed else "b"), ("val", "c")):
            voc(root / part, ".", ".", names=names)


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("format", ["coco", "yolo", "voc", "voc folders"])
@pytest.mark.parametrize("elsewhere", [True, False])
def test_check_and_train_say_the_same_of_a_class_in_val_alone(
    tmp_path: Path, format: str, listed: bool, elsewhere: bool
) -> None:
    only_in_val(format, tmp_path, listed or format == "yolo")
    given = (tmp_path, None)
    if elsewhere and format == "coco":
        given = (tmp_path / "train.json", tmp_path / "val.json")  # type: ignore[assignment]
    report = check_dataset(*given)
    try:
        usable_sets(*given)
        reason = ""
    except DatasetError as error:
        reason = str(error)
    assert (report.usable, report.reason) == (not reason, reason)
    assert report.usable == (listed or format == "yolo"), reason


# Lists of classes among labels


@pytest.mark.parametrize("place", ["labels", "labels/train", "images", "images/train", "."])
@pytest.mark.parametrize("text", ["cat\ndog\n", "cat\r\ndog\r\n", "\ufeffcat\ndog", "0 cat\n1 dog\n", ""])
def test_a_list_of_classes_is_no_label_wherever_it_lies(tmp_path: Path, place: str, text: str) -> None:
    yolo(tmp_path, "train: images/train\nnames: [cat, dog]\n", "images/train", "labels/train")
    write(tmp_path / place / "classes.txt", text)
    assert found(load_dataset(tmp_path)) == TRUTH
    assert check_dataset(tmp_path).usable


# FiftyOne and CVAT


@pytest.mark.parametrize(
    ("labels", "folder", "name"),
    [
        ("labels.json", "data", "{}.jpg"), ("labels.json", "data", "data/{}.jpg"), ("labels.json", "Data", "{}.jpg"),
        ("Labels.json", "data", "/home/me/fiftyone/pets/data/{}.jpg"), ("labels.json", "data", "C:\\me\\data\\{}.jpg"),
        ("labels.json", "data", "data\\{}.jpg"), ("labels.json", "images", "{}.jpg"), ("labels.json", "data", "{}.JPG"),
        ("train/labels.json", "train/data", "{}.jpg"), ("labels.json", "data/sub", "sub/{}.jpg"),
        ("labels.json", ".", "{}.jpg"),
    ],
)  # fmt: skip
def test_fiftyone(tmp_path: Path, labels: str, folder: str, name: str) -> None:
    content = coco_content() | {"info": {"description": "FiftyOne"}, "licenses": []}
    for image in content["images"]:
        image["file_name"] = name.format(Path(image["file_name"]).stem)
    for annotation in content["annotations"]:
        annotation |= {"iscrowd": 0, "supercategory": "", "area": 100.0}
    write(tmp_path / labels, content)
    pictures(tmp_path / folder)
    assert found(load_dataset(tmp_path)) == TRUTH


@pytest.mark.parametrize("trainer", ["Train.txt", "TRAIN.txt", "train.TXT"])
def test_cvat_yolo_1_1_in_other_letters(tmp_path: Path, trainer: str) -> None:
    darknet(tmp_path, places="data/")
    (tmp_path / "train.txt").rename(tmp_path / trainer)
    assert found(load_dataset(tmp_path)) == TRUTH


# Fractions in VOC


@pytest.mark.parametrize("seed", range(10))
def test_fractions_are_named_in_voc(tmp_path: Path, seed: int) -> None:
    voc(tmp_path)
    boxes, _ = boxes_as("xyxy", seed, fractions=True)
    for stem, rows in zip("abc", np.array_split(boxes, 3), strict=True):
        things: Any = [("cat", tuple(row)) for row in rows.tolist()]
        write(tmp_path / f"Annotations/{stem}.xml", voc_text(stem, things))
    with pytest.raises(DatasetError, match="fractions of the picture"):
        usable_sets(tmp_path)

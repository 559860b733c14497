"""Which part is trained and which is measured on: the same names in every format."""

import re
from pathlib import Path

import pytest

from data.sets import TRUTH, coco, pictures, stems, voc, voc_text, write, yolo
from data.test_labelme import labelme
from ssd300.data.check import check_dataset
from ssd300.data.load import find_parts, load_dataset, load_parts
from ssd300.data.pack import pack_dataset
from ssd300.data.parts import parse_part, part_names
from ssd300.data.split import count_shared
from ssd300.data.usable import usable_sets
from ssd300.errors import DatasetError


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("", None), ("train", "train"), ("Train", "train"), ("TRAINING", "train"), ("train2017", "train"),
        ("instances_train2017", "train"), ("trainval", "trainval"), ("train_val", "trainval"), ("val", "val"),
        ("Valid", "val"), ("validation", "val"), ("dev", "val"), ("instances_val2014", "val"), ("test", "test"),
        ("Testing", "test"), ("summer", None), ("strain", None),
        ("TrainSet", "train"), ("testset_v2", "test"), ("train_and_test", None), ("devices", None),
    ],
)  # fmt: skip
def test_what_the_name_of_a_part_means(name: str, means: str | None) -> None:
    assert parse_part(name) == means


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        ([], []),
        (["Train", "Validation"], ["train", "val"]),
        (["train", "training"], ["train", "training"]),
        (["valid", "dev"], ["valid", "dev"]),
        (["summer", "winter"], ["summer", "winter"]),
    ],
)
def test_of_two_names_of_one_meaning_only_the_exact_one_counts(names: list[str], parts: list[str]) -> None:
    assert part_names(names) == parts


TRAIN = ["train", "Train", "TRAIN", "training", "Training", "trainval", "TrainVal"]
FORMATS = ["coco", "yolo", "yolo classes", "voc lists", "voc folders", "voc folders inside", "labelme"]
VAL = ["val", "Val", "valid", "Valid", "validation", "VALIDATION", "dev"]


def parts_in(format: str, root: Path, train: str, val: str) -> None:
    """A set of a format with the parts a, b (by the name `train`) and c (by the name `val`)."""
    if format == "coco":
        for part, names in ((train, "ab"), (val, "c")):
            coco(root / part, names=names)
            (root / part / "annotations.json").rename(root / f"{part}.json")
    elif format == "yolo":
        for part, names in ((train, "ab"), (val, "c")):
            yolo(root, f"{train}: images/{train}\n{val}: images/{val}\nnames: [cat, dog]\n",
                 f"images/{part}", f"labels/{part}", names=names)  # fmt: skip
    elif format == "yolo classes":
        for part, names in ((train, "ab"), (val, "c")):
            yolo(root, "", f"images/{part}", f"labels/{part}", names=names)
        (root / "data.yaml").unlink()
        write(root / "classes.txt", "cat\ndog\n")
    elif format == "voc lists":
        voc(root)
        write(root / f"ImageSets/Main/{train}.txt", "a\nb\n")
        write(root / f"ImageSets/Main/{val}.txt", "c\n")
    elif format == "voc folders inside":
        for part, names in ((train, "ab"), (val, "c")):
            voc(root, f"Annotations/{part}", f"JPEGImages/{part}", names=names)
    elif format == "labelme":
        for part, names in ((train, "ab"), (val, "c")):
            pictures(root / part, names=names)
            for stem in names:
                write(root / part / f"{stem}.json", labelme(stem))
    else:
        for part, names in ((train, "ab"), (val, "c")):
            voc(root / part, ".", ".", names=names)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("train", "val"), [*((name, "val") for name in TRAIN), *(("train", name) for name in VAL)])
def test_parts_have_the_same_names_in_every_format(tmp_path: Path, format: str, train: str, val: str) -> None:
    parts_in(format, tmp_path, train, val)
    sets = usable_sets(tmp_path)
    assert (stems(sets.train), stems(sets.val)) == ({"a", "b"}, {"c"})
    assert check_dataset(tmp_path).usable


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("other", ["test", "Test", "testing"])
def test_the_test_part_is_never_trained_or_measured_on(tmp_path: Path, format: str, other: str) -> None:
    parts_in(format, tmp_path, "trainval", other)
    sets = usable_sets(tmp_path)
    assert stems(sets.train) | stems(sets.val) == {"a", "b"}
    assert sets.messages == (f"{tmp_path}: not used for training: test",)


@pytest.mark.parametrize("format", [format for format in FORMATS if format != "yolo"])
@pytest.mark.parametrize(("train", "test"), [("train_v1", "test_v1"), ("my-train", "set test")])
def test_a_part_may_have_more_words_in_its_name(tmp_path: Path, format: str, train: str, test: str) -> None:
    parts_in(format, tmp_path, train, test)
    sets = usable_sets(tmp_path)
    assert stems(sets.train) | stems(sets.val) == {"a", "b"}
    assert sets.messages == (f"{tmp_path}: not used for training: test",)


@pytest.mark.parametrize("format", ["coco", "voc folders", "voc folders inside", "labelme"])
@pytest.mark.parametrize(("val", "inside"), [("val", "."), ("valid", "."), ("val", "pets/pets")])
def test_pictures_for_validation_without_labels_are_said(tmp_path: Path, format: str, val: str, inside: str) -> None:
    parts_in(format, tmp_path / inside, "train", val)
    for file in [*tmp_path.rglob("c.json"), *tmp_path.rglob("c.xml"), *tmp_path.rglob(f"{val}.json")]:
        file.unlink()
    folder = tmp_path / inside / ("JPEGImages" if format == "voc folders inside" else ".") / val
    said = (f"{folder} has pictures, but no labels of them were found: not used",)
    assert usable_sets(tmp_path).messages == check_dataset(tmp_path).messages == said


@pytest.mark.parametrize(
    ("format", "place"),
    [("coco", "val.json"), ("coco", "train.json"), ("yolo", "."), ("voc lists", "."), ("labelme", "val")],
)
def test_a_check_takes_a_validation_set_of_the_same_path_as_training_does(
    tmp_path: Path, format: str, place: str
) -> None:
    parts_in(format, tmp_path, "train", "val")
    report = check_dataset(tmp_path, tmp_path / place)
    assert report.messages == usable_sets(tmp_path, tmp_path / place).messages
    assert ("train/validation leakage" in report.counts()) == (place == "train.json")


@pytest.mark.parametrize("format", ["coco", "yolo", "voc lists", "voc folders"])
@pytest.mark.parametrize(("one", "other"), [("test", "val"), ("validation", "test"), ("dev", "Testing")])
def test_without_a_part_for_training_the_parts_are_listed(tmp_path: Path, format: str, one: str, other: str) -> None:
    parts_in(format, tmp_path, one, other)
    with pytest.raises(DatasetError, match=r"has the splits test, val.*none is named train"):
        usable_sets(tmp_path)
    report = check_dataset(tmp_path)
    assert not report.usable
    assert "none is named train" in report.reason


@pytest.mark.parametrize("format", [*FORMATS, "pack"])
@pytest.mark.parametrize("other", ["training", "train_small"])
def test_of_two_names_of_one_part_the_exact_one_is_used(tmp_path: Path, format: str, other: str) -> None:
    parts_in("voc folders" if format == "pack" else format, tmp_path, "train", other)
    if format == "pack":
        for part in find_parts(tmp_path):
            pack_dataset(load_parts([part], tmp_path), tmp_path / "packed" / f"{part.source.name}.pack")
        tmp_path /= "packed"
    sets = usable_sets(tmp_path)
    names = {Path(picture.file_name).stem for dataset in (sets.train, sets.val) for picture in dataset.pictures}
    assert names == {"a", "b"}
    assert any("not used" in words for words in (*sets.messages, *map(str, sets.train.notes)))


@pytest.mark.parametrize(
    ("format", "places"),
    [("yolo", []), ("voc lists", []), ("coco", ["train.json", "val.json"]), ("voc folders", ["train", "val"])],
)
def test_only_a_path_that_stands_for_one_part_is_offered(tmp_path: Path, format: str, places: list[str]) -> None:
    parts_in(format, tmp_path, "train", "val")
    with pytest.raises(DatasetError) as found:
        load_dataset(tmp_path)
    paths = [tmp_path / place for place in places]
    listed = re.search(r"path [^(]*\((.*?)\)", str(found.value))
    assert (listed[1] if listed else "") == ", ".join(map(str, paths))
    assert [len(load_dataset(path)) for path in paths] == [2, 1][: len(paths)]


@pytest.mark.parametrize("format", ["coco", "voc folders"])
def test_parts_of_other_names_are_listed(tmp_path: Path, format: str) -> None:
    parts_in(format, tmp_path, "summer", "winter")
    with pytest.raises(DatasetError, match=r"has the splits summer, winter.*none is named train"):
        usable_sets(tmp_path)


@pytest.mark.parametrize(
    ("format", "place"),
    [("coco", "val.json"), ("labelme", "val"), ("voc folders", "val"), ("yolo", None), ("voc lists", None)],
)
def test_from_the_path_that_is_offered_a_validation_set_is_drawn(
    tmp_path: Path, format: str, place: str | None
) -> None:
    if format == "coco":
        coco(tmp_path / "val")
        (tmp_path / "val/annotations.json").rename(tmp_path / "val.json")
    elif format == "yolo":
        yolo(tmp_path, "val: images/val\nnames: [cat, dog]\n", "images/val", "labels/val")
    else:
        parts_in(format, tmp_path, "val", "val")
    with pytest.raises(DatasetError) as found:
        usable_sets(tmp_path)
    offered = re.search(r"path [^(]*\((.*)\)", str(found.value))
    assert (offered and offered[1]) == (place and str(tmp_path / place))
    if place:
        sets = usable_sets(tmp_path / place)
        assert sets.train.pictures
        assert stems(sets.train).isdisjoint(stems(sets.val))
        assert not any("also in the training set" in words for words in sets.messages)
        assert check_dataset(tmp_path / place).usable


def test_a_file_that_the_user_names_is_trained_on_whatever_it_is_called(tmp_path: Path) -> None:
    parts_in("coco", tmp_path, "train", "val")
    assert stems(load_dataset(tmp_path / "val.json")) == {"c"}
    assert stems(usable_sets(tmp_path / "val.json", tmp_path / "train.json").train) == {"c"}


def test_keys_and_lists_that_are_not_used_are_named(tmp_path: Path) -> None:
    yolo(tmp_path, "train: images\nminitrain: images\nnames: [cat, dog]\n")
    assert "'minitrain' of the file is not used" in [note.words for note in load_dataset(tmp_path).notes]
    root = voc(tmp_path / "voc")
    for name in ("train", "val", "odd", "cat_train"):
        write(root / f"ImageSets/Main/{name}.txt", "a\n")
    write(root / "ImageSets/Main/train_v1.txt", "b\n")
    dataset = load_dataset(root, split="train")
    words = [note.words for note in dataset.notes]
    assert {"the list odd.txt is not used", "the list train_v1.txt is not used"} <= set(words)
    assert not any("cat_train" in one for one in words)
    assert stems(dataset) == {"a"}


def test_lists_are_named_where_none_is_a_part(tmp_path: Path) -> None:
    root = voc(tmp_path)
    for name in ("one", "two"):
        write(root / f"ImageSets/Main/{name}.txt", "a\n")
    dataset = load_dataset(root)
    assert stems(dataset) == {"a", "b", "c"}
    assert [note.words for note in dataset.notes] == ["the list one.txt is not used", "the list two.txt is not used"]


@pytest.mark.parametrize("format", ["voc folders", "voc folders inside", "labelme"])
def test_files_beside_the_folders_of_parts_are_not_used_and_named(tmp_path: Path, format: str) -> None:
    parts_in(format, tmp_path, "train", "test")
    inside = tmp_path / "Annotations" if format == "voc folders inside" else tmp_path
    pictures(tmp_path, names="d")
    write(inside / "d.json", labelme("c") | {"imagePath": "d.jpg"}) if format == "labelme" else write(
        inside / "d.xml", voc_text("d", TRUTH["c"])
    )
    sets = usable_sets(tmp_path)
    assert stems(sets.train) | stems(sets.val) == {"a", "b"}
    assert sets.messages == (f"{tmp_path}: not used for training: test",)
    assert any("outside of the folders of parts are not used" in note.words for note in sets.train.notes)


def test_folders_of_pictures_that_are_no_part_are_named(tmp_path: Path) -> None:
    parts_in("yolo classes", tmp_path, "train", "extra")
    pictures(tmp_path / "images")
    words = [note.words for note in load_dataset(tmp_path).notes]
    assert words == ["images/extra is not used", "3 pictures in images/ outside of its folders are not used"]


@pytest.mark.parametrize("years", [["VOC2007"], ["VOC2007", "VOC2012"], ["VOC2007", "VOC2008", "VOC2012"]])
@pytest.mark.parametrize("devkit", ["", "VOCdevkit"])
def test_a_devkit_of_years_is_one_set(tmp_path: Path, years: list[str], devkit: str) -> None:
    for year, stem in zip(years, "abc", strict=False):
        root = voc(tmp_path / devkit / year, names=stem)
        write(root / "ImageSets/Main/trainval.txt", f"{stem}\n")
    if len(years) > 1:
        sets = usable_sets(tmp_path)
        assert stems(sets.train) | stems(sets.val) == set("abc"[: len(years)])
    assert len(load_dataset(tmp_path)) == len(years)
    assert check_dataset(tmp_path).totals["trainval"].pictures == len(years)


def test_a_copy_of_a_training_picture_is_said(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        yolo(tmp_path / folder, "train: images\nnames: [cat, dog]\n")
        with (tmp_path / folder / "images/b.jpg").open("ab") as picture:
            picture.write(f"only in {folder}".encode())
    [line] = [line for line in usable_sets(tmp_path / "one", tmp_path / "other").messages if "also in the" in line]
    assert line.startswith("2 pictures of other")


def test_shared_pictures_are_counted(tmp_path: Path) -> None:
    yolo(tmp_path, "train: images\nnames: [cat, dog]\n")
    whole = load_dataset(tmp_path)
    assert count_shared(whole.subset([]), whole) == count_shared(whole, whole.subset([])) == 0
    assert count_shared(whole.subset([0, 1]), whole.subset([1, 2])) == 1
    assert count_shared(whole, whole) == len(whole) == 3


def test_pictures_that_are_in_both_parts_are_said(tmp_path: Path) -> None:
    yolo(tmp_path, "train: images\nval: images\nnames: [cat, dog]\n")
    assert any(
        "3 pictures of" in words and "are also in the training set" in words for words in usable_sets(tmp_path).messages
    )

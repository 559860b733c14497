"""Kinds of faults that people's data sets have: each gives the right value or a refusal that names it."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.test_formats import SIZE, TRUTH, Boxes, append, found, pictures, write
from ssd300.data.check import check_dataset
from ssd300.data.dataset import Dataset
from ssd300.data.load import load_dataset
from ssd300.data.look import find_parts
from ssd300.data.parts import meaning, part_names
from ssd300.data.usable import usable_sets
from ssd300.errors import DatasetError

XML = "<?xml version='1.0' encoding='utf-8'?>"


def coco_content(names: str = "abc") -> dict[str, Any]:
    """TRUTH as COCO with the categories 1 cat and 2 dog."""
    images = [{"id": n, "file_name": f"{s}.jpg", "width": 64, "height": 48} for n, s in enumerate(names, 1)]
    annotations = []
    for n, stem in enumerate(names, 1):
        for label, (x1, y1, x2, y2) in TRUTH[stem]:
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "category_id": 1 if label == "cat" else 2}
            annotations.append({"id": len(annotations) + 1, "image_id": n, **box})
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }


def coco(root: Path, content: dict[str, Any] | None = None, names: str = "abc") -> Path:
    pictures(root, names=names)
    write(root / "annotations.json", content or coco_content(names))
    return root


def line(label: str, box: tuple[float, ...], more: str = "") -> str:
    x1, y1, x2, y2 = box
    cx, cy, w, h = (x1 + x2) / 2 / SIZE[0], (y1 + y2) / 2 / SIZE[1], (x2 - x1) / SIZE[0], (y2 - y1) / SIZE[1]
    return f"{('cat', 'dog').index(label)} {cx} {cy} {w} {h}{more}\n"


def yolo(
    root: Path,
    yaml: str = "train: images\nnames: [cat, dog]\n",
    images: str = "images",
    labels: str = "labels",
    more: str = "",
    suffix: str = ".txt",
    names: str = "abc",
) -> Path:
    pictures(root / images, names=names)
    for stem in names:
        write(root / labels / f"{stem}{suffix}", "".join(line(*thing, more) for thing in TRUTH[stem]))
    write(root / "data.yaml", yaml)
    return root


def voc_text(stem: str, things: Boxes, head: str = XML, size: str = "<width>64</width><height>48</height>") -> str:
    boxes = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
        "</bndbox></object>"
        for label, (x1, y1, x2, y2) in things
    )
    return f"{head}<annotation><filename>{stem}.jpg</filename><size>{size}</size>{boxes}</annotation>"


def voc(
    root: Path,
    annotations: str = "Annotations",
    images: str = "JPEGImages",
    suffix: str = ".xml",
    names: str = "abc",
    **xml: str,
) -> Path:
    pictures(root / images, names=names)
    for stem in names:
        write(root / annotations / f"{stem}{suffix}", voc_text(stem, TRUTH[stem], **xml))
    return root


def stems(dataset: Dataset) -> set[str]:
    return set(found(dataset))


# 9: which part is trained on


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("", None), ("train", "train"), ("Train", "train"), ("TRAINING", "train"), ("train2017", "train"),
        ("instances_train2017", "train"), ("trainval", "trainval"), ("train_val", "trainval"), ("val", "val"),
        ("Valid", "val"), ("validation", "val"), ("dev", "val"), ("instances_val2014", "val"), ("test", "test"),
        ("Testing", "test"), ("summer", None), ("strain", None), ("train_and_test", None), ("devices", None),
    ],
)  # fmt: skip
def test_what_the_name_of_a_part_means(name: str, means: str | None) -> None:
    assert meaning(name) == means


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
    elif format == "voc lists":
        voc(root)
        write(root / f"ImageSets/Main/{train}.txt", "a\nb\n")
        write(root / f"ImageSets/Main/{val}.txt", "c\n")
    else:
        for part, names in ((train, "ab"), (val, "c")):
            voc(root / part, ".", ".", names=names)


@pytest.mark.parametrize("format", ["coco", "yolo", "voc lists", "voc folders"])
@pytest.mark.parametrize(("train", "val"), [*((name, "val") for name in TRAIN), *(("train", name) for name in VAL)])
def test_parts_have_the_same_names_in_every_format(tmp_path: Path, format: str, train: str, val: str) -> None:
    parts_in(format, tmp_path, train, val)
    sets = usable_sets(tmp_path)
    assert (stems(sets.train), stems(sets.val)) == ({"a", "b"}, {"c"})
    assert check_dataset(tmp_path).usable


@pytest.mark.parametrize("format", ["coco", "yolo", "voc lists", "voc folders"])
@pytest.mark.parametrize("other", ["test", "Test", "testing"])
def test_the_test_part_is_never_trained_or_measured_on(tmp_path: Path, format: str, other: str) -> None:
    parts_in(format, tmp_path, "trainval", other)
    sets = usable_sets(tmp_path)
    assert stems(sets.train) | stems(sets.val) == {"a", "b"}
    assert sets.said == (f"{tmp_path}: not used for training: test",)


@pytest.mark.parametrize("format", ["coco", "yolo", "voc lists", "voc folders"])
@pytest.mark.parametrize(("one", "other"), [("test", "val"), ("validation", "test"), ("dev", "Testing")])
def test_without_a_part_for_training_the_parts_are_listed(tmp_path: Path, format: str, one: str, other: str) -> None:
    parts_in(format, tmp_path, one, other)
    with pytest.raises(DatasetError, match=r"has the splits test, val.*none is called train"):
        usable_sets(tmp_path)
    report = check_dataset(tmp_path)
    assert not report.usable
    assert "none is called train" in report.reason


@pytest.mark.parametrize("format", ["coco", "voc folders"])
def test_parts_of_other_names_are_listed(tmp_path: Path, format: str) -> None:
    parts_in(format, tmp_path, "summer", "winter")
    with pytest.raises(DatasetError, match=r"has the splits summer, winter.*none is called train"):
        usable_sets(tmp_path)


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
    words = [note.words for note in load_dataset(root, split="train").notes]
    assert "the list odd.txt is not used" in words
    assert not any("cat_train" in one for one in words)


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


# 10: more numbers on a line


def keypoints(count: int, dims: int, box: tuple[float, ...]) -> str:
    x1, y1, x2, y2 = (value / side for value, side in zip(box, (*SIZE, *SIZE), strict=True))
    points = [(x1 + (x2 - x1) * t, y1 + (y2 - y1) * t) for t in np.linspace(0.1, 0.9, count)]
    return "".join(f" {x} {y}" + (" 2" if dims == 3 else "") for x, y in points)


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("count", [3, 5, 8, 17])
@pytest.mark.parametrize("dims", [2, 3])
def test_of_key_points_the_first_four_numbers_count(tmp_path: Path, declared: bool, count: int, dims: int) -> None:
    yolo(tmp_path, "train: images\nnames: [cat, dog]\n" + f"kpt_shape: [{count}, {dims}]\n" * declared)
    for stem, things in TRUTH.items():
        text = "".join(line(label, box, keypoints(count, dims, box)) for label, box in things)
        write(tmp_path / f"labels/{stem}.txt", text)
    dataset = load_dataset(tmp_path)
    assert found(dataset) == TRUTH
    assert [note.words for note in dataset.notes] == [
        "4 of 4 lines have key points after the box; only the box is used"
    ]


@pytest.mark.parametrize("more", [" 0.9 1", " 0.5 7", " 1.0 0", " 7", " 12", " 0.25 300"])
def test_of_tracker_output_the_box_counts(tmp_path: Path, more: str) -> None:
    yolo(tmp_path, more=more)
    dataset = load_dataset(tmp_path)
    assert found(dataset) == TRUTH
    assert ["track ids" in note.words for note in dataset.notes] == [True]


@pytest.mark.parametrize("points", [3, 4, 5, 8, 12, 40])
def test_outlines_are_read_as_such(tmp_path: Path, points: int) -> None:
    yolo(tmp_path)
    for stem, things in TRUTH.items():
        lines = []
        for label, box in things:
            x1, y1, x2, y2 = (value / side for value, side in zip(box, (*SIZE, *SIZE), strict=True))
            ring = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)][: max(3, min(points, 4))]
            ring += [((x1 + x2) / 2, y2)] * (points - len(ring))
            lines.append(f"{('cat', 'dog').index(label)} {' '.join(f'{x} {y}' for x, y in ring)}\n")
        write(tmp_path / f"labels/{stem}.txt", "".join(lines))
    assert found(load_dataset(tmp_path)) == TRUTH


@pytest.mark.parametrize("more", [" 0.1 0.2 5 9", " -3 -3", " 1.57", " -0.5", " 0.5 0.5 0.5"])
def test_numbers_that_are_nothing_are_faults(tmp_path: Path, more: str) -> None:
    yolo(tmp_path, more=more)
    with pytest.raises(DatasetError, match=r"labels/a\.txt"):
        load_dataset(tmp_path)


# 11: labels that are lost


def test_a_set_without_any_box_is_refused_by_both(tmp_path: Path) -> None:
    yolo(tmp_path)
    shutil.rmtree(tmp_path / "labels")
    with pytest.raises(DatasetError, match=r"none of the 3 pictures has a box: 3 have no label file.*tried"):
        usable_sets(tmp_path)
    assert not check_dataset(tmp_path).usable


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images", "labels"), ("JPEGImages", "labels"), ("JPEGImages/train", "labels/train"), ("imgs", "labels"),
        ("photos", "photos"), ("photos", "labels"), ("train/images", "train/labels"), ("images/train", "labels/train"),
        ("Images", "Labels"), ("IMAGES", "LABELS"), ("photos", "photos/labels"), ("image", "labels"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".txt", ".TXT"])
def test_labels_are_found_in_every_usual_place(tmp_path: Path, images: str, labels: str, suffix: str) -> None:
    yolo(tmp_path, f"train: {images}\nnames: [cat, dog]\n", images, labels, suffix=suffix)
    assert found(load_dataset(tmp_path)) == TRUTH


@pytest.mark.parametrize(("lost", "usable"), [(0, True), (1, True), (2, False), (3, False), (4, False)])
def test_more_than_a_third_of_lost_boxes_stops(tmp_path: Path, lost: int, usable: bool) -> None:
    content = coco_content()
    for annotation in content["annotations"][:lost]:
        annotation["bbox"] = [300, 200, 9, 9]
    coco(tmp_path, content)
    report = check_dataset(tmp_path)
    assert report.usable == usable
    assert report.totals["all"].refused == lost
    if usable:
        sets = usable_sets(tmp_path)
        assert sum(note.action == "refused" for one in (sets.train, sets.val) for note in one.notes) == lost
        return
    with pytest.raises(DatasetError, match=rf"{lost} of 4 boxes were left out|all {lost} boxes were left out"):
        usable_sets(tmp_path)
    if lost < 4:
        assert usable_sets(tmp_path, allow_lost=True).train.num_boxes >= 1


# 12: the same picture twice


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("same", ["entry", "copy"])
def test_equal_files_are_kept_together(tmp_path: Path, seed: int, same: str) -> None:
    content = coco_content()
    coco(tmp_path, content)
    for image in list(content["images"]):
        name = image["file_name"] if same == "entry" else f"again-{image['file_name']}"
        shutil.copyfile(tmp_path / image["file_name"], tmp_path / f"again-{image['file_name']}")
        content["images"].append({**image, "id": image["id"] + 100, "file_name": name})
    write(tmp_path / "annotations.json", content)
    sets = usable_sets(tmp_path, seed=seed, share=0.4)
    assert not {p.path.name.removeprefix("again-") for p in sets.train.pictures} & {
        p.path.name.removeprefix("again-") for p in sets.val.pictures
    }
    assert any("3 pictures are there more than once" in words for words in sets.said)


# 13: names are text


@pytest.mark.parametrize(
    "names",
    [
        ["yes", "no"], ["on", "off"], ["true", "False"], ["null", "~"], ["010", "0x1F"], ["12:30", "1:2:3"],
        ["1e3", ".inf"], ["2020-01-01", "1_000"], ["1.0", "1.10"], ["Y", "N"], ["=", "3"],
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "style", ["[{}, {}]", "{{0: {}, 1: {}}}", "\n- {}\n- {}", "\n  0: {}\n  1: {}", "['{}', \"{}\"]"]
)
def test_names_in_yaml_are_read_as_they_are_written(tmp_path: Path, names: list[str], style: str) -> None:
    yolo(tmp_path, f"train: images\nnames: {style.format(*names)}\n")
    assert load_dataset(tmp_path).classes.names == tuple(names)


CAT, DOG = {"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}


@pytest.mark.parametrize(
    ("categories", "names"),
    [
        ([CAT, DOG], ("cat", "dog")),
        ([CAT, DOG, CAT], ("cat", "dog")),
        ([{"id": 0, "name": "cat", "supercategory": "none"}, CAT, DOG], ("cat", "dog")),
        ([CAT, DOG, {"id": 3, "name": "cat"}], ("cat", "dog")),
        ([{"id": 9, "name": "dog"}, CAT, DOG], ("cat", "dog")),
        (
            [
                {"id": 0, "name": "pets", "supercategory": "none"},
                *({**one, "supercategory": "pets"} for one in (CAT, DOG)),
            ],
            ("cat", "dog"),
        ),
        ([{"id": 0, "name": "pets"}, CAT, DOG], ("pets", "cat", "dog")),
        ([{"id": 1, "name": " cat "}, DOG], ("cat", "dog")),
        ([{"id": "1", "name": "cat"}, {"id": 2.0, "name": "dog"}], ("cat", "dog")),
        ([{"id": 1, "name": 1}, {"id": 2, "name": 2}], ("1", "2")),
    ],
)
def test_categories_of_one_name_are_resolved_where_that_is_safe(
    tmp_path: Path, categories: list[Any], names: tuple[str, ...]
) -> None:
    dataset = load_dataset(coco(tmp_path, coco_content() | {"categories": categories}))
    assert dataset.classes.names == names
    assert dataset.num_boxes == 4


@pytest.mark.parametrize(
    ("categories", "words"),
    [
        ([CAT, {"id": 2, "name": "cat"}], "boxes use the ids 1, 2"),
        ([CAT, DOG, {"id": 1, "name": "cow"}], "the id 1 is given twice"),
        ([CAT, {"id": 2, "name": 1.5}], "want an integer `id` and a text `name`"),
        ([CAT, {"id": 2, "name": ""}], "want an integer `id` and a text `name`"),
        ([CAT, {"id": 2, "name": 1e300}], "1e\\+300"),
    ],
)
def test_categories_that_cannot_be_told_apart_are_faults(tmp_path: Path, categories: list[Any], words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        load_dataset(coco(tmp_path, coco_content() | {"categories": categories}))


# 15: units and corners


def honest_boxes(seed: int) -> list[list[float]]:
    """Some boxes [x, y, width, height] anywhere in a picture."""
    rng = np.random.default_rng(seed)
    boxes = []
    for _ in range(int(rng.integers(10, 60))):
        w, h = rng.uniform(2, 60), rng.uniform(2, 44)
        boxes.append([rng.uniform(0, 64 - w), rng.uniform(0, 48 - h), w, h])
    return boxes


def as_fractions(x: float, y: float, w: float, h: float) -> list[float]:
    return [x / 64, y / 48, w / 64, h / 48]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (as_fractions, "fractions of the picture where pixels are expected"),
        (lambda x, y, w, h: [x / 64, y / 48, (x + w) / 64, (y + h) / 48], "fractions of the picture"),
        (lambda x, y, w, h: [x, y, x + w, y + h], "fit as the corners left, top, right, bottom"),
        (lambda x, y, w, h: [x + w / 2, y + h / 2, w, h], "fit as center x, center y, width, height"),
    ],
)  # fmt: skip
def test_boxes_of_another_kind_are_named_in_coco(
    tmp_path: Path, change: Callable[..., list[float]], words: str
) -> None:
    content = coco_content()
    content["annotations"] = [
        {"id": n, "image_id": 1 + n % 3, "category_id": 1, "bbox": change(*box)}
        for n, box in enumerate(honest_boxes(0), 1)
    ]
    coco(tmp_path, content)
    assert [case.kind for case in check_dataset(tmp_path).cases][:2] == [
        "unusable for training",
        "suspected box format",
    ]
    with pytest.raises(DatasetError, match=words):
        usable_sets(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x1, y1, x2, y2: (x1, y1, x2, y2), "fit as the corners"),
        (lambda x1, y1, x2, y2: (x1, y1, x2 - x1, y2 - y1), "fit as left, top, width, height"),
    ],
)
def test_boxes_of_another_kind_are_named_in_yolo(
    tmp_path: Path, change: Callable[..., tuple[float, ...]], words: str
) -> None:
    yolo(tmp_path)
    for stem, things in TRUTH.items():
        rows = [change(*(v / s for v, s in zip(box, (*SIZE, *SIZE), strict=True))) for _, box in things]
        write(tmp_path / f"labels/{stem}.txt", "".join(f"0 {' '.join(map(str, row))}\n" for row in rows))
    with pytest.raises(DatasetError, match=words):
        usable_sets(tmp_path)
    assert not check_dataset(tmp_path).usable


def test_fractions_are_named_in_voc(tmp_path: Path) -> None:
    voc(tmp_path)
    for stem, things in TRUTH.items():
        small = [(label, tuple(v / s for v, s in zip(box, (*SIZE, *SIZE), strict=True))) for label, box in things]
        write(tmp_path / f"Annotations/{stem}.xml", voc_text(stem, small))  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="fractions of the picture"):
        usable_sets(tmp_path)


@pytest.mark.parametrize("seed", range(10))
def test_honest_boxes_are_never_suspected(tmp_path: Path, seed: int) -> None:
    content = coco_content()
    content["annotations"] = [
        {"id": n, "image_id": 1 + n % 3, "category_id": 1, "bbox": box} for n, box in enumerate(honest_boxes(seed), 1)
    ]
    dataset = load_dataset(coco(tmp_path, content))
    assert not [note for note in dataset.notes if note.kind == "suspected box format"]


# 21: encodings and names


ENCODINGS = [
    "gb2312", "GBK", "gb18030", "Big5", "Shift_JIS", "EUC-JP", "EUC-KR", "utf-16", "UTF-8", "windows-1251", "latin-1",
]  # fmt: skip
WORDS = {
    "Big5": "圓",
    "windows-1251": "кот",
    "latin-1": "chat é",
    "EUC-KR": "고양이",
    "Shift_JIS": "猫",
    "EUC-JP": "猫",
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_xml_is_decoded_as_it_declares(tmp_path: Path, encoding: str) -> None:
    name = WORDS.get(encoding, "圆")
    voc(tmp_path)
    text = voc_text("a", [(name, (4, 6, 24, 36))], head=f'<?xml version="1.0" encoding="{encoding}"?>\n')
    (tmp_path / "Annotations/a.xml").write_bytes(text.encode(encoding))
    assert found(load_dataset(tmp_path))["a"] == [(name, (4, 6, 24, 36))]


@pytest.mark.parametrize(
    "data",
    [
        b'<?xml version="1.0" encoding="ANSI"?><annotation>\xff</annotation>',
        b'<?xml version="1.0" encoding="utf-8"?><annotation>\xff</annotation>',
        b'<?xml version="1.0" encoding="gb2312"?><annotation>\xff\xff</annotation>',
        b'<?xml version="1.0" encoding="\xff"?><annotation/>',
        b'<?xml version="1.0" encoding=""?><annotation>\xff</annotation>',
        b'<?xml version="1.0" encoding="hex"?><annotation>\xff</annotation>',
        b'<?xml version="1.0" encoding="idna"?><annotation>\xff</annotation>',
        b"<annotation>\xff</annotation>",
        b"\xff\xfe<\x00",
        b"\x00" * 40,
        b"",
        b"<annotation " + b"a" * 2**21 + b"='1'/>",
        b"<annotation a='" + b"b" * 2**21 + b"'/>",
        b"<a>" * 20_000,
    ],
    ids=lambda data: data[:50],
)
def test_one_bad_xml_file_is_a_case_and_hides_no_other(tmp_path: Path, data: bytes) -> None:
    voc(tmp_path)
    (tmp_path / "Annotations/a.xml").write_bytes(data)
    write(tmp_path / "Annotations/b.xml", voc_text("b", [("cat", (1, 2, 3, "x"))]))  # type: ignore[list-item]
    report = check_dataset(tmp_path)
    faults = {(Path(case.file).name, case.kind) for case in report.cases if case.action == "fault"}
    assert faults == {("a.xml", "malformed XML"), ("b.xml", "malformed box")}
    assert report.totals["all"].kept == 1


def test_ansi_that_is_plain_text_is_read(tmp_path: Path) -> None:
    voc(tmp_path, head='<?xml version="1.0" encoding="ANSI"?>')
    assert found(load_dataset(tmp_path)) == TRUTH


@pytest.mark.parametrize("format", ["coco", "yolo", "voc"])
def test_file_names_that_are_not_utf_8(tmp_path: Path, format: str) -> None:
    name = os.fsdecode(b"b\xe9b\xe9")
    {"coco": coco, "yolo": yolo, "voc": voc}[format](tmp_path)
    for path in [*tmp_path.rglob("a.jpg"), *tmp_path.rglob("a.txt"), *tmp_path.rglob("a.xml")]:
        path.rename(path.with_stem(name))
    if format == "coco":
        content = json.loads((tmp_path / "annotations.json").read_text())
        content["images"][0]["file_name"] = f"{name}.jpg"
        (tmp_path / "annotations.json").write_text(json.dumps(content))
    report = check_dataset(tmp_path)
    assert report.usable, report.reason
    report.write_cases(tmp_path / "cases.csv")
    json.dumps(report.to_dict(), ensure_ascii=True).encode()


# 22: clutter, letter case, backslashes


CLUTTER = ["._a.jpg", ".ipynb_checkpoints/a-checkpoint.jpg", "__MACOSX/a.jpg", "@eaDir/a.jpg", ".DS_Store", "Thumbs.db",
           ".hidden.png", "__MACOSX/._a.jpg", ".thumbs/a.jpg", "desktop.ini"]  # fmt: skip


@pytest.mark.parametrize("name", CLUTTER)
@pytest.mark.parametrize("format", ["coco", "yolo", "voc"])
def test_clutter_beside_pictures_and_labels_is_passed_over(tmp_path: Path, name: str, format: str) -> None:
    {"coco": coco, "yolo": yolo, "voc": voc}[format](tmp_path)
    for folder in {path.parent for path in tmp_path.rglob("a.*")}:
        for suffix in ("", ".txt", ".xml", ".json") if name[0] in "._@" else ("",):
            write(folder / (name + suffix), "junk")
    dataset = load_dataset(tmp_path)
    assert found(dataset) == TRUTH
    assert dataset.notes == ()
    assert not [case for case in check_dataset(tmp_path).cases if case.kind == "picture not listed"]


@pytest.mark.parametrize("name", ["classes.txt", "Classes.txt", "labels.txt", "obj.names", "README.txt", "notes.txt"])
def test_lists_of_classes_among_labels_are_no_labels(tmp_path: Path, name: str) -> None:
    yolo(tmp_path)
    write(tmp_path / "labels" / name, "cat\ndog\n")
    assert found(load_dataset(tmp_path)) == TRUTH


@pytest.mark.parametrize("suffix", [".xml", ".XML", ".Xml"])
@pytest.mark.parametrize(
    ("annotations", "images"),
    [
        ("Annotations", "JPEGImages"), ("annotations", "images"), ("ANNOTATIONS", "IMAGES"), ("Annotations", "Images"),
        ("annotations", "jpegimages"), ("xmls", "images"), (".", "."), ("annotations/xmls", "images"),
    ],
)  # fmt: skip
def test_letter_case_does_not_matter_in_voc(tmp_path: Path, annotations: str, images: str, suffix: str) -> None:
    voc(tmp_path, annotations, images, suffix)
    assert found(load_dataset(tmp_path)) == TRUTH


@pytest.mark.parametrize(
    ("yaml", "images"),
    [
        ("train: images\\train\nnames: [cat, dog]\n", "images/train"),
        ("path: sub\\set\ntrain: images\nnames: [cat, dog]\n", "sub/set/images"),
        ("train: list.txt\nnames: [cat, dog]\n", "images/train"),
        ("Train: images\nNames: [cat, dog]\n", "images"),
        ("TRAIN: images\nNC: 2\nnames: [cat, dog]\n", "images"),
        ("train: images\nval:\ntest: ~\nnames: [cat, dog]\n", "images"),
        ("train: /somewhere/else/images\nnames: [cat, dog]\n", "images"),
        ("train: ../../images\nnames: [cat, dog]\n", "images"),
        ("train: data/images\nnames: [cat, dog]\n", "images"),
        ("path: C:\\Users\\me\ntrain: images\nnames: [cat, dog]\n", "images"),
    ],
)
def test_paths_in_a_yaml_as_other_systems_write_them(tmp_path: Path, yaml: str, images: str) -> None:
    yolo(tmp_path, yaml, images, images.replace("images", "labels"))
    write(tmp_path / "list.txt", "images\\train\\a.jpg\r\ndata/images/train/b.jpg\r\n/home/me/images/train/c.JPG\r\n")
    assert found(load_dataset(tmp_path)) == TRUTH


def darknet(root: Path, listed: str = "data/obj_train_data/{}.jpg", places: str = "data/") -> None:
    pictures(root / "obj_train_data")
    for stem in TRUTH:
        write(root / f"obj_train_data/{stem}.txt", "".join(line(*thing) for thing in TRUTH[stem]))
    write(root / "train.txt", "\n".join(listed.format(stem) for stem in TRUTH))
    write(root / "obj.names", "cat\ndog\n\n")
    write(root / "obj.data", f"classes = 2\ntrain = {places}train.txt\nnames = {places}obj.names\nbackup = backup/\n")


@pytest.mark.parametrize("places", ["data/", "", "./", "../data/", "C:\\x\\"])
@pytest.mark.parametrize("listed", ["data/obj_train_data/{}.jpg", "obj_train_data/{}.jpg", "obj_train_data\\{}.jpg"])
def test_cvat_yolo_1_1(tmp_path: Path, places: str, listed: str) -> None:
    darknet(tmp_path, listed, places)
    assert found(load_dataset(tmp_path)) == found(load_dataset(tmp_path / "obj.data")) == TRUTH


@pytest.mark.parametrize("place", ["", "labels/"])
@pytest.mark.parametrize("images", ["images", "images/train"])
def test_label_studio_yolo(tmp_path: Path, place: str, images: str) -> None:
    yolo(tmp_path, images=images, labels=images.replace("images", "labels"))
    (tmp_path / "data.yaml").unlink()
    write(tmp_path / f"{place}classes.txt", "cat\ndog\n")
    write(tmp_path / "notes.json", {"categories": [], "info": {}})
    assert found(load_dataset(tmp_path)) == TRUTH


@pytest.mark.parametrize(
    "name",
    [
        "images/{}.jpg", "images\\{}.jpg", "./images/{}.jpg", "/data/upload/1/{}.jpg", "C:\\me\\{}.jpg", "{}.JPG",
        "/data/local-files/?d=images/{}.jpg", "file:///home/me/images/{}.jpg", "https://host.example/x/{}.jpg",
        "/home/me/pics/{}.jpg", "../images/{}.jpg", "IMAGES/{}.jpg", "s3://bucket/images/{}.jpg",
    ],
)  # fmt: skip
def test_picture_names_of_label_studio_and_other_machines_in_coco(tmp_path: Path, name: str) -> None:
    content = coco_content()
    for image in content["images"]:
        image["file_name"] = name.format(image["file_name"][0])
    pictures(tmp_path / "images")
    write(tmp_path / "result.json", content)
    assert found(load_dataset(tmp_path)) == TRUTH


# 23: numbers as text, sizes of 0


@pytest.mark.parametrize(
    "change",
    [
        {"image_id": "1"}, {"image_id": 1.0}, {"category_id": "1"}, {"category_id": 1.0}, {"id": "1"}, {"id": 1.0},
        {"iscrowd": "0"}, {"iscrowd": 0.0}, {"iscrowd": False}, {"ignore": "0"}, {"area": "600"},
        {"bbox": ["4", "6", "20", "30"]},
        {"iscrowd": None}, {"score": "1.0"},
    ],
)  # fmt: skip
def test_whole_numbers_as_text_or_floats_are_taken(tmp_path: Path, change: dict[str, Any]) -> None:
    content = coco_content()
    content["annotations"][0] |= change
    dataset = load_dataset(coco(tmp_path, content))
    assert found(dataset) == TRUTH
    assert dataset.pictures[0].annotations.ids.tolist() == [1, 2]


@pytest.mark.parametrize("key", ["image_id", "category_id", "id", "iscrowd"])
@pytest.mark.parametrize("value", ["x", 1.5, "1.5", [1], {"a": 1}, "nan", 1e300, "9" * 500])
def test_what_is_no_whole_number_is_a_fault(tmp_path: Path, key: str, value: Any) -> None:
    content = coco_content()
    content["annotations"][0][key] = value
    faults = [case for case in check_dataset(coco(tmp_path, content)).cases if case.action == "fault"]
    assert len(faults) == 1


@pytest.mark.parametrize(
    "size", [(0, 0), (64, 0), ("64", "48"), (64.0, 48.0), ("0", "0"), (None, None), ("", ""), (64, None), (0.0, 0.0)]
)
def test_sizes_in_coco(tmp_path: Path, size: tuple[Any, Any]) -> None:
    content = coco_content()
    content["images"][0] |= {"width": size[0], "height": size[1]}
    picture = load_dataset(coco(tmp_path, content)).pictures[0]
    assert (picture.width, picture.height) == SIZE


@pytest.mark.parametrize(
    "size", ["", "<width>0</width><height>0</height>", "<width>64.0</width><height>48.0</height>",
                                  "<width/><height/>", "<width> 64 </width><height>48</height>", "<width>0</width>"]
)  # fmt: skip
def test_sizes_in_voc(tmp_path: Path, size: str) -> None:
    assert found(load_dataset(voc(tmp_path, size=size))) == TRUTH


# COCO with masks alone


def runs(box: tuple[float, ...]) -> list[int]:
    mask = np.zeros(SIZE[::-1], bool)
    x1, y1, x2, y2 = map(int, box)
    mask[y1:y2, x1:x2] = True
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat.astype(int))) + 1
    ends = [0, *changes.tolist(), len(flat)]
    lengths = np.diff(ends).tolist()
    return [0, *lengths] if flat[0] else lengths


def compressed(box: tuple[float, ...]) -> str:
    from pycocotools import mask as tools

    return str(tools.frPyObjects({"size": [48, 64], "counts": runs(box)}, 48, 64)["counts"].decode())


SEGMENTATIONS: dict[str, Callable[[tuple[float, ...]], Any]] = {
    "polygon": lambda b: [[b[0], b[1], b[2], b[1], b[2], b[3], b[0], b[3]]],
    "two polygons": lambda b: [[b[0], b[1], b[2], b[1], b[2], b[1] + 2], [b[0], b[3] - 2, b[2], b[3], b[0], b[3]]],
    "flat polygon": lambda b: [b[0], b[1], b[2], b[1], b[2], b[3]],
    "polygon of text": lambda b: [[str(v) for v in (b[0], b[1], b[2], b[1], b[2], b[3])]],
    "runs": lambda b: {"size": [48, 64], "counts": runs(b)},
    "compressed runs": lambda b: {"size": [48, 64], "counts": compressed(b)},
}


@pytest.mark.parametrize("way", SEGMENTATIONS)
@pytest.mark.parametrize("empty", [None, []])
def test_boxes_come_from_masks_where_there_are_none(tmp_path: Path, way: str, empty: Any) -> None:
    content = coco_content()
    things = [box for stem in TRUTH for _, box in TRUTH[stem]]
    for annotation, box in zip(content["annotations"], things, strict=True):
        annotation |= {"bbox": empty, "segmentation": SEGMENTATIONS[way](box), "area": None}
    assert found(load_dataset(coco(tmp_path, content))) == TRUTH


@pytest.mark.parametrize("seed", range(20))
def test_boxes_of_masks_are_those_of_pycocotools(seed: int) -> None:
    from pycocotools import mask as tools

    from ssd300.data.coco.masks import box_of_segmentation

    rng = np.random.default_rng(seed)
    mask = np.asfortranarray(
        rng.random((rng.integers(1, 40), rng.integers(1, 40))) < rng.choice([0.002, 0.05, 0.6]), np.uint8
    )
    encoded = tools.encode(mask)
    ours = box_of_segmentation({"size": encoded["size"], "counts": encoded["counts"].decode()})
    assert ours == (tools.toBbox(encoded).tolist() if mask.any() else None)


@pytest.mark.parametrize(
    "segmentation",
    [
        [], {}, [[1, 2]], [[1, 2, 3, 4, 5]], {"size": [48, 64], "counts": [1, 2]}, {"size": [48], "counts": [1]},
        {"size": [48, 64], "counts": "~~~~"}, {"size": [48, 64], "counts": "o" * 99}, "x", [["a"] * 6],
        {"size": [48, 64], "counts": [3072]}, {"size": [2**40, 2**40], "counts": [1] * 3},
    ],
)  # fmt: skip
def test_masks_that_are_none_are_faults(tmp_path: Path, segmentation: Any) -> None:
    content = coco_content()
    content["annotations"][0] |= {"bbox": None, "segmentation": segmentation}
    cases = check_dataset(coco(tmp_path, content)).cases
    assert [case.kind for case in cases if case.action == "fault"] == ["malformed box"]


def test_the_helpers_write_what_they_say(tmp_path: Path) -> None:
    """Otherwise no other test of this file says anything."""
    for format, make in (("coco", coco), ("yolo", yolo), ("voc", voc)):
        root = make(tmp_path / format)
        assert found(load_dataset(root)) == TRUTH
        assert [part.format for part in find_parts(root)] == [format]
        assert load_dataset(root).notes == ()
    append(tmp_path / "yolo/labels/a.txt", "0 0.5 0.5 0.5 0.5\n")
    assert found(load_dataset(tmp_path / "yolo")) != TRUTH


def test_pictures_that_are_in_both_parts_are_said(tmp_path: Path) -> None:
    yolo(tmp_path, "train: images\nval: images\nnames: [cat, dog]\n")
    assert any("3 pictures of" in words and "are trained on, too" in words for words in usable_sets(tmp_path).said)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cut_annotation_file_says_where(tmp_path: Path, share: float) -> None:
    text = json.dumps(coco_content())
    write(tmp_path / "annotations.json", text[: int(len(text) * share)])
    for path in (tmp_path, tmp_path / "annotations.json"):
        with pytest.raises(DatasetError, match=r"annotations\.json, line 1, column \d+: not valid JSON"):
            load_dataset(path)

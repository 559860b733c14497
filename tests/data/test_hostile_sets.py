"""Data sets that were made to harm: files elsewhere, endless files, devices, names that break what is written."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from data.test_field_faults import coco, coco_content, stems, voc, voc_text, yolo
from data.test_formats import TRUTH, found, pictures, write
from ssd300.data.check import check_dataset
from ssd300.data.convert import convert_dataset
from ssd300.data.load import load_dataset
from ssd300.errors import DatasetError, OutputError, SSD300Error
from ssd300.limits import BOXES_PER_PICTURE, CLASSES

FORMATS = ("coco", "yolo", "voc")


def convert(source: Path, out: Path, format: str, **options: Any) -> None:
    convert_dataset({"all": load_dataset(source)}, out, format, **options)


def names_in(root: Path, *files: str) -> Path:
    """A COCO set whose first pictures are these files, with sizes given so that nobody looks at them."""
    content = coco_content()
    for image, file in zip(content["images"], files, strict=False):
        image["file_name"] = file
    return coco(root, content)


# 26.3: files from elsewhere


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "file",
    ["/etc/passwd", "../../../../../../../etc/passwd", "/proc/self/environ", "/proc/self/status", "/etc/../etc/passwd"],
)
def test_convert_copies_no_file_that_is_no_picture(tmp_path: Path, format: str, file: str) -> None:
    root = names_in(tmp_path / "set", file)
    with pytest.raises(DatasetError, match=r"lies outside the data folder.*--allow-outside"):
        convert(root, tmp_path / "out", format)
    with pytest.raises(DatasetError, match="not copied: it is not a picture"):
        convert(root, tmp_path / "out", format, allow_outside=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("way", ["absolute", "relative", "link", "folder link"])
def test_pictures_from_elsewhere_are_copied_only_when_that_is_meant(tmp_path: Path, format: str, way: str) -> None:
    pictures(tmp_path / "private", names="a")
    private, root = tmp_path / "private" / "a.jpg", tmp_path / "set"
    name = {"absolute": str(private), "relative": "../private/a.jpg", "link": "l.jpg", "folder link": "f/a.jpg"}[way]
    names_in(root, name)
    (root / "a.jpg").unlink()
    (root / "l.jpg").symlink_to(private)
    (root / "f").symlink_to(private.parent)
    with pytest.raises(DatasetError, match="lies outside the data folder"):
        convert(root, tmp_path / "out", format)
    convert(root, tmp_path / "out", format, allow_outside=True)
    assert load_dataset(tmp_path / "out").num_boxes == 4


def test_voc_files_name_pictures_elsewhere(tmp_path: Path) -> None:
    root = voc(tmp_path / "set")
    (root / "JPEGImages" / "a.jpg").unlink()
    write(root / "Annotations/a.xml", voc_text("a", TRUTH["a"]).replace("a.jpg", "/etc/passwd"))
    with pytest.raises(DatasetError, match="outside the data folder"):
        convert(root, tmp_path / "out", "coco")


@pytest.mark.parametrize("link", [True, False])
def test_a_text_file_called_a_picture_is_not_copied(tmp_path: Path, link: bool) -> None:
    root = coco(tmp_path / "set")
    (root / "a.jpg").write_text("root:x:0:0")
    with pytest.raises(DatasetError, match=r"a\.jpg: not copied: it is not a picture"):
        convert(root, tmp_path / "out", "coco", link=link)


# 26.5, 25.14: what was written reads back


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "name",
    ["a.jfif", "a.JPE", "a.dib", "a", "a.v1", "a.bin", "a.jpg.bak", " a.jpg", "a b.jpg", ".a.jpg", "._a.jpg", "a\n.jpg",
     "images/a.jpg", "x/images/y/a.jpg", "labels/a.jpg", "a\x7f.jpg", "a\u2028.jpg", "a:b.jpg", "ü.jpg", "a%20.jpg",
     "-a.jpg", "#a.jpg", "classes.jpg", "a.JPG", "A/B/d.jpg"],
)  # fmt: skip
def test_every_picture_name_converts_and_reads_back(tmp_path: Path, format: str, name: str) -> None:
    root = names_in(tmp_path / "set", name)
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (root / "a.jpg").rename(path)
    if name.endswith(".dib"):
        with Image.open(path) as picture:
            picture.save(path, "BMP")
    convert(root, tmp_path / "out", format)
    again = load_dataset(tmp_path / "out")
    assert sorted(map(len, found(again).values())) == [1, 1, 2]
    assert not [note for note in again.notes if note.kind != "field not used"]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "name",
    ["cat ", "\tcat\n", "no", "010", "12:30", "null", "- x", "{a}", "'", '"', "a: b", "#1", "<cat>", "&amp;", "猫",
     "a,b",
     "cat  dog", "%s", "\\n", "1e300", "cafe\u0301"],
)  # fmt: skip
def test_every_class_name_converts_and_reads_back(tmp_path: Path, format: str, name: str) -> None:
    content = coco_content() | {"categories": [{"id": 7, "name": name}, {"id": 2, "name": "dog"}]}
    for annotation in content["annotations"]:
        annotation["category_id"] = 7 if annotation["category_id"] == 1 else 2
    coco(tmp_path / "set", content)
    convert(tmp_path / "set", tmp_path / "out", format)
    assert load_dataset(tmp_path / "out").classes.names == (name.strip(), "dog")
    assert load_dataset(tmp_path / "out").classes.ids == (7, 2)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "name", ["a\x00b", "a\x1bb", "a\x7fb", "a\x85b", "a\u2028b", "a\nb", "a\tb", "a\ud800b", "a\u200bb"]
)
def test_class_names_that_cannot_be_written_are_refused_before_anything_is(
    tmp_path: Path, format: str, name: str
) -> None:
    content = coco_content() | {"categories": [{"id": 1, "name": name}, {"id": 2, "name": "dog"}]}
    coco(tmp_path / "set", content)
    with pytest.raises(DatasetError, match="cannot be written") as caught:
        convert(tmp_path / "set", tmp_path / "out", format)
    assert str(caught.value).isprintable()
    assert [entry.name for entry in tmp_path.iterdir()] == ["set"]


def test_what_does_not_read_back_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coco(tmp_path / "set")
    monkeypatch.setattr(
        sys.modules["ssd300.data.yolo.write"],
        "write_labels",
        lambda path, picture, classes: write(path, "0 0.5 0.5 0.1 0.1\n"),
    )
    with pytest.raises(DatasetError, match="would read back otherwise"):
        convert(tmp_path / "set", tmp_path / "out", "yolo")
    assert [entry.name for entry in tmp_path.iterdir()] == ["set"]


# 26.10: endless files


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


@pytest.mark.parametrize("format", FORMATS)
def test_a_list_of_many_classes_is_read_at_once_and_too_many_are_refused(tmp_path: Path, format: str) -> None:
    for count in (CLASSES, CLASSES + 1):
        root, names = tmp_path / str(count), [f"class{n}" for n in range(count)]
        if format == "coco":
            categories = [{"id": n, "name": name} for n, name in enumerate(names)]
            coco(root, coco_content() | {"categories": categories})
        elif format == "yolo":
            yolo(root, "train: images\nnames:\n" + "".join(f"- {name}\n" for name in names))
        else:
            voc(root)
            write(root / "Annotations/a.xml", voc_text("a", []).replace("</annotation>", "".join(
                f"<object><name>{name}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
                for name in names) + "</annotation>"))  # fmt: skip
        if format == "voc" or count > CLASSES:
            with pytest.raises(DatasetError, match=f"at most {CLASSES:,} are read|too many boxes"):
                load_dataset(root)
        else:
            start = time.process_time()
            assert len(load_dataset(root).classes) == CLASSES
            check_dataset(root)
            assert time.process_time() - start < 8


@pytest.mark.parametrize("format", FORMATS)
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
    content["categories"] = [{**content["categories"][0], key: value}, content["categories"][1]]
    try:
        check_dataset(coco(tmp_path, content))
    except SSD300Error as error:
        pytest.fail(f"a case was wanted, not {error}")


# 26.13: devices and pipes


@pytest.mark.parametrize("kind", ["FIFO", "device", "link to a device", "folder", "socket"])
@pytest.mark.parametrize(
    "name",
    ["data.yaml", "annotations.json", "list.txt", "labels/a.txt", "images/a.jpg", "Annotations/a.xml", "ssd300.json",
     "classes.txt", "obj.data", "annotations.xml", "boxes.csv", "set.pack", "a.json"],
)  # fmt: skip
def test_only_regular_files_are_read(tmp_path: Path, name: str, kind: str) -> None:
    {"Annotations/a.xml": voc, "annotations.json": coco}.get(name, yolo)(tmp_path)
    if name == "list.txt":
        write(tmp_path / "data.yaml", "train: list.txt\nnames: [cat, dog]\n")
    path = tmp_path / name
    path.unlink(missing_ok=True)
    special(path, kind)
    start = time.monotonic()
    try:
        check_dataset(tmp_path)
        check_dataset(path)
    except SSD300Error:
        pass
    assert time.monotonic() - start < 10
    assert os.path.lexists(path)


def special(path: Path, kind: str) -> None:
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "link to a device":
        path.with_name("link").symlink_to("/dev/zero")
        path.symlink_to(path.with_name("link"))
    elif kind == "folder":
        path.mkdir()
    else:
        import socket

        with socket.socket(socket.AF_UNIX) as one:
            os.chdir(path.parent)
            one.bind(path.name)


@pytest.mark.parametrize("kind", ["FIFO", "link to a device"])
@pytest.mark.parametrize("what", ["cases", "split", "convert"])
def test_nothing_is_written_over_a_device(tmp_path: Path, kind: str, what: str) -> None:
    from ssd300.data.look import find_parts, write_split
    from ssd300.data.split import split_dataset

    root = coco(tmp_path / "set")
    target = tmp_path / "out" / "train.json"
    target.parent.mkdir()
    special(target, kind)
    before = target.lstat()
    train, val = split_dataset(load_dataset(root))
    writers: dict[str, Callable[[], object]] = {
        "cases": lambda: check_dataset(root).write_cases(target),
        "split": lambda: write_split(find_parts(root)[0], {"train": train, "val": val}, target.parent),
        "convert": lambda: convert(root, target, "coco"),
    }
    with pytest.raises((OutputError, DatasetError)):
        writers[what]()
    assert (target.lstat().st_mode, target.lstat().st_ino) == (before.st_mode, before.st_ino)


# links that lead in circles


@pytest.mark.parametrize("make", [yolo, voc])
def test_folders_linked_in_circles_end(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    make(tmp_path)
    for folder in [path for path in tmp_path.iterdir() if path.is_dir()]:
        (folder / "loop").symlink_to(folder)
        (folder / "up").symlink_to(tmp_path)
        (folder / "self").symlink_to(folder / "self")
    assert {"a", "b", "c"} <= stems(load_dataset(tmp_path))

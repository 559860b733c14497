"""Encodings of XML, damaged annotation files, and file names that are not UTF-8."""

import json
import os
from pathlib import Path

import pytest

from data.sets import TRUTH, coco, coco_content, found, pictures, voc, voc_text, write, yolo
from data.test_cvat import cvat, cvat_box
from data.test_kitti_createml_via import createml, via
from data.test_labelme import labelme
from data.test_tables import table
from ssd300.data.check import check_dataset
from ssd300.data.load import find_parts, load_dataset, write_split
from ssd300.data.usable import usable_sets
from ssd300.errors import DatasetError

ENCODINGS = [
    "gb2312", "GBK", "gb18030", "Big5", "Shift_JIS", "EUC-JP", "EUC-KR", "utf-16", "UTF-8", "windows-1251", "latin-1",
]  # fmt: skip
WINDOWS = [  # declared, written by Windows, with a character that the declared one lacks
    ("gb2312", "gbk", "镕"), ("sjis", "cp932", "①"), ("Shift-JIS", "cp932", "髙"), ("euc-kr", "cp949", "똠"),
]  # fmt: skip
CP1252 = '<?xml version="1.0" encoding="cp1252"?>\n'

WORDS = {
    "Big5": "圓",
    "windows-1251": "кот",
    "latin-1": "chat é",
    "EUC-KR": "고양이",
    "Shift_JIS": "猫",
    "EUC-JP": "猫",
}


@pytest.mark.parametrize(
    ("encoding", "written", "name"), [*((one, one, WORDS.get(one, "圆")) for one in ENCODINGS), *WINDOWS]
)
def test_xml_is_decoded_as_it_declares(tmp_path: Path, encoding: str, written: str, name: str) -> None:
    voc(tmp_path)
    text = voc_text("a", [(name, (4, 6, 24, 36))], head=f'<?xml version="1.0" encoding="{encoding}"?>\n')
    (tmp_path / "Annotations/a.xml").write_bytes(text.encode(written))
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
        b'<!DOCTYPE annotation SYSTEM "a.dtd"><annotation verified="&yes;"/>',  # an entity of a file that is not read
        b'<?xml version="1.0" standalone="no"?><!DOCTYPE a SYSTEM "a.dtd"><annotation a="&b;"/>',
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


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8"])
@pytest.mark.parametrize(
    "format", ["coco", "yolo", "yolo list", "voc list", "csv", "cvat", "labelme", "createml", "via"]
)
def test_text_with_a_byte_order_mark_is_read(tmp_path: Path, format: str, encoding: str) -> None:
    {
        "coco": coco, "yolo": yolo, "voc list": voc, "createml": createml, "via": via,
        "yolo list": lambda root: yolo(root, "train: train.txt\nnames: [cat, dog]\n"),
        "csv": lambda root: table(root, "filename,class,xmin,ymin,xmax,ymax"),
        "cvat": lambda root: write(root / "annotations.xml", cvat(cvat_box)),
        "labelme": lambda root: [write(root / f"{stem}.json", labelme(stem)) for stem in TRUTH],
    }[format](tmp_path)  # fmt: skip
    pictures(tmp_path)
    if format == "voc list":
        write(tmp_path / "ImageSets/Main/train.txt", "a\nb\nc\n")
    if format == "yolo list":
        write(tmp_path / "train.txt", "".join(f"images/{stem}.jpg\n" for stem in TRUTH))
    for path in [path for path in tmp_path.rglob("*.*") if path.suffix not in (".jpg", ".xml") or format == "cvat"]:
        if path.suffix != ".jpg":
            mark = "" if encoding == "utf-16" else "\ufeff"
            path.write_bytes((mark + path.read_text().replace("utf-8", encoding)).encode(encoding))
    assert found(load_dataset(tmp_path)) == TRUTH


@pytest.mark.parametrize("end", ["\r", "\r\n"])
@pytest.mark.parametrize("delimiter", ",;\t")
def test_tables_with_the_line_ends_of_other_systems_are_read(tmp_path: Path, delimiter: str, end: str) -> None:
    """A carriage return alone is that of Excel's "CSV (Macintosh)"."""
    table(tmp_path, "filename,class,xmin,ymin,xmax,ymax")
    pictures(tmp_path)
    [path] = tmp_path.glob("*.csv")
    path.write_bytes(path.read_text().replace("\n", end).replace(",", delimiter).encode())
    assert found(load_dataset(tmp_path)) == TRUTH


@pytest.mark.parametrize("name", ["annotations.json", "labels/a.txt", "Annotations/a.xml", "boxes.csv", "data.yaml"])
def test_a_pointer_of_git_lfs_is_named(tmp_path: Path, name: str) -> None:
    {"labels/a.txt": yolo, "Annotations/a.xml": voc}.get(name, coco)(tmp_path)
    write(tmp_path / name, "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    if name in ("annotations.json", "labels/a.txt", "Annotations/a.xml"):
        with pytest.raises(DatasetError, match="a pointer of Git LFS, not the file itself; run `git lfs pull`"):
            load_dataset(tmp_path)
    else:
        assert found(load_dataset(tmp_path)) == TRUTH


def test_the_remedy_for_text_in_another_encoding_works(tmp_path: Path) -> None:
    """Labels that a program of Windows wrote in its own encoding."""
    voc(tmp_path)
    text, declared = (voc_text("a", [("Gr\u00f6\u00dfe", (4, 6, 24, 36))], head=head) for head in ("", CP1252))
    (tmp_path / "Annotations/a.xml").write_bytes(text.encode("cp1252"))
    with pytest.raises(DatasetError, match="declare its encoding in its first line, or save it as UTF-8"):
        load_dataset(tmp_path)
    (tmp_path / "Annotations/a.xml").write_bytes(declared.encode("cp1252"))
    assert found(load_dataset(tmp_path))["a"] == [("Gr\u00f6\u00dfe", (4, 6, 24, 36))]


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


def test_lists_and_sidecars_hold_file_names_that_are_not_utf_8(tmp_path: Path) -> None:
    yolo(tmp_path)
    for path in [*tmp_path.rglob("a.jpg"), *tmp_path.rglob("a.txt")]:
        path.rename(path.with_stem(os.fsdecode(b"\xe9")))
    dataset = load_dataset(tmp_path)
    write_split(find_parts(tmp_path)[0], {"train": dataset}, tmp_path / "lists")
    again = load_dataset(tmp_path / "lists")
    assert [one.file_name for one in again.pictures] == [one.file_name for one in dataset.pictures]


def test_a_class_name_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    content = coco_content()
    content["categories"][0]["name"] = "c\udcffat"
    assert not check_dataset(coco(tmp_path, content)).usable
    with pytest.raises(DatasetError, match=r"the class name 'c.udcffat' has half characters, .*; rename it"):
        usable_sets(tmp_path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cut_annotation_file_says_where(tmp_path: Path, share: float) -> None:
    text = json.dumps(coco_content())
    write(tmp_path / "annotations.json", text[: int(len(text) * share)])
    for path in (tmp_path, tmp_path / "annotations.json"):
        with pytest.raises(DatasetError, match=r"annotations\.json, line 1, column \d+: not valid JSON"):
            load_dataset(path)

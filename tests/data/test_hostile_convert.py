"""Data sets that name files elsewhere, or pictures and classes that break what `convert` writes."""

import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from data.sets import TRUTH, WRITTEN, coco, coco_content, found, pictures, voc, voc_text, write
from ssd300.data.convert import convert_dataset
from ssd300.data.load import load_dataset
from ssd300.errors import DatasetError


def convert(source: Path, out: Path, format: str, **options: Any) -> None:
    convert_dataset({"all": load_dataset(source)}, out, format, **options)


def names_in(root: Path, *files: str) -> Path:
    """A COCO set whose first pictures are these files, with sizes given so that nobody looks at them."""
    content = coco_content()
    for image, file in zip(content["images"], files, strict=False):
        image["file_name"] = file
    return coco(root, content)


# Files from elsewhere


@pytest.mark.skipif(sys.platform != "linux", reason="files of Linux")
@pytest.mark.parametrize("format", WRITTEN)
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


@pytest.mark.parametrize("format", WRITTEN)
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


# What was written reads back


@pytest.mark.parametrize("format", WRITTEN)
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


@pytest.mark.parametrize("format", WRITTEN)
@pytest.mark.parametrize(
    "name",
    ["cat ", "\tcat\n", "no", "010", "12:30", "null", "- x", "{a}", "'", '"', "a: b", "#1", "<cat>", "&amp;", "猫",
     "a,b",
     "cat  dog", "%s", "\\n", "1e300", "cafe\u0301", "دوچرخه\u200cسوار", "全角\u3000文字", "n\u00a05"],
)  # fmt: skip
def test_every_class_name_converts_and_reads_back(tmp_path: Path, format: str, name: str) -> None:
    content = coco_content() | {"categories": [{"id": 7, "name": name}, {"id": 2, "name": "dog"}]}
    for annotation in content["annotations"]:
        annotation["category_id"] = 7 if annotation["category_id"] == 1 else 2
    coco(tmp_path / "set", content)
    convert(tmp_path / "set", tmp_path / "out", format)
    assert load_dataset(tmp_path / "out").classes.names == (name.strip(), "dog")
    assert load_dataset(tmp_path / "out").classes.ids == (7, 2)


@pytest.mark.parametrize("format", WRITTEN)
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
    with pytest.raises(DatasetError, match="would read back differently"):
        convert(tmp_path / "set", tmp_path / "out", "yolo")
    assert [entry.name for entry in tmp_path.iterdir()] == ["set"]

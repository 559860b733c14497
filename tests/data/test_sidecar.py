"""What a conversion keeps beside YOLO and VOC labels, and what is refused of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ssd300.data.convert import convert_dataset
from ssd300.data.load import load_dataset
from ssd300.data.sidecar import NAME
from ssd300.errors import DatasetError
from ssd300.limits import LABEL_BYTES


@pytest.mark.parametrize(
    ("format", "marks"), [("coco", []), ("voc", ["crowd", "score"]), ("yolo", ["crowd", "ignore", "score"])]
)
def test_marks_that_only_the_sidecar_has_are_said(
    edit_coco: Callable[..., Path], tmp_path: Path, format: str, marks: list[str]
) -> None:
    """Another program would train on such boxes as on any other."""

    def mark(content: dict[str, Any]) -> None:
        for annotation, key in zip(content["annotations"], ("iscrowd", "ignore", "ignore"), strict=False):
            annotation[key] = 1
        content["annotations"][3]["score"] = 0.25

    plain = convert_dataset({"all": load_dataset(edit_coco(lambda content: None))}, tmp_path / "plain", format).lost
    marked = convert_dataset({"all": load_dataset(edit_coco(mark))}, tmp_path / "marked", format).lost
    said = [line for line in marked if line not in plain]
    assert [word in line for word, line in zip(marks, said, strict=True)] == [True] * len(marks)
    assert all("other programs" in line for line in said)


def test_a_list_and_a_sidecar_of_millions_of_pictures_are_read(coco: Path, tmp_path: Path) -> None:
    """A set of Objects365's size has larger ones than any label file: `data split` writes them."""
    convert_dataset({"train": load_dataset(coco)}, tmp_path / "out", "yolo")
    (tmp_path / "out/train.txt").write_text("".join(f"{one}\n" for one in (tmp_path / "out/images/train").iterdir()))
    data = tmp_path / "out/data.yaml"
    data.write_text(data.read_text().replace('"images/train"', "train.txt"))
    before = load_dataset(data)
    for name in (NAME, "train.txt"):
        with (tmp_path / "out" / name).open("ab") as file:
            file.write(b" " * LABEL_BYTES)
    assert load_dataset(data).pictures == before.pictures


def test_labels_edited_beside_an_old_sidecar_are_a_fault(coco: Path, tmp_path: Path) -> None:
    convert_dataset({"all": load_dataset(coco)}, tmp_path / "out", "yolo")
    (tmp_path / "out/labels/train/a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    with pytest.raises(DatasetError, match=rf"sidecar out of date.* 1 boxes, .*{NAME} was written for 2"):
        load_dataset(tmp_path / "out")
    (tmp_path / "out" / NAME).unlink()
    assert load_dataset(tmp_path / "out").num_boxes == 3


@pytest.mark.parametrize(
    ("format", "labels", "old", "new"),
    [("yolo", "labels/train/a.txt", "0", "1"), ("voc", "Annotations/a.xml", "<xmin>", "<xmin>1")],
)
def test_labels_edited_with_as_many_boxes_are_a_fault(coco: Path, tmp_path: Path, format, labels, old, new) -> None:
    """The score and area of a box would be those of another one."""
    whole = load_dataset(coco)
    convert_dataset({"all": whole}, tmp_path / "out", format)
    path = tmp_path / "out" / labels
    text = path.read_text()
    path.write_text(text, newline="\r\n")  # as Git may write it
    assert load_dataset(tmp_path / "out").num_boxes == whole.num_boxes
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DatasetError, match=rf"sidecar out of date.* were edited after .*{NAME} was written"):
        load_dataset(tmp_path / "out")


ENTRY = '{"version": 1, "class_names": ["cat", "dog"], "class_ids": [7, 90], "pictures": {"a.txt": %s}}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "not a sidecar"),
        ("{}", "not a sidecar"),
        ('{"version": 9}', "version 9, this ssd300 reads 1"),
        (ENTRY % '{"boxes": 1, "scores": []}', "scores is not one number for each of 1 boxes"),
        (ENTRY % '{"boxes": 1, "ids": ["a"]}', "not a sidecar"),
        (ENTRY % "3", "a picture's entry is 3"),
        (ENTRY % '{"boxes": 0, "image_id": [1]}', "a picture's id and name are"),
        (ENTRY % '{"boxes": 0, "image_id": 1.5}', "a picture's id and name are"),
        (ENTRY % f'{{"boxes": 0, "image_id": {10**30}}}', "a picture's id and name are"),
        (ENTRY % '{"boxes": 0, "file_name": ["x"]}', "a picture's id and name are"),
        (ENTRY % '{"boxes": 1, "ids": [1e300]}', "ids has numbers outside of"),
        (ENTRY % '{"boxes": 1, "ids": [1.5]}', "ids has numbers that are not whole"),
        (ENTRY % '{"boxes": 1, "ids": [NaN]}', "ids has numbers outside of"),
        (ENTRY % '{"boxes": 1, "scores": [NaN]}', "scores has numbers outside of"),
        (ENTRY % '{"boxes": 1, "area": [-5]}', "area has numbers outside of 0 to"),
        (ENTRY % '{"boxes": 1, "crowd": [7]}', "crowd has numbers outside of 0 to 1"),
        (ENTRY.replace("[7, 90]", '["a", "b"]') % "{}", "class_ids is not a list of integers"),
        (ENTRY.replace("[7, 90]", f"[7, {10**30}]") % "{}", "class_ids is not a list of integers"),
        (ENTRY.replace("[7, 90]", "[7, 7]") % "{}", "class ids must be unique"),
        (ENTRY.replace("[7, 90]", "[7]") % "{}", "one id per name"),
        (ENTRY.replace('["cat", "dog"]', "[1, 2]") % "{}", "class_names is not a list of texts"),
        (ENTRY.replace("1,", f"1{'0' * 500},", 1) % "{}", "version 1000"),
    ],
)
def test_a_faulty_sidecar(yolo: Path, text: str, words: str) -> None:
    (yolo / NAME).write_text(text)
    with pytest.raises(DatasetError, match=words):
        load_dataset(yolo)


@pytest.mark.parametrize("format", ["yolo", "voc"])
def test_a_sidecar_that_gives_an_id_twice_is_a_fault(coco: Path, tmp_path: Path, format: str) -> None:
    convert_dataset({"all": load_dataset(coco)}, tmp_path / "out", format)
    content = json.loads((tmp_path / "out" / NAME).read_text())
    for entry in content["pictures"].values():
        entry["image_id"] = 7
    (tmp_path / "out" / NAME).write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=r"the image id 7 is that of a\.jpg, too"):
        load_dataset(tmp_path / "out")

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.sets import coco as small_coco
from data.sets import coco_content
from ssd300.data import coco as coco_format
from ssd300.data.dataset import Dataset
from ssd300.data.load import find_parts, load_dataset, read_part, write_split
from ssd300.data.parts import WHOLE, Part
from ssd300.errors import DatasetError

Edit = Callable[[Callable[[dict[str, Any]], object]], Path]


def read_coco(path: Path) -> Dataset:
    """Read with its faults as notes."""
    return coco_format.read(Part("coco", WHOLE, path))


def test_a_file_without_pictures(tmp_path: Path) -> None:
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps({"images": [], "annotations": [], "categories": [{"id": 1, "name": "cat"}]}))
    dataset = load_dataset(path)
    assert len(dataset) == 0
    assert dataset.classes.names == ("cat",)


def test_ids_boxes_and_negatives(coco: Path) -> None:
    dataset = load_dataset(coco)
    assert dataset.name == "coco"
    assert dataset.classes.ids == (7, 90)
    assert [picture.image_id for picture in dataset.pictures] == [0, 10, 20, 30]
    first, last = dataset.pictures[0].annotations, dataset.pictures[3].annotations
    assert first.boxes_xyxy.tolist() == [[4, 6, 24, 36], [30.5, 10.25, 55.5, 35.25]]
    assert first.class_ids.tolist() == [7, 90]
    assert first.area.tolist() == [600, 625]  # missing in the file
    assert first.ids.tolist() == [1, 2]
    assert len(last) == 0


def test_flags_scores_and_areas(edit_coco: Edit) -> None:
    extra = {"iscrowd": 1, "ignore": 1, "area": 12.5, "score": 0.25}
    boxes = load_dataset(edit_coco(lambda content: content["annotations"][1].update(extra))).pictures[0].annotations
    assert boxes.crowd.tolist() == [False, True]
    assert boxes.ignore.tolist() == [False, True]
    assert boxes.area.tolist() == [600, 12.5]
    assert boxes.scores.tolist() == [1, 0.25]


def test_a_size_that_is_missing_is_read_from_the_picture(edit_coco: Edit) -> None:
    def drop(content: dict[str, Any]) -> None:
        for image in content["images"]:
            del image["width"], image["height"]

    picture = load_dataset(edit_coco(drop)).pictures[0]
    assert (picture.width, picture.height) == (64, 48)


@pytest.mark.parametrize(
    ("annotations", "pictures"),
    [
        ("annotations.json", "images"),
        ("train.json", "train"),
        ("train.json", "images/train"),
        ("train.json", "."),
        ("annotations/instances_train2017.json", "train2017"),
        ("annotations/instances_train2017.json", "images/train2017"),
        ("annotations/train.json", "images"),
        ("train/_annotations.coco.json", "train"),
    ],
)
def test_usual_layouts(
    tmp_path: Path, coco: Path, make_picture: Callable[..., Path], annotations: str, pictures: str
) -> None:
    root = tmp_path / "set"
    (root / annotations).parent.mkdir(parents=True, exist_ok=True)
    (root / annotations).write_bytes((coco / "annotations.json").read_bytes())
    for number, name in enumerate(("a", "b", "c", "empty")):
        make_picture(root / pictures / f"{name}.jpg", number)
    for path in (root, root / annotations):
        dataset = load_dataset(path)
        assert len(dataset) == 4
        assert dataset.pictures[0].path.samefile(root / pictures / "a.jpg")


def test_a_missing_picture_lists_every_path_tried(coco: Path) -> None:
    (coco / "images" / "a.jpg").unlink()
    with pytest.raises(DatasetError) as caught:
        load_dataset(coco)
    for place in ("a.jpg", "images/a.jpg", "annotations/a.jpg"):
        assert str(coco / place) in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("category_id", 8, r"category_id 8 is not the id of any category \(known: 7, 90\)"),
        ("image_id", 11, "image_id 11 is not the id of any entry"),
        ("bbox", [1, 2, 3], r"bbox is \[1, 2, 3\]; expected four numbers"),
        ("bbox", "1 2 3 4", 'bbox is "1 2 3 4"; expected four numbers'),
        ("area", "large", "area is"),
        ("score", float("nan"), "score is nan"),
    ],
)
def test_one_wrong_entry_names_file_picture_and_annotation(edit_coco: Edit, field: str, value: Any, words: str) -> None:
    root = edit_coco(lambda content: content["annotations"][1].update({field: value}))
    picture = "with id 11" if field == "image_id" else r"a\.jpg"
    with pytest.raises(DatasetError, match=rf"annotations\.json, picture {picture}, annotation 2: {words}"):
        load_dataset(root)


def test_many_faults_are_counted_and_three_shown(edit_coco: Edit) -> None:
    def spoil(content: dict[str, Any]) -> None:
        for annotation in content["annotations"]:
            annotation["category_id"] = 1

    with pytest.raises(DatasetError, match=r"coco has 4 faults .*; and 1 more$") as caught:
        load_dataset(edit_coco(spoil))
    assert str(caught.value).count("unknown class id") == 3
    assert f"(`ssd300 data check {edit_coco(spoil)} --cases cases.csv` lists them)" in str(caught.value)
    with pytest.raises(DatasetError, match=r"`ssd300 data check \S+ --input-format coco --cases cases.csv` lists them"):
        load_dataset(edit_coco(spoil), format="coco")  # the folder may have another format, too


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1, column 1: not valid JSON"),
        ('{"images": [', "not valid JSON"),
        ("[]", "found a list"),
        ('{"images": [], "annotations": []}', "found images, annotations"),
        ('{"images": [], "annotations": [], "categories": []}', "no usable categories"),
        ("\udcff", r"is not UTF-8 text \(byte 0\); save it as JSON in UTF-8"),
    ],
)
def test_a_file_of_another_kind(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "annotations.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DatasetError, match=words):
        read_coco(path)


def test_fields_that_are_not_used_are_noted_and_harmless(edit_coco: Edit) -> None:
    dataset = load_dataset(edit_coco(lambda content: content["annotations"][0].update(segmentation=[[1, 2, 3, 4]])))
    assert [note.words for note in dataset.notes] == ["'segmentation' of 1 annotations is not used"]


def test_boxes_are_clipped_or_refused_and_said(edit_coco: Edit) -> None:
    def move(content: dict[str, Any]) -> None:
        content["annotations"][0]["bbox"] = [-1, 6, 20, 30]
        content["annotations"][1]["bbox"] = [50, 6, 30, 30]

    dataset = load_dataset(edit_coco(move))
    assert dataset.pictures[0].annotations.boxes_xyxy.tolist() == [[0, 6, 19, 36]]
    assert dataset.summary().endswith("boxes: 2 kept, 1 clipped, 1 refused")
    assert [note.annotation for note in dataset.notes] == ["1", "2"]


def test_annotations_in_any_order_reach_their_pictures(edit_coco: Edit) -> None:
    dataset = load_dataset(edit_coco(lambda content: content["annotations"].reverse()))
    assert dataset.pictures[0].annotations.ids.tolist() == [2, 1]
    assert [len(picture.annotations) for picture in dataset.pictures] == [2, 1, 1, 0]
    assert np.array_equal(dataset.pictures[1].annotations.boxes_xyxy, [[0, 0, 64, 48]])


@pytest.mark.parametrize(
    ("where", "key", "kind"),
    [
        ("annotations", "id", "malformed entry"),
        ("annotations", "area", "malformed entry"),
        ("annotations", "category_id", "unknown class id"),
        ("images", "width", "wrong picture size"),
        ("categories", "id", "malformed entry"),
    ],
)
def test_numbers_beyond_the_machine_are_faults(edit_coco: Edit, where: str, key: str, kind: str) -> None:
    path = edit_coco(lambda content: content[where][0].update({key: 10**400}))
    assert kind in {note.kind for note in read_coco(path / "annotations.json").notes}


@pytest.mark.parametrize("text", ["[" * 100_000, '{"images": ' + "9" * 5000 + "}"])
def test_a_file_without_end_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "annotations.json").write_text(text)
    with pytest.raises(DatasetError, match="not an annotation file"):
        read_coco(tmp_path / "annotations.json")


@pytest.mark.parametrize(("key", "value"), [("iscrowd", "no"), ("ignore", "false"), ("iscrowd", 2), ("area", -3)])
def test_values_that_would_be_misread_are_faults(edit_coco: Edit, key: str, value: object) -> None:
    path = edit_coco(lambda content: content["annotations"][0].update({key: value}))
    notes = read_coco(path / "annotations.json").notes
    assert [note.kind for note in notes if key in note.words] == ["malformed entry"]


def test_a_name_longer_than_the_disk_allows_is_a_missing_picture(edit_coco: Edit) -> None:
    path = edit_coco(lambda content: content["images"][0].update(file_name="x" * 300 + ".jpg"))
    assert "missing picture" in {note.kind for note in read_coco(path / "annotations.json").notes}


def test_a_name_that_no_disk_can_hold_is_a_fault(edit_coco: Edit) -> None:
    path = edit_coco(lambda content: content["images"][0].update(file_name="a\0b.jpg"))
    assert "malformed entry" in {note.kind for note in read_coco(path / "annotations.json").notes}


def test_boxes_of_an_unusable_picture_are_counted(edit_coco: Edit) -> None:
    path = edit_coco(lambda content: content["images"][0].update(width=-1))
    dataset = read_coco(path / "annotations.json")
    lost = [note for note in dataset.notes if note.kind == "box without picture"]
    assert [note.annotation for note in lost] == ["1", "2"]
    assert all(note.action == "refused" for note in lost)
    assert dataset.num_boxes + len(lost) == 4


def test_what_a_file_says_beside_boxes_is_named(edit_coco: Edit) -> None:
    def more(content: dict[str, Any]) -> None:
        content["info"] = {"year": 2017}
        content["categories"][0]["supercategory"] = "animal"

    words = [note.words for note in read_coco(edit_coco(more) / "annotations.json").notes]
    assert "'info' of the file is not used" in words
    assert "'supercategory' of 1 categories is not used" in words


@pytest.mark.parametrize("ids", [["x"] * 3, ["x", "y", "x"], ["x", None, "y"], [1, "1.0", True], [[1], [2], [3]]])
def test_a_source_id_that_is_not_the_picture_s_own_is_left(tmp_path: Path, ids: list[Any]) -> None:
    content = coco_content()
    for image, own in zip(content["images"], ids, strict=True):
        image["source_id"] = own
    part = find_parts(small_coco(tmp_path, content))[0]
    dataset = read_part(part)
    assert [picture.image_id for picture in dataset.pictures] == [1, 2, 3]
    write_split(part, {"train": dataset}, tmp_path / "out")
    assert [p.path.stem for p in load_dataset(tmp_path / "out/train.json").pictures] == ["a", "b", "c"]


def test_no_id_is_the_text_none(edit_coco: Edit) -> None:
    def change(content: dict[str, Any]) -> None:
        content["images"][0]["id"] = "None"
        content["annotations"] = [{"id": 1, "image_id": "a", "category_id": 7, "bbox": [1, 2, 3, 4]}]

    with pytest.raises(DatasetError, match='image_id "a" is not the id of any entry'):
        load_dataset(edit_coco(change))

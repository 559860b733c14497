import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.sets import TRUTH, found, write
from data.sets import yolo as small_yolo
from ssd300.data.load import load_dataset
from ssd300.data.reading import read_list
from ssd300.data.yolo import listing
from ssd300.data.yolo.labels import label_path
from ssd300.errors import DatasetError


def test_a_split_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "images" / "train").mkdir(parents=True)
    (tmp_path / "data.yaml").write_text("train: images/train\nnames: [cat]\n")
    assert len(load_dataset(tmp_path)) == 0


def test_classes_boxes_and_negatives(yolo: Path) -> None:
    dataset = load_dataset(yolo)
    assert dataset.classes.names == ("cat", "dog")
    assert dataset.classes.ids == (0, 1)
    assert [picture.image_id for picture in dataset.pictures] == ["a", "b", "c", "empty"]
    first = dataset.pictures[0].annotations
    assert np.allclose(first.boxes_xyxy, [[4, 6, 24, 36], [30.5, 10.25, 55.5, 35.25]], atol=1e-4)
    assert first.class_ids.tolist() == [0, 1]
    assert len(dataset.pictures[3].annotations) == 0


def test_outlines_become_their_enclosing_boxes_and_a_sixth_number_is_a_score(yolo: Path) -> None:
    (yolo / "labels/train/a.txt").write_text("1 0.25 0.25 0.5 0.75 0.25 0.5\n\n0 0.5 0.5 0.5 0.5 0.25\n")
    boxes = load_dataset(yolo).pictures[0].annotations
    assert boxes.boxes_xyxy.tolist() == [[16, 12, 32, 36], [16, 12, 48, 36]]
    assert boxes.scores.tolist() == [1, 0.25]


@pytest.mark.parametrize("score", ["nan", "-7", "1.5", "inf"])
def test_a_score_is_a_share(yolo: Path, score: str) -> None:
    (yolo / "labels/train/a.txt").write_text(f"0 0.5 0.5 0.5 0.5 {score}\n")
    with pytest.raises(DatasetError, match=r"the score, the last number, is .*; expected 0 to 1"):
        load_dataset(yolo)


@pytest.mark.parametrize(
    "yaml",
    [
        "train: images/train\nnames: [cat, dog]\n",
        "path: .\ntrain: images/train\nnames: {0: cat, 1: dog}\nnc: 2\n",
        "train: [images/train]\nnames: ['cat', \"dog\"]\n",
        "train: ./images/train/\nnames:\n- cat\n- dog\n",
        "train: ../images/train\nnames: [cat, dog]\n",  # as Roboflow writes it
        "path: ../somewhere/else\ntrain: images/train\nnames: [cat, dog]\n",
        "train: list.txt\nnames: [cat, dog]\n",
    ],
)
def test_ways_to_write_the_yaml(yolo: Path, yaml: str) -> None:
    (yolo / "list.txt").write_text("".join(f"./images/train/{name}.jpg\n" for name in ("a", "b", "c", "empty")))
    (yolo / "data.yaml").write_text(yaml)
    for path in (yolo, yolo / "data.yaml"):
        dataset = load_dataset(path)
        assert [len(picture.annotations) for picture in dataset.pictures] == [2, 1, 1, 0]


def test_the_list_of_another_part_is_read_as_often_for_many_folders_as_for_one(yolo: Path, monkeypatch) -> None:
    """For each of 100 folders all places of the other part were looked for anew: minutes."""
    lists: list[Path] = []
    monkeypatch.setattr(listing, "read_list", lambda file: lists.append(file) or read_list(file))
    (yolo / "val.txt").write_text("images/train/c.jpg\n")
    for name in ("more", "other"):
        for kind in ("images", "labels"):
            shutil.copytree(yolo / kind / "train", yolo / kind / name)
    for folders in ("images/train", "[images/train, images/more, images/other]"):
        lists.clear()
        (yolo / "data.yaml").write_text(f"train: {folders}\nval: val.txt\nnames: [cat, dog]\n")
        names = [picture.path.parent.name for picture in load_dataset(yolo, split="train").pictures]
        assert (len(lists), names.count("train")) == (2, 3)


def test_an_export_beside_the_parts_of_another_one(yolo: Path) -> None:
    """Roboflow writes ../train/images for the folder of the file, and archives are unpacked one beside the other."""
    inner = yolo / "cards"
    shutil.copytree(yolo / "images/train", inner / "train/images")
    (inner / "train/images/a.jpg").rename(inner / "train/images/card.jpg")
    shutil.copytree(yolo / "images/train", yolo / "train/images")
    shutil.copytree(yolo / "images/train", yolo / "valid/images")
    (inner / "data.yaml").write_text("train: ../train/images\nval: ../valid/images\nnames: [cat, dog]\n")
    assert "card.jpg" in [picture.file_name for picture in load_dataset(inner, split="train").pictures]
    with pytest.raises(DatasetError, match=r"`val: \.\./valid/images` was not found"):  # not the other one's
        load_dataset(inner, split="val")


@pytest.mark.parametrize("place", ["..", "../"])
def test_the_folder_above_is_a_part(tmp_path: Path, place: str) -> None:
    small_yolo(tmp_path, images="pets", labels="pets")
    write(tmp_path / "meta/data.yaml", f"train: {place}\nnames: [cat, dog]\n")
    assert found(load_dataset(tmp_path / "meta/data.yaml")) == TRUTH


def test_labels_lie_in_labels_or_beside(tmp_path: Path) -> None:
    picture = tmp_path / "images" / "set" / "images" / "train" / "a.jpg"
    assert label_path(picture) == tmp_path / "images" / "set" / "labels" / "train" / "a.txt"
    picture.parent.mkdir(parents=True)
    picture.with_suffix(".txt").touch()
    assert label_path(picture) == picture.with_suffix(".txt")


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("train: images/train\n", "has `names`"),
        ("train: images/train\nnames: [cat, cat]\n", "given twice in `names`: cat"),
        ("train: images/train\nnames: [cat]\nnc: 2\n", "nc is 2, but `names` has 1"),
        ("train: images/train\nnames: 3\n", "must list the class names"),
        ("train: [\n", "not valid YAML"),
        ('train: "C:\\Users\\me"\nnames: [cat]\n', "double-quoted scalar.*write / instead of"),
    ],
)
def test_a_faulty_yaml(yolo: Path, yaml: str, words: str) -> None:
    (yolo / "data.yaml").write_text(yaml)
    with pytest.raises(DatasetError, match=words):
        load_dataset(yolo / "data.yaml")


def test_a_missing_folder_lists_every_path_tried(yolo: Path) -> None:
    (yolo / "data.yaml").write_text("path: sub\ntrain: ../pictures\nnames: [cat, dog]\n")
    with pytest.raises(DatasetError) as caught:
        load_dataset(yolo)
    for place in ("sub/../pictures", "../pictures", "pictures"):
        assert str(yolo / place) in str(caught.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("2 0.5 0.5 0.5 0.5", "class index 2 is out of range; `names` has 2 classes"),
        ("0.5 0.5 0.5 0.5 0.5", "class index 0.5 is out of range"),
        ("0 0.5 0.5 0.5", "4 numbers; expected"),
        ("0 0.5 0.5 0.5 x", "not a row of numbers"),
        ("0 32 24 20 10", "far above 1"),
    ],
)
def test_one_wrong_line_names_file_picture_and_line(yolo: Path, line: str, words: str) -> None:
    (yolo / "labels/train/b.txt").write_text(f"0 0.5 0.5 0.5 0.5\n{line}\n")
    with pytest.raises(DatasetError, match=rf"labels/train/b\.txt, picture b\.jpg, annotation line 2: .*{words}"):
        load_dataset(yolo)


@pytest.mark.parametrize("train", ["[A/images, B/images]", "[a.txt, B/images]", "[B/images, a.txt]"])
def test_folders_with_the_same_names_of_pictures(tmp_path: Path, train: str) -> None:
    for place in "AB":
        small_yolo(tmp_path, f"train: {train}\nnames: [cat, dog]\n", f"{place}/images", f"{place}/labels", names="ab")
    write(tmp_path / "a.txt", "A/images/a.jpg\nA/images/b.jpg\n")
    ids = sorted(str(picture.image_id) for picture in load_dataset(tmp_path).pictures)
    assert ids in (["A/images/a", "A/images/b", "B/images/a", "B/images/b"], ["A/images/a", "A/images/b", "a", "b"])


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_yolo(tmp_path, images="images/x", labels="labels/x")
    scan = os.scandir

    def deny(place: str) -> Any:
        if str(place).endswith("images/x"):
            raise PermissionError(13, "Permission denied", str(place))
        return scan(place)

    monkeypatch.setattr(os, "scandir", deny)
    with pytest.raises(DatasetError, match=r"images/x: the folder cannot be read: Permission denied"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_part_that_is_not_there_says_what_to_do(yolo: Path, split: str) -> None:
    """Exports without pictures for testing name their folder all the same."""
    (yolo / "data.yaml").write_text(f"names: [cat, dog]\n{split}: ../{split}/images\n")
    with pytest.raises(DatasetError, match=rf"`{split}: .*` was not found.*/{split}/images. Correct it, or remove it"):
        load_dataset(yolo, split=split)

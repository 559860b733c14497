import shutil
from pathlib import Path
from typing import Any

import pytest

from ssd300.data.dataset import Dataset
from ssd300.data.load import find_parts, load_dataset, load_training, load_validation
from ssd300.data.pack import pack_dataset
from ssd300.data.usable import select_messages, usable_sets
from ssd300.errors import ArgumentError, DatasetError


def load_train_val(*paths: Any, **options: Any) -> tuple[Dataset, Dataset]:
    found = usable_sets(*paths, **options)
    return found.train, found.val


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"was not found in this folder.*holds: nothing"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("format", ["coco", "yolo", "voc"])
def test_the_format_is_found_by_looking(sets: dict[str, Path], format: str) -> None:
    (part,) = find_parts(sets[format])
    assert part.format == format
    assert load_dataset(sets[format]).num_boxes == load_dataset(sets[format], format=format).num_boxes == 4


def test_a_packed_file_is_found_by_looking(coco: Path, tmp_path: Path) -> None:
    pack_dataset(load_dataset(coco), tmp_path / "packed" / "pets.pack")
    assert find_parts(tmp_path / "packed")[0].format == "pack"
    assert load_dataset(tmp_path / "packed").num_boxes == 4


def test_a_named_format_is_the_only_one_looked_for(coco: Path) -> None:
    with pytest.raises(DatasetError, match=r"a voc data set was not found.*It is a coco data set\. Looked for voc \("):
        load_dataset(coco, format="voc")
    with pytest.raises(ArgumentError, match="did you mean 'coco'"):
        load_dataset(coco, format="cocoo")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere", "no such file or folder"),
        ("notes.txt", "Known files"),
        ("images", "holds: a.jpg, b.jpg"),
    ],
)
def test_what_is_no_data_set(coco: Path, name: str, words: str) -> None:
    (coco / "notes.txt").touch()
    with pytest.raises(DatasetError, match=words):
        load_dataset(coco / name)


@pytest.mark.parametrize("path", ["", [""]])
def test_an_empty_path_is_not_the_current_folder(coco: Path, path: Any, monkeypatch) -> None:
    monkeypatch.chdir(coco)
    assert load_dataset(".").num_boxes == 4
    with pytest.raises(DatasetError, match="the path is empty; check the variable"):
        load_dataset(path)


@pytest.mark.parametrize("split", [["train"], 3, ()])
def test_a_split_is_named_in_one_text(two_splits: Path, split: Any) -> None:
    with pytest.raises(ArgumentError, match=r"split is .*: expected the name of a part, or several as train\+val"):
        load_dataset(two_splits, split=split)


def test_labels_without_a_yaml_get_a_hint(yolo: Path) -> None:
    (yolo / "data.yaml").unlink()
    with pytest.raises(DatasetError, match=r"needs a data\.yaml"):
        load_dataset(yolo)


def test_json_files_of_another_kind_are_passed_over(coco: Path) -> None:
    (coco / "package.json").write_text('{"name": "x"}')
    (coco / "empty.json").touch()
    assert load_dataset(coco).num_boxes == 4


@pytest.fixture
def two_splits(coco: Path) -> Path:
    """train.json and val.json, as YOLO-like splits of one COCO folder."""
    for split in ("train", "val"):
        shutil.copyfile(coco / "annotations.json", coco / f"{split}.json")
    (coco / "annotations.json").unlink()
    return coco


def test_several_splits_want_a_name(two_splits: Path) -> None:
    with pytest.raises(DatasetError, match=r"has the splits train, val; name one.*train\.json"):
        load_dataset(two_splits)
    with pytest.raises(DatasetError, match="has no split test; it has train, val"):
        load_dataset(two_splits, split="test")


@pytest.mark.parametrize("split", ["all", "train+val"])
def test_splits_join(two_splits: Path, split: str) -> None:
    whole = load_dataset(two_splits, split=split)
    assert len(whole) == 8
    assert len({picture.image_id for picture in whole.pictures}) == 8


def test_a_list_of_paths_joins(sets: dict[str, Path]) -> None:
    whole = load_dataset(list(sets.values()))
    assert whole.boxes_per_class() == {"cat": 6, "dog": 6}
    assert whole.name == "coco+yolo/train+voc"


def test_train_and_val_by_two_paths_speak_the_same_ids(sets: dict[str, Path]) -> None:
    train, val = load_train_val(sets["coco"], sets["voc"])
    assert val.classes == train.classes
    assert val.pictures[0].annotations.class_ids.tolist() == [7, 90]


def test_train_and_val_by_the_splits_of_one_path(two_splits: Path) -> None:
    train, val = load_train_val(two_splits)
    assert (train.name, val.name) == ("coco/train", "coco/val")


def test_a_train_split_beside_a_test_split_is_what_is_trained_on(two_splits: Path, voc: Path) -> None:
    (two_splits / "val.json").rename(two_splits / "test.json")
    train, val = load_train_val(two_splits, voc)
    assert (train.name, val.name) == ("coco/train", "voc")
    drawn, held_out = load_train_val(two_splits, share=0.5)
    assert len(drawn) + len(held_out) == 4


def test_a_given_val_path_wins_over_the_own_split(two_splits: Path, voc: Path) -> None:
    train, val = load_train_val(two_splits, voc)
    assert (train.name, val.name) == ("coco/train", "voc")


def test_train_and_val_drawn(coco: Path) -> None:
    train, val = load_train_val(coco, share=0.3, seed=1)
    assert len(train) + len(val) == 4
    assert len(val) > 0


def test_several_training_sets_with_one_validation_split(two_splits: Path, voc: Path) -> None:
    train, val = load_train_val([two_splits, voc])
    assert len(train) == 8
    assert val.name == "coco/val"


def test_the_part_to_learn_from_and_the_part_to_measure_on(coco: Path) -> None:
    """Of several parts each takes its own; of one part both take it, boxes or not."""
    for use in (load_training, load_validation):
        assert use(coco).num_boxes == 4
    shutil.copy(coco / "annotations.json", coco / "train.json")
    (coco / "annotations.json").rename(coco / "val.json")
    assert (load_training(coco).name, load_validation(coco).name) == ("coco/train", "coco/val")
    assert load_training([coco / "train.json", coco / "val.json"]).num_boxes == 8
    (coco / "train.json").rename(coco / "test.json")
    with pytest.raises(DatasetError, match="none is named train"):
        load_training(coco)


@pytest.mark.parametrize("wrong", [5, None, [5], b"pets.json"], ids=repr)
@pytest.mark.parametrize("load", [load_dataset, load_training, load_validation, usable_sets])
def test_what_is_no_path_is_refused_by_its_type(load, wrong) -> None:
    with pytest.raises(ArgumentError, match=r"a data set is named by its path, got (int|NoneType|list|bytes)"):
        load(wrong)


@pytest.mark.parametrize("packed", [False, True])
def test_a_set_that_is_given_twice_is_said(coco: Path, tmp_path: Path, packed: bool) -> None:
    path, same = coco, coco / "images" / ".."
    if packed:
        path = same = tmp_path / "pets.pack"
        pack_dataset(load_dataset(coco), path)
    number = len(load_dataset(path))
    assert select_messages(load_dataset(path)) == []
    assert f"{number} pictures listed more than once" in select_messages(load_dataset([path, same]))[0]

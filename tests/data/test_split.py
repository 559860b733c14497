import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from data.sets import TRUTH, append, coco_content, found, write
from data.sets import coco as small_coco
from data.sets import yolo as small_yolo
from ssd300.data.dataset import Annotations, Dataset, Picture
from ssd300.data.load import find_parts, load_dataset, write_split
from ssd300.data.pack import pack_dataset
from ssd300.data.pack.read import Encoding
from ssd300.data.split import groups_of_equal_files, split_dataset
from ssd300.data.usable import arrange, usable_sets
from ssd300.errors import ArgumentError, DatasetError
from ssd300.labels import ClassList


def dataset(*classes_of_pictures: list[int]) -> Dataset:
    names = ClassList.from_names(["cat", "dog", "bird"])
    pictures = [
        Picture(
            Path(f"{i}.jpg"), i, 20, 20, Annotations.of(np.tile([1, 1, 9, 9], (len(ids), 1)), np.array(ids)), f"{i}"
        )
        for i, ids in enumerate(classes_of_pictures)
    ]
    return Dataset("pets", names, tuple(pictures))


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pictures(count: int) -> None:
    with pytest.raises(DatasetError, match=rf"{count} pictures? cannot be split .*; add some"):
        split_dataset(dataset(*[[1]] * count))


@pytest.mark.parametrize(
    ("pictures", "side"),
    [([[], [1]], "val"), ([[1], []], "train"), ([[1], *[[]] * 9], "val"), ([[1], [1]], None), ([[1], [1], []], None)],
)
def test_both_sides_have_an_object(pictures, side) -> None:
    """Otherwise nothing would be learned, or no AP be defined, in a run that seems to work."""
    if side is None:
        sets = arrange([dataset(*pictures)], [])
        assert sets.train.num_boxes
        assert sets.val.num_boxes
        return
    with pytest.raises(DatasetError, match=rf"pets \({side}\): no object is in the \d drawn pictures.*--val"):
        arrange([dataset(*pictures)], [])


@pytest.mark.parametrize("share", [0, 1, -0.2, 1.5])
def test_a_share_out_of_range(share: float) -> None:
    with pytest.raises(ArgumentError, match="between 0 and 1"):
        split_dataset(dataset([1], [1]), share)


def test_neither_side_is_empty() -> None:
    for share in (0.01, 0.99):
        train, val = split_dataset(dataset([1], [2]), share)
        assert len(train) == len(val) == 1


def test_every_class_and_the_empty_pictures_have_their_share() -> None:
    rng = np.random.default_rng(0)
    common = [[1] * rng.integers(1, 4) for _ in range(300)]
    mixed = [[1, 2] for _ in range(100)]
    whole = dataset(*common, *mixed, *[[3]] * 20, *[[]] * 50)
    train, val = split_dataset(whole, 0.2, seed=3)
    assert len(train) + len(val) == len(whole)
    assert not {p.image_id for p in train.pictures} & {p.image_id for p in val.pictures}
    with_class = [sum(class_id in p.annotations.class_ids for p in val.pictures) for class_id in (1, 2, 3)]
    assert with_class == [80, 20, 4]
    assert sum(len(p.annotations) == 0 for p in val.pictures) == 10


@pytest.mark.parametrize("seed", range(5))
def test_identical_files_are_drawn_as_one(seed: int) -> None:
    """The copy that is drawn takes its group along: it must not follow the group's first to the other side."""
    groups = [[10, 13], [11, 14], [12, 15]]
    train, val = split_dataset(dataset(*[[1]] * 10, *[[2]] * 6), 0.2, seed, groups)
    assert [one.boxes_per_class()["dog"] for one in (train, val)] == [4, 2]


def test_a_class_in_three_pictures_is_in_both() -> None:
    train, val = split_dataset(dataset(*[[1]] * 50, *[[2]] * 3), 0.1)
    assert train.boxes_per_class()["dog"] == 2
    assert val.boxes_per_class()["dog"] == 1


@pytest.mark.parametrize("seed", range(5))
def test_a_class_beside_rarer_ones_is_in_both(seed: int) -> None:
    """The rarer classes, too few to be divided, leave all their pictures to training."""
    train, val = split_dataset(dataset([1, 3], [1, 2], [1, 2], *[[]] * 7), 0.2, seed)
    assert val.boxes_per_class() == {"cat": 1, "dog": 1, "bird": 0}
    assert train.boxes_per_class() == {"cat": 2, "dog": 1, "bird": 1}


def test_the_seed_decides() -> None:
    whole = dataset(*[[1]] * 50)
    drawn = [[p.image_id for p in split_dataset(whole, 0.2, seed)[1].pictures] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("format", ["coco", "yolo", "voc"])
def test_written_lists_read_back(sets: dict[str, Path], format: str) -> None:
    (part,) = find_parts(sets[format])
    whole = load_dataset(sets[format])
    train, val = split_dataset(whole, 0.3)
    root = sets[format] if format == "voc" else sets[format].parent / "split"
    write_split(part, {"train": train, "val": val}, root)
    for split, wanted in (("train", train), ("val", val)):
        read = load_dataset(root, split=split)
        assert [p.path.resolve() for p in read.pictures] == [p.path.resolve() for p in wanted.pictures]
        assert [p.annotations for p in read.pictures] == [p.annotations for p in wanted.pictures]
    with pytest.raises(DatasetError, match="already"):
        write_split(part, {"train": train, "val": val}, root)


@pytest.mark.parametrize("indices", [(0, 1), (1, 2), (0, 2), (5, 3)])
def test_lists_of_yolo_keep_the_indices_of_the_label_files(tmp_path: Path, indices: tuple[int, int]) -> None:
    small_yolo(tmp_path / "pets", f"train: images\nnames: {{{indices[0]}: cat, {indices[1]}: dog}}\n")
    for file in (tmp_path / "pets/labels").iterdir():
        write(file, "".join(f"{indices[int(line[0])]}{line[1:]}\n" for line in file.read_text().splitlines()))
    assert found(split_in_two(tmp_path / "pets", tmp_path / "lists")) == TRUTH


@pytest.mark.parametrize("name", ["don\x92t", "a\x7fb", "a\u2028b", 'say "\U0001f468\u200d\U0001f469"'])
def test_lists_of_yolo_have_any_class_name(tmp_path: Path, name: str) -> None:
    small_yolo(tmp_path / "pets")
    (tmp_path / "pets/data.yaml").unlink()
    write(tmp_path / "pets/classes.txt", f"cat\n{name}\n")
    assert split_in_two(tmp_path / "pets", tmp_path / "lists").classes.names == ("cat", name)


@pytest.mark.parametrize("lost", ["", "0 1.5 0.5 0.2 0.2\n", "0 0.5 0.5 0 0.1\n0 0.5 0.5 0.1 0\n"])
@pytest.mark.parametrize("score", ["", " 0.5"])
def test_lists_of_yolo_read_back_if_boxes_are_left_out(tmp_path: Path, lost: str, score: str) -> None:
    small_yolo(tmp_path / "pets", more=score)
    append(tmp_path / "pets/labels/a.txt", lost)
    whole = load_dataset(tmp_path / "pets")
    again = split_in_two(tmp_path / "pets", tmp_path / "lists")
    assert found(again) == found(whole) == TRUTH
    assert {float(p.annotations.scores[0]) for p in again.pictures} == {0.5 if score else 1}


def split_in_two(root: Path, out: Path) -> Dataset:
    """Both parts, as the lists that are drawn from a set say."""
    train, val = split_dataset(load_dataset(root), 0.4)
    write_split(find_parts(root)[0], {"train": train, "val": val}, out)
    return load_dataset(out, split="all")


@pytest.mark.parametrize("format", ["coco", "yolo"])
@pytest.mark.parametrize("place", ["lists", "link/lists", "link/deeper/lists"])
def test_lists_in_a_folder_that_is_reached_through_a_link(tmp_path: Path, format: str, place: str) -> None:
    {"coco": small_coco, "yolo": small_yolo}[format](tmp_path / "pets")
    (tmp_path / "disk/of/many/folders").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "disk/of/many/folders")
    assert found(split_in_two(tmp_path / "pets", tmp_path / place)) == TRUTH


@pytest.mark.parametrize("format", ["coco", "yolo"])
def test_lists_on_another_drive_of_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str) -> None:
    def no_relative_path(path: str, start: str) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    {"coco": small_coco, "yolo": small_yolo}[format](tmp_path / "pets")
    monkeypatch.setattr("ssd300.files.os.path.relpath", no_relative_path)
    assert found(split_in_two(tmp_path / "pets", tmp_path / "lists")) == TRUTH


def test_other_fields_of_a_coco_file_are_kept(coco: Path) -> None:
    content = json.loads((coco / "annotations.json").read_text())
    content["info"] = {"licence": "mine"}
    content["annotations"][0]["segmentation"] = [[1, 2, 3, 4, 5, 6]]
    (coco / "annotations.json").write_text(json.dumps(content))
    whole = load_dataset(coco)
    paths = write_split(find_parts(coco)[0], {"train": whole}, coco.parent / "elsewhere")
    written = json.loads(paths[0].read_text())
    assert written["info"] == content["info"]
    assert written["annotations"] == content["annotations"]


def test_a_voc_set_gets_coco_files_elsewhere(voc: Path, tmp_path: Path) -> None:
    whole = load_dataset(voc)
    (path,) = write_split(find_parts(voc)[0], {"train": whole}, tmp_path / "lists")
    again = load_dataset(path)
    assert [p.path.resolve() for p in again.pictures] == [p.path.resolve() for p in whole.pictures]
    assert again.classes == whole.classes
    assert [p.annotations.boxes_xyxy.tolist() for p in again.pictures] == [
        p.annotations.boxes_xyxy.tolist() for p in whole.pictures
    ]


def test_lists_of_several_years_need_a_new_folder(voc: Path, tmp_path: Path) -> None:
    for year in ("2007", "2012"):
        shutil.copytree(voc, tmp_path / f"kit/VOC{year}")
        (tmp_path / f"kit/VOC{year}/ImageSets/Main").mkdir(parents=True)
        (tmp_path / f"kit/VOC{year}/ImageSets/Main/trainval.txt").write_text(
            "".join(f"{xml.stem}\n" for xml in sorted((voc / "Annotations").rglob("*.xml")))
        )
    part = find_parts(tmp_path / "kit")[0]
    splits = {"train": load_dataset(tmp_path / "kit")}
    with pytest.raises(DatasetError, match=r"VOC2007: its lists cannot name .*VOC2012.*; give a new folder with --out"):
        write_split(part, splits, tmp_path / "kit/VOC2007")
    assert write_split(part, splits, tmp_path / "new") == [tmp_path / "new/train.json"]


def test_pictures_of_one_file_name_do_not_land_in_both(coco: Path, tmp_path: Path) -> None:
    content = json.loads((coco / "annotations.json").read_text())
    content["images"] += [{**image, "id": image["id"] + 1000} for image in content["images"]]
    (coco / "annotations.json").write_text(json.dumps(content))
    (part,) = find_parts(coco)
    train, val = split_dataset(load_dataset(coco), 0.5)
    written = [load_dataset(path) for path in write_split(part, {"train": train, "val": val}, tmp_path)]
    ids = [{picture.image_id for picture in dataset.pictures} for dataset in written]
    assert not ids[0] & ids[1]
    assert len(ids[0] | ids[1]) == len(content["images"])


@pytest.mark.parametrize("encoding", ["jpeg", "raw", "original"])
def test_equal_pictures_of_a_packed_set_stay_together(tmp_path: Path, encoding: Encoding) -> None:
    small_coco(tmp_path)
    for n, stem in enumerate("abc"):
        shutil.copyfile(tmp_path / f"{stem}.jpg", tmp_path / f"again{n}.jpg")
    content = coco_content()
    content["images"] += [{**one, "id": 9 + n, "file_name": f"again{n}.jpg"} for n, one in enumerate(content["images"])]
    write(tmp_path / "annotations.json", content)
    pack_dataset(load_dataset(tmp_path), tmp_path / "x.pack", encoding=encoding)
    packed = load_dataset(tmp_path / "x.pack")
    assert groups_of_equal_files(packed) == [[0, 3], [1, 4], [2, 5]]
    assert any("3 pictures are duplicates" in words for words in usable_sets(tmp_path / "x.pack").messages)

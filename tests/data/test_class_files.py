"""YOLO sets with a list of classes instead of a data.yaml, stray YAML files, and Darknet's .data files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data.sets import TRUTH, coco, darknet, found, pictures, stems, write, yolo
from ssd300.data.check import check_dataset
from ssd300.data.load import load_dataset
from ssd300.data.usable import usable_sets
from ssd300.errors import DatasetError

PARTS = {"train": "a", "valid": "b", "test": "c"}


def without_yaml(root: Path, images: str, labels: str, names: str = "abc", classes: str = "") -> None:
    yolo(root, "", images, labels, names=names)
    (root / "data.yaml").unlink()
    if classes:
        write(root / classes, "cat\ndog\n")


WHOLE: dict[str, Callable[[Path], object]] = {
    "labelImg": lambda root: without_yaml(root, ".", ".", classes="classes.txt"),
    "darknet": lambda root: without_yaml(root, ".", ".", classes="_darknet.labels"),
    "another .data": lambda root: [darknet(root), (root / "obj.data").rename(root / "voc.data")],
    "data/obj.data": lambda root: darknet(root / "data"),
    "FiftyOne": lambda root: without_yaml(root, "data", "data", classes="obj.names"),
    "from a folder above": lambda root: yolo(root, f"train: sets/{root.name}/images\nnames: [cat, dog]\n"),
    "an only folder": lambda root: [yolo(root / "pets/pets"), write(root / "README.md", "")],
    "settings of a run beside": lambda root: [
        yolo(root),
        write(root / "args.yaml", "mode: train\nval: true\nlr0: 1\n"),
        write(root / "params.yaml", "train:\n  epochs: 3\n"),
    ],
    "supervision": lambda root: yolo(root, "names:\n- cat\n- dog\nnc: 2\n"),
    "supervision, pictures and labels in one folder": lambda root: yolo(root, "names: {0: cat, 1: dog}\n", ".", "."),
    "other YAML beside": lambda root: [yolo(root), write(root / "a.yml", "a: 1\n---\nb: {{ x }}\n")],
    "COCO with other YAML": lambda root: [coco(root), write(root / "a.yml", "a: 1\n---\nb: !!x [\n")],
    "COCO with another data.yaml and labels": lambda root: [yolo(root, "a: 1\n"), coco(root)],
}


@pytest.mark.parametrize("way", WHOLE)
def test_sets_without_parts(tmp_path: Path, way: str) -> None:
    WHOLE[way](tmp_path)
    assert found(load_dataset(tmp_path)) == TRUTH


@pytest.mark.parametrize(("text", "ids"), [("cat\ndog", (0, 1)), ("cat\n\ndog\n\n", (0, 2)), ("\ncat\r\ndog", (1, 2))])
@pytest.mark.parametrize("name", ["classes.txt", "obj.names"])
def test_the_index_of_a_class_is_that_of_its_line(tmp_path: Path, name: str, text: str, ids: tuple[int, int]) -> None:
    darknet(tmp_path) if name == "obj.names" else without_yaml(tmp_path, ".", ".")
    write(tmp_path / name, text)
    for file in tmp_path.rglob("?.txt"):
        lines = [f"{ids[int(line[0])]}{line[1:]}\n" for line in file.read_text().splitlines()]
        write(file, "".join(lines))
    dataset = load_dataset(tmp_path)
    assert dataset.classes.ids == ids
    assert found(dataset) == TRUTH


def test_darknet_s_data_file_in_cfg(tmp_path: Path) -> None:
    darknet(tmp_path / "data")
    write(tmp_path / "cfg/obj.data", (tmp_path / "data/obj.data").read_text())
    assert found(load_dataset(tmp_path / "cfg/obj.data")) == TRUTH


def lists(root: Path, at: str) -> None:
    without_yaml(root, "images", "labels", classes=at)
    for part, stem in PARTS.items():
        write(root / f"{part}.txt", f"./images/{stem}.jpg\n")


def folders(root: Path, images: str = ".", labels: str = ".", own: str = "", shared: str = "") -> None:
    for part, stem in PARTS.items():
        without_yaml(root / part, images, labels, stem, own)
    if shared:
        write(root / shared, "cat\ndog\n")


SEVERAL: dict[str, Callable[[Path], object]] = {
    "lists beside images/": lambda root: lists(root, "classes.txt"),
    "lists, classes among labels": lambda root: lists(root, "labels/classes.txt"),
    "labelImg": lambda root: folders(root, own="classes.txt"),
    "darknet": lambda root: folders(root, own="_darknet.labels"),
    "images/ and labels/": lambda root: folders(root, "images", "labels", shared="classes.txt"),
    "supervision": lambda root: [folders(root, "images", "labels"), write(root / "data.yaml", "names: [cat, dog]\n")],
    "images/ and labels/, classes among labels": lambda root: folders(root, "images", "labels", "labels/classes.txt"),
}


@pytest.mark.parametrize("way", SEVERAL)
def test_sets_with_parts(tmp_path: Path, way: str) -> None:
    SEVERAL[way](tmp_path)
    sets = usable_sets(tmp_path)
    assert (found(sets.train), found(sets.val)) == ({"a": TRUTH["a"]}, {"b": TRUTH["b"]})
    assert sets.messages == (f"{tmp_path}: not used for training: test",)
    assert check_dataset(tmp_path).usable


@pytest.mark.parametrize("part", ["val", "test"])
def test_each_part_needs_a_list_of_classes(tmp_path: Path, part: str) -> None:
    for folder, stem in (("train", "a"), (part, "b")):
        without_yaml(tmp_path / folder, ".", ".", classes="", names=stem)
    write(tmp_path / "train/classes.txt", "cat\ndog\n")
    with pytest.raises(
        DatasetError, match=rf"/{part} has labels, but no list of .*; put .*classes\.txt above both parts"
    ):
        load_dataset(tmp_path, split="all")
    (tmp_path / "train/classes.txt").rename(tmp_path / "classes.txt")
    assert stems(load_dataset(tmp_path, split="all")) == {"a", "b"}


@pytest.mark.parametrize("images", ["{}/images", "{}"])
@pytest.mark.parametrize("other", ["training", "more"])
def test_a_folder_with_labels_that_is_no_part_is_noted(tmp_path: Path, images: str, other: str) -> None:
    for folder, stem in (("train", "a"), (other, "b")):
        place = images.format(folder)
        yolo(tmp_path, images=place, labels=place.replace("images", "labels"), names=stem)
    (tmp_path / "data.yaml").unlink()
    write(tmp_path / "classes.txt", "cat\ndog\n")
    dataset = load_dataset(tmp_path)
    assert stems(dataset) == {"a"}
    assert [note.words for note in dataset.notes] == [f"{other} is not used"]


@pytest.mark.parametrize("train", ["images", ".", "images/", "[images]", "./images"])
def test_pictures_of_another_part_inside_a_part_are_left_out(tmp_path: Path, train: str) -> None:
    yolo(tmp_path, names="a")
    for part, stem in (("val", "b"), ("test", "c")):
        yolo(tmp_path, "", f"images/{part}", f"labels/{part}", names=stem)
    write(tmp_path / "data.yaml", f"train: {train}\nval: images/val\ntest: images/test/\nnames: [cat, dog]\n")
    sets = usable_sets(tmp_path)
    assert (stems(sets.train), stems(sets.val)) == ({"a"}, {"b"})
    words = " ".join(note.words for note in sets.train.notes)
    assert words.count("1 pictures of another part (") == words.count("are not used for train") == 2
    assert check_dataset(tmp_path).usable


@pytest.mark.parametrize("place", [".", "cfg"])
@pytest.mark.parametrize("lists", [True, False])
def test_pictures_that_another_part_lists_or_has_are_left_out(tmp_path: Path, place: str, lists: bool) -> None:
    yolo(tmp_path)
    for part, stem in (("val", "b"), ("test", "c")):
        write(tmp_path / place / f"{part}.txt", f"images/{stem}.jpg\n")
        if not lists:
            for folder, suffix in (("images", ".jpg"), ("labels", ".txt")):
                (tmp_path / folder / part).mkdir()
                (tmp_path / folder / f"{stem}{suffix}").rename(tmp_path / folder / part / f"{stem}{suffix}")
    places = "val: val.txt\ntest: test.txt" if lists else "val: ../images/val\ntest: ../images/test"
    (tmp_path / "data.yaml").unlink()
    write(tmp_path / place / "data.yaml", f"train: ../images\n{places}\nnames: [cat, dog]\n")
    if lists and place == "cfg":
        for part, stem in (("val", "b"), ("test", "c")):
            write(tmp_path / place / f"{part}.txt", f"../images/{stem}.jpg\n")
    sets = usable_sets(tmp_path / place / "data.yaml")
    assert (stems(sets.train), stems(sets.val)) == ({"a"}, {"b"})
    assert check_dataset(tmp_path / place / "data.yaml").usable


def test_a_part_whose_pictures_are_all_in_another_keeps_them(tmp_path: Path) -> None:
    yolo(tmp_path, "train: images\nval: val.txt\nnames: [cat, dog]\n")
    write(tmp_path / "val.txt", "".join(f"images/{stem}.jpg\n" for stem in TRUTH))
    sets = usable_sets(tmp_path)
    assert (stems(sets.train), stems(sets.val)) == (set(TRUTH), set(TRUTH))
    assert any("3 pictures of" in words and "also in the training set" in words for words in sets.messages)


def test_lists_of_classes_that_differ_are_refused(tmp_path: Path) -> None:
    folders(tmp_path, own="classes.txt")
    write(tmp_path / "valid/classes.txt", "dog\ncat\n")
    with pytest.raises(DatasetError, match=r"classes.txt and .*classes.txt list different classes; write the labels"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("yaml", [True, False])
@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("", ""), ("cat\ndog\n", ""), ("kitten\ndog\n", ""), ("cat\n\n\n", ""), ("cat\ncat\n", ""),
        ("dog\ncat\n", "'dog' has the index 1, but 0"), ("person\ncar\ncat\n", "'cat' has the index 0, but 2"),
    ],
)  # fmt: skip
def test_a_list_beside_labels_that_gives_a_class_another_index_is_said(
    tmp_path: Path, yaml: bool, text: str, moved: str
) -> None:
    """labelImg leaves its list there; the indices in the labels are those of this list."""
    yolo(tmp_path, "train: images\nval: images\nnames: [cat, dog]\n")
    write(tmp_path / "labels/classes.txt", text)
    if not yaml:
        (tmp_path / "data.yaml").unlink()
        write(tmp_path / "classes.txt", "cat\ndog\n")
    assert found(load_dataset(tmp_path, split="train" if yaml else None)) == TRUTH
    said = [words for words in usable_sets(tmp_path).messages if "mixed up" in words]
    assert [f"the class {moved} in {tmp_path / 'labels/classes.txt'}; if the" in words for words in said] == (
        [True] if moved else []
    )
    assert check_dataset(tmp_path).counts().get("other class list", 0) == (1 + yaml if moved else 0)


@pytest.mark.parametrize("name", ["data.yaml", "pets.yml"])
def test_a_yaml_without_parts_and_labels_says_what_to_add(tmp_path: Path, name: str) -> None:
    yolo(tmp_path, "", "photos", "photos" if name == "data.yaml" else "labels")
    (tmp_path / "data.yaml").unlink()
    write(tmp_path / name, "names: [cat, dog]\n")
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(DatasetError, match=rf"{name}: no split; add `train: FOLDER`"):
            load_dataset(path)


def test_a_yaml_of_a_part_needs_names(tmp_path: Path) -> None:
    yolo(tmp_path / "train", "train: images\n")
    with pytest.raises(DatasetError, match=r"train/data\.yaml: a YOLO data file has `names`"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("name", ["classes.txt", "labels.txt"])
def test_a_list_of_classes_without_labels_is_no_set(tmp_path: Path, name: str) -> None:
    pictures(tmp_path)
    write(tmp_path / name, "cat\ndog\n")
    with pytest.raises(DatasetError, match="was not found"):
        load_dataset(tmp_path)


def test_labels_without_any_picture_are_faults(tmp_path: Path) -> None:
    without_yaml(tmp_path, "images", "labels", classes="classes.txt")
    for picture in (tmp_path / "images").iterdir():
        picture.unlink()
    with pytest.raises(DatasetError, match="label file without picture"):
        load_dataset(tmp_path)

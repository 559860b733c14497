"""Lines of YOLO labels with more numbers than a box, labels that are lost, and the places where labels lie."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.sets import SIZE, TRUTH, coco, coco_content, found, line, voc, voc_text, write, yolo
from ssd300.data.check import check_dataset
from ssd300.data.load import load_dataset
from ssd300.data.usable import usable_sets
from ssd300.errors import DatasetError


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


def test_a_yaml_without_parts_declares_key_points(tmp_path: Path) -> None:
    yolo(tmp_path, "names: [cat, dog]\nkpt_shape: [3, 2]\nauthor: me\n", more=" 0.3 0.3 0.6 0.6 0.9 0.5")
    dataset = load_dataset(tmp_path)
    assert found(dataset) == TRUTH
    assert [note.words for note in dataset.notes] == [
        "'author' of the file is not used", "4 of 4 lines have key points after the box; only the box is used"
    ]  # fmt: skip


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
    dataset = load_dataset(tmp_path)
    assert found(dataset) == TRUTH
    words = "4 of 4 lines are outlines; the box around the points is used"
    words += " (if these are x y w h and two more numbers, remove those)" if points == 3 else ""
    assert [note.words for note in dataset.notes] == [words]


def ring(rng: np.random.Generator, points: int, radius: float) -> list[tuple[float, float]]:
    """An outline near the middle of the picture, whose first two points could be a box around all others."""
    x, y = 0.5 + rng.uniform(-0.05, 0.05, 2)
    angles = rng.uniform(0, 6.3) + 2 * np.pi * np.arange(points) / points
    return [(x + radius * np.cos(a), y + radius * np.sin(a)) for a in angles]


@pytest.mark.parametrize("points", [3, 4, 5, 6, 12, 40])
@pytest.mark.parametrize("radius", [0.05, 0.12, 0.2])
@pytest.mark.parametrize("seed", [0, 1])
def test_outlines_in_the_middle_of_the_picture_are_no_key_points(
    tmp_path: Path, points: int, radius: float, seed: int
) -> None:
    yolo(tmp_path)
    rng = np.random.default_rng(seed)
    for stem in TRUTH:
        outlines = [ring(rng, points, radius) for _ in range(3)]
        write(tmp_path / f"labels/{stem}.txt", "".join(f"0 {' '.join(f'{x} {y}' for x, y in o)}\n" for o in outlines))
        truth = np.array([[*np.min(o, axis=0), *np.max(o, axis=0)] for o in outlines]) * [*SIZE, *SIZE]
        picture = next(one for one in load_dataset(tmp_path).pictures if one.path.stem == stem)
        assert np.allclose(picture.annotations.boxes_xyxy, truth, atol=1e-3)


@pytest.mark.parametrize(
    "few", ["0.1 0.5 0.9 0.5 0.5 1", "0.2 0.4 0.6 0.4 0.5 0", "0.3 0.5 0.2 0.4 0.3 0.4 1 0.5 0.5 1"]
)
def test_among_outlines_an_outline_with_an_end_at_an_edge_is_one(tmp_path: Path, few: str) -> None:
    """Alone it could be a box with a score and a track id, or with key points."""
    yolo(tmp_path)
    write(tmp_path / "labels/b.txt", f"0 {few}\n" * 2)
    for stem in "ac":
        write(tmp_path / f"labels/{stem}.txt", "0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5\n" * 2)
    xs, ys = np.array(few.split(), float).reshape(-1, 2).T
    box = tuple(round(float(side), 2) for side in (min(xs) * 64, min(ys) * 48, max(xs) * 64, max(ys) * 48))
    assert found(load_dataset(tmp_path))["b"] == [("cat", box)] * 2


def test_closed_outlines_of_whole_pictures_are_no_key_points(tmp_path: Path) -> None:
    yolo(tmp_path)
    for stem in TRUTH:
        write(tmp_path / f"labels/{stem}.txt", "0 0 0 1 0 1 1 0 1 0 0\n" * 2)
    assert found(load_dataset(tmp_path))["a"] == [("cat", (0, 0, 64, 48))] * 2


@pytest.mark.parametrize("more", [" 0.1 0.2 5 9", " -3 -3", " 1.57", " -0.5", " 0.5 0.5 0.5"])
def test_numbers_that_are_nothing_are_faults(tmp_path: Path, more: str) -> None:
    yolo(tmp_path, more=more)
    with pytest.raises(DatasetError, match=r"labels/a\.txt"):
        load_dataset(tmp_path)


# Labels that are lost


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
        ("images/train/img", "labels/train/img"), ("imgs/images/a", "imgs/labels/a"), ("images/imgs", "images/imgs"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".txt", ".TXT"])
def test_labels_are_found_in_every_usual_place(tmp_path: Path, images: str, labels: str, suffix: str) -> None:
    yolo(tmp_path, f"train: {images}\nnames: [cat, dog]\n", images, labels, suffix=suffix)
    assert found(load_dataset(tmp_path)) == TRUTH


@pytest.mark.parametrize(
    ("images", "labels"),
    [("images/train", "labels/train"), ("images/train/img", "labels/train/img"), ("images/train", "Labels/train")],
)
def test_a_label_file_without_a_picture_is_a_fault_in_every_layout(tmp_path: Path, images: str, labels: str) -> None:
    yolo(tmp_path, f"train: {images}\nnames: [cat, dog]\n", images, labels)
    write(tmp_path / labels / "lost.txt", line("cat", (1, 1, 9, 9)))
    with pytest.raises(DatasetError, match=rf"has 1 fault .*label file without picture: {tmp_path}.*lost\.txt"):
        load_dataset(tmp_path)


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
        assert usable_sets(tmp_path, tmp_path, allow_lost=True).train.num_boxes >= 1


# The same picture twice


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
    assert any("3 pictures are duplicates" in words for words in sets.messages)


@pytest.mark.parametrize("name", ["classes.txt", "Classes.txt", "labels.txt", "obj.names", "README.txt", "notes.txt"])
def test_lists_of_classes_among_labels_are_no_labels(tmp_path: Path, name: str) -> None:
    yolo(tmp_path)
    write(tmp_path / "labels" / name, "cat\ndog\n")
    assert found(load_dataset(tmp_path)) == TRUTH


@pytest.mark.parametrize(("names", "twice"), [("a", ""), ("aa", "1 picture"), ("aaa", "1 picture")])
def test_a_picture_with_several_label_files_is_said_by_both(tmp_path: Path, names: str, twice: str) -> None:
    voc(tmp_path)
    for number, name in enumerate(names[1:]):
        write(tmp_path / f"Annotations/copy{number}.xml", voc_text(name, TRUTH["b"]))
    write(tmp_path / "ImageSets/Main/train.txt", "".join(f"{file.stem}\n" for file in tmp_path.rglob("*.xml")))
    write(tmp_path / "ImageSets/Main/val.txt", "c\n")
    said = [words for words in usable_sets(tmp_path).messages if "more than once" in words]
    assert said == [words for words in check_dataset(tmp_path).messages if "more than once" in words]
    assert [f"/train: {twice} listed more than once; objects" in words for words in said] == [True] * bool(twice)


# Boxes that are no objects


@pytest.mark.parametrize(
    ("format", "mark", "words"),
    [
        ("coco", {"iscrowd": 1}, "4 are crowd regions"), ("coco", {"ignore": 1}, "4 are marked ignore"),
        ("coco", {"score": 0.3}, "4 have a score below 0.35"), ("coco", {"score": 0}, "4 have a score below 0.35"),
        ("coco", {"iscrowd": 1, "score": 0.1}, "4 are crowd regions"),
        ("yolo", " 0.2", "4 have a score below 0.35"), ("yolo", " 0.349", "4 have a score below 0.35"),
        ("yolo", " 1e-9", "4 have a score below 0.35"), ("voc", "1", "4 are marked ignore or difficult"),
        ("voc", "true", "4 are marked ignore or difficult"),
    ],
)  # fmt: skip
def test_a_set_without_one_object_is_refused(tmp_path: Path, format: str, mark: Any, words: str) -> None:
    if format == "coco":
        content = coco_content()
        coco(tmp_path, content | {"annotations": [one | mark for one in content["annotations"]]})
    elif format == "yolo":
        yolo(tmp_path, more=mark)
    else:
        for file in voc(tmp_path).glob("Annotations/*.xml"):
            write(file, file.read_text().replace("<bndbox>", f"<difficult>{mark}</difficult><bndbox>"))
    with pytest.raises(DatasetError, match=f"none of its 4 boxes is an object.*{words}"):
        usable_sets(tmp_path)
    assert words in check_dataset(tmp_path).reason
    if "score" in words and mark != {"iscrowd": 1, "score": 0.1}:
        assert usable_sets(tmp_path, min_score=0).train.num_boxes
        assert not usable_sets(tmp_path, min_score=0).messages


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ({"score": 0.2}, "have a score below 0.35"),
        ({"ignore": 1}, "are marked ignore or difficult"),
        ({"iscrowd": 1}, "are crowd regions (in COCO files of CVAT, every mask is a crowd region)"),
    ],
)
def test_boxes_that_do_not_count_are_counted(tmp_path: Path, mark: Any, words: str) -> None:
    content = coco_content()
    content["annotations"][0] |= mark
    said = f"1 of 4 boxes {words}: neither objects nor background"
    assert usable_sets(coco(tmp_path, content)).messages == check_dataset(tmp_path).messages == (said,)


def test_pictures_without_label_files_are_counted(tmp_path: Path) -> None:
    (yolo(tmp_path) / "labels/c.txt").unlink()
    words = f"{tmp_path.name}/train: 1 of 3 pictures have no label file and count as without objects"
    assert usable_sets(tmp_path).messages == check_dataset(tmp_path).messages == (words,)


@pytest.mark.parametrize("flags", [("0", "1"), ("0", "0"), ("1", "0"), ("0.0", "1.0"), ("0", "2")])
def test_a_flag_behind_a_box_is_no_score(tmp_path: Path, flags: tuple[str, str]) -> None:
    yolo(tmp_path, more=f" {flags[0]}")
    write(tmp_path / "labels/b.txt", line(*TRUTH["b"][0], f" {flags[1]}"))
    dataset = load_dataset(tmp_path)
    assert found(dataset) == TRUTH
    assert all((picture.annotations.scores == 1).all() for picture in dataset.pictures)
    assert "the box is used" in dataset.notes[0].words


@pytest.mark.parametrize("word", ["0_0", "0.5_0", "1_0"])
def test_a_number_with_an_underscore_is_none(tmp_path: Path, word: str) -> None:
    yolo(tmp_path)
    write(tmp_path / "labels/b.txt", f"0 0.5 0.5 0.2 {word}\n")
    with pytest.raises(DatasetError, match="is not a row of numbers"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    "yaml", ["train: x\ntrain: images\nnames: [cat, dog]\n", "names: [a]\ntrain: images\nNames: [b]"]
)
def test_a_key_that_is_given_twice_is_refused(tmp_path: Path, yaml: str) -> None:
    with pytest.raises(DatasetError, match=r"given twice: (train|names); keep one of each"):
        load_dataset(yolo(tmp_path, yaml))

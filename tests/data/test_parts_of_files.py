"""Parts of sets whose labels are files: by their names, folders, a column, or lists; and where their pictures are."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from data.sets import TRUTH, coco_content, found, pictures, voc, write
from data.test_cvat import cvat, cvat_box
from data.test_kitti_createml_via import createml, kitti, via
from data.test_labelme import labelme
from data.test_tables import table
from ssd300.data.check import check_dataset
from ssd300.data.usable import usable_sets
from ssd300.errors import DatasetError

STEMS = {"train": "a", "val": "b", "test": "c"}
ROWS = "filename,class,xmin,ymin,xmax,ymax"


def only(text: str, stem: str) -> str:
    """The part of an annotation file that is of one picture."""
    if text.startswith("<"):
        images = text[text.index("<image") :].removesuffix("</annotations>").split("</image>")
        return f"<annotations>{''.join(f'{one}</image>' for one in images if f'{stem}.jpg' in one)}</annotations>"
    if text.startswith(ROWS):
        return "\n".join([ROWS, *(row for row in text.splitlines() if row.startswith(f"{stem}."))])
    content = json.loads(text)
    if isinstance(content, list):
        return json.dumps([entry for entry in content if entry["image"] == f"{stem}.jpg"])
    return json.dumps({key: entry for key, entry in content.items() if entry["filename"] == f"{stem}.jpg"})


WHOLE: dict[str, tuple[Callable[[Path], object], str]] = {  # what writes all pictures, and the name of the file
    "via": (via, "via.json"),
    "createml": (lambda root: createml(root, "boxes.json"), "boxes.json"),
    "csv": (lambda root: table(root, ROWS, name="boxes.csv"), "boxes.csv"),
    "cvat": (lambda root: write(root / "annotations.xml", cvat(cvat_box)), "annotations.xml"),
}


@pytest.mark.parametrize("format", ["coco", *WHOLE])
@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("{}/my_boxes", "{}"), ("{}/annotations/boxes", "{}/images"), ("my_{}", "{}"), ("{}", "images/{}"),
        ("annotations/{}", "images/{}"), ("{}/boxes", "{}/images"), ("{}_boxes", "data/{}_set"),
        ("annotations/{}/boxes", "images/{}"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "Valid", "Testing")])
def test_parts_of_files(tmp_path: Path, format: str, file: str, folder: str, names: tuple[str, str, str]) -> None:
    """All parts have a picture of the same name."""
    root = tmp_path / "set"
    for name, stem in zip(names, "abc", strict=True):
        pictures(root / folder.format(name), names=stem)
        (root / folder.format(name) / f"{stem}.jpg").rename(root / folder.format(name) / "x.jpg")
        if format == "coco":
            text, suffix = json.dumps(coco_content(stem)), ".json"
        else:
            make, made = WHOLE[format]
            make(tmp_path / "whole")
            text, suffix = only((tmp_path / "whole" / made).read_text(), stem), Path(made).suffix
        write(root / f"{file.format(name)}{suffix}", text.replace(f"{stem}.jpg", "x.jpg"))
    sets = usable_sets(root)
    assert (found(sets.train), found(sets.val)) == ({"x": TRUTH["a"]}, {"x": TRUTH["b"]})
    for one, name in ((sets.train, names[0]), (sets.val, names[1])):
        assert one.pictures[0].path == root / folder.format(name) / "x.jpg"
    assert sets.messages[:1] == (f"{root}: not used for training: test",)
    assert check_dataset(root).usable


@pytest.mark.parametrize("column", ["split", "Subset"])
@pytest.mark.parametrize("values", [("train", "val", "test"), ("TRAIN", "Validation", "Test")])
def test_a_column_of_a_table_names_the_part(tmp_path: Path, column: str, values: tuple[str, ...]) -> None:
    table(tmp_path, ROWS)
    head, *rows = (tmp_path / "annotations.csv").read_text().splitlines()
    rows = [f"{row},{values['abc'.index(row[0])]}" for row in rows]
    write(tmp_path / "annotations.csv", "\n".join([f"{head},{column}", *rows]))
    sets = usable_sets(tmp_path)
    assert (found(sets.train), found(sets.val)) == ({"a": TRUTH["a"]}, {"b": TRUTH["b"]})


def test_lists_of_kitti_are_parts(tmp_path: Path) -> None:
    kitti(tmp_path / "training")
    pictures(tmp_path / "testing/image_2", ".png")
    for name, lines in (("train", "a\n"), ("val", "b\n"), ("trainval", "a\nb\n"), ("test", "000000\n")):
        write(tmp_path / f"ImageSets/{name}.txt", lines)
    sets = usable_sets(tmp_path)
    assert (found(sets.train), found(sets.val)) == ({"a": TRUTH["a"]}, {"b": TRUTH["b"]})
    assert check_dataset(tmp_path).usable


@pytest.mark.parametrize(
    ("name", "line"), [("{}", "{}"), ("{}_list", "./images/{0}.jpg ./Annotations/{0}.xml"), ("{}", "JPEGImages/{}.jpg")]
)
def test_lists_beside_the_annotations_of_voc_are_parts(tmp_path: Path, name: str, line: str) -> None:
    voc(tmp_path)
    for part, stem in STEMS.items():
        write(tmp_path / f"{name.format(part)}.txt", f"{line.format(stem)}\n")
    write(tmp_path / "label_list.txt", "cat\ndog\n")
    sets = usable_sets(tmp_path)
    assert (found(sets.train), found(sets.val)) == ({"a": TRUTH["a"]}, {"b": TRUTH["b"]})
    assert check_dataset(tmp_path).usable


@pytest.mark.parametrize(("other", "are_lists"), [("b.jpg -1", True), ("b.jpg 1", True), ("c.jpg 1", False)])
def test_lists_of_single_classes_are_parts_if_they_agree(tmp_path: Path, other: str, are_lists: bool) -> None:
    voc(tmp_path)
    for name in ("cat", "dog"):
        write(tmp_path / f"ImageSets/Main/{name}_train.txt", f"a.jpg 1\n{'b.jpg -1' if name == 'cat' else other}\n")
        write(tmp_path / f"ImageSets/Main/{name}_val.txt", "c.jpg 1\n")
    sets = usable_sets(tmp_path)
    together = found(sets.train) | found(sets.val)
    assert together == TRUTH
    assert (found(sets.val) == {"c": TRUTH["c"]}) == are_lists


@pytest.mark.parametrize("images", ["images", "photos"])
@pytest.mark.parametrize("place", ["annotations", "."])
def test_lists_beside_a_folder_of_xml_files_in_annotations(tmp_path: Path, images: str, place: str) -> None:
    """As Oxford-IIIT Pet: the pictures for testing have no XML files, and are none without objects for training."""
    voc(tmp_path, "annotations/xmls", images)
    (tmp_path / "annotations/xmls/c.xml").unlink()
    for name, text in (("trainval", "a 1 1 1\nb 2 1 1\n"), ("test", "c 1 1 1\n"), ("list", "# names\na 1 1 1\n")):
        write(tmp_path / f"{place}/{name}.txt", text)
    sets = usable_sets(tmp_path)
    assert found(sets.train) | found(sets.val) == {"a": TRUTH["a"], "b": TRUTH["b"]}
    assert sets.messages == (f"{tmp_path}: not used for training: test",)


def test_other_texts_beside_the_annotations_of_voc_are_no_lists(tmp_path: Path) -> None:
    voc(tmp_path)
    write(tmp_path / "test.txt", "Notes on our test\n")
    assert len(usable_sets(tmp_path).train) + len(usable_sets(tmp_path).val) == 3


def test_a_list_of_voc_without_pictures_is_an_empty_part(tmp_path: Path) -> None:
    voc(tmp_path)
    write(tmp_path / "ImageSets/Main/train.txt", "")
    with pytest.raises(DatasetError, match=r"/train has no pictures"):
        usable_sets(tmp_path)


@pytest.mark.parametrize("key", ["split", "subset"])
def test_a_coco_file_of_several_parts_is_refused(tmp_path: Path, key: str) -> None:
    content = coco_content()
    for image, part in zip(content["images"], ("train2017", "val", "val"), strict=True):
        image[key] = part
    pictures(tmp_path)
    write(tmp_path / "annotations.json", content)
    words = rf"its images are of train, val \(`{key}`\); write one file for each part"
    with pytest.raises(DatasetError, match=words):
        usable_sets(tmp_path)
    assert not check_dataset(tmp_path).usable


LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n"


@pytest.mark.parametrize("format", ["coco", "createml", "csv", "labelme"])
@pytest.mark.parametrize(
    ("kept", "words"),
    [(0, "is empty; copy or download it again"), (9, "is cut off, it ends within its JSON"), (None, "of Git LFS")],
)
def test_a_part_whose_file_did_not_arrive_whole_is_not_left_out(
    tmp_path: Path, format: str, kept: int | None, words: str
) -> None:
    for part, stem in (("train", "a"), ("valid", "b")):
        folder = tmp_path / "set" / part
        pictures(folder, names=stem)
        if format in WHOLE:
            write_whole, file = WHOLE[format]
            write_whole(tmp_path / part)
            write(folder / file, only((tmp_path / part / file).read_text(), stem))
        else:
            write(folder / f"{stem}.json", coco_content(stem) if format == "coco" else labelme(stem))
    root = tmp_path / "set"
    file = next(one for one in (root / "valid").iterdir() if one.suffix in (".json", ".csv"))
    write(root / "valid" / "other.json", "{}")
    assert set(found(usable_sets(root).val)) == {"b"}
    if format == "csv" and kept:
        return  # a table may end anywhere
    write(file, LFS_POINTER if kept is None else file.read_text()[:kept])
    with pytest.raises(DatasetError, match=f"{file.name}: the annotation file .*{words}"):
        usable_sets(root)
    (root / "train" / file.name.replace("b.json", "a.json")).unlink()  # no part has a whole one
    (root / "valid" / "other.json").unlink()
    with pytest.raises(DatasetError, match=f"was not found in this folder.*{words}"):
        usable_sets(root)

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ssd300.data.load import load_dataset
from ssd300.errors import DatasetError

OBJECT = (
    "<object><name>{name}</name><difficult>1</difficult><pose>left</pose>"
    "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>{xmax}</xmax><ymax>40</ymax></bndbox></object>"
)


def annotation(*objects: str, size: str = "", name: str = "a.jpg") -> str:
    return f"<annotation><filename>{name}</filename>{size}{''.join(objects)}</annotation>"


def test_a_folder_without_objects(voc: Path) -> None:
    for name in ("a", "b", "c"):
        (voc / "Annotations" / f"{name}.xml").unlink()
        (voc / "JPEGImages" / f"{name}.jpg").unlink()
    dataset = load_dataset(voc)
    assert len(dataset) == 1
    assert dataset.num_boxes == len(dataset.classes) == 0


def test_classes_boxes_and_negatives(voc: Path) -> None:
    dataset = load_dataset(voc)
    assert dict(zip(dataset.classes.names, dataset.classes.ids, strict=True)) == {"cat": 1, "dog": 2}
    assert [picture.image_id for picture in dataset.pictures] == ["a", "b", "c", "empty"]
    first = dataset.pictures[0].annotations
    assert first.boxes_xyxy.tolist() == [[4, 6, 24, 36], [30.5, 10.25, 55.5, 35.25]]  # as written: no shift by one
    assert first.class_ids.tolist() == [1, 2]
    assert len(dataset.pictures[3].annotations) == 0


def test_difficult_is_ignored_and_other_fields_are_noted(voc: Path) -> None:
    (voc / "Annotations/a.xml").write_text(annotation(OBJECT.format(name="cat", xmax=30)))
    dataset = load_dataset(voc)
    assert dataset.pictures[0].annotations.ignore.tolist() == [True]
    assert (dataset.pictures[0].width, dataset.pictures[0].height) == (64, 48)  # <size> is missing
    assert [note.words for note in dataset.notes] == ["<pose> of 1 objects is not used"]


def test_a_box_that_cvat_turned_is_enclosed(voc: Path) -> None:
    text = annotation(OBJECT.format(name="cat", xmax=41)).replace(
        "<pose>", "<attributes><attribute><name>rotation</name><value>90.0</value></attribute></attributes><pose>"
    )
    (voc / "Annotations/a.xml").write_text(text)
    assert load_dataset(voc).pictures[0].annotations.boxes_xyxy.tolist() == [[2, 1, 40, 41]]
    (voc / "Annotations/a.xml").write_text(text.replace("<xmin>1<", "<xmin>-20<"))
    assert load_dataset(voc).pictures[0].annotations.boxes_xyxy.tolist() == [[0, 0, 29.5, 48]]


def test_outlines_of_labelme_xml(voc: Path) -> None:
    def outline(deleted: int, *points: tuple[float, float]) -> str:
        inside = "".join(f"<pt><x>{x}</x><y>\n{y}\n</y></pt>" for x, y in points)
        return (
            f"<object><name>cat</name><deleted>{deleted}</deleted><type>bounding_box</type>"
            f"<polygon><username>me</username>{inside}</polygon></object>"
        )

    square, triangle = ((1, 2), (30, 2), (30, 40), (1, 40)), ((5.5, 9), (9, 7), (8, 20))
    (voc / "Annotations/a.xml").write_text(annotation(outline(0, *square), outline(1, *square), outline(0, *triangle)))
    dataset = load_dataset(voc)
    assert dataset.pictures[0].annotations.boxes_xyxy.tolist() == [[1, 2, 30, 40], [5.5, 7, 9, 20]]
    assert [note.words for note in dataset.notes] == ["<type> of 2 objects is not used"]
    (voc / "Annotations/a.xml").write_text(annotation(outline(0)))
    with pytest.raises(DatasetError, match="malformed box"):
        load_dataset(voc)


def test_difficult_may_be_a_word(voc: Path) -> None:
    text = annotation(OBJECT.format(name="cat", xmax=30)).replace("<difficult>1<", "<difficult>True<")
    (voc / "Annotations/a.xml").write_text(text)
    assert load_dataset(voc).pictures[0].annotations.ignore.tolist() == [True]


def test_pictures_beside_the_xml_files_and_in_subfolders(voc: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    shutil.copytree(voc / "Annotations", flat / "train")
    shutil.copytree(voc / "JPEGImages", flat / "train", dirs_exist_ok=True)
    shutil.copytree(flat / "train", flat / "valid")
    assert load_dataset(flat / "train").num_boxes == 4
    assert load_dataset(flat, split="val").num_boxes == 4


def test_a_picture_is_found_by_the_name_of_its_xml_file(voc: Path) -> None:
    (voc / "Annotations/a.xml").write_text(annotation(OBJECT.format(name="cat", xmax=30), name="C:/photos/other.png"))
    picture = load_dataset(voc).pictures[0]
    assert picture.path == voc / "JPEGImages/a.jpg"
    assert picture.file_name == "C:/photos/other.png"


def test_splits_are_lists(voc: Path) -> None:
    lists = voc / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nempty\n")
    (lists / "val.txt").write_text("c\n")
    (lists / "cat_train.txt").write_text("a 1\nempty -1\n")
    assert [picture.image_id for picture in load_dataset(voc, split="train").pictures] == ["a", "empty"]
    assert [picture.image_id for picture in load_dataset(voc, split="val").pictures] == ["c"]


def test_folders_of_parts_in_an_unpacked_archive(voc: Path) -> None:
    for part, stems in {"train": "ab", "val": "c"}.items():
        for stem in stems:
            for file in (voc / "Annotations" / f"{stem}.xml", voc / "JPEGImages" / f"{stem}.jpg"):
                (file.parent / part).mkdir(exist_ok=True)
                file.rename(file.parent / part / file.name)
    (voc / "Annotations/empty.xml").unlink()
    for place in (voc, voc.parent):
        assert {part: len(load_dataset(place, split=part)) for part in ("train", "val")} == {"train": 2, "val": 1}


def test_two_listed_names_do_not_share_an_xml_file(voc: Path) -> None:
    write_list = voc / "ImageSets" / "Main" / "train.txt"
    write_list.parent.mkdir(parents=True)
    write_list.write_text("JPEGImages/a.jpg\nb\nB.jpg\n")
    assert [picture.image_id for picture in load_dataset(voc).pictures] == ["a", "b"]
    write_list.write_text("cam1/a\ncam2/a\n")
    with pytest.raises(DatasetError, match=r"the split lists 'cam2/a'; .*a\.xml was found, but so it was for 'cam1/a'"):
        load_dataset(voc)


def test_a_picture_without_xml_is_kept_as_empty_and_noted(voc: Path, make_picture: Callable[..., Path]) -> None:
    make_picture(voc / "JPEGImages" / "new.jpg", 9)
    dataset = load_dataset(voc)
    assert [picture.image_id for picture in dataset.pictures] == ["a", "b", "c", "empty", "new"]
    assert [note.kind for note in dataset.notes] == ["picture without label file"]
    lists = voc / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("new\na\n")
    assert {picture.image_id for picture in load_dataset(voc).pictures} == {"a", "new"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<annotation><filename>a.jpg", "not valid XML"),
        ("<note/>", "outer element is <note>"),
        (
            '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><annotation>&d;</annotation>',
            "declares entities or a DTD",
        ),
        (annotation(size="<size><width>-1</width><height>48</height></size>"), "width '-1' and height '48'"),
        (annotation(OBJECT.format(name="cat", xmax="")), r"object 1: the box has .*xmax=''"),
        (annotation(OBJECT.format(name="cat", xmax="1e400")), None),
        (annotation(OBJECT.format(name="a", xmax=30).replace("</object>", "<bndbox/></object>")), "several <bndbox>"),
        (annotation(OBJECT.format(name=" ", xmax=30)), "object 1: the object has no <name>"),
    ],
)
def test_one_wrong_file_names_itself_and_the_object(voc: Path, text: str, words: str | None) -> None:
    (voc / "Annotations/a.xml").write_text(text)
    if words is None:  # infinity: refused as a box, not as a file
        assert [note.kind for note in load_dataset(voc).notes if note.action == "refused"] == ["non-finite number"]
        return
    with pytest.raises(DatasetError, match=rf"Annotations/a\.xml, picture a.*{words}"):
        load_dataset(voc)


def test_a_missing_picture_lists_every_path_tried(voc: Path) -> None:
    (voc / "JPEGImages/a.jpg").unlink()
    with pytest.raises(DatasetError) as caught:
        load_dataset(voc)
    for place in ("Annotations/a.jpg", "JPEGImages/a.jpg", "images/a.jpg", "JPEGImages/a.*"):
        assert str(voc / place) in str(caught.value)


@pytest.mark.parametrize("name", ["a.jpg", "a", "C:\\me\\a.jpg", "images/a.jpg"])
def test_pictures_in_folders_of_their_classes(voc: Path, name: str) -> None:
    whole = load_dataset(voc)
    (voc / "Annotations/a.xml").write_text((voc / "Annotations/a.xml").read_text().replace("a.jpg", name))
    for stem, folder in (("a", "cats"), ("b", "cats"), ("c", "dogs")):
        (voc / "JPEGImages" / folder).mkdir(exist_ok=True)
        (voc / f"JPEGImages/{stem}.jpg").rename(voc / f"JPEGImages/{folder}/{stem}.jpg")
    again = load_dataset(voc)
    assert [picture.annotations for picture in again.pictures] == [picture.annotations for picture in whole.pictures]
    (voc / "Annotations/birds").mkdir()
    (voc / "Annotations/b.xml").rename(voc / "Annotations/birds/b.xml")  # its picture is one of birds
    with pytest.raises(DatasetError, match=r"birds/b\.xml.*the picture is missing"):
        load_dataset(voc)
    (voc / "Annotations/birds/b.xml").rename(voc / "Annotations/b.xml")
    shutil.copyfile(voc / "JPEGImages/cats/a.jpg", voc / "JPEGImages/dogs/a.jpg")
    with pytest.raises(DatasetError, match="the picture is missing"):  # which of the two?
        load_dataset(voc)

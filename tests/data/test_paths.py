"""Clutter, letter case, backslashes, and paths as other systems and machines write them."""

import os
import re
from pathlib import Path

import pytest

from data.sets import TRUTH, coco, coco_content, darknet, found, pictures, voc, voc_text, write, yolo
from data.test_kitti_createml_via import kitti
from ssd300.data.check import check_dataset
from ssd300.data.finder import PictureFinder
from ssd300.data.load import find_parts, load_dataset, read_part
from ssd300.data.notes import Note
from ssd300.errors import DatasetError

CLUTTER = ["._a.jpg", ".ipynb_checkpoints/a-checkpoint.jpg", "__MACOSX/a.jpg", "@eaDir/a.jpg", ".DS_Store", "Thumbs.db",
           ".hidden.png", "__MACOSX/._a.jpg", ".thumbs/a.jpg", "desktop.ini",
           "__pycache__/a.jpg"]  # fmt: skip


@pytest.mark.parametrize("name", CLUTTER)
@pytest.mark.parametrize("format", ["coco", "yolo", "voc"])
def test_clutter_beside_pictures_and_labels_is_passed_over(tmp_path: Path, name: str, format: str) -> None:
    {"coco": coco, "yolo": yolo, "voc": voc}[format](tmp_path)
    for folder in {path.parent for path in tmp_path.rglob("a.*")}:
        for suffix in ("", ".txt", ".xml", ".json") if name[0] in "._@" else ("",):
            write(folder / (name + suffix), "junk")
    dataset = load_dataset(tmp_path)
    assert found(dataset) == TRUTH
    assert dataset.notes == ()
    assert not [case for case in check_dataset(tmp_path).cases if case.kind == "picture not listed"]


@pytest.mark.parametrize("suffix", [".xml", ".XML", ".Xml"])
@pytest.mark.parametrize(
    ("annotations", "images"),
    [
        ("Annotations", "JPEGImages"), ("annotations", "images"), ("ANNOTATIONS", "IMAGES"), ("Annotations", "Images"),
        ("annotations", "jpegimages"), ("xmls", "images"), (".", "."), ("annotations/xmls", "images"),
        ("xml", "images"), ("Annotation", "Images"), ("labels", "images"), ("images/train", "images/train"),
        ("labels", "data"), ("Annotations", "photos"), ("Annotations/x/y/z", "JPEGImages/x/y/z"),
    ],
)  # fmt: skip
def test_letter_case_does_not_matter_in_voc(tmp_path: Path, annotations: str, images: str, suffix: str) -> None:
    voc(tmp_path, annotations, images, suffix)
    assert found(load_dataset(tmp_path)) == TRUTH


@pytest.mark.parametrize(
    ("yaml", "images"),
    [
        ("train: images\\train\nnames: [cat, dog]\n", "images/train"),
        ("path: sub\\set\ntrain: images\nnames: [cat, dog]\n", "sub/set/images"),
        ("train: list.txt\nnames: [cat, dog]\n", "images/train"),
        ("Train: images\nNames: [cat, dog]\n", "images"),
        ("TRAIN: images\nNC: 2\nnames: [cat, dog]\n", "images"),
        ("train: images\nval:\ntest: ~\nnames: [cat, dog]\n", "images"),
        ("train: /somewhere/else/images\nnames: [cat, dog]\n", "images"),
        ("train: ../../images\nnames: [cat, dog]\n", "images"),
        ("train: data/images\nnames: [cat, dog]\n", "images"),
        ("path: C:\\Users\\me\ntrain: images\nnames: [cat, dog]\n", "images"),
    ],
)
def test_paths_in_a_yaml_as_other_systems_write_them(tmp_path: Path, yaml: str, images: str) -> None:
    yolo(tmp_path, yaml, images, images.replace("images", "labels"))
    write(tmp_path / "list.txt", "images\\train\\a.jpg\r\ndata/images/train/b.jpg\r\n/home/me/images/train/c.JPG\r\n")
    assert found(load_dataset(tmp_path)) == TRUTH


@pytest.mark.parametrize("places", ["data/", "", "./", "../data/", "C:\\x\\"])
@pytest.mark.parametrize("listed", ["data/obj_train_data/{}.jpg", "obj_train_data/{}.jpg", "obj_train_data\\{}.jpg"])
def test_cvat_yolo_1_1(tmp_path: Path, places: str, listed: str) -> None:
    darknet(tmp_path, listed, places)
    assert found(load_dataset(tmp_path)) == found(load_dataset(tmp_path / "obj.data")) == TRUTH


@pytest.mark.parametrize("place", ["", "labels/"])
@pytest.mark.parametrize("images", ["images", "images/train"])
def test_label_studio_yolo(tmp_path: Path, place: str, images: str) -> None:
    yolo(tmp_path, images=images, labels=images.replace("images", "labels"))
    (tmp_path / "data.yaml").unlink()
    write(tmp_path / f"{place}classes.txt", "cat\ndog\n")
    write(tmp_path / "notes.json", {"categories": [], "info": {}})
    assert found(load_dataset(tmp_path)) == TRUTH


@pytest.mark.parametrize(
    "name",
    [
        "images/{}.jpg", "images\\{}.jpg", "./images/{}.jpg", "/data/upload/1/{}.jpg", "C:\\me\\{}.jpg", "{}.JPG",
        "/data/local-files/?d=images/{}.jpg", "file:///home/me/images/{}.jpg", "https://host.example/x/{}.jpg",
        "/home/me/pics/{}.jpg", "../images/{}.jpg", "IMAGES/{}.jpg", "s3://bucket/images/{}.jpg",
        "https://host.example/x/{}.jpg?sv=2024&sig=a/b%2Fc", "https://host.example/x/{}.jpg#at=/1",
    ],
)  # fmt: skip
def test_picture_names_of_label_studio_and_other_machines_in_coco(tmp_path: Path, name: str) -> None:
    content = coco_content()
    for image in content["images"]:
        image["file_name"] = name.format(image["file_name"][0])
    pictures(tmp_path / "images")
    write(tmp_path / "result.json", content)
    assert found(load_dataset(tmp_path)) == TRUTH


@pytest.mark.parametrize(
    ("written", "on_disk"),
    [
        ("my%20cat", "my cat"), ("my cat", "my%20cat"), ("cr\u00e8me", "cre\u0300me"), ("cre\u0300me", "cr\u00e8me"),
        ("\ud55c\uae00", "\u1112\u1161\u11ab\u1100\u1173\u11af"), ("CR\u00c8ME", "cre\u0300me"), ("100%25", "100%"),
        ("100%", "100%"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("format", ["coco", "yolo", "voc"])
def test_a_name_may_be_spelled_in_another_way(tmp_path: Path, format: str, written: str, on_disk: str) -> None:
    {"coco": coco, "yolo": yolo, "voc": voc}[format](tmp_path)
    for path in list(tmp_path.rglob("a.*")):
        path.rename(path.with_stem(on_disk if path.suffix == ".jpg" else written))
    if format == "coco":
        text = (tmp_path / "annotations.json").read_text()
        write(tmp_path / "annotations.json", text.replace("a.jpg", f"{written}.jpg"))
    assert found(load_dataset(tmp_path)) == {on_disk: TRUTH["a"], "b": TRUTH["b"], "c": TRUTH["c"]}


@pytest.mark.parametrize("format", ["coco", "csv", "yolo"])
def test_a_picture_with_another_extension_is_named(tmp_path: Path, format: str) -> None:
    pictures(tmp_path / "images", ".png")
    if format == "coco":
        write(tmp_path / "annotations.json", coco_content())
    elif format == "csv":
        write(tmp_path / "t.csv", "image,xmin,ymin,xmax,ymax,label\na.jpg,1,2,30,40,cat\n")
    else:
        write(tmp_path / "data.yaml", "train: list.txt\nnames: [cat, dog]\n")
        write(tmp_path / "list.txt", "./images/a.jpg\n")
    with pytest.raises(DatasetError, match=r"missing; tried .*; there is .*images/a\.png: write this name"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("labels", ["annotations.json", "annotations/boxes.json", "t.csv", "data/annotations.json"])
def test_the_only_other_folder_holds_the_pictures(tmp_path: Path, labels: str) -> None:
    if labels.endswith(".csv"):
        rows = [f"{s}.jpg,{n},{','.join(map(str, box))}" for s in TRUTH for n, box in TRUTH[s]]
        write(tmp_path / labels, "\n".join(["filename,class,xmin,ymin,xmax,ymax", *rows]))
    else:
        write(tmp_path / labels, coco_content())
    place = tmp_path / labels.partition("/")[0] / "photos" if labels.startswith("data") else tmp_path / "photos"
    pictures(place)
    assert found(load_dataset(tmp_path)) == TRUTH
    pictures(place.with_name("more"))
    with pytest.raises(DatasetError, match="missing"):  # which of the two?
        load_dataset(tmp_path)


@pytest.mark.parametrize("suffix", [".jpg", ""])
def test_a_name_that_two_folders_of_images_have_is_not_guessed(tmp_path: Path, suffix: str) -> None:
    rows = [f"{s}{suffix},{n},{','.join(map(str, box))}" for s in TRUTH for n, box in TRUTH[s]]
    write(tmp_path / "t.csv", "\n".join(["image,class,xmin,ymin,xmax,ymax", *rows]))
    pictures(tmp_path / "images/cam1", names="ab")
    pictures(tmp_path / "images/cam2", names="c")
    assert found(load_dataset(tmp_path)) == TRUTH
    pictures(tmp_path / "images/cam2", names="bc")
    with pytest.raises(DatasetError, match=r"1 fault \(.* lists them\): missing picture: .*picture b.*: it is missing"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("written", "is_there"),
    [
        ("{}", True), ("{}.jpg", True), ("images/{}.jpg", True), ("cam2/{}", True), ("/mnt/x/{}.jpg", True),
        ("C:\\x\\{}.jpg", True), ("../x/{}.jpg", True), ("cam1/{}", False), ("cam1/{}.jpg", False),
        ("cam1\\{}.jpg", False), ("images/cam1/{}.jpg", False), ("./cam1/{}.jpg", False),
    ],
)  # fmt: skip
def test_the_picture_of_another_folder_is_not_read(tmp_path: Path, written: str, is_there: bool) -> None:
    rows = [f"{written.format(s)},{n},{','.join(map(str, box))}" for s in TRUTH for n, box in TRUTH[s]]
    write(tmp_path / "t.csv", "\n".join(["image,class,xmin,ymin,xmax,ymax", *rows]))
    pictures(tmp_path / "images/cam2")
    if is_there:
        assert found(load_dataset(tmp_path)) == TRUTH
        return
    with pytest.raises(DatasetError, match=r"3 faults \(.* lists them\): missing picture: .*: it is missing"):
        load_dataset(tmp_path)


def test_of_two_folders_the_one_of_the_part_counts_for_every_picture(tmp_path: Path) -> None:
    """Also after a picture that only the other one has."""
    pictures(tmp_path / "images/train", names="bc")
    pictures(tmp_path / "images", names="abc")
    write(tmp_path / "annotations/train.json", coco_content())
    folders = [picture.path.parent.name for picture in load_dataset(tmp_path).pictures]
    assert folders == ["images", "train", "train"]


FLAT = ["cam1/a.jpg", "cam2/a.jpg", "/mnt/x/1/a.jpg", "C:\\2\\a.jpg", "../3/a.jpg", "s3://bucket/4/a.jpg"]


@pytest.mark.parametrize("other", FLAT[1:])
@pytest.mark.parametrize("format", ["coco", "yolo", "csv"])
def test_one_file_is_not_read_for_two_pictures(tmp_path: Path, format: str, other: str) -> None:
    names = [FLAT[0], other]
    pictures(tmp_path / "images", names="a")
    if format == "coco":
        content = coco_content("ab")
        for image, name in zip(content["images"], names, strict=True):
            image["file_name"] = name
        write(tmp_path / "annotations.json", content)
    elif format == "yolo":
        yolo(tmp_path, "train: list.txt\nnames: [cat, dog]\n", names="a")
        write(tmp_path / "list.txt", "".join(f"{name}\n" for name in names))
        (tmp_path / "images/a.jpg").rename(tmp_path / "a.jpg")
    else:
        write(
            tmp_path / "t.csv", "".join(["image,xmin,ymin,xmax,ymax,label\n", *(f"{n},1,2,30,40,cat\n" for n in names)])
        )
    with pytest.raises(
        DatasetError, match=r"1 fault \(.* lists them\): missing picture: .*was found, but so it was for cam1/a.jpg"
    ):
        load_dataset(tmp_path)


@pytest.mark.parametrize("other", ["a.jpg", "./a.jpg", "images/a.jpg", "IMAGES/A.JPG", " a.jpg "])
def test_one_picture_may_be_listed_in_two_ways(tmp_path: Path, other: str) -> None:
    content = coco_content("ab")
    content["images"][1]["file_name"] = other
    content["images"][0]["file_name"] = "images/a.jpg"
    pictures(tmp_path / "images", names="a")
    write(tmp_path / "annotations.json", content)
    assert len(load_dataset(tmp_path)) == 2


@pytest.mark.parametrize("listed", ["my cat", "my cat  1", "my cat -1", "JPEGImages/my cat.jpg", "my cat.xml", "a b 1"])
def test_names_with_spaces_in_lists_of_voc(tmp_path: Path, listed: str) -> None:
    stem = "a b 1" if listed.startswith("a") else "my cat"
    voc(tmp_path, names="ab")
    for folder, suffix in (("Annotations", ".xml"), ("JPEGImages", ".jpg")):
        (tmp_path / folder / f"a{suffix}").rename(tmp_path / folder / f"{stem}{suffix}")
    (tmp_path / "Annotations/b.xml").unlink()
    (tmp_path / "JPEGImages/b.jpg").rename(tmp_path / "JPEGImages/no xml.jpg")
    write(tmp_path / "ImageSets/Main/train.txt", f"{listed}\nno xml 1\n")
    assert found(load_dataset(tmp_path)) == {stem: TRUTH["a"], "no xml": []}


@pytest.mark.parametrize("line", ["/home/me/JPEGImages/{}.jpg", "//{}", "../JPEGImages/{}.jpg", "C:\\x\\{}.jpg", "{}/"])
@pytest.mark.parametrize("name", ["c", "d"])
def test_lists_of_voc_name_pictures_without_xml_by_any_path(tmp_path: Path, line: str, name: str) -> None:
    voc(tmp_path)
    (tmp_path / "Annotations/c.xml").unlink()
    write(tmp_path / "ImageSets/Main/train.txt", f"a\n{line.format(name)}\n")
    if name == "c":
        assert found(load_dataset(tmp_path)) == {"a": TRUTH["a"], "c": []}
        return
    with pytest.raises(DatasetError, match="the split lists 'd', but there is no XML file and no picture"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("format", ["voc", "kitti"])
def test_names_that_differ_in_letter_case_alone_are_of_different_pictures(tmp_path: Path, format: str) -> None:
    places = ("label_2", "image_2") if format == "kitti" else ("Annotations", "JPEGImages")
    kitti(tmp_path) if format == "kitti" else voc(tmp_path)
    for path in [*tmp_path.glob(f"{places[0]}/b.*"), *tmp_path.glob(f"{places[1]}/b.*")]:
        path.rename(path.with_stem("A"))
    if len(list((tmp_path / places[1]).iterdir())) < 3:
        pytest.skip("letter case does not matter on this disk")
    assert found(load_dataset(tmp_path)) == {"A": TRUTH["b"], "a": TRUTH["a"], "c": TRUTH["c"]}
    if format == "voc":
        for part, stem in (("train", "a"), ("val", "A"), ("test", "C")):
            write(tmp_path / f"ImageSets/Main/{part}.txt", stem)
        parts = [found(load_dataset(tmp_path, split=part)) for part in ("train", "val", "test")]
        assert parts == [{"a": TRUTH["a"]}, {"A": TRUTH["b"]}, {"c": TRUTH["c"]}]


def test_a_copied_xml_file_belongs_to_the_picture_of_its_own_name(tmp_path: Path) -> None:
    voc(tmp_path)
    for stem in "bc":
        write(tmp_path / f"Annotations/{stem}.xml", voc_text("a", TRUTH[stem]))
    dataset = load_dataset(tmp_path)
    assert found(dataset) == TRUTH
    assert [note.kind for note in dataset.notes] == ["picture listed twice"] * 2


@pytest.mark.parametrize("format", ["coco", "yolo", "voc"])
@pytest.mark.parametrize("check", [False, True])
def test_a_note_names_a_file_once(tmp_path: Path, format: str, check: bool) -> None:
    {"coco": coco, "yolo": yolo, "voc": voc}[format](tmp_path)
    for picture in (path for path in tmp_path.rglob("a.*") if path.suffix in (".jpg", ".png")):
        picture.write_bytes(b"\xff\xd8\xff damaged")
    notes = [*check_dataset(tmp_path).cases] if check else [*_faults(tmp_path)]
    corrupt = [str(note) for note in notes if note.kind == "corrupt picture"]
    assert corrupt or not check
    assert not [text for text in corrupt if re.search(r"a\.(jpg|png): .*a\.(jpg|png): ", text)]


def _faults(folder: Path) -> list[Note]:
    return [note for part in find_parts(folder) for note in read_part(part).notes]


def test_a_zero_byte_is_in_no_name(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    finder = PictureFinder([tmp_path])
    assert finder.find("a\0.jpg") is None
    for name in ("a\0.jpg", "a\0b/a.jpg", "a\0b/a"):
        assert finder.find_stem(name) is None
        assert "tried" in finder.describe_missing(name)


def test_many_other_folders_are_listed_once_for_all_names(tmp_path: Path, monkeypatch) -> None:
    """A set with 200 folders of cameras, whose names leave them out, took minutes."""
    cameras = [tmp_path / f"images/camera-{number}" for number in range(30)]
    for number, camera in enumerate(cameras):
        write(camera / f"{number}.jpg", "")
        write(camera / "same.jpg", "")
    finder, looked, isfile = PictureFinder([tmp_path], cameras), list[object](), os.path.isfile
    monkeypatch.setattr(os.path, "isfile", lambda path: looked.append(path) or isfile(path))
    assert [finder.find(f"{number}.JPG") for number in range(30)] == [c / f"{n}.jpg" for n, c in enumerate(cameras)]
    assert finder.find("same.jpg") is None
    assert len(looked) < 300

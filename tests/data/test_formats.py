"""Every format that is only read, in every way of writing it: the same pictures with the same boxes come out."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssd300.data.check import check_dataset
from ssd300.data.dataset import Dataset
from ssd300.data.load import load_dataset
from ssd300.data.look import FORMATS, find_parts
from ssd300.data.usable import usable_sets
from ssd300.errors import DatasetError

SIZE = (64, 48)
Boxes = list[tuple[str, tuple[float, float, float, float]]]
TRUTH: dict[str, Boxes] = {
    "a": [("cat", (4, 6, 24, 36)), ("dog", (30, 10, 55, 35))],
    "b": [("cat", (0, 0, 64, 48))],
    "c": [("dog", (10, 12, 32, 30))],
}


def pictures(folder: Path, suffix: str = ".jpg", names: str = "abc") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        coarse = np.random.default_rng(ord(name)).integers(0, 256, (12, 16, 3), np.uint8)
        Image.fromarray(coarse).resize(SIZE).save(folder / f"{name}{suffix}")


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def found(dataset: Dataset) -> dict[str, Boxes]:
    """What came out, as TRUTH says it."""
    return {
        Path(picture.path).stem: [
            (dataset.classes.name_of_id(i), tuple(round(float(edge), 2) for edge in box))
            for i, box in zip(picture.annotations.class_ids, picture.annotations.boxes_xyxy, strict=True)
        ]
        for picture in dataset.pictures
    }


def fractions(box: tuple[float, ...]) -> list[float]:
    return [box[0] / SIZE[0], box[1] / SIZE[1], box[2] / SIZE[0], box[3] / SIZE[1]]


# CVAT for images


def cvat(shape: Callable[..., str], name: str = "{}.jpg", size: str = 'width="64" height="48"', extra: str = "") -> str:
    images = "".join(
        f'<image id="{n}" name="{name.format(stem)}" {size}>{"".join(shape(c, *box) for c, box in things)}</image>'
        for n, (stem, things) in enumerate(TRUTH.items())
    )
    return f"<?xml version='1.0' encoding='utf-8'?><annotations><version>1.1</version>{extra}{images}</annotations>"


def cvat_box(label: str, x1: float, y1: float, x2: float, y2: float, more: str = "") -> str:
    return f'<box label="{label}" occluded="0" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}"{more}></box>'


def cvat_polygon(label: str, x1: float, y1: float, x2: float, y2: float, tag: str = "polygon") -> str:
    return f'<{tag} label="{label}" points="{x1},{y1};{x2},{y1};{x2},{y2};{x1},{y2}"/>'


def cvat_ellipse(label: str, x1: float, y1: float, x2: float, y2: float) -> str:
    rx, ry = (x2 - x1) / 2, (y2 - y1) / 2
    return f'<ellipse label="{label}" cx="{x1 + rx}" cy="{y1 + ry}" rx="{rx}" ry="{ry}"/>'


LABELS = "<meta><task><labels><label><name>cat</name></label><label><name>dog</name></label></labels></task></meta>"
CVAT: dict[str, tuple[str, str]] = {  # what it is -> (annotations.xml, where the pictures lie)
    "boxes": (cvat(cvat_box), "images"),
    "pictures beside": (cvat(cvat_box), "."),
    "pictures in data": (cvat(cvat_box), "data"),
    "labels in meta": (cvat(cvat_box, extra=LABELS), "images"),
    "polygons": (cvat(cvat_polygon), "images"),
    "polylines": (cvat(lambda *box: cvat_polygon(*box, tag="polyline")), "images"),
    "point groups": (cvat(lambda *box: cvat_polygon(*box, tag="points")), "images"),
    "ellipses": (cvat(cvat_ellipse), "images"),
    "rotation of 0": (cvat(lambda *box: cvat_box(*box, more=' rotation="0.0"')), "images"),
    "rotation of 180": (cvat(lambda *box: cvat_box(*box, more=' rotation="180"')), "images"),
    "attributes": (cvat(lambda *b: cvat_box(*b).replace("></", "><attribute name='x'>1</attribute></")), "images"),
    "sizes as 64.0": (cvat(cvat_box, size='width="64.0" height="48.0"'), "images"),
    "no sizes": (cvat(cvat_box, size=""), "images"),
    "folders in names": (cvat(cvat_box, name="sub/{}.jpg"), "images/sub"),
    "backslashes": (cvat(cvat_box, name="sub\\{}.jpg"), "images/sub"),
    "upper-case names": (cvat(cvat_box, name="{}.JPG"), "images"),
    "a task's own folders": (cvat(cvat_box, name="/mnt/share/{}.jpg"), "images"),
}


@pytest.mark.parametrize("way", CVAT)
def test_cvat_for_images(tmp_path: Path, way: str) -> None:
    text, folder = CVAT[way]
    write(tmp_path / "annotations.xml", text)
    pictures(tmp_path / folder)
    assert found(load_dataset(tmp_path)) == found(load_dataset(tmp_path / "annotations.xml")) == TRUTH
    assert load_dataset(tmp_path).classes.names == ("cat", "dog")


def test_cvat_rotated_boxes_are_enclosed(tmp_path: Path) -> None:
    image = f'<image name="a.jpg" width="64" height="48">{cvat_box("cat", 20, 20, 30, 24)}</image>'
    turned = f"<annotations>{image}</annotations>"
    write(tmp_path / "annotations.xml", turned.replace('ybr="24"', 'ybr="24" rotation="90"'))
    pictures(tmp_path)
    assert found(load_dataset(tmp_path))["a"] == [("cat", (23, 17, 27, 27))]


def test_cvat_subsets_are_parts(tmp_path: Path) -> None:
    for number, subset in enumerate(("Train", "Validation")):
        pictures(tmp_path / "images" / subset, names="abc"[number::2])
    text = cvat(cvat_box, name="images/SUBSET/{}.jpg")
    for stem, subset in (("a", "Train"), ("b", "Validation"), ("c", "Train")):
        text = text.replace(f'name="images/SUBSET/{stem}.jpg"', f'name="{stem}.jpg" subset="{subset}"')
    write(tmp_path / "annotations.xml", text)
    for stem in "abc":
        pictures(tmp_path, names=stem)
    sets = usable_sets(tmp_path)
    assert (set(found(sets.train)), set(found(sets.val))) == ({"a", "c"}, {"b"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace('xtl="4"', 'xtl="x"'), "box 1: the box is .*xtl"),
        (lambda text: text.replace('label="cat"', 'label=""', 1), "the class name is ''"),
        (lambda text: text.replace('name="a.jpg"', 'name="z.jpg"'), "missing"),
        (lambda text: text.replace('width="64"', 'width="-1"', 1), "width '-1'"),
        (lambda text: text[:-20], "not valid XML"),
        (lambda text: text.replace("<image", "<track", 1).replace("</image>", "</track>", 1), None),
    ],
)
def test_a_faulty_cvat_file(tmp_path: Path, change: Callable[[str], str], words: str | None) -> None:
    write(tmp_path / "annotations.xml", change(cvat(cvat_box)))
    pictures(tmp_path)
    if words is None:
        assert set(found(load_dataset(tmp_path))) == {"b", "c"}
        return
    with pytest.raises(DatasetError, match=words):
        load_dataset(tmp_path)


def test_a_cvat_video_is_named(tmp_path: Path) -> None:
    write(tmp_path / "annotations.xml", '<annotations><track id="0" label="cat"/></annotations>')
    with pytest.raises(DatasetError, match="format for videos; export it as"):
        load_dataset(tmp_path)


# labelme


def labelme(stem: str, kind: str = "rectangle", **changes: Any) -> dict[str, Any]:
    shapes = []
    for label, (x1, y1, x2, y2) in TRUTH[stem]:
        points = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]] if kind == "polygon" else [[x1, y1], [x2, y2]]
        shapes.append({"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}})
    content = {"version": "5.0.1", "flags": {}, "shapes": shapes, "imagePath": f"{stem}.jpg", "imageData": None}
    return content | {"imageHeight": 48, "imageWidth": 64} | changes


LABELME: dict[str, Callable[[Path], object]] = {
    "beside": lambda root: [pictures(root), *(write(root / f"{s}.json", labelme(s)) for s in TRUTH)],
    "polygons": lambda root: [pictures(root), *(write(root / f"{s}.json", labelme(s, "polygon")) for s in TRUTH)],
    "upper-case": lambda root: [pictures(root), *(write(root / f"{s}.JSON", labelme(s)) for s in TRUTH)],
    "in annotations": lambda root: [
        pictures(root / "images"),
        *(write(root / f"annotations/{s}.json", labelme(s)) for s in TRUTH),
    ],
    "relative path": lambda root: [
        pictures(root / "images"),
        *(write(root / f"annotations/{s}.json", labelme(s, imagePath=f"../images/{s}.jpg")) for s in TRUTH),
    ],
    "windows path": lambda root: [
        pictures(root / "images"),
        *(write(root / f"annotations/{s}.json", labelme(s, imagePath=f"..\\images\\{s}.jpg")) for s in TRUTH),
    ],
    "another machine": lambda root: [
        pictures(root),
        *(write(root / f"{s}.json", labelme(s, imagePath=f"C:\\photos\\{s}.jpg")) for s in TRUTH),
    ],
    "without sizes": lambda root: [
        pictures(root),
        *(write(root / f"{s}.json", labelme(s, imageWidth=None, imageHeight=None)) for s in TRUTH),
    ],
    "sizes as text": lambda root: [
        pictures(root),
        *(write(root / f"{s}.json", labelme(s, imageWidth="64", imageHeight="48")) for s in TRUTH),
    ],
    "corners swapped": lambda root: [pictures(root), *(write(root / f"{s}.json", swapped(labelme(s))) for s in TRUTH)],
    "points left out": lambda root: [pictures(root), *(write(root / f"{s}.json", pointed(labelme(s))) for s in TRUTH)],
    "AppleDouble": lambda root: [
        pictures(root),
        *(write(root / f"{s}.json", labelme(s)) for s in TRUTH),
        write(root / "._a.json", "\x00\x05"),
    ],
}


def swapped(content: dict[str, Any]) -> dict[str, Any]:
    for shape in content["shapes"]:
        shape["points"].reverse()
    return content


def pointed(content: dict[str, Any]) -> dict[str, Any]:
    content["shapes"].append({"label": "nose", "points": [[1, 1]], "shape_type": "point"})
    return content


@pytest.mark.parametrize("way", LABELME)
def test_labelme(tmp_path: Path, way: str) -> None:
    LABELME[way](tmp_path)
    assert found(load_dataset(tmp_path)) == TRUTH


def test_labelme_in_folders_of_parts_and_circles(tmp_path: Path) -> None:
    for split, stem in (("Train", "a"), ("Val", "b")):
        pictures(tmp_path / split, names=stem)
        write(tmp_path / split / f"{stem}.json", labelme(stem))
    circle = {"label": "cat", "points": [[20, 20], [23, 24]], "shape_type": "circle"}
    write(tmp_path / "Train" / "a.json", labelme("a", shapes=[circle]))
    sets = usable_sets(tmp_path)
    assert found(sets.train) == {"a": [("cat", (15, 15, 25, 25))]}
    assert found(sets.val) == {"b": TRUTH["b"]}


@pytest.mark.parametrize(
    "shapes", ["x", [5], [{"label": "cat", "points": [[1, "y"]]}], [{"label": None, "points": []}]]
)
def test_a_faulty_labelme_file_is_a_case_of_its_own(tmp_path: Path, shapes: Any) -> None:
    pictures(tmp_path)
    for stem in TRUTH:
        write(tmp_path / f"{stem}.json", labelme(stem))
    write(tmp_path / "a.json", labelme("a", shapes=shapes))
    report = check_dataset(tmp_path)
    assert {Path(case.file).name for case in report.cases if case.action == "fault"} == {"a.json"}
    assert report.totals["all"].pictures >= 2


# tables

OPEN_IMAGES = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
)


def open_images(root: Path, place: str = "train", name: str = "train-annotations-bbox.csv") -> None:
    lines = [OPEN_IMAGES]
    for stem, things in TRUTH.items():
        for label, box in things:
            x1, y1, x2, y2 = fractions(box)
            lines.append(f"{stem},xclick,/m/{label},1,{x1},{x2},{y1},{y2},0,0,0,0,0")
    write(root / name, "\n".join(lines) + "\n")
    write(root / Path(name).parent / "class-descriptions-boxable.csv", "/m/cat,cat\n/m/dog,dog\n")
    pictures(root / place)


def table(root: Path, columns: str, place: str = ".", name: str = "annotations.csv", end: str = "\n") -> None:
    lines = [columns]
    for stem, things in TRUTH.items():
        for label, (x1, y1, x2, y2) in things:
            known = {"xmin": x1, "ymin": y1, "xmax": x2, "ymax": y2, "x1": x1, "y1": y1, "x2": x2, "y2": y2}
            known |= {"width": 64, "height": 48, "class": label, "label": label, "labelname": label, "x_min": x1}
            known |= {"y_min": y1, "x_max": x2, "y_max": y2, "index": 3}
            lines.append(",".join(str(known.get(c.strip().lower(), f"{stem}.jpg")) for c in columns.split(",")))
    write(root / name, end.join(lines) + end)
    pictures(root / place)


def bare(root: Path, folder: str = "") -> None:
    lines = [
        f"{folder}{stem}.jpg,{','.join(map(str, box))},{label}"
        for stem, things in TRUTH.items()
        for label, box in things
    ]
    write(root / "annotations.csv", "\n".join(lines))
    pictures(root / folder)


TABLES: dict[str, Callable[[Path], object]] = {
    "open images": open_images,
    "open images, flat": lambda root: open_images(root, "."),
    "open images, images/": lambda root: open_images(root, "images"),
    "open images, images/train": lambda root: open_images(root, "images/train"),
    "open images, data": lambda root: open_images(root, "data"),
    "open images, annotations/": lambda root: open_images(
        root, "train", "annotations/oidv6-train-annotations-bbox.csv"
    ),
    "tensorflow": lambda root: table(root, "filename,width,height,class,xmin,ymin,xmax,ymax"),
    "roboflow": lambda root: table(
        root, "filename,width,height,class,xmin,ymin,xmax,ymax", "train", "train/_annotations.csv"
    ),
    "without sizes": lambda root: table(root, "image,xmin,ymin,xmax,ymax,label"),
    "x1": lambda root: table(root, "image_path,x1,y1,x2,y2,class"),
    "x_min": lambda root: table(root, "image_name,x_min,y_min,x_max,y_max,label"),
    "other columns": lambda root: table(root, "index,filename,class,xmin,ymin,xmax,ymax"),
    "upper-case": lambda root: table(root, "Filename,Class,XMin,YMin,XMax,YMax", name="LABELS.CSV"),
    "spaces": lambda root: table(root, "filename, class, xmin, ymin, xmax, ymax"),
    "byte order mark": lambda root: table(root, "\ufefffilename,class,xmin,ymin,xmax,ymax"),
    "windows lines": lambda root: table(root, "filename,class,xmin,ymin,xmax,ymax", end="\r\n"),
    "retinanet": bare,
    "retinanet, folders": lambda root: bare(root, "images/"),
}


@pytest.mark.parametrize("way", TABLES)
def test_tables(tmp_path: Path, way: str) -> None:
    TABLES[way](tmp_path)
    assert found(load_dataset(tmp_path)) == TRUTH


def test_rows_without_a_box_are_pictures_without_objects(tmp_path: Path) -> None:
    bare(tmp_path)
    with (tmp_path / "annotations.csv").open("a", newline="") as file:
        file.write("\n")
        csv.writer(file).writerow(["d.jpg", "", "", "", "", ""])
    pictures(tmp_path, names="abcd")
    assert found(load_dataset(tmp_path)) == {**TRUTH, "d": []}


def test_open_images_groups_are_crowds(tmp_path: Path) -> None:
    open_images(tmp_path)
    path = tmp_path / "train-annotations-bbox.csv"
    path.write_text(path.read_text().replace(",0,0,0,0,0", ",0,0,1,0,0", 1))
    assert load_dataset(tmp_path).pictures[0].annotations.crowd.tolist() == [True, False]


# KITTI


def kitti(root: Path, labels: str = "label_2", images: str = "image_2", suffix: str = ".png", more: str = "") -> None:
    for stem, things in TRUTH.items():
        lines = [f"{label} 0.00 0 -1.57 {' '.join(map(str, box))} 1 1 1 1 1 1 0{more}" for label, box in things]
        write(root / labels / f"{stem}.txt", "\n".join(lines) + "\n")
    pictures(root / images, suffix)


DONT_CARE = "DontCare -1 -1 -10 1 1 9 9 -1 -1 -1 -1 -1 -1 -1"
KITTI: dict[str, Callable[[Path], object]] = {
    "training": lambda root: kitti(root / "training"),
    "Training": lambda root: kitti(root / "Training"),
    "the folder itself": kitti,
    "jpeg": lambda root: kitti(root, suffix=".jpg"),
    "labels, images": lambda root: kitti(root, "labels", "images"),
    "label, image": lambda root: kitti(root, "label", "image"),
    "upper-case folders": lambda root: kitti(root, "Label_2", "Image_2"),
    "scores": lambda root: kitti(root, more=" 0.5"),
    "scores that are none": lambda root: kitti(root, more=" 73.2"),
    "DontCare": lambda root: [kitti(root), append(root / "label_2/a.txt", DONT_CARE)],
    "calibration beside": lambda root: [kitti(root), write(root / "calib/a.txt", "P0: 1 2 3")],
}  # fmt: skip


@pytest.mark.parametrize("way", KITTI)
def test_kitti(tmp_path: Path, way: str) -> None:
    KITTI[way](tmp_path)
    assert found(load_dataset(tmp_path)) == TRUTH


# CreateML


def createml(root: Path, file: str = "_annotations.createml.json", place: str = ".", **spelled: str) -> None:
    image, annotations = spelled.get("image", "image"), spelled.get("annotations", "annotations")
    content = []
    for stem, things in TRUTH.items():
        boxes = [
            {
                "label": label,
                "coordinates": {"x": (x1 + x2) / 2, "y": (y1 + y2) / 2, "width": x2 - x1, "height": y2 - y1},
            }
            for label, (x1, y1, x2, y2) in things
        ]
        content.append({image: spelled.get("name", "{}.jpg").format(stem), annotations: boxes})
    write(root / file, content)
    pictures(root / place)


CREATEML: dict[str, Callable[[Path], object]] = {
    "roboflow": lambda root: createml(root, "train/_annotations.createml.json", "train"),
    "Train": lambda root: createml(root, "Train/_annotations.createml.json", "Train"),
    "beside": createml,
    "annotations.json": lambda root: createml(root, "annotations.json"),
    "upper-case": lambda root: createml(root, "ANNOTATIONS.JSON"),
    "images": lambda root: createml(root, "annotations.json", "images"),
    "folders": lambda root: createml(root, "annotations.json", "images", name="images/{}.jpg"),
    "backslashes": lambda root: createml(root, "annotations.json", "images", name="images\\{}.jpg"),
    "another machine": lambda root: createml(root, "annotations.json", name="/Users/me/{}.jpg"),
    "imagefilename": lambda root: createml(root, image="imagefilename", annotations="annotation"),
    "upper-case names": lambda root: createml(root, name="{}.JPG"),
}


@pytest.mark.parametrize("way", CREATEML)
def test_createml(tmp_path: Path, way: str) -> None:
    CREATEML[way](tmp_path)
    assert found(load_dataset(tmp_path)) == TRUTH


# VIA


def via_regions(kind: str, things: Boxes, attribute: Any = "class") -> list[dict[str, Any]]:
    regions = []
    for label, (x1, y1, x2, y2) in things:
        shape: dict[str, Any] = {"name": "rect", "x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1}
        if kind == "polygon":
            shape = {"name": "polygon", "all_points_x": [x1, x2, x2], "all_points_y": [y1, y1, y2]}
        if kind == "ellipse":
            shape = {"name": kind, "cx": (x1 + x2) / 2, "cy": (y1 + y2) / 2, "rx": (x2 - x1) / 2, "ry": (y2 - y1) / 2}
        attributes = attribute(label) if callable(attribute) else {attribute: label}
        regions.append({"shape_attributes": shape, "region_attributes": attributes})
    return regions


def via(
    root: Path,
    kind: str = "rect",
    project: bool = False,
    as_dict: bool = False,
    attribute: Any = "class",
    place: str = ".",
) -> None:
    entries = {}
    for stem, things in TRUTH.items():
        regions: Any = via_regions(kind, things, attribute)
        regions = {str(n): region for n, region in enumerate(regions)} if as_dict else regions
        entries[f"{stem}.jpg99"] = {"filename": f"{stem}.jpg", "size": 99, "regions": regions, "file_attributes": {}}
    write(root / "via.json", {"_via_settings": {}, "_via_img_metadata": entries} if project else entries)
    pictures(root / place)


def via_table(root: Path) -> None:
    with (root / "via.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(
            [
                "filename",
                "file_size",
                "file_attributes",
                "region_count",
                "region_id",
                "region_shape_attributes",
                "region_attributes",
            ]
        )
        for stem, things in TRUTH.items():
            for n, region in enumerate(via_regions("rect", things)):
                shape, attributes = json.dumps(region["shape_attributes"]), json.dumps(region["region_attributes"])
                rows.writerow([f"{stem}.jpg", 99, "{}", len(things), n, shape, attributes])
    pictures(root)


VIA: dict[str, Callable[[Path], object]] = {
    "regions": via,
    "project": lambda root: via(root, project=True),
    "version 1": lambda root: via(root, as_dict=True),
    "polygons": lambda root: via(root, "polygon"),
    "ellipses": lambda root: via(root, "ellipse"),
    "label": lambda root: via(root, attribute="label"),
    "Type": lambda root: via(root, attribute="Type"),
    "own attribute": lambda root: via(root, attribute="animal"),
    "check box": lambda root: via(root, attribute=lambda label: {"animal": {label: True}}),
    "two attributes": lambda root: via(root, attribute=lambda label: {"age": "old", "class": label}),
    "images": lambda root: via(root, place="images"),
    "table": via_table,
}


@pytest.mark.parametrize("way", VIA)
def test_via(tmp_path: Path, way: str) -> None:
    VIA[way](tmp_path)
    assert found(load_dataset(tmp_path)) == TRUTH


# what is recognized and not read

UNREAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "tfrecord": (lambda root: write(root / "train.tfrecord-00000-of-00001", "x"), "Datumaro or FiftyOne"),
    "tfrecords": (lambda root: write(root / "train.tfrecords", "x"), "TFRecord"),
    "supervisely": (lambda root: write(root / "meta.json", {"classes": [{"title": "cat"}]}), "Supervisely"),
    "mot": (lambda root: write(root / "MOT17-02/seqinfo.ini", "[Sequence]"), "MOT Challenge"),
    "label studio": (
        lambda root: write(root / "tasks.json", [{"id": 1, "annotations": [{"result": []}]}]),
        "Label Studio task list",
    ),
    "datumaro": (lambda root: write(root / "default.json", {"dm_format_version": "1.0", "items": []}), "Datumaro"),
    "vott": (
        lambda root: write(root / "x.json", {"asset": {}, "regions": [{"boundingBox": {}}]}),
        "VoTT",
    ),
    "wider": (lambda root: write(root / "wider_face_train_bbx_gt.txt", "a.jpg"), "WIDER FACE"),
    "parquet": (lambda root: write(root / "data/train-0.parquet", "PAR1"), "Parquet"),
    "bdd": (lambda root: write(root / "labels.json", [{"labels": [{"box2d": {}, "category": "car"}]}]), "BDD100K"),
    "hugging face": (lambda root: write(root / "train/metadata.jsonl", "{}"), "Hugging Face"),
}


@pytest.mark.parametrize("way", UNREAD)
def test_what_is_not_read_is_named_with_the_way_to_convert_it(tmp_path: Path, way: str) -> None:
    make, words = UNREAD[way]
    make(tmp_path)
    with pytest.raises(DatasetError, match=f"It looks like .*{words}"):
        load_dataset(tmp_path)


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    write(tmp_path / "pets.zip", "PK")
    with pytest.raises(DatasetError, match="unpack it"):
        load_dataset(tmp_path / "pets.zip")


def test_every_format_is_found_in_an_empty_folder_without_a_word(tmp_path: Path) -> None:
    for format in FORMATS:
        with pytest.raises(DatasetError, match=f"a {format} data set was not found"):
            find_parts(tmp_path, format)


def test_the_page_on_data_sets_names_every_format() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    assert [format for format in FORMATS if f"`{format}`" not in page and f"\n{format}:" not in page] == []

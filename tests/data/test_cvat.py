"""CVAT for images, in every way of writing it: the same pictures with the same boxes come out."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data.sets import TRUTH, found, pictures, write
from ssd300.data.load import load_dataset
from ssd300.data.usable import usable_sets
from ssd300.errors import DatasetError


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


def cvat_mask(label: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<mask label="{label}" rle="1, 2" left="{x1}" top="{y1}" width="{x2 - x1}" height="{y2 - y1}"/>'


def cvat_cuboid(label: str, x1: float, y1: float, x2: float, y2: float) -> str:
    corners = {"tl1": (x1, y1), "bl1": (x1, y2), "tr1": (x2 - 1, y1), "br1": (x2 - 1, y2 - 1)}
    corners |= {"tl2": (x2, y1 + 1), "bl2": (x2, y2 - 1), "tr2": (x1 + 2, y1 + 1), "br2": (x1 + 2, y2 - 1)}
    sides = " ".join(f'x{k}="{x}" y{k}="{y}"' for k, (x, y) in corners.items())
    return f'<cuboid label="{label}" {sides}/>'


def cvat_skeleton(label: str, x1: float, y1: float, x2: float, y2: float) -> str:
    points = [(x1, y1, 0), (x2, y2, 0), (0, 0, 1)]  # the last is outside
    inside = "".join(f'<points label="{n}" outside="{o}" points="{x},{y}"/>' for n, (x, y, o) in enumerate(points))
    return f'<skeleton label="{label}">{inside}</skeleton>'


LABELS = "<meta><task><labels><label><name>cat</name></label><label><name>dog</name></label></labels></task></meta>"
POINT = "<label><name>0</name><type>points</type><attributes></attributes><parent>cat</parent></label>"
CVAT: dict[str, tuple[str, str]] = {  # what it is -> (annotations.xml, where the pictures lie)
    "boxes": (cvat(cvat_box), "images"),
    "pictures beside": (cvat(cvat_box), "."),
    "pictures in data": (cvat(cvat_box), "data"),
    "labels in meta": (cvat(cvat_box, extra=LABELS), "images"),
    "polygons": (cvat(cvat_polygon), "images"),
    "polylines": (cvat(lambda *box: cvat_polygon(*box, tag="polyline")), "images"),
    "point groups": (cvat(lambda *box: cvat_polygon(*box, tag="points")), "images"),
    "ellipses": (cvat(cvat_ellipse), "images"),
    "masks": (cvat(cvat_mask), "images"),
    "cuboids": (cvat(cvat_cuboid), "images"),
    "skeletons": (cvat(cvat_skeleton), "images"),
    "skeletons in meta": (cvat(cvat_skeleton, extra=LABELS.replace("</labels>", f"{POINT}</labels>")), "images"),
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


def test_what_turned_shapes_have_outside_of_the_picture_does_not_count(tmp_path: Path) -> None:
    shapes = cvat_box("cat", 0, 0, 40, 8, ' rotation="45"') + cvat_ellipse("dog", 50, 30, 90, 60)
    shapes += cvat_box("cat", 100, 100, 140, 108, ' rotation="45"')
    write(tmp_path / "annotations.xml", f'<annotations><image name="a.jpg">{shapes}</image></annotations>')
    pictures(tmp_path)
    dataset = load_dataset(tmp_path)
    assert found(dataset)["a"] == [("cat", (3.03, 0, 36.97, 20.97)), ("dog", (50, 30, 64, 48))]
    assert [note.action for note in dataset.notes] == ["refused"]  # the last one


def test_cvat_turned_ellipses_are_enclosed(tmp_path: Path) -> None:
    ellipse = '<ellipse label="cat" cx="30" cy="20" rx="10" ry="4" rotation="{}"/>'
    shapes = "".join(map(ellipse.format, (90, 45, 0)))
    write(tmp_path / "annotations.xml", f'<annotations><image name="a.jpg">{shapes}</image></annotations>')
    pictures(tmp_path)
    boxes = [box for _, box in found(load_dataset(tmp_path))["a"]]
    assert boxes == [(26, 10, 34, 30), (22.38, 12.38, 37.62, 27.62), (20, 16, 40, 24)]


def test_cvat_pictures_in_folders_of_their_subsets(tmp_path: Path) -> None:
    """As a project is exported: every task has a frame_0.jpg."""
    images = ""
    for subset, stem in (("Train", "a"), ("Validation", "b"), ("batch 1", "c")):
        pictures(tmp_path / "images" / subset, names=stem)
        (tmp_path / f"images/{subset}/{stem}.jpg").rename(tmp_path / f"images/{subset}/frame_0.jpg")
        boxes = "".join(cvat_box(label, *box) for label, box in TRUTH[stem])
        images += f'<image name="frame_0.jpg" subset="{subset}">{boxes}</image>'
    write(tmp_path / "annotations.xml", f"<annotations>{images}</annotations>")
    sets = usable_sets(tmp_path)
    assert found(sets.train) == {"frame_0": TRUTH["a"]}
    assert found(load_dataset(tmp_path, split="batch 1")) == {"frame_0": TRUTH["c"]}
    assert [one.path.parent.name for one in (*sets.train.pictures, *sets.val.pictures)] == ["Train", "Validation"]


def test_the_only_subset_of_a_cvat_file_is_its_part(tmp_path: Path) -> None:
    pictures(tmp_path / "images/default")
    write(tmp_path / "annotations.xml", cvat(cvat_box, name='{}.jpg" subset="default'))
    assert found(load_dataset(tmp_path)) == TRUTH
    write(tmp_path / "annotations.xml", cvat(cvat_box, name='{}.jpg" subset="Test'))
    with pytest.raises(
        DatasetError, match=r"has the split test, and none is named train; .* the path of the one to use"
    ):
        usable_sets(tmp_path)
    assert usable_sets(tmp_path / "annotations.xml").train


@pytest.mark.parametrize("place", ["annotations", "train"])
def test_a_cvat_file_in_a_folder(tmp_path: Path, place: str) -> None:
    write(tmp_path / place / "annotations.xml", cvat(cvat_box))
    pictures(tmp_path / "images" if place == "annotations" else tmp_path / place / "images")
    assert found(load_dataset(tmp_path)) == TRUTH


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

"""The CVAT for images 1.1 format: an annotations.xml with <image> elements, and pictures beside it or in images/.

Boxes, also rotated ones (the box around them), polygons, polylines, points, ellipses, masks, cuboids and skeletons
count as their enclosing boxes; tags and tracks are not used. The `subset` of an image is its part.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import radians
from pathlib import Path
from xml.etree.ElementTree import Element

from ssd300.data.dataset import Dataset
from ssd300.data.finder import find_files
from ssd300.data.markup import parse_xml
from ssd300.data.parts import WHOLE, Part, part_names
from ssd300.data.reading import begins_with
from ssd300.data.records import LabeledObject, Record, RecordReader
from ssd300.data.shapes import box_around, circle_box, turned_box
from ssd300.data.values import number, numbers
from ssd300.errors import DatasetError

_OUTLINES = ("polygon", "polyline", "points", "cuboid", "skeleton")
_CORNERS = [f"{corner}{side}" for corner in ("tl", "bl", "tr", "br") for side in (1, 2)]  # of a cuboid


def find(path: Path) -> list[Part]:
    """An annotations.xml itself, those of a folder or of its annotations/, or one in each part's folder."""
    parts = find_files("cvat", path, lambda file: begins_with(file, "<annotations"), ".xml")
    if len(parts) == 1:
        root = parse_xml(parts[0].source)
        subsets = list(dict.fromkeys(image.get("subset") or "" for image in root.iter("image")))
        if any(subsets):
            names = part_names([WHOLE if name in ("", "default") else name for name in subsets])
            return [replace(parts[0], split=name, detail=one) for name, one in zip(names, subsets, strict=True)]
    return parts


def read(part: Part) -> Dataset:
    """Read one part. Raises DatasetError for a file that is not from CVAT, and for videos with only tracks."""
    root = parse_xml(part.source)
    images = [one for one in root.iter("image") if part.detail is None or (one.get("subset") or "") == part.detail]
    tracks = sum(1 for _ in root.iter("track"))
    if tracks and not images:
        raise DatasetError(
            f"{part.source}: CVAT's format for videos; export it as 'CVAT for images 1.1' or as COCO, which have frames"
        )
    reader = RecordReader.of_file(part, folders_of=part.split if part.detail is None else part.detail or WHOLE)
    labels = [label for label in root.iter("label") if label.find("parent") is None]  # not the points of skeletons
    reader.names = [name for label in labels if (name := (label.findtext("name") or "").strip())]
    reader.unused.update("tags" for image in images for _ in image.iter("tag"))
    reader.unused.update({"tracks": tracks} if tracks else {})
    return reader.read(_records(images, part.source))


def _records(images: list[Element], file: Path) -> Iterator[Record]:
    for image in images:
        shapes = ((n, shape) for n, shape in enumerate(image, 1) if shape.tag in ("box", "ellipse", "mask", *_OUTLINES))
        objects = [_object(shape, f"{shape.tag} {n}") for n, shape in shapes]
        yield Record(image.get("name") or "", objects, file, image.get("width"), image.get("height"))


def _object(shape: Element, place: str) -> LabeledObject:
    around = shape.tag == "ellipse" or bool(number(shape.get("rotation")))
    return LabeledObject(shape.get("label"), _box(shape), place, dict(shape.attrib), around=around)


def _points(shape: Element) -> Iterator[Sequence[object]]:
    """The points of an outline, the corners of a cuboid, or the visible points of a skeleton."""
    if "xtl1" in shape.attrib:
        yield from ([shape.get(f"x{corner}"), shape.get(f"y{corner}")] for corner in _CORNERS)
    for part in shape.iter():
        for point in (part.get("points") or "").split(";"):
            if point.strip() and part.get("outside") != "1":
                yield point.split(",")


def _box(shape: Element) -> list[float] | None:
    if shape.tag in _OUTLINES:
        return box_around(list(_points(shape)))
    if shape.tag == "mask":
        sides = numbers(shape.get(key) for key in ("left", "top", "width", "height"))
        return sides and [*sides[:2], sides[0] + sides[2], sides[1] + sides[3]]
    if shape.tag == "ellipse":
        values = [shape.get(key) for key in ("cx", "cy", "rx", "ry")]
        return circle_box(*values, turn=radians(number(shape.get("rotation")) or 0))
    edges = numbers(shape.get(key) for key in ("xtl", "ytl", "xbr", "ybr"))
    return edges and turned_box(edges, shape.get("rotation"))

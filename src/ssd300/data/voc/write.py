"""Write Pascal VOC: Annotations, JPEGImages, ImageSets/Main/PART.txt, and labelmap.txt, as CVAT and Datumaro need."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from ssd300.data.dataset import Dataset, Picture
from ssd300.data.parts import PARTS, Part
from ssd300.data.sidecar import NAME, Sidecar
from ssd300.data.voc.find import annotation_folder
from ssd300.data.voc.objects import EDGES
from ssd300.data.writing import Copier
from ssd300.errors import DatasetError
from ssd300.files import write_whole
from ssd300.formats import shortest
from ssd300.labels import ClassList


def write(splits: dict[str, Dataset], names: list[list[str]], out: Path, copy: Copier) -> None:
    """Write a whole set; one without parts has no lists."""
    sidecar = Sidecar(out / NAME)
    for folder in ("Annotations", "JPEGImages"):
        (out / folder).mkdir()
    for (split, dataset), own in zip(splits.items(), names, strict=True):
        stems = [str(PurePosixPath(name).with_suffix("")) for name in own]
        for picture, name, stem in zip(dataset.pictures, own, stems, strict=True):
            copy(picture, out / "JPEGImages" / name)
            labels = out / "Annotations" / f"{stem}.xml"
            write_xml(labels, PurePosixPath(name).name, picture, dataset.classes)
            sidecar.add(f"{stem}.xml", picture, labels, held={"ignore"})
        if split in PARTS:
            lists = out / "ImageSets" / "Main"
            lists.mkdir(parents=True, exist_ok=True)
            (lists / f"{split}.txt").write_bytes("".join(f"{stem}\n" for stem in stems).encode())
        classes = dataset.classes
    sidecar.write(classes)
    if not any(":" in name for name in classes.names):
        lines = ["# label:color_rgb:parts:actions", *(f"{name}:::" for name in classes.names)]
        (out / "labelmap.txt").write_bytes("".join(f"{line}\n" for line in lines).encode())


def split_files(part: Part, splits: Iterable[str], out: Path) -> list[Path]:
    """The files that `write_split` writes, one for each part."""
    return [part.source / "ImageSets" / "Main" / f"{split}.txt" for split in splits]


def write_split(part: Part, splits: dict[str, Dataset], out: Path) -> None:
    """Write lists to ImageSets/Main of the VOC folder, which is `out`, too."""
    annotations = annotation_folder(part.source)
    labels = {name: [picture.labels for picture in one.pictures if picture.labels] for name, one in splits.items()}
    others = [file for files in labels.values() for file in files if not file.is_relative_to(annotations)]
    if others:  # another year's
        raise DatasetError(f"{out}: its lists cannot name {others[0]}, of another folder; give a new folder with --out")
    for path, files in zip(split_files(part, splits, out), labels.values(), strict=True):
        names = [file.relative_to(annotations).with_suffix("").as_posix() for file in files]
        text = "".join(f"{name}\n" for name in names)
        write_whole(path, text.encode(errors="surrogateescape"))


def write_xml(path: Path, name: str, picture: Picture, classes: ClassList) -> None:
    root = Element("annotation")
    SubElement(root, "filename").text = name
    size = SubElement(root, "size")
    for tag, value in (("width", picture.width), ("height", picture.height), ("depth", 3)):
        SubElement(size, tag).text = str(value)
    boxes = picture.annotations
    for box, class_id, ignore in zip(boxes.boxes_xyxy, boxes.class_ids.tolist(), boxes.ignore.tolist(), strict=True):
        thing = SubElement(root, "object")
        SubElement(thing, "name").text = classes.name_of_id(class_id)
        SubElement(thing, "difficult").text = str(int(ignore))
        edges = SubElement(thing, "bndbox")
        for tag, number in zip(EDGES, shortest(box), strict=True):
            SubElement(edges, tag).text = repr(number).removesuffix(".0")
    indent(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree(root).write(path, encoding="utf-8")

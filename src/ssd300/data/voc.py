"""Pascal VOC: one XML file a picture, in Annotations/ with JPEGImages/ beside it, or beside the picture itself.

`xmin ymin xmax ymax` are taken as the box's edges in pixels exactly as they are written. The VOC
challenge itself counted pixels from 1 and included the last one, so its own boxes come out at most one pixel to the
right and below at their left and top edges; nearly all files called VOC today come from tools that write plain edges,
and a shift would falsify those. `difficult` becomes `ignore` and back. Class ids are 1, 2, ... in the order of the
names' alphabet, unless the sidecar says otherwise. Other fields (pose, truncated, parts) are not used; a note says so.

Splits are the lists in ImageSets/Main (train.txt, val.txt, test.txt), or subfolders.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from ssd300.data.dataset import Annotations, Dataset, Note, Picture
from ssd300.data.files import SPLITS, folder_name, is_picture, picture_size, read_text
from ssd300.data.fitting import fit_picture
from ssd300.data.sidecar import Sidecar
from ssd300.errors import DatasetError, ImageError, MissingExtraError
from ssd300.labels import ClassList

PICTURE_FOLDERS = ("JPEGImages", "images", "")
EDGES = ("xmin", "ymin", "xmax", "ymax")
USED = {"name", "bndbox", "difficult"}


def split_lists(folder: Path) -> list[str]:
    """The splits that ImageSets/Main lists; "trainval" only where there is no other."""
    lists = folder / "ImageSets" / "Main"
    return [split for split in SPLITS if (lists / f"{split}.txt").is_file()] or [
        split for split in ("trainval",) if (lists / f"{split}.txt").is_file()
    ]


def annotation_folder(folder: Path) -> Path:
    """Where the XML files of a VOC folder lie."""
    return folder / "Annotations" if (folder / "Annotations").is_dir() else folder


@dataclass(frozen=True)
class _Object:
    name: str
    box: tuple[float, float, float, float]
    difficult: bool
    number: str


@dataclass(frozen=True)
class _File:
    xml: Path
    file_name: str
    picture: Path
    size_wh: tuple[int, int]
    objects: list[_Object]


def read_voc(folder: Path, split: str | None = None, name: str | None = None) -> Dataset:
    """A VOC folder, or one split of it -> Dataset. Faults of single files and objects stand in its `notes`.

    Raises DatasetError where the folder as a whole cannot be used.
    """
    reader = _Reader(folder)
    annotations = annotation_folder(folder)
    if split is None:
        files = sorted(annotations.rglob("*.xml"))
    else:
        listed = read_text(folder / "ImageSets" / "Main" / f"{split}.txt", "list of pictures").splitlines()
        files = [annotations / f"{stem.strip()}.xml" for stem in listed if stem.strip()]
    read = [file for xml in files if xml.is_file() and (file := reader.file(xml))]
    sidecar = Sidecar.beside(folder)
    names = sorted({thing.name for file in read for thing in file.objects})
    classes = sidecar.classes or ClassList.from_names(names)
    pictures = [reader.picture(file, classes, sidecar) for file in read]
    if split is None:
        pictures += reader.pictures_without_xml(set(files), {file.picture for file in read})
    else:
        pictures += [one for xml in files if not xml.is_file() and (one := reader.listed_without_xml(xml))]
    if not pictures and not reader.notes:
        raise DatasetError(f"{folder}: no VOC XML files found in {annotations}")
    for key, count in sorted(reader.unused.items()):
        reader.note("field not used", "noted", folder, "", "", f"<{key}> of {count} objects is not used")
    default = f"{folder_name(folder)}/{split}" if split else folder_name(folder)
    return Dataset(name or default, classes, tuple(pictures), tuple(reader.notes))


@dataclass
class _Reader:
    folder: Path
    notes: list[Note] = field(default_factory=list)
    unused: Counter[str] = field(default_factory=Counter)

    def note(self, kind: str, action: Any, file: Path, picture: str, annotation: str, words: str) -> None:
        self.notes.append(Note(kind, action, str(file), picture, annotation, words))

    def file(self, xml: Path) -> _File | None:
        """One XML file, parsed; None where it cannot be used, with a note."""
        root = self._root(xml)
        if root is None:
            return None
        file_name = (root.findtext("filename") or "").strip() or xml.with_suffix(".jpg").name
        picture, tried = self._find(xml, file_name)
        if picture is None:
            words = f"the picture is missing; tried {', '.join(map(str, tried))}"
            self.note("missing picture", "fault", xml, file_name, "", words)
        size = self._size(root, xml, file_name, picture)
        if size is None:
            return None
        things = [self._object(thing, xml, file_name, f"object {n}") for n, thing in enumerate(root.iter("object"), 1)]
        return _File(xml, file_name, picture or tried[0], size, [thing for thing in things if thing])

    def _root(self, xml: Path) -> Element | None:
        try:
            from defusedxml import ElementTree as Defused
            from defusedxml.common import DefusedXmlException
        except ImportError as error:
            raise MissingExtraError("reading Pascal VOC files", "data") from error
        try:
            root: Element = Defused.fromstring(xml.read_bytes())
        except OSError as error:
            self.note("missing label file", "fault", xml, xml.stem, "", f"cannot be read: {error.strerror}")
        except Defused.ParseError as error:
            self.note("malformed XML", "fault", xml, xml.stem, "", f"not valid XML: {error}")
        except DefusedXmlException as error:
            self.note("malformed XML", "fault", xml, xml.stem, "", f"refused, it declares entities or a DTD: {error}")
        else:
            if root.tag == "annotation":
                return root
            words = f"the outer element is <{root.tag}>; a VOC file has <annotation>"
            self.note("malformed XML", "fault", xml, xml.stem, "", words)
        return None

    def _find(self, xml: Path, file_name: str) -> tuple[Path | None, list[Path]]:
        """The picture of an XML file: by its <filename>, else by the XML's own name with a picture's ending."""
        inside = xml.parent.relative_to(annotation_folder(self.folder))
        folders = [xml.parent, *(self.folder / name / inside for name in PICTURE_FOLDERS)]
        tried = list(dict.fromkeys(place / file_name.replace("\\", "/") for place in folders))
        for path in tried:
            if path.is_file():
                return path, tried
        for place in folders:
            for path in sorted(place.glob(f"{_escaped(xml.stem)}.*")):
                if is_picture(path):
                    return path, tried
        return None, [*tried, *(place / f"{xml.stem}.*" for place in dict.fromkeys(folders))]

    def _size(self, root: Element, xml: Path, name: str, picture: Path | None) -> tuple[int, int] | None:
        texts = root.findtext("size/width"), root.findtext("size/height")
        if texts == (None, None):
            try:
                return picture_size(picture) if picture else None
            except ImageError as error:
                self.note("corrupt picture", "fault", xml, name, "", str(error))
                return None
        try:
            width, height = int(texts[0] or ""), int(texts[1] or "")
        except ValueError:
            width = height = 0
        if min(width, height) > 0:
            return width, height
        words = f"<size> has width {texts[0]!r} and height {texts[1]!r}; want positive integers, or no <size>"
        self.note("wrong picture size", "fault", xml, name, "", words)
        return None

    def _object(self, thing: Element, xml: Path, picture: str, number: str) -> _Object | None:
        self.unused.update(child.tag for child in thing if child.tag not in USED)
        name = (thing.findtext("name") or "").strip()
        if not name:
            self.note("unknown class id", "fault", xml, picture, number, "the object has no <name>")
            return None
        texts = [thing.findtext(f"bndbox/{edge}") for edge in EDGES]
        try:
            left, top, right, bottom = (float(text or "") for text in texts)
        except ValueError:
            given = ", ".join(f"{edge}={text!r}" for edge, text in zip(EDGES, texts, strict=True))
            self.note("malformed box", "fault", xml, picture, number, f"the box has {given}; want four numbers")
            return None
        return _Object(
            name,
            (left, top, right, bottom),
            (thing.findtext("difficult") or "0").strip().lower() in ("1", "true"),
            number,
        )

    def picture(self, file: _File, classes: ClassList, sidecar: Sidecar) -> Picture:
        objects = []
        for thing in file.objects:
            if thing.name in classes.names:
                objects.append(thing)
            else:
                words = f"the class {thing.name!r} is not in {sidecar.path} (it has {', '.join(classes.names)})"
                self.note("unknown class id", "fault", file.xml, file.file_name, thing.number, words)
        key = file.xml.relative_to(annotation_folder(self.folder)).as_posix()
        image_id, file_name = sidecar.identity(key, key.removesuffix(".xml"), file.file_name)
        fields: dict[str, Any] = {"ignore": [thing.difficult for thing in objects]}
        try:
            fields |= sidecar.fields(key, len(objects))
        except DatasetError as error:
            self.note("sidecar out of date", "fault", file.xml, file.file_name, "", str(error))
        ids = dict(zip(classes.names, classes.ids, strict=True))
        class_ids = np.array([ids[thing.name] for thing in objects], np.int64)
        boxes = np.array([thing.box for thing in objects], np.float64).reshape(-1, 4)
        places = [(str(file.xml), file.file_name, thing.number) for thing in objects]
        fitted = fit_picture(boxes, class_ids, file.size_wh, places, self.notes, fields)
        return Picture(file.picture, image_id, *file.size_wh, fitted, file_name, labels=file.xml)

    def pictures_without_xml(self, files: set[Path], known: set[Path]) -> list[Picture]:
        """Pictures beside the XML files, or in the picture folder, that no XML file speaks of."""
        annotations = annotation_folder(self.folder)
        own = annotations == self.folder
        pictures: list[Picture] = []
        for place in [self.folder] if own else [self.folder / name for name in PICTURE_FOLDERS if name]:
            for path in sorted(place.rglob("*")):
                xml = annotations / path.relative_to(place).with_suffix(".xml")
                if is_picture(path) and path not in known and xml not in files:
                    pictures += filter(None, [self._negative(path, xml)])
        return pictures

    def listed_without_xml(self, xml: Path) -> Picture | None:
        """The picture that a split lists under a name without an XML file; None where there is none, with a note."""
        path, tried = self._find(xml, xml.with_suffix(".jpg").name)
        if path is not None:
            return self._negative(path, xml)
        words = (
            f"the split lists {xml.stem!r}, but there is no XML file and no picture; tried {', '.join(map(str, tried))}"
        )
        self.note("missing label file", "fault", xml, xml.stem, "", words)
        return None

    def _negative(self, path: Path, xml: Path) -> Picture | None:
        """A picture without boxes, with a note; None if it cannot be read."""
        try:
            width, height = picture_size(path)
        except ImageError as error:
            self.note("corrupt picture", "fault", path, path.name, "", str(error))
            return None
        self.note(
            "picture without label file", "noted", xml, path.name, "", f"no XML file, so it has no boxes; tried {xml}"
        )
        name = xml.relative_to(annotation_folder(self.folder)).with_suffix("").as_posix()
        return Picture(path, name, width, height, Annotations.empty(), path.name, labels=xml)


def _escaped(stem: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in stem)

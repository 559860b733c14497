"""Pascal VOC: one XML file per picture, in Annotations/ with JPEGImages/ beside it, or beside the picture itself.

`xmin ymin xmax ymax` are used unchanged as the box's edges in pixels. The VOC challenge counted pixels from 1 and
included the last one, so the left and top edges of its own boxes are off by at most one pixel to the right and down;
nearly all VOC files today come from tools that write plain edges, and a shift would be wrong for those. `difficult`
becomes `ignore` and back. Class ids are 1, 2, ... in alphabetical order of the names, unless there is a sidecar. Other
fields (pose, truncated, parts) are not used; a note says so.

Parts are the lists in ImageSets/Main (train.txt, val.txt, test.txt), or sub-folders, also of Annotations/. The picture
is the one named like the XML file, else the one in its `filename`; also in a folder of the pictures' one.
"""

from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from ssd300.data import files
from ssd300.data.dataset import Annotations, Dataset, Picture
from ssd300.data.finder import PictureFinder
from ssd300.data.markup import parse_xml
from ssd300.data.notes import Fault, Notes
from ssd300.data.parts import Part, parse_part
from ssd300.data.records import LabeledPicture, classes_of, format_notes
from ssd300.data.sidecar import Sidecar
from ssd300.data.voc.find import annotation_folder, listed_names, part_folders, unused_lists, xml_names
from ssd300.data.voc.objects import is_deleted, parse_object, unused_tags
from ssd300.labels import ClassList
from ssd300.limits import BOXES_PER_PICTURE

_PICTURE_FOLDERS = ("JPEGImages", "images", "image", "imgs", "data")


def read(part: Part) -> Dataset:
    """A VOC folder or a part of it -> Dataset, with the faults of files and objects in `notes`. Raises DatasetError."""
    folder: Path = part.source
    listed: Path | None = part.detail  # a list, or a folder of XML files
    reader = _Reader(folder)
    xmls, missing = reader.find_files(listed)
    read_files = [file for xml in xmls if (file := reader.read_file(xml))]
    sidecar = Sidecar.beside(folder)
    found = classes_of(read_files, folder)
    classes = sidecar.classes or found
    pictures = [reader.make_picture(file, classes, sidecar) for file in read_files]
    if listed is None or listed.is_dir():
        pictures += reader.list_unlabeled({file.path for file in read_files}, listed or reader.annotations)
    else:
        pictures += [one for xml in missing if (one := reader.find_unlabeled(xml))]
    reader.notes += sidecar.find_repeated_ids(pictures)
    for key, count in sorted(reader.unused.items()):
        reader.notes.add("field not used", "noted", f"<{key}> of {count} objects is not used", folder)
    for name in unused_lists(folder):
        reader.notes.add("field not used", "noted", f"the list {name} is not used", folder)
    reader.notes += format_notes(read_files, folder, "xyxy")
    default = f"{files.folder_name(folder)}/{part.split}" if listed else files.folder_name(folder)
    return Dataset(default, classes, tuple(pictures), tuple(reader.notes), (folder,))


class _Reader:
    """One pass over the XML files of a folder, with the finder of its pictures and the notes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.annotations = folder, annotation_folder(folder)
        self.notes = Notes()
        self.unused: Counter[str] = Counter()
        self.known: set[Path] = set()
        inner = files.folders_named(folder, *_PICTURE_FOLDERS)
        if not inner and self.annotations != folder:
            known = {self.annotations, *self.annotations.parents, files.child(folder, "ImageSets")}
            others = {*files.folders_in(folder)} - known
            inner = [*others] if len(others) == 1 else []
        self.picture_folders = list(dict.fromkeys([*inner, *(folder / name for name in _PICTURE_FOLDERS[:2])]))
        inside = (one for place in self.picture_folders for one in files.folders_in(place))
        self._others = [one for one in inside if not parse_part(one.name)]
        self._finders: dict[Path, PictureFinder] = {}

    def find_files(self, listed: Path | None) -> tuple[list[Path], list[Path]]:
        """The XML files of the folder, or of a list; and those listed that do not exist."""
        every = files.walk(self.annotations, lambda path: path.suffix.lower() == ".xml")
        self.known = {path.with_suffix(".xml") for path in every}
        if listed is None or listed.is_dir():
            parts = [place for _, place in part_folders(self.folder)] if listed else []
            loose = sum(not any(map(xml.is_relative_to, parts)) for xml in every) if parts else 0
            if loose:
                words = f"{loose} XML files outside of the folders of parts are not used"
                self.notes.add("field not used", "noted", words, self.annotations)
            return [xml for xml in every if xml.is_relative_to(listed or self.annotations)], []
        exact = {self._stem(path): path for path in reversed(every)}  # before other spellings: "A" may be beside "a"
        by_stem = {files.same_name(stem): path for stem, path in exact.items()} | exact
        found, missing = dict[Path, list[str]](), list[Path]()
        for names in listed_names(listed):
            keys = [key for name in names for one in (name, Path(name).name) for key in (one, files.same_name(one))]
            if xml := next((by_stem[key] for key in keys if key in by_stem), None):
                other = found.setdefault(xml, names)
                if {*map(files.same_name, names)}.isdisjoint(map(files.same_name, other)):
                    words = f"the split lists {names[0]!r}; {xml} was found, but so it was for {other[0]!r}"
                    self.notes.add("missing label file", "fault", words, listed, names[0])
            else:
                tried = [self.annotations / name for name in xml_names(names)]
                missing.append(next((path for path in tried if self._find(path, path.stem)[0]), tried[-1]))
        return list(found), missing

    def _stem(self, xml: Path) -> str:
        return xml.relative_to(self.annotations).with_suffix("").as_posix()

    def read_file(self, xml: Path) -> LabeledPicture | None:
        """Parse one XML file; None, with a note, if it cannot be used."""
        with self.notes.faults_at(xml, xml.stem, kind="malformed XML"):
            return self._read(xml, parse_xml(xml))
        return None

    def _read(self, xml: Path, root: Element) -> LabeledPicture | None:
        if root.tag != "annotation":
            raise Fault("malformed XML", f"the outer element is <{root.tag[:60]}>; a VOC file has <annotation>")
        file_name = (root.findtext("filename") or "").strip() or xml.with_suffix(".jpg").name
        picture, tried = self._find(xml, file_name)
        if picture is None:
            words = f"the picture is missing; tried {', '.join(map(str, tried))}"
            self.notes.add("missing picture", "fault", words, xml, file_name)
        size = None
        with self.notes.faults_at(xml, file_name):
            width, height = root.findtext("size/width"), root.findtext("size/height")
            size = files.stated_size(width, height, picture, what="<size> has ")
        if size is None:
            return None
        objects = []
        for number, element in enumerate(root.iter("object"), 1):
            if is_deleted(element):
                continue
            self.unused.update(unused_tags(element))
            with self.notes.faults_at(xml, file_name, f"object {number}"):
                objects.append(parse_object(element, f"object {number}", size))
        if len(objects) > BOXES_PER_PICTURE:
            words = f"{len(objects):,} boxes; at most {BOXES_PER_PICTURE:,} are read of one picture"
            self.notes.add("too many boxes", "fault", words, xml, file_name)
            objects = []
        return LabeledPicture(picture or tried[0], size, objects, file_name, xml)

    def _find(self, xml: Path, file_name: str) -> tuple[Path | None, list[Path]]:
        """The picture of an XML file: by the XML's own name with a picture's extension, else by its <filename>."""
        if xml.parent not in self._finders:
            inside = xml.parent.relative_to(self.annotations)
            folders = [xml.parent, *(folder / inside for folder in self.picture_folders), self.folder / inside]
            folders += self.picture_folders  # only the XML files are in a deeper folder: annotations/xmls
            self._finders[xml.parent] = PictureFinder(folders, self._others if inside == Path() else [])
        finder = self._finders[xml.parent]
        tried = finder.list_candidates(file_name)
        found = finder.find(file_name)
        if found is None or files.same_name(found.stem) != files.same_name(xml.stem):
            own, other = finder.find_stem(xml.stem), found
            found = own or other or finder.find_stem(file_name)
            if own and other and xml.with_stem(other.stem) in self.known:  # a copied file
                words = f"its <filename> is also listed as picture {other.stem}; {own} is read instead"
                self.notes.add("picture listed twice", "noted", words, xml, file_name)
        return found, tried if found else [*tried, *finder.list_candidates(f"{xml.stem}.*")]

    def make_picture(self, file: LabeledPicture, classes: ClassList, sidecar: Sidecar) -> Picture:
        objects = []
        for labeled in file.objects:
            if labeled.name in classes.position_of_name:
                objects.append(labeled)
            else:
                words = f"the class {labeled.name!r} is not in {sidecar.path} (it has {', '.join(classes.names)})"
                self.notes.add("unknown class id", "fault", words, file.labels, file.file_name, labeled.place)
        key = f"{self._stem(file.labels)}.xml"
        image_id, file_name = sidecar.identity(key, key.removesuffix(".xml"), file.file_name)
        known: dict[str, Any] = {}
        with self.notes.faults_at(file.labels, file.file_name):
            known = sidecar.fields(key, len(objects), file.labels)
        fitted = file._replace(objects=objects).fit(classes, self.notes, "xyxy", **known)
        return Picture(file.path, image_id, *file.size_wh, fitted, file_name, labels=file.labels)

    def list_unlabeled(self, found: set[Path], inside: Path) -> list[Picture]:
        """Pictures beside the XML files, or in the picture folder, whose XML file would be `inside` and is missing."""
        own = self.annotations == self.folder
        pictures: list[Picture] = []
        for place in [self.folder] if own else self.picture_folders:
            for path in files.walk(place, files.is_picture):
                xml = self.annotations / path.relative_to(place).with_suffix(".xml")
                if path not in found and xml not in self.known and xml.is_relative_to(inside):
                    pictures += filter(None, [self._make_negative(path, xml)])
        return pictures

    def find_unlabeled(self, xml: Path) -> Picture | None:
        """The picture of a listed name without an XML file; None, with a note, if there is none."""
        path, tried = self._find(xml, xml.with_suffix(".jpg").name)
        if path is not None:
            return self._make_negative(path, xml)
        words = f"the split lists {xml.stem!r}, but there is no XML file and no picture; tried "
        words += ", ".join(map(str, tried))
        self.notes.add("missing label file", "fault", words, xml, xml.stem)
        return None

    def _make_negative(self, path: Path, xml: Path) -> Picture | None:
        """A picture without boxes, with a note; None if it cannot be read."""
        with self.notes.faults_at(path, path.name):
            size = files.picture_size(path)
            words = f"no XML file, so it has no boxes; tried {xml}"
            self.notes.add("picture without label file", "noted", words, xml, path.name)
            return Picture(path, self._stem(xml), *size, Annotations.empty(), path.name, labels=xml)
        return None

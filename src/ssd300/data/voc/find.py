"""Find VOC files: one folder with lists, one folder per part, or VOCdevkit with one folder per year."""

import os
import re
from pathlib import Path

from ssd300.data.files import child, folders_in, folders_named, is_picture, with_suffix
from ssd300.data.parts import WHOLE, Part, meant_parts, parse_part, part_lists, part_names
from ssd300.data.reading import read_list

ANNOTATIONS = ("Annotations", "Annotation", "xmls", "xml", "annots", "labels")
_MAX_DEPTH = 5  # folders of Annotations/ in one another that are looked into
_ABOVE = ("VOCdevkit", "images")  # folders that may hold the parts or years instead of the set's own folder


def annotation_folder(folder: Path) -> Path:
    """The folder of the XML files: Annotations/, in any letter case, annotations/xmls/, or the folder itself."""
    places = folders_named(folder, *ANNOTATIONS)
    filled = next((place for place in places if any(map(_is_voc, _xml_below(place)))), None)
    if filled and not with_suffix(filled, ".xml", most=1):
        return annotation_folder(filled)
    return filled or (places[0] if places and not with_suffix(folder, ".xml", most=1) else folder)


def list_files(folder: Path) -> dict[str, Path]:
    """The lists of a VOC folder: part -> file, without those of one class ("cat_train.txt") beside those of all.

    They are in ImageSets/, or else beside Annotations/ (PaddleDetection's train_list.txt).
    """
    files = _text_files(folder)
    if not files:
        place = annotation_folder(folder)
        beside = [folder] if place == folder else [place.parent, folder]
        lists = next(filter(None, (part_lists(with_suffix(one, ".txt")) for one in beside)), {})
        first = [name for file in lists.values() for names in listed_names(file)[:1] for name in names]
        return lists if any(os.path.isfile(place / f"{Path(name).name}.xml") for name in first) else {}
    meant = meant_parts([file.stem for file in files])
    lists = {part: file for part, file in zip(meant, files, strict=True) if part and meant.count(part) == 1}
    return lists or _class_lists(files)


def _class_lists(files: list[Path]) -> dict[str, Path]:
    """Part -> the first of the lists of single classes (VoTT's cat_train.txt), if all of a part have the same pictures.

    Each of them has all pictures of the part, with a flag.
    """
    lists: dict[str, dict[Path, set[str]]] = {}
    for file in files:
        if (found := re.search(r"_(train|val|trainval|test)$", file.stem)) and (names := listed_names(file)):
            lists.setdefault(found[1], {})[file] = {one[-1] for one in names}
    equal = all(len(set(map(frozenset, same.values()))) == 1 for same in lists.values())
    return {part: next(iter(same)) for part, same in lists.items()} if equal and lists else {}


def part_folders(folder: Path) -> list[tuple[str, Path]]:
    """(part, folder) of the folders of XML files that are named as parts: Annotations/train."""
    named = [place for place in folders_in(annotation_folder(folder)) if parse_part(place.name)]
    below = [place for place in named if any(map(_is_voc, _xml_below(place)))]
    meant = zip(meant_parts([place.name for place in below]), below, strict=True)
    return [(part, place) for part, place in meant if part]


def listed_names(file: Path) -> list[list[str]]:
    """What each line of a list may name: names may have spaces; a flag or the path of the XML file may follow."""
    lines = dict.fromkeys(line for _, line in read_list(file))
    found = []
    for line in lines:
        paths = [Path(text.replace("\\", "/")) for text in (line, re.sub(r"\s+-?[01]$", "", line), line.split()[0])]
        bare = [path.with_suffix("") if is_picture(path) or path.suffix.lower() == ".xml" else path for path in paths]
        found.append(list(dict.fromkeys(path.as_posix() for pair in zip(paths, bare, strict=True) for path in pair)))
    return found


def xml_names(names: list[str]) -> list[str]:
    """The names below Annotations/ that the XML file of a line may have, which `listed_names` gave.

    >>> xml_names(["sub/a.jpg", "sub/a"]), xml_names(["/home/me/a.jpg", "/home/me/a"])
    (['sub/a.xml', 'a.xml'], ['a.xml'])
    """
    plain = [name for name in names if not is_picture(Path(name))] or names
    inside = [name for name in plain if not name.startswith(("/", "../"))]
    return [f"{name}.xml" for name in dict.fromkeys([*inside, *(Path(name).name for name in plain)])]


def unused_lists(folder: Path) -> list[str]:
    """Names of the lists that are not a part, except those of single classes beside those of all."""
    used = list_files(folder)
    others = [file for file in _text_files(folder) if file not in used.values()]
    return [file.name for file in others if not (used and re.search(r"_(train|val|trainval|test)$", file.stem))]


def find(path: Path) -> list[Part]:
    """The parts of a folder, or of every year of a VOCdevkit."""
    if not path.is_dir():
        return []
    if _holds_xml(path):
        return [Part("voc", split, path, place) for split, place in _parts_in(path)] or [Part("voc", WHOLE, path)]
    inner = [folder for folder in folders_in(path) if _holds_xml(folder)]
    if not inner:
        return next(filter(None, map(find, folders_named(path, *_ABOVE))), [])
    if any(map(_parts_in, inner)):  # years: their parts of one name are read together
        return [part for folder in inner for part in find(folder)]
    names = part_names([folder.name.lower() for folder in inner])
    return [Part("voc", name, folder) for name, folder in zip(names, inner, strict=True)]


def _parts_in(folder: Path) -> list[tuple[str, Path]]:
    """(part, its list or folder of XML files) of the parts of one folder."""
    return [*list_files(folder).items()] or part_folders(folder)


def _text_files(folder: Path) -> list[Path]:
    """The files in ImageSets/Main, or in ImageSets/."""
    sets = child(folder, "ImageSets")
    return with_suffix(sets and (child(sets, "Main") or sets), ".txt")


def _holds_xml(folder: Path) -> bool:
    """Whether a folder or its Annotations/ has VOC's XML files."""
    inner = (file for place in folders_named(folder, *ANNOTATIONS) for file in _xml_below(place))
    return any(map(_is_voc, _xml_below(folder, 0))) or any(map(_is_voc, inner))


def _xml_below(place: Path, levels: int = _MAX_DEPTH) -> list[Path]:
    """The first XML files of a folder, or else of the first folder in it that has any, up to `levels` down."""
    files = with_suffix(place, ".xml", most=3)
    if files or not levels:
        return files
    return next((found for folder in folders_in(place) if (found := _xml_below(folder, levels - 1))), [])


def _is_voc(file: Path) -> bool:
    """Whether an XML file may be VOC's: its outer element is <annotation>, or it has none."""
    try:
        with file.open("rb") as opened:
            start = opened.read(4096)
    except OSError:
        return False
    outer = re.search(rb"<([A-Za-z_][\w.-]*)", start.replace(b"\0", b""))
    return outer is None or outer[1].lower() == b"annotation"

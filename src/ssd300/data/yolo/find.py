"""Find the description of a YOLO data set: data.yaml, obj.data, or classes.txt beside images/ and labels/."""

import os
from pathlib import Path

from ssd300.data.files import child, entries, folders_in, is_picture, with_suffix
from ssd300.data.parts import WHOLE, Part, meant_parts
from ssd300.data.yolo.describe import Description, is_description, read_class_file, read_darknet, read_yaml
from ssd300.errors import DatasetError

YAML = (".yaml", ".yml")
CLASS_FILES = ("classes.txt", "obj.names", "labels.txt")


def find(path: Path) -> list[Part]:
    """The parts at a path: a .yaml or .data file, or a folder with one."""
    description = _description(path)
    if description is None:
        return []
    return [Part("yolo", split, description.file, description) for split in description.entries]


def _description(path: Path) -> Description | None:
    if not path.is_dir():
        if path.suffix.lower() in YAML:
            return read_yaml(path)
        return read_darknet(path) if path.suffix.lower() == ".data" else None
    files = [file for file in with_suffix(path, *YAML) if is_description(file)]
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise DatasetError(f"{path}: several YAML files describe a data set: {names}; give the path of one of them")
    if files:
        return read_yaml(files[0])
    darknet = child(path, "obj.data")
    if darknet:
        return read_darknet(darknet)
    return _find_class_file(path)


def _find_class_file(path: Path) -> Description | None:
    """From classes.txt, here or among the labels, with labels/ and images/, undivided or with one folder per part."""
    labels, images = child(path, "labels"), child(path, "images")
    if not (labels and labels.is_dir() and images and images.is_dir()):
        return None
    file = next((found for place in (path, labels) for name in CLASS_FILES if (found := child(place, name))), None)
    if file is None or not os.path.isfile(file) or not any(entries(labels)):
        return None
    parts: dict[str, tuple[str, ...]] = {}
    unused: list[str] = []
    folders, loose = folders_in(images), sum(map(is_picture, entries(images)))
    for folder, split in zip(folders, meant_parts([folder.name for folder in folders]), strict=True):
        if split:
            parts[split] = (*parts.get(split, ()), str(folder.absolute()))
        else:
            unused.append(f"{images.name}/{folder.name} is not used")
    unused += [f"{loose} pictures in {images.name}/ outside of its folders are not used"] if loose else []
    return read_class_file(file, parts or {WHOLE: (str(images.absolute()),)}, tuple(unused) if parts else ())

"""Find the description of a YOLO data set: data.yaml, obj.data, or a list of classes.

Such a list comes from labelImg, Label Studio and Roboflow's darknet export, and a data.yaml without parts from
supervision and Kili. In the order of detection: images/ and labels/ beside the list, undivided, with one folder per
part, or with lists of pictures (train.txt); one folder per part, with images/ and labels/ or all in one; pictures and
labels in one folder.
"""

import os
from dataclasses import replace
from pathlib import Path

from ssd300.data.files import child, children, entries, folders_in, folders_named, is_picture, same_name, with_suffix
from ssd300.data.finder import PictureFinder
from ssd300.data.parts import WHOLE, Part, meant_parts, part_lists
from ssd300.data.reading import read_list
from ssd300.data.yolo.describe import YAML, Description, is_description, read_darknet, read_names, read_yaml
from ssd300.data.yolo.listing import NO_PICTURE
from ssd300.errors import DatasetError

CLASS_FILES = ("classes.txt", "obj.names", "labels.txt", "_darknet.labels", "data.yaml")


def find(path: Path) -> list[Part]:
    """The parts at a path: a .yaml or .data file, or a folder with one."""
    description = _description(path)
    if description is None:
        return []
    return [Part("yolo", split, description.file, description) for split in description.entries]


def _description(path: Path) -> Description | None:
    if not path.is_dir():
        if path.suffix.lower() in YAML:
            return _read_yaml(path)
        return read_darknet(path) if path.suffix.lower() == ".data" else None
    files = [file for file in with_suffix(path, *YAML) if is_description(file)]
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise DatasetError(f"{path}: several YAML files describe a data set: {names}; give the path of one of them")
    if files:
        return _read_yaml(files[0])
    darknet = [file for place in (path, *folders_named(path, "data")) for file in with_suffix(place, ".data")]
    preferred = [file for file in darknet if file.name.casefold() == "obj.data"]
    if preferred or len(darknet) == 1:
        return read_darknet((preferred or darknet)[0])
    return _find_class_file(path)


def _read_yaml(file: Path) -> Description:
    """The description in a YAML file; a data.yaml without parts is a list of classes. Raises DatasetError."""
    described = read_yaml(file)
    if described.entries:
        return described
    found = _find_class_file(file.parent)
    if found is None or found.file != file:
        raise DatasetError(f"{file}: no split; add `train: FOLDER` (and `val: FOLDER`), relative to this file")
    return replace(found, kpt_shape=described.kpt_shape, unused=(*described.unused, *found.unused))


def _find_class_file(path: Path) -> Description | None:
    """The description of a folder with a list of classes; None if it has none, or no labels."""
    if len(both := folders_named(path, "labels", "images")) == 2:
        labels, images = both
        file = _class_file(path, labels)
        return _images_and_labels(path, images, file) if file and _holds_labels(labels) else None
    return _folders_of_parts(path) or _one_folder(path)


def _class_file(*places: Path | None) -> Path | None:
    files = (file for place in places if place for file in children(place, *CLASS_FILES))
    found = (file for file in files if os.path.isfile(file))
    return next((file for file in found if file.suffix.lower() not in YAML or is_description(file)), None)


def _holds_labels(folder: Path) -> bool:
    """Whether a folder of labels, or one in it, has a label file."""
    places = [folder, *folders_in(folder)]
    return any(file.name.lower() not in NO_PICTURE for place in places for file in with_suffix(place, ".txt"))


def _images_and_labels(path: Path, images: Path, file: Path) -> Description:
    folders, loose = folders_in(images), sum(map(is_picture, entries(images)))
    parts: dict[str, tuple[str, ...]] = {}
    unused: list[str] = []
    for folder, split in zip(folders, meant_parts([folder.name for folder in folders]), strict=True):
        if split:
            parts[split] = (*parts.get(split, ()), str(folder.absolute()))
        else:
            unused.append(f"{images.name}/{folder.name} is not used")
    unused += [f"{loose} pictures in {images.name}/ outside of its folders are not used"] if loose else []
    if parts:
        return Description(file, read_names(file), parts, unused=tuple(unused), root=path)
    return Description(file, read_names(file), _lists(path) or {WHOLE: (str(images.absolute()),)}, root=path)


def _lists(path: Path) -> dict[str, tuple[str, ...]]:
    """Part -> list of pictures beside images/, if they name pictures of the set."""
    lists = part_lists(with_suffix(path, ".txt"))
    finder = PictureFinder([path])
    first = [line for file in lists.values() for _, line in read_list(file)[:1]]
    named = any(map(finder.find, first))
    return {part: (str(file.absolute()),) for part, file in lists.items()} if named else {}


def _folders_of_parts(path: Path) -> Description | None:
    """From train/, valid/, ...; each may have its own list of classes, which must be equal."""
    folders = folders_in(path)
    parts: dict[str, tuple[str, ...]] = {}
    files, without, unused = list[Path](), list[Path](), list[str]()
    lists = [_class_file(folder, child(folder, "labels"), path) for folder in folders]
    meant = meant_parts([folder.name for folder in folders])
    for folder, split, file in zip(folders, meant, lists, strict=True) if any(lists) else ():
        images, labels = child(folder, "images"), child(folder, "labels")
        if not (_holds_labels(labels) if labels else _holds_pairs(folder)):
            continue
        if split is None:
            unused.append(f"{folder.name} is not used")
        elif file is None:
            without.append(folder)
        else:
            parts[split] = (*parts.get(split, ()), str((images or folder).absolute()))
            files.append(file)
    if files and without:
        raise DatasetError(f"{without[0]} has labels, but no list of their classes; put {files[0]} above both parts")
    described = [
        Description(file, read_names(file), parts, unused=tuple(unused), root=path) for file in dict.fromkeys(files)
    ]
    for one in described[1:]:
        if one.classes != described[0].classes:
            raise DatasetError(
                f"{one.file} and {described[0].file} list different classes; write the labels of both parts with one "
                "list, and put it above them"
            )
    return described[0] if described else None


def _one_folder(path: Path) -> Description | None:
    """From pictures with their labels beside them, here or in data/ (FiftyOne), images/, obj/."""
    file = _class_file(path)
    places = folders_named(path, ".", "data", "images", "obj", "obj_train_data") if file else []
    filled = next(filter(_holds_pairs, places), None)
    return Description(file, read_names(file), {WHOLE: (str(filled.absolute()),)}) if file and filled else None


def _holds_pairs(folder: Path) -> bool:
    """Whether a folder has a picture with a label file beside it."""
    stems = {same_name(file.stem) for file in with_suffix(folder, ".txt") if file.name.lower() not in NO_PICTURE}
    return any(same_name(entry.stem) in stems for entry in entries(folder) if is_picture(entry))

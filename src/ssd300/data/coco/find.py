"""Find COCO annotation files: in a folder, its annotations/, or one folder per part; and where their pictures are."""

import os
from pathlib import Path

from ssd300.data.files import child, entries, folder_name, folders_in, folders_named, with_suffix
from ssd300.data.finder import LABEL_FOLDERS, accepted, data_folder, places_of_label_file
from ssd300.data.parts import Part, files_of_parts, parse_part
from ssd300.data.reading import contains
from ssd300.errors import DatasetError

_MAX_FILES = 200  # of a folder that are examined; more are usually one file per picture, which is not COCO


def find(path: Path) -> list[Part]:
    """The parts at a path: a .json file itself, or the annotation files of a folder."""
    for files in _layouts(path):
        found = accepted(files[:_MAX_FILES], is_coco, path)
        if found:
            return [Part("coco", name, file) for name, file in files_of_parts(found, path)]
    return []


def _layouts(path: Path) -> list[list[Path]]:
    """The JSON file itself, or those of each usual layout; the first layout with annotation files is used."""
    inner = child(path, *LABEL_FOLDERS)
    inside = with_suffix(inner, ".json")
    boxes = [file for file in inside if file.name.lower().startswith("instances_")]
    a_part_each = [
        file
        for place in (*folders_in(path), *folders_in(inner))
        for within in (place, *folders_named(place, *LABEL_FOLDERS))
        for file in entries(within)
        if file.suffix.lower() == ".json" and (file.stem.lower() == "_annotations.coco" or parse_part(place.name))
    ]
    return [with_suffix(path, ".json"), boxes, inside, a_part_each]


def is_coco(file: Path) -> bool:
    """Whether a JSON file contains the names of the three lists of COCO. Raises DatasetError if it cannot be read."""
    if os.path.isfile(file) and not os.access(file, os.R_OK):
        raise DatasetError(f"{file}: the annotation file cannot be read: Permission denied")
    return contains(file, *(f'"{key}"' for key in ("images", "annotations", "categories")))


def default_name(path: Path) -> str:
    """The name of a data set: its folder, and the file if its name is specific ("bccd/train", "coco_dev")."""
    folder = folder_name(path.parent)
    generic = path.stem in ("annotations", "_annotations.coco", "labels", "instances_default")
    return folder if generic else f"{folder}/{path.stem.removeprefix('instances_')}"


def picture_folders(annotation_file: Path, split: str) -> tuple[list[Path], list[Path]]:
    """The folders to search for pictures of X.json: X/, images/X/, those of its part, images/, data/ and its own; the
    same beside annotations/; and others, as `places_of_part`."""
    folder, stem = annotation_file.parent, annotation_file.stem
    stems = [stem]
    for prefix in ("instances_", "annotations_", "person_keypoints_"):
        stems += [stem[len(prefix) :]] if stem.lower().startswith(prefix) else []
    folders = []
    for base in dict.fromkeys([folder, data_folder(annotation_file)]):
        images = folders_named(base, "images", "data") or [base / "images"]
        folders += [place / name for place in (base, *images) for name in stems]
    of_part, others = places_of_label_file(annotation_file, split)
    return [*folders, *of_part], others

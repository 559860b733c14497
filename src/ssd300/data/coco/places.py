"""Where the pictures of a COCO file are, and what the set is called."""

from pathlib import Path

from ssd300.data.files import child, folder_name
from ssd300.data.finder import data_folder, places_of_part


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
    bases = list(dict.fromkeys([folder, data_folder(annotation_file)]))
    folders = []
    for base in bases:
        images = [found for name in ("images", "data") if (found := child(base, name))] or [base / "images"]
        folders += [place / name for place in (base, *images) for name in stems]
    of_part, others = places_of_part(bases, split)
    return [*folders, *of_part, *(base / "images" for base in bases)], others

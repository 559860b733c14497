"""The pictures of a part of a YOLO set, and the label files that belong to none."""

import re
from collections.abc import Iterator
from pathlib import Path

from ssd300.data.dataset import Note
from ssd300.data.files import AnyCase, PictureFinder, is_another, is_picture, lines_of, read_text, walk
from ssd300.data.yolo.describe import Description
from ssd300.data.yolo.labels import label_path
from ssd300.errors import DatasetError

NO_PICTURE = {"classes.txt", "labels.txt", "obj.names", "notes.txt", "readme.txt", "train.txt", "val.txt", "test.txt"}


def pictures_of_part(described: Description, split: str, notes: list[Note]) -> Iterator[tuple[Path, Path]]:
    """(picture, the folder or .txt that lists it) of every picture of a part."""
    path, any_case = described.file, AnyCase()
    for entry in described.entries[split]:
        tried = _candidates(described, entry.replace("\\", "/"))
        found = next(filter(None, map(any_case.path, tried)), None)
        if found is None:
            places = ", ".join(map(str, tried))
            raise DatasetError(f"{path}: `{split}: {entry}` was not found. Relative to this file were tried: {places}")
        if found.is_dir():
            yield from ((file, found) for file in walk(found, is_picture))
        else:
            yield from _pictures_of_list(found, path.parent, notes)


def _pictures_of_list(file: Path, folder: Path, notes: list[Note]) -> Iterator[tuple[Path, Path]]:
    finder, line_of = PictureFinder([file.parent, folder]), dict[Path, str]()
    for number, line in lines_of(read_text(file, "list of pictures", errors="surrogateescape")):
        picture = finder.find(line)
        if picture is None:
            words = f"the picture is missing; tried {', '.join(map(str, finder.list_candidates(line)))}"
        elif is_another(line, line_of.setdefault(picture, line), picture):
            words = f"the picture is missing; {picture} was found, but so it was for {line_of[picture]}"
        else:
            yield picture, file
            continue
        notes.append(Note("missing picture", "fault", f"{file}, line {number}", line, "", words))


def _candidates(described: Description, entry: str) -> list[Path]:
    """The paths to try for a part: below `path`, below the file's folder, and there without its leading folders.

    Roboflow writes "../train/images", CVAT "data/train.txt", and other machines have other folders.
    """
    folder = described.file.parent
    bases = [folder / described.base.replace("\\", "/")] if described.base else []
    places = [base / entry for base in [*bases, folder]]
    parts = Path(entry).parts
    elsewhere = Path(entry).is_absolute() or re.match("[A-Za-z]:/", entry)
    while parts and (parts[0] in ("..", "data", ".") or elsewhere):
        parts = parts[1:]
        places += [folder.joinpath(*parts)] if parts else []
    return list(dict.fromkeys(places))


def labels_without_pictures(pictures: dict[Path, Path]) -> Iterator[Note]:
    """A fault for every label file in a part's folders without a picture, because its boxes would be lost."""
    labels = {str(label_path(picture)).casefold() for picture in pictures}
    for folder in dict.fromkeys(pictures.values()):
        label_folder = label_path(folder / "any.jpg").parent
        if label_folder == folder or not folder.is_dir():
            continue  # other .txt files may be beside the pictures; a list need not contain all pictures of a folder
        for file in walk(label_folder, lambda path: path.suffix.lower() == ".txt"):
            if str(file).casefold() not in labels and file.name.lower() not in NO_PICTURE:
                words = f"no picture belongs to the label file; looked in {folder}"
                yield Note("label file without picture", "fault", str(file), file.stem, "", words)

"""The pictures of a part of a YOLO set, and the label files that belong to none."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

from ssd300.data.files import is_picture, same_name, walk
from ssd300.data.finder import AnyCase, PictureFinder, is_another
from ssd300.data.notes import Note, Notes
from ssd300.data.reading import read_list
from ssd300.data.yolo.describe import Description
from ssd300.data.yolo.labels import label_folder, usual_places
from ssd300.errors import DatasetError

_SHARING = {("trainval", "train"), ("trainval", "val")}  # a part, and another one whose pictures are its own
NO_PICTURE = {"classes.txt", "labels.txt", "obj.names", "notes.txt", "readme.txt", "train.txt", "val.txt", "test.txt"}


def pictures_of_part(described: Description, split: str, notes: Notes) -> Iterator[tuple[Path, Path]]:
    """(picture, the folder or .txt that lists it) of every picture of a part."""
    path, others = described.file, cache(lambda: _places_of_others(described, split))  # a part of lists needs none
    for entry in described.entries[split]:
        found = _place_of(described, entry)
        if found is None:
            places = ", ".join(map(str, _candidates(described, entry)))
            raise DatasetError(
                f"{path}: `{split}: {entry}` was not found. Relative to this file were tried: {places}. "
                "Correct it, or remove it if there is no such part"
            )
        if found.is_dir():
            files = _pictures_of_folder(described, split, found, _within(found, others()), notes)
            yield from ((file, found) for file in files)
        else:
            yield from _pictures_of_list(found, path.parent, notes)


@dataclass(frozen=True)
class _Place:
    """An absolute folder of another part, or its list of pictures; `pictures` are absolute paths."""

    path: Path
    pictures: frozenset[str] | None  # None: all of the folder

    def holds(self, file: str) -> bool:
        return file.startswith(f"{self.path}{os.sep}") if self.pictures is None else file in self.pictures


def _places_of_others(described: Description, split: str) -> list[_Place]:
    """The places of the other parts, each looked for once: a part may have hundreds of folders, a list many lines."""
    places: list[_Place] = []
    for part, entries in described.entries.items():
        for entry in entries if part != split and (split, part) not in _SHARING else ():
            found = _place_of(described, entry)
            if found and os.path.isfile(found):
                listed = _pictures_of_list(found, described.file.parent, Notes())
                places.append(_Place(found, frozenset(os.path.abspath(picture) for picture, _ in listed)))
            elif found:
                places.append(_Place(Path(os.path.abspath(found)), None))
    return places


def _within(folder: Path, others: list[_Place]) -> list[_Place]:
    """What others may have of a part's folder: `train: images` with `val: images/val`, or with `test: test.txt`."""
    around = os.path.abspath(folder) + os.sep
    return [place for place in others if place.pictures is not None or str(place.path).startswith(around)]


def _pictures_of_folder(
    described: Description, split: str, folder: Path, places: list[_Place], notes: Notes
) -> list[Path]:
    """The pictures of a folder without those of other parts, with a note on these, unless nothing would be left."""
    files, kept, others = walk(folder, is_picture), list[Path](), Counter[Path]()
    for file in files:
        place = next((place.path for place in places if place.holds(os.path.abspath(file))), None)
        if place is None:
            kept.append(file)
        else:
            others[place] += 1
    for path, count in others.items() if kept else ():
        words = f"{count} pictures of another part ({path}) are not used for {split}"
        notes.add("field not used", "noted", words, described.file)
    return kept or files


def _pictures_of_list(file: Path, folder: Path, notes: Notes) -> Iterator[tuple[Path, Path]]:
    finder, line_of = PictureFinder([file.parent, folder]), dict[Path, str]()
    for number, line in read_list(file):
        picture = finder.find(line)
        if picture is None:
            words = f"the picture is missing; {finder.describe_missing(line)}"
        elif is_another(line, line_of.setdefault(picture, line), picture):
            words = f"the picture is missing; {picture} was found, but so it was for {line_of[picture]}"
        else:
            yield picture, file
            continue
        notes.add("missing picture", "fault", words, f"{file}, line {number}", line)


def _place_of(described: Description, entry: str) -> Path | None:
    """The folder or list that an entry of a description names."""
    any_case = AnyCase()
    found = next(filter(None, map(any_case.path, _candidates(described, entry))), None)
    return found and any_case.as_spelled(found, described.file.parent)


def _candidates(described: Description, entry: str) -> list[Path]:
    """The paths to try for a part: below `path`, below the file's folder, and there without its leading folders.

    Roboflow writes "../train/images" and means the file's own folder; the one above may have another export's parts.
    CVAT writes "data/train.txt", and other machines have other folders.
    """
    folder, entry = described.file.parent, entry.replace("\\", "/")
    bases = [folder / described.base.replace("\\", "/")] if described.base else []
    parts = Path(entry).parts
    all_parts = (Path(one.replace("\\", "/")).parts for entries in described.entries.values() for one in entries)
    in_own = (folder.joinpath(*words[1:]).exists() for words in all_parts if _is_one_up(words))
    own = _is_one_up(parts) and not bases and any(in_own)
    places = [] if own else [base / entry for base in [*bases, folder]]
    elsewhere = re.match("/|[A-Za-z]:/", entry)  # on every system, so not `is_absolute`
    if folder.name in parts[:-1]:  # relative to a folder above: "datasets/pets/images"
        places += [folder.joinpath(*parts[parts.index(folder.name) + 1 :])]
    while parts and (parts[0] in ("..", "data", ".") or elsewhere):
        parts = parts[1:]
        places += [folder.joinpath(*parts)] if parts else []
    return list(dict.fromkeys(places))


def _is_one_up(parts: tuple[str, ...]) -> bool:
    """Whether a path goes on from the folder above, and no further up."""
    return parts[:1] == ("..",) != parts and ".." not in parts[1:]


def labels_without_pictures(described: Description, split: str, pictures: dict[Path, Path]) -> Iterator[Note]:
    """A fault for every label file in a part's folders without a picture, because its boxes would be lost."""
    found = (_place_of(described, entry) for entry in described.entries[split])
    folders = list(dict.fromkeys(place for place in found if place and place.is_dir()))
    others = _places_of_others(described, split) if folders else []
    listed = (Path(one) for place in others for one in place.pictures or ())
    known = {same_name(os.path.abspath(one)) for picture in chain(pictures, listed) for one in usual_places(picture)}
    for folder in folders:
        place = label_folder(folder)
        if place is None:
            continue  # other .txt files may be beside the pictures; a list need not contain all pictures of a folder
        inner = (label_folder(other.path) for other in _within(folder, others) if other.pictures is None)
        theirs = [os.path.abspath(one) for one in inner if one]
        for file in walk(place, lambda path: path.suffix.lower() == ".txt"):
            path = os.path.abspath(file)
            if same_name(path) in known or any(path.startswith(one + os.sep) for one in theirs):
                continue
            if file.name.lower() not in NO_PICTURE:
                words = f"no picture belongs to the label file; looked in {folder}"
                yield Note("label file without picture", "fault", str(file), file.stem, "", words)

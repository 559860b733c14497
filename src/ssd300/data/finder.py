"""Find the files of labels, and pictures by the names in them."""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePosixPath

from ssd300.data.files import entries, folders_in, folders_named, is_picture, local_name, same_name, with_suffix
from ssd300.data.parts import MEANINGS, WHOLE, Part, files_of_parts, parse_part, part_of_file
from ssd300.data.reading import refuse_damaged
from ssd300.images.folders import is_clutter

DEEPEST = 100  # leading folders that are dropped in search of a picture
LABEL_FOLDERS = ("annotations", "labels")
SHARED_FOLDERS = ("images", "data", "JPEGImages")  # of the pictures of all parts
_SHARED_NAMES = {name.casefold() for name in SHARED_FOLDERS}


def find_files(
    format: str, path: Path, accept: Callable[[Path], bool], *suffixes: str, most: int | None = None
) -> list[Part]:
    """The accepted files at a path, each as a part: itself, those of the folder, or else those in its sub-folders.

    Folders of labels in these, and folders in one of these, count, too. `most`: of the first files of each folder.
    """
    found = accepted(with_suffix(path, *suffixes, most=most), accept, path)
    if not found and path.is_dir():
        places = folders_in(path)
        labels = [inner for place in (path, *places) for inner in folders_named(place, *LABEL_FOLDERS)]
        places += [*labels, *(inner for place in labels if place in places for inner in folders_in(place))]
        files = [file for place in dict.fromkeys(places) for file in with_suffix(place, *suffixes, most=most)]
        found = accepted(files, accept, path)
    return [Part(format, name, file) for name, file in files_of_parts(found, path)]


def accepted(files: Sequence[Path], accept: Callable[[Path], bool], given: Path) -> list[Path]:
    """The accepted ones of the annotation files at the `given` path.

    Raises DatasetError if there are any, and the file of another part did not arrive whole: the part would be missing.
    """
    found = [file for file in files if accept(file)]
    parts = {part_of_file(file, given) for file in found}
    for file in files if found else ():
        if (part := part_of_file(file, given)) in MEANINGS.values() and part not in parts:
            refuse_damaged(file)
    return found


class AnyCase:
    """Finds files by any spelling of their names (`same_name`). Folders are listed once."""

    def __init__(self) -> None:
        self._listed: dict[Path, dict[str, Path]] = {}
        self._ignoring: dict[Path, bool] = {}

    def file(self, path: Path) -> Path | None:
        """The file itself, or one whose name is spelled in another way; None if there is none."""
        if os.path.isfile(path):
            return self.as_spelled(path, path.parent)
        found = self.path(path)
        return found if found and os.path.isfile(found) else None

    def path(self, path: Path) -> Path | None:
        """The file or folder itself, or the one whose name is spelled in another way; None if there is none."""
        with suppress(OSError, ValueError):  # longer than the disk allows; with a zero byte
            return path if path.exists() else self._entry(path)
        return None

    def _entry(self, path: Path) -> Path | None:
        if path.name in ("", ".."):
            return path
        folder = path.parent if os.path.isdir(path.parent) else self._entry(path.parent)
        if folder is None:
            return None
        return self._named(folder, path.name)

    def _named(self, folder: Path, name: str) -> Path | None:
        if folder not in self._listed:
            self._listed[folder] = {same_name(entry.name): entry for entry in reversed(entries(folder))}
        return self._listed[folder].get(same_name(name))

    def as_spelled(self, path: Path, folder: Path) -> Path:
        """A path that exists, below a folder, under its names on the disk.

        They may be others where the system ignores case; one file would be taken for two.
        """
        if not self._ignores_case(folder, path) or not path.is_relative_to(folder):
            return path
        for part in path.relative_to(folder).parts:
            path, other = folder / part, self._named(folder, part)
            folder = other if other and os.path.samefile(path, other) else path
        return folder

    def _ignores_case(self, folder: Path, path: Path) -> bool:
        """Whether what exists below a folder is found in the other letter case, too."""
        if folder not in self._ignoring and path.is_relative_to(folder):
            name = str(path.relative_to(folder))
            other = "".join(letter.swapcase() if letter.isascii() else letter for letter in name)
            if other != name:
                same = os.path.exists(folder / other) and os.path.samefile(path, folder / other)
                self._ignoring[folder] = same
        return self._ignoring.get(folder, False)


class PictureFinder:
    """Finds pictures by their names in labels, in a few folders, in their order.

    If the exact name does not exist, other spellings of it are tried, and then leading folders are dropped one by one,
    because paths from another machine end in the same way. Then one of the `others` counts if no second one has it, and
    the name says no other folder.
    """

    def __init__(self, folders: Sequence[Path], others: Sequence[Path] = ()) -> None:
        self._folders = list(dict.fromkeys(folders))
        self._existing = [folder for folder in self._folders if os.path.isdir(folder)]
        self._others = [folder for folder in dict.fromkeys(others) if folder not in self._existing]
        self._any_case = AnyCase()
        self._stems: dict[Path, dict[str, Path]] = {}

    def list_candidates(self, name: str) -> list[Path]:
        """The paths to try for a picture of this name, as far as a message needs them."""
        path = PurePosixPath(local_name(name))
        shown = [folder / path for folder in (*self._folders, *self._others)]
        return list(dict.fromkeys([*shown, *(folder / path.name for folder in self._folders if path.is_absolute())]))

    def describe_missing(self, name: str) -> str:
        """The places that were tried for a picture, and a file there that differs from it only in its extension."""
        words = f"tried {', '.join(map(str, self.list_candidates(name)))}"
        stem = os.path.splitext(local_name(name))[0].lstrip("/")
        other = self.find_stem(stem) if stem else None
        return f"{words}; there is {other}: write this name, if it is the picture" if other else words

    def find(self, name: str) -> Path | None:
        """The path of the picture, or None."""
        for spelled in dict.fromkeys((name, local_name(name), local_name(name.strip()))):
            for folder in self._existing:
                if os.path.isfile(folder / spelled):
                    return self._any_case.as_spelled(folder / spelled, folder)
        path = PurePosixPath(local_name(name.strip()))
        for start in range(len(path.parts) if len(path.parts) < DEEPEST else 0):
            end = PurePosixPath(*path.parts[start:])
            for folder in [] if end.is_absolute() or end.parts[0] == ".." else self._folders:
                found = self._any_case.file(folder / end)
                if found:
                    return self._any_case.as_spelled(found, folder)
        others = self._others_with(path, os.path.splitext(same_name(path.name))[0])
        return self._only(self._any_case.file(folder / path.name) for folder in others)

    def find_stem(self, stem: str) -> Path | None:
        """The picture with this stem and any extension, or None."""
        path = PurePosixPath(stem.replace("\\", "/"))
        found = (self._stem_in(folder / path.parent, path.name) for folder in self._existing)
        others = self._others_with(path, same_name(path.name))
        return next(filter(None, found), None) or self._only(self._stem_in(one, path.name) for one in others)

    def _others_with(self, path: PurePosixPath, stem: str) -> list[Path]:
        """The other folders that may have a picture: hundreds are listed once, not searched for each name."""
        if _names_folder(path):
            return []
        return self._others if is_clutter(path.name) else self._folders_of_stem.get(stem, [])

    @cached_property
    def _folders_of_stem(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for folder in self._others:
            for stem in {os.path.splitext(same_name(entry.name))[0] for entry in entries(folder)}:
                found.setdefault(stem, []).append(folder)
        return found

    def _stem_in(self, place: Path, stem: str) -> Path | None:
        if place not in self._stems:
            pictures = [entry for entry in reversed(entries(place)) if is_picture(entry)]
            exact = {entry.stem: entry for entry in pictures}  # before other spellings: "A.jpg" may lie beside "a.jpg"
            self._stems[place] = {same_name(entry.stem): entry for entry in pictures} | exact
        found = self._stems[place].get(stem) or self._stems[place].get(same_name(stem))
        return found if found and os.path.isfile(found) else None

    @staticmethod
    def _only(found: Iterable[Path | None]) -> Path | None:
        several = list(filter(None, found))
        return several[0] if len(several) == 1 else None


def _names_folder(path: PurePosixPath) -> bool:
    """Whether a name says which folder of the set the picture is in ("cam1/7.jpg"): not that of another machine."""
    parts = path.parts[:-1]
    elsewhere = not parts or path.is_absolute() or parts[0] == ".." or ":" in parts[0]
    return not elsewhere and parts[-1].casefold() not in _SHARED_NAMES


def places_of_part(bases: Sequence[Path], split: str) -> tuple[list[Path], list[Path]]:
    """The folders to search for the pictures of a part, best first; and others, where a name must be unique.

    Those that are named as the part, then the given ones, and those that parts share (images/, data/). The others:
    folders in these; without any of them the only other folder there is. Those of another part are left out, as they
    may hold other pictures of the same names.
    """
    shared = [found for base in bases for found in folders_named(base, *SHARED_FOLDERS)]
    meant = {parse_part(split, alone=True) or split}
    meant |= {"train", "val"} if "trainval" in meant else set()
    own: list[Path] = []
    others: list[Path] = []
    for place in dict.fromkeys([*bases, *shared]):
        for inner in folders_in(place):
            part = parse_part(inner.name)
            if inner.name.casefold() == split.casefold() or part in meant:
                own.append(inner)
            elif place in shared and (part is None or split == WHOLE):
                others.append(inner)
    own += [found for folder in own for found in folders_named(folder, *SHARED_FOLDERS)]
    if not own and not shared:
        rest = [inner for base in bases for inner in folders_in(base) if not parse_part(inner.name)]
        rest = [inner for inner in rest if inner not in bases and inner.name.lower() not in LABEL_FOLDERS]
        others = rest if len(rest) == 1 else []
    return [*own, *bases, *shared], others


def places_of_label_file(file: Path, split: str) -> tuple[list[Path], list[Path]]:
    """`places_of_part` for a file of labels that is beside the pictures, or in a folder of labels."""
    bases = list(dict.fromkeys([file.parent, data_folder(file)]))
    folders, others = places_of_part(bases, split)
    return [*folders, *(base / "images" for base in bases)], others


def data_folder(file: Path) -> Path:
    """The folder that should contain the pictures of a file of labels, at any depth."""
    folder = file.parent
    if parse_part(folder.name) and folder.parent.name.lower() in LABEL_FOLDERS:  # annotations/train/boxes.json
        return folder.parent.parent
    return folder.parent if folder.name.lower() in LABEL_FOLDERS else folder


def is_another(name: str, other: str, found: Path) -> bool:
    """Whether two names in labels, for which the same file was found, are of different pictures.

    They are if folders of one were dropped to find the file: "cam1/7.jpg" and "cam2/7.jpg", with all pictures in one
    folder.
    """
    given = [
        [part for part in PurePosixPath(local_name(one.strip())).parts if part not in ("/", "..")]
        for one in (name, other)
    ]
    found_parts = [same_name(part) for part in found.parts]
    whole = all(found_parts[-len(parts) :] == [same_name(part) for part in parts] for parts in given)
    return given[0] != given[1] and not whole

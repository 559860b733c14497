"""Files of a data set: reading them within limits, walking folders, and finding pictures by the names in labels."""

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from ssd300.errors import DatasetError, ImageError
from ssd300.images.decode import size_hw
from ssd300.images.extensions import has_picture_extension
from ssd300.limits import LABEL_BYTES

DEEPEST = 100  # folders in a path that is looked for by its end
CLUTTER = {"__macosx", "@eadir", "thumbs.db", "desktop.ini", "$recycle.bin"}  # beside everything that starts with "."


def is_picture(path: Path) -> bool:
    """Whether the name says that it is a picture, and not what a system left beside one ("._cat.jpg")."""
    return has_picture_extension(path.name) and not is_leftover(path.name)


def is_leftover(name: str) -> bool:
    """Whether a file or folder of this name is left by a system or an editor, not by the user."""
    return name.startswith(".") or name.casefold() in CLUTTER


def walk(folder: Path, accept: Callable[[Path], bool]) -> list[Path]:
    """All accepted files in a folder and its sub-folders, sorted; clutter is passed over, links are followed once."""
    found: list[Path] = []
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = [] if real in seen else [name for name in folders if not is_leftover(name)]
        if real in seen:
            continue
        seen.add(real)
        paths = (Path(place, name) for name in names if not is_leftover(name))
        found += [path for path in paths if accept(path) and is_file(path)]
    return sorted(found)


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, sorted, without clutter; nothing where it cannot be looked into."""
    with suppress(OSError):
        return sorted(entry for entry in folder.iterdir() if not is_leftover(entry.name))
    return []


def folders_in(folder: Path) -> list[Path]:
    """The sub-folders of a folder, sorted, without clutter."""
    return [entry for entry in entries(folder) if entry.is_dir()]


def child(folder: Path, *names: str) -> Path | None:
    """The first of the named entries of a folder that is there, in any letter case."""
    listed = {entry.name.casefold(): entry for entry in reversed(entries(folder))}
    for name in names:
        if (folder / name).exists():
            return folder / name
        if name.casefold() in listed:
            return listed[name.casefold()]
    return None


def with_suffix(folder: Path, *suffixes: str) -> list[Path]:
    """The files of a folder that end in one of these (in any letter case), sorted, without clutter."""
    return [entry for entry in entries(folder) if entry.suffix.lower() in suffixes and is_file(entry)]


def is_file(path: Path) -> bool:
    """Whether a regular file is there; False, too, for a name that no disk can hold."""
    with suppress(OSError, ValueError):  # longer than the disk allows; with a zero byte
        return path.is_file()
    return False


def folder_name(folder: Path) -> str:
    """What a data set in this folder is called: the folder, and the one above where it says little by itself."""
    folder = folder.resolve()
    if folder.name.lower() == "annotations":
        return folder_name(folder.parent)
    says_little = folder.name.lower() in ("split", "train", "val", "valid", "test")
    return f"{folder.parent.name}/{folder.name}" if says_little else folder.name


def local_name(name: str) -> str:
    """A picture's name as paths are written here: "\\\\" becomes "/"; addresses of annotation tools lose their host.

    >>> local_name("a\\\\b.jpg"), local_name("/data/local-files/?d=pets/b%20c.jpg")
    ('a/b.jpg', 'pets/b c.jpg')
    """
    name = name.replace("\\", "/")
    served = re.match(r"(?:[a-z0-9]+:/)?/.*\?d=(.+)$", name, re.IGNORECASE)
    if served:
        return unquote(served[1])
    address = re.match(r"(?:https?://[^/]*|file://|gs:/|s3:/)(/.+)$", name, re.IGNORECASE)
    return unquote(address[1]) if address else name


class AnyCase:
    """Finds files whose letter case differs from what was written. Folders are listed once."""

    def __init__(self) -> None:
        self._listed: dict[Path, dict[str, Path]] = {}

    def file(self, path: Path) -> Path | None:
        """The file itself, or the one that differs from it in letter case only; None where there is none."""
        if is_file(path):
            return path
        found = self.path(path)
        return found if found and is_file(found) else None

    def path(self, path: Path) -> Path | None:
        """The file or folder itself, or the one that differs from it in letter case only; None where there is none."""
        with suppress(OSError, ValueError):  # longer than the disk allows; with a zero byte
            return path if path.exists() else self._entry(path)
        return None

    def _entry(self, path: Path) -> Path | None:
        if path.name in ("", ".."):
            return path
        folder = path.parent if os.path.isdir(path.parent) else self._entry(path.parent)
        if folder is None:
            return None
        if folder not in self._listed:
            self._listed[folder] = {entry.name.casefold(): entry for entry in reversed(entries(folder))}
        return self._listed[folder].get(path.name.casefold())


class PictureFinder:
    """Finds pictures by the names that labels use, in a few folders, the last successful one first.

    Where the name as it is leads nowhere, letter case is put aside, and then leading folders one by one: paths of
    another machine end alike.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = list(dict.fromkeys(folders))
        self._any_case = AnyCase()
        self._stems: dict[Path, dict[str, Path]] = {}

    def tried(self, name: str) -> list[Path]:
        """Every path at which a picture of this name is looked for, as far as a message needs it."""
        path = PurePosixPath(local_name(name))
        shown = [folder / path for folder in self._folders]
        return list(dict.fromkeys([*shown, *(folder / path.name for folder in self._folders if path.is_absolute())]))

    def find(self, name: str) -> Path | None:
        """The path of the picture, or None."""
        for path in dict.fromkeys((PurePosixPath(local_name(name)), PurePosixPath(local_name(name.strip())))):
            for folder in self._folders:
                if is_file(folder / path):
                    return self._used(folder, folder / path)
        for start in range(len(path.parts) if len(path.parts) < DEEPEST else 0):
            end = PurePosixPath(*path.parts[start:])
            for folder in [] if end.is_absolute() or end.parts[0] == ".." else self._folders:
                found = self._any_case.file(folder / end)
                if found:
                    return self._used(folder, found)
        return None

    def find_stem(self, stem: str) -> Path | None:
        """The picture of this name whatever its extension, or None."""
        path = PurePosixPath(stem.replace("\\", "/"))
        for folder in self._folders:
            place = folder / path.parent
            if place not in self._stems:
                pictures = [entry for entry in reversed(entries(place)) if is_picture(entry)]
                self._stems[place] = {entry.stem.casefold(): entry for entry in pictures}
            found = self._stems[place].get(path.name.casefold())
            if found and is_file(found):
                return self._used(folder, found)
        return None

    def _used(self, folder: Path, found: Path) -> Path:
        if folder != self._folders[0]:
            self._folders.remove(folder)
            self._folders.insert(0, folder)
        return found


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) after EXIF orientation, from the header alone. Raises ImageError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror}") from error
    height, width = size_hw(data, name=str(path))
    return width, height


def read_file(path: Path, what: str, limit: int = LABEL_BYTES) -> bytes:
    """The bytes of a regular file. Raises DatasetError naming it: missing, a device or pipe, or beyond the limit."""
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            kind = "a folder" if stat.S_ISDIR(state.st_mode) else "a device or pipe"
            raise DatasetError(f"{path}: the {what} is {kind}, not a file")
        if state.st_size > limit:
            raise DatasetError(f"{path}: the {what} has {state.st_size:,} bytes; at most {limit:,} are read")
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: the {what} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a zero byte in the name
        raise DatasetError(f"{str(path)!r}: the {what} cannot be read: {error}") from error


def read_text(path: Path, what: str, limit: int = LABEL_BYTES) -> str:
    """The text of a UTF-8 file. Raises DatasetError naming it."""
    try:
        return read_file(path, what, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: the {what} is not UTF-8 text (byte {error.start})") from error


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """(number from 1, line without outer spaces) of every line that is not empty; only line ends divide lines."""
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if line.strip():
            yield number, line.strip()

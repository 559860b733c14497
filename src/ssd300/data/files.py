"""Read the files of a data set within limits, walk folders, and find pictures by the names in labels."""

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from ssd300.errors import DatasetError
from ssd300.images.decode import size_hw
from ssd300.images.extensions import has_picture_extension
from ssd300.images.source import read_bytes
from ssd300.limits import FOLDER_FILES, LABEL_BYTES

DEEPEST = 100  # leading folders that are dropped in search of a picture
_SYSTEM = re.compile(r"/(proc|sys|dev(?!/shm(/|$)))(/|$)")  # devices and processes look like endless files
# Files and folders of systems, beside those that start with a dot.
CLUTTER = {"__macosx", "@eadir", "thumbs.db", "desktop.ini", "$recycle.bin", "lost+found"}


def is_picture(path: Path) -> bool:
    """Whether the name is that of a picture, and not of a file that a system adds ("._cat.jpg")."""
    return has_picture_extension(path.name) and not is_leftover(path.name)


def is_leftover(name: str) -> bool:
    """Whether a file or folder of this name comes from a system or an editor, not from the user."""
    return name.startswith(".") or name.casefold() in CLUTTER


def walk(folder: Path, accept: Callable[[Path], bool]) -> list[Path]:
    """All accepted files in a folder and its sub-folders, sorted; clutter is skipped, links are followed once.

    Raises DatasetError for a folder that cannot be read, the root of a disk, the system's folders (/proc, ...) and more
    than FOLDER_FILES files.
    """
    found: list[Path] = []
    seen: set[str] = set()
    passed, top = 0, os.path.realpath(folder)
    if _SYSTEM.match(top) or top == os.path.dirname(top):
        raise DatasetError(f"{folder}: a folder of the system, not of a data set; give the folder of the pictures")

    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise DatasetError(f"{error.filename}: the folder cannot be read: {error.strerror}") from error

    for place, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        real = os.path.realpath(place)
        passed += len(names)
        if passed > FOLDER_FILES:
            raise DatasetError(f"{folder}: holds more than {FOLDER_FILES:,} files; give the folder of the pictures")
        folders[:] = [] if real in seen or _SYSTEM.match(real) else [name for name in folders if not is_leftover(name)]
        if real in seen or _SYSTEM.match(real):
            continue
        seen.add(real)
        paths = (Path(place, name) for name in names if not is_leftover(name))
        found += [path for path in paths if accept(path) and os.path.isfile(path)]
    return sorted(found)


def entries(folder: Path) -> list[Path]:
    """The entries of a folder, sorted, without clutter; empty if it cannot be read."""
    with suppress(OSError):
        return sorted(entry for entry in folder.iterdir() if not is_leftover(entry.name))
    return []


def folders_in(folder: Path) -> list[Path]:
    """The sub-folders of a folder, sorted, without clutter."""
    return [entry for entry in entries(folder) if entry.is_dir()]


def child(folder: Path, *names: str) -> Path | None:
    """The first of the named entries that a folder has, in any letter case."""
    listed = {entry.name.casefold(): entry for entry in reversed(entries(folder))}
    for name in names:
        if (folder / name).exists():
            return folder / name
        if name.casefold() in listed:
            return listed[name.casefold()]
    return None


def with_suffix(folder: Path, *suffixes: str) -> list[Path]:
    """The files of a folder with one of these extensions (in any letter case), sorted, without clutter."""
    return [entry for entry in entries(folder) if entry.suffix.lower() in suffixes and os.path.isfile(entry)]


def folder_name(folder: Path) -> str:
    """The name of a data set in this folder: the folder's, with the one above if it is generic."""
    folder = folder.resolve()
    if folder.name.lower() == "annotations":
        return folder_name(folder.parent)
    says_little = folder.name.lower() in ("split", "train", "val", "valid", "test")
    return f"{folder.parent.name}/{folder.name}" if says_little else folder.name


def local_name(name: str) -> str:
    """A picture's name as a path: "\\\\" becomes "/"; URLs of annotation tools lose their host.

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
    """Finds files regardless of letter case. Folders are listed once."""

    def __init__(self) -> None:
        self._listed: dict[Path, dict[str, Path]] = {}

    def file(self, path: Path) -> Path | None:
        """The file itself, or one that differs only in letter case; None if there is none."""
        if os.path.isfile(path):
            return path
        found = self.path(path)
        return found if found and os.path.isfile(found) else None

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
    """Finds pictures by their names in labels, in a few folders, the last successful one first.

    If the exact name does not exist, letter case is ignored, and then leading folders are dropped one by one, because
    paths from another machine end in the same way.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = list(dict.fromkeys(folders))
        self._any_case = AnyCase()
        self._stems: dict[Path, dict[str, Path]] = {}

    def list_candidates(self, name: str) -> list[Path]:
        """The paths to try for a picture of this name, as far as a message needs them."""
        path = PurePosixPath(local_name(name))
        shown = [folder / path for folder in self._folders]
        return list(dict.fromkeys([*shown, *(folder / path.name for folder in self._folders if path.is_absolute())]))

    def find(self, name: str) -> Path | None:
        """The path of the picture, or None."""
        for path in dict.fromkeys((PurePosixPath(local_name(name)), PurePosixPath(local_name(name.strip())))):
            for folder in self._folders:
                if os.path.isfile(folder / path):
                    return self._move_to_front(folder, folder / path)
        for start in range(len(path.parts) if len(path.parts) < DEEPEST else 0):
            end = PurePosixPath(*path.parts[start:])
            for folder in [] if end.is_absolute() or end.parts[0] == ".." else self._folders:
                found = self._any_case.file(folder / end)
                if found:
                    return self._move_to_front(folder, found)
        return None

    def find_stem(self, stem: str) -> Path | None:
        """The picture with this stem and any extension, or None."""
        path = PurePosixPath(stem.replace("\\", "/"))
        for folder in self._folders:
            place = folder / path.parent
            if place not in self._stems:
                pictures = [entry for entry in reversed(entries(place)) if is_picture(entry)]
                self._stems[place] = {entry.stem.casefold(): entry for entry in pictures}
            found = self._stems[place].get(path.name.casefold())
            if found and os.path.isfile(found):
                return self._move_to_front(folder, found)
        return None

    def _move_to_front(self, folder: Path, found: Path) -> Path:
        if folder != self._folders[0]:
            self._folders.remove(folder)
            self._folders.insert(0, folder)
        return found


def is_another(name: str, other: str, found: Path) -> bool:
    """Whether two names in labels, for which the same file was found, are of different pictures.

    They are if folders of one were dropped to find the file: "cam1/7.jpg" and "cam2/7.jpg", with all pictures in one
    folder.
    """
    given = [
        [part for part in PurePosixPath(local_name(one.strip())).parts if part not in ("/", "..")]
        for one in (name, other)
    ]
    found_parts = [part.casefold() for part in found.parts]
    whole = all(found_parts[-len(parts) :] == [part.casefold() for part in parts] for parts in given)
    return given[0] != given[1] and not whole


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) after EXIF orientation, from the header alone. Raises ImageError."""
    height, width = size_hw(read_bytes(path, str(path)), name=str(path))
    return width, height


def read_file(path: Path, what: str, limit: int = LABEL_BYTES) -> bytes:
    """The bytes of a regular file. Raises DatasetError if it is missing, a device or pipe, or exceeds the limit."""
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


def read_text(path: Path, what: str, limit: int = LABEL_BYTES, errors: str = "strict") -> str:
    """The text of a UTF-8 file; `errors` as in `bytes.decode`. Raises DatasetError."""
    try:
        return read_file(path, what, limit).decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: the {what} is not UTF-8 text (byte {error.start})") from error


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """(number from 1, stripped line) of every line that is not empty; only line ends separate lines."""
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if line.strip():
            yield number, line.strip()

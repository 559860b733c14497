"""Folders of a data set: walk them, list them, and find entries by their names."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ssd300.data.notes import Fault
from ssd300.data.values import number, whole
from ssd300.errors import DatasetError, ImageError
from ssd300.images.decode import header
from ssd300.images.folders import is_clutter, is_folder, is_picture_name, is_run, name_on_disk
from ssd300.images.source import read_bytes
from ssd300.limits import FOLDER_FILES

_SYSTEM = re.compile(r"/(proc|sys|dev(?!/shm(/|$)))(/|$)")  # devices and processes look like endless files


def is_picture(path: Path) -> bool:
    """Whether the name is that of a picture, and not of a file that a system adds ("._cat.jpg")."""
    return is_picture_name(path.name)


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
        if real in seen or _SYSTEM.match(real) or is_run(place[len(os.fspath(folder)) :]):
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not is_clutter(name)]
        paths = (Path(place, name) for name in names if not is_clutter(name))
        found += [path for path in paths if accept(path) and os.path.isfile(path)]
    return sorted(found, key=lambda path: path.parts)  # as Linux does: the order of paths on Windows ignores case


def entries(folder: Path | None) -> list[Path]:
    """The entries of a folder, sorted, without clutter; empty if there is none, or it cannot be read."""
    return [Path(entry.path) for entry in _listed(folder)]


def _listed(folder: Path | None) -> list[os.DirEntry[str]]:
    """The same before they are paths, which take most of the time to make: a folder may have 100,000 pictures."""
    if folder is None:
        return []
    with suppress(OSError, ValueError), os.scandir(folder) as found:  # ValueError: a zero byte in its name
        return sorted((entry for entry in found if not is_clutter(entry.name)), key=lambda entry: entry.name)
    return []


def folders_in(folder: Path | None) -> list[Path]:
    """The sub-folders of a folder, sorted, without clutter."""
    return [Path(entry.path) for entry in _listed(folder) if is_folder(entry)]


def same_name(name: str) -> str:
    """A key that is equal for spellings of one file name: letter case, composed or not (macOS), URL-escaped or not.

    >>> same_name("My%20Cat.JPG"), same_name("cre\u0300me") == same_name("cr\u00e8me")
    ('my cat.jpg', True)
    """
    return name_on_disk(unquote(name))


def local_name(name: str) -> str:
    """A picture's name as a path: "\\\\" becomes "/"; URLs of annotation tools lose their host.

    >>> local_name("a\\\\b.jpg"), local_name("/data/local-files/?d=pets/b%20c.jpg")
    ('a/b.jpg', 'pets/b c.jpg')
    """
    name = name.replace("\\", "/")
    served = re.match(r"(?:[a-z0-9]+:/)?/.*\?d=(.+)$", name, re.IGNORECASE)
    if served:
        return unquote(served[1])
    name = re.sub(r"^(https?://[^?#]*).*", r"\1", name, flags=re.IGNORECASE)  # without the signature of cloud storage
    address = re.match(r"(?:https?://[^/]*|file://|gs:/|s3:/)(/.+)$", name, re.IGNORECASE)
    return unquote(address[1]) if address else name


def child(folder: Path, *names: str) -> Path | None:
    """The first of the named entries that a folder has, in any letter case."""
    return next(children(folder, *names), None)


def children(folder: Path, *names: str) -> Iterator[Path]:
    """Those of the named entries that a folder has, in any letter case, in the order of the names."""
    found = _listed(folder)[::-1]
    exact, listed = {entry.name for entry in found}, {entry.name.casefold(): entry for entry in found}
    for name in names:
        if name not in exact and name.casefold() in listed:  # also where the system would find it under this name
            yield Path(listed[name.casefold()].path)
        elif (folder / name).exists():
            yield folder / name


def folders_named(folder: Path, *names: str) -> list[Path]:
    """The sub-folders of a folder with these names, in any letter case, in the order of the names."""
    return [entry for entry in children(folder, *names) if entry.is_dir()]


def with_suffix(path: Path | None, *suffixes: str, most: int | None = None) -> list[Path]:
    """The file itself, or those of a folder, if they have one of these extensions in any letter case; as `entries`.

    `most`: of the first files.
    """
    listed = [str(path)] if path and os.path.isfile(path) else [entry.path for entry in _listed(path)]
    found = (one for one in listed if os.path.splitext(one)[1].lower() in suffixes and os.path.isfile(one))
    return [Path(one) for one in islice(found, most)]


def folder_name(folder: Path) -> str:
    """The name of a data set in this folder: the folder's, with the one above if it is generic."""
    folder = folder.resolve()
    if folder.name.lower() == "annotations":
        return folder_name(folder.parent)
    is_generic = folder.name.lower() in ("split", "train", "val", "valid", "test")
    return f"{folder.parent.name}/{folder.name}" if is_generic else folder.name


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) after EXIF orientation, from the header alone. Raises Fault."""
    try:
        height, width = header(read_bytes(path, str(path)), name=str(path)).size_hw
    except ImageError as error:
        raise Fault("corrupt picture", str(error)) from error
    return width, height


def stated_size(width: Any, height: Any, picture: Path | None, *, what: str = "") -> tuple[int, int] | None:
    """(width, height) as in a file; if missing or 0, the picture's, if any. Raises Fault, which `what` begins."""
    if any(value in (None, "") or number(value) == 0 for value in (width, height)):
        return picture_size(picture) if picture else None
    w, h = whole(width), whole(height)
    if w is None or h is None or min(w, h) < 1:
        given = f"{what}width {width!r:.60} and height {height!r:.60}"
        raise Fault("wrong picture size", f"{given}; expected positive whole numbers, or neither")
    return w, h

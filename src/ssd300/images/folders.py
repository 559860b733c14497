"""Which files are pictures by their names, and the pictures of a directory or a glob.

Extensions decide which files of a folder are pictures; the format of a file is decided by its content. Directories and
globs skip the same files, and terminate on loops of links.
"""

import glob
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath

from ssd300.digits import counted
from ssd300.errors import ImageError
from ssd300.images.addresses import local_path

EXTENSIONS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".pjpeg", ".pjp", ".mpo",
    ".png", ".apng", ".webp", ".avif", ".avifs", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".btf", ".tf8",
)  # fmt: skip
# Files and folders of systems and programs, in lower case, beside those that start with a dot.
_CLUTTER = {"__macosx", "@eadir", "__pycache__", "thumbs.db", "desktop.ini", "$recycle.bin", "lost+found", "data-view"}
# The folders that detect and train fill with drawn pictures, unless another one is given: detect's may have a --name.
_RUN = re.compile(r"(^|[\\/])runs[\\/](detect[\\/][^\\/]+|train[\\/][0-9]+)([\\/]|$)")

# Files that are common beside pictures and are skipped without a message.
_COMPANIONS = (
    ".txt", ".json", ".jsonl", ".xml", ".csv", ".yaml", ".yml", ".md", ".html", ".ini", ".db", ".log", ".xmp", ".aae",
)  # fmt: skip
# With any extension, Windows takes these names for devices.
_DEVICE = re.compile(r"(con|conin\$|conout\$|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])\s*(\.|$)", re.IGNORECASE)


def portable_name(name: str) -> str:
    """The name of a file or folder as every system can hold it; the caller has replaced its characters.

    >>> portable_name("cat."), portable_name("aux.jpg"), portable_name("console.jpg")
    ('cat', '_aux.jpg', 'console.jpg')
    """
    name = name.rstrip(" .")  # Windows drops them
    return f"_{name}" if _DEVICE.match(name) else name


def name_on_disk(name: str) -> str:
    """A key that is equal for names of one file where the system ignores case, or whether accents are composed.

    >>> name_on_disk("Cat") == name_on_disk("cat"), name_on_disk("cre\u0300me") == name_on_disk("cr\u00e8me")
    (True, True)
    """
    return unicodedata.normalize("NFC", name.casefold())


def has_picture_extension(path: str | PurePath) -> bool:
    """Whether the name has a picture's extension, in any letter case.

    >>> has_picture_extension("cat.JPG"), has_picture_extension("cat.txt")
    (True, False)
    """
    return str(path).lower().endswith(EXTENSIONS)


def is_picture_name(name: str) -> bool:
    """Whether a file's name is that of a supported picture; hidden files are not.

    >>> is_picture_name("IMG_1.JPG"), is_picture_name("._IMG_1.JPG"), is_picture_name("IMG_1.HEIC")
    (True, False, False)
    """
    return has_picture_extension(name) and not name.startswith(".")


def is_clutter(name: str) -> bool:
    """Whether a system or a program makes a file or folder of this name for its own use, such as `@eaDir`."""
    return name.startswith(".") or name.casefold() in _CLUTTER


def is_run(below: str) -> bool:
    """Whether a folder, by its path below the one that is searched, is that of a run of `detect` or `train`, or in one.

    >>> is_run("photos/runs/detect/cam"), is_run("runs/train/1/a"), is_run("runs/detect"), is_run("detect/1")
    (True, True, False, False)
    """
    return _RUN.search(below) is not None


def skipped_text(names: Iterable[str]) -> str:
    """A message with the number of files that are not supported pictures, by extension; empty if there are none.

    >>> skipped_text(["a.heic", "b.HEIC", "c.NEF", "d.jpg", "notes.txt"])
    '3 files skipped: 2 .HEIC, 1 .NEF'
    """
    others = [n for n in names if not (is_picture_name(n) or n.startswith(".") or n.lower().endswith(_COMPANIONS))]
    if not others:
        return ""
    kinds = Counter(os.path.splitext(name)[1].upper() or "without an extension" for name in others)
    listed = [f"{count} {kind}" for kind, count in sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0]))]
    more = [f"{len(listed) - 9} other extensions"] if len(listed) > 10 else []
    shown = listed[: 9 if more else 10] + more
    return f"{counted(len(others), 'file')} skipped: {', '.join(shown)}"


@dataclass(frozen=True)
class FoundPictures:
    """The result for a directory or glob: sorted `paths` of pictures; `skipped` is a message about other files."""

    paths: tuple[str, ...] = ()
    skipped: str = ""


def folder_of(source: str) -> str | None:
    """The path of a folder, which a file: address may name; None for any other source."""
    with suppress(ImageError):  # of another machine: reported when it is opened
        path = local_path(source)
        return path if os.path.isdir(path) else None
    return None


def pictures_of(path: str) -> FoundPictures:
    """The pictures of a directory or a glob; empty for anything else, and for an unreadable directory.

    A directory gives its own files, not those of its sub-folders. A glob with an extension ("*.jpg") gives all its
    matches, any other glob only the pictures among them.
    """
    if os.path.isdir(path):
        return sort_out([os.path.join(path, name) for name in _files_in(path)])
    if glob.has_magic(path) and not os.path.lexists(path):
        closed: list[str] = []
        matches = [found for found in _matches(path, closed) if not os.path.isdir(found)]
        found = sort_out(matches, path)
        if closed:
            words = f"{counted(len(closed), 'folder')} skipped, which may not be read: {', '.join(closed[:3])}"
            return FoundPictures(found.paths, "; ".join(filter(None, (found.skipped, words))))
        return found
    return FoundPictures()


def sort_out(paths: list[str], pattern: str = "") -> FoundPictures:
    """The pictures among the files of a directory, or among the matches of the glob `pattern`: see `pictures_of`."""
    ending = os.path.splitext(os.path.basename(pattern))[1]
    if ending and not glob.has_magic(ending):
        return FoundPictures(tuple(paths))
    names = [os.path.basename(path) for path in paths]
    pictures = sorted(path for path, name in zip(paths, names, strict=True) if is_picture_name(name))
    return FoundPictures(tuple(pictures), skipped_text(names))


def _files_in(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if not is_folder(entry)]
    except OSError:
        return []


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: treated as an entry that cannot be read
        return False


def _matches(pattern: str, closed: list[str]) -> list[str]:
    """The matches of a glob, sorted, each once. Folders below "**" that this user may not read go to `closed`."""
    parts = (pattern.replace(os.altsep, os.sep) if os.altsep else pattern).split(os.sep)
    if "**" not in parts:
        return sorted(glob.iglob(pattern))
    at = parts.index("**")
    rest = [part for i, part in enumerate(parts[at + 1 :], at + 1) if not part == parts[i - 1] == "**"]
    top = os.sep.join([*parts[:at], ""])  # ends with the separator: "D:" alone is the current folder of that drive
    tops = glob.glob(top) if glob.has_magic(top) else [top]
    found: set[str] = set()
    for folder in (below for one in tops for below in _folders_below(one, closed)):
        found.update(_matches(os.path.join(glob.escape(folder), *(rest or "*")), closed))
    return sorted(found)


def _folders_below(top: str, closed: list[str]) -> list[str]:
    """This folder and all below it, each once even if several links point to it; under its own name if possible.

    The standard library's "**" follows every link: with two that point upwards it never ends.
    """
    seen: set[tuple[int, int]] = set()
    found: list[str] = []
    own, linked = [top], list[str]()
    while own or linked:
        folder = own.pop() if own else linked.pop()
        try:
            status = os.stat(folder or ".")
            with os.scandir(folder or ".") as entries:
                below = [entry for entry in entries if not is_clutter(entry.name) and is_folder(entry)]
        except PermissionError:
            closed.append(folder)
            continue
        except OSError:
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        found.append(folder)
        for entry in sorted(below, key=lambda entry: entry.name, reverse=True):
            path = os.path.join(folder, entry.name)
            if not is_run(path[len(top) :]):
                (linked if entry.is_symlink() else own).append(path)
    return found

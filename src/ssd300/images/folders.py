"""The pictures of a directory or a glob. Both skip the same files, and both terminate on loops of links."""

import glob
import os
from dataclasses import dataclass

from ssd300.digits import counted
from ssd300.images.extensions import is_clutter, is_picture_name, skipped_text


@dataclass(frozen=True)
class FoundPictures:
    """The result for a directory or glob: sorted `paths` of pictures; `skipped` is a message about other files."""

    paths: tuple[str, ...] = ()
    skipped: str = ""


def pictures_of(path: str) -> FoundPictures:
    """The pictures of a directory or a glob; empty for anything else, and for an unreadable directory.

    A directory gives its own files, not those of its sub-folders. A glob with an extension ("*.jpg") gives all its
    matches, any other glob only the pictures among them.
    """
    if os.path.isdir(path):
        return _sort_out([os.path.join(path, name) for name in _files_in(path)])
    if glob.has_magic(path) and not os.path.lexists(path):
        closed: list[str] = []
        matches = [found for found in _matches(path, closed) if not os.path.isdir(found)]
        ending = os.path.splitext(os.path.basename(path))[1]
        found = FoundPictures(tuple(matches)) if ending and not glob.has_magic(ending) else _sort_out(matches)
        if closed:
            words = f"{counted(len(closed), 'folder')} skipped, which may not be read: {', '.join(closed[:3])}"
            return FoundPictures(found.paths, "; ".join(filter(None, (found.skipped, words))))
        return found
    return FoundPictures()


def _sort_out(paths: list[str]) -> FoundPictures:
    names = [os.path.basename(path) for path in paths]
    pictures = sorted(path for path, name in zip(paths, names, strict=True) if is_picture_name(name))
    return FoundPictures(tuple(pictures), skipped_text(names))


def _files_in(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if not _is_folder(entry)]
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: treated as an entry that cannot be read
        return False


def _matches(pattern: str, closed: list[str]) -> list[str]:
    """The matches of a glob, sorted, each path once; "**" matches any number of folders.

    Folders below "**" that this user may not read are added to `closed`.
    """
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
                below = [entry for entry in entries if not is_clutter(entry.name) and _is_folder(entry)]
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
            (linked if entry.is_symlink() else own).append(os.path.join(folder, entry.name))
    return found

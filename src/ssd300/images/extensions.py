"""The file extensions of pictures, for folders of pictures and for data sets.

They decide which files of a folder are pictures; the format of a file is decided by its content. Also the rule of
names that every system can hold.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePath

from ssd300.digits import counted

EXTENSIONS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".pjpeg", ".pjp", ".mpo",
    ".png", ".apng", ".webp", ".avif", ".avifs", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".btf", ".tf8",
)  # fmt: skip
# Files and folders of systems and programs, in lower case, beside those that start with a dot.
_CLUTTER = {"__macosx", "@eadir", "__pycache__", "thumbs.db", "desktop.ini", "$recycle.bin", "lost+found"}

# Files that are common beside pictures and are skipped without a message.
_COMPANIONS = (
    ".txt", ".json", ".jsonl", ".xml", ".csv", ".yaml", ".yml", ".md", ".html", ".ini", ".db", ".log", ".xmp", ".aae",
)  # fmt: skip
# With any extension, Windows takes these names for devices.
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])\s*(\.|$)", re.IGNORECASE)


def portable_name(name: str) -> str:
    """The name of a file or folder as every system can hold it; the caller has replaced its characters.

    >>> portable_name("cat."), portable_name("aux.jpg"), portable_name("console.jpg")
    ('cat', '_aux.jpg', 'console.jpg')
    """
    name = name.rstrip(" .")  # Windows drops them
    return f"_{name}" if _DEVICE.match(name) else name


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

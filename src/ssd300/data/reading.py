"""Read the files of a data set within limits, as bytes or as text."""

import codecs
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from ssd300.errors import DatasetError
from ssd300.limits import LABEL_BYTES

LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def read_file(path: Path, what: str, limit: int = LABEL_BYTES) -> bytes:
    """The bytes of a regular file. Raises DatasetError if it is missing, a device or pipe, or exceeds the limit."""
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            kind = "a folder" if stat.S_ISDIR(state.st_mode) else "a device or pipe"
            raise DatasetError(f"{path}: the {what} is {kind}, not a file")
        if state.st_size > limit:
            raise DatasetError(f"{path}: the {what} has {state.st_size:,} bytes; at most {limit:,} are read")
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: the {what} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a zero byte in the name
        raise DatasetError(f"{str(path)!r}: the {what} cannot be read: {error}") from error
    if data.startswith(LFS_POINTER):
        raise DatasetError(f"{path}: the {what} is a pointer of Git LFS, not the file itself; run `git lfs pull`")
    return data


def read_text(path: Path, what: str, limit: int = LABEL_BYTES, errors: str = "strict") -> str:
    """The text of a UTF-8 file, or a UTF-16 one with a byte order mark; `errors` as in `bytes.decode`.

    Raises DatasetError.
    """
    data = read_file(path, what, limit)
    try:
        return data.decode(text_encoding(data), errors)
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: the {what} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error


def text_encoding(start: bytes) -> str:
    """The encoding of a text by its first bytes: UTF-16 if they are its byte order mark (PowerShell, Excel), or UTF-8.

    >>> text_encoding("cat".encode("utf-16")), text_encoding(b"cat")
    ('utf-16', 'utf-8-sig')
    """
    return "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """(number from 1, stripped line) of every line that is not empty; only line ends separate lines."""
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if line.strip():
            yield number, line.strip()

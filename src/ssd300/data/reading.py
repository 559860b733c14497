"""Read the files of a data set within limits: bytes, text, JSON, tables; and recognize formats by their keywords."""

import codecs
import csv
import json
import os
import re
import stat
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from sys import maxsize
from typing import Any

from ssd300.errors import DatasetError
from ssd300.limits import CSV_BYTES, JSON_BYTES, LABEL_BYTES

START = 4096  # bytes that tell the format of a file
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_POINTER = "is a pointer of Git LFS, not the file itself; run `git lfs pull`"
_BLANKS = codecs.BOM_UTF8 + codecs.BOM_UTF16_LE + b"\0 \t\r\n"  # around a text, in UTF-16, too
_WORDS_IN = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}  # the first bytes of a file


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
        raise DatasetError(f"{path}: the {what} {_POINTER}")
    return data


def refuse_damaged(path: Path) -> None:
    """Raises DatasetError for an annotation file that did not arrive whole: empty, a Git LFS pointer, JSON cut off."""
    try:
        with path.open("rb") as file:
            start = file.read(START).strip(_BLANKS)
            file.seek(max(0, path.stat().st_size - START))
            end = file.read().strip(_BLANKS)
    except OSError as error:
        raise DatasetError(f"{path}: the annotation file cannot be read: {error.strerror}") from error
    brackets = start[:1] + end[-1:]
    if start.startswith(LFS_POINTER):
        raise DatasetError(f"{path}: the annotation file {_POINTER}")
    if not end or (path.suffix.lower() == ".json" and brackets not in (b"{}", b"[]")):
        found = "is cut off, it ends within its JSON" if end else "is empty"
        raise DatasetError(f"{path}: the annotation file {found}; copy or download it again")


def read_text(path: Path, what: str, limit: int = LABEL_BYTES, errors: str = "strict") -> str:
    """The text of a file in UTF-8, or UTF-16 with its mark; `errors`: see `bytes.decode`. Raises DatasetError."""
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


def read_list(path: Path) -> list[tuple[int, str]]:
    """`lines_of` a list of pictures; names that are not UTF-8 are as in the file system. Raises DatasetError."""
    return list(lines_of(read_text(path, "list of pictures", CSV_BYTES, errors="surrogateescape")))


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises DatasetError."""
    data = read_file(path, "annotation file", JSON_BYTES)
    try:
        return json.loads(data)
    except UnicodeDecodeError as error:
        found = f"is not UTF-8 text (byte {error.start})"
        raise DatasetError(f"{path}: the annotation file {found}; save it as JSON in UTF-8") from error
    except json.JSONDecodeError as error:
        raise DatasetError(f"{path}, line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}") from error
    except (RecursionError, ValueError) as error:  # nested too deeply, or a number with thousands of digits
        raise DatasetError(f"{path}: not an annotation file: {error}") from error


def read_table(path: Path, what: str) -> Iterator[list[str]]:
    """The rows of a CSV file, also with semicolons or tabs, one by one. Raises DatasetError, also on the way."""
    text = read_text(path, what, CSV_BYTES)
    try:
        # Not io.StringIO, which takes four bytes for a letter.
        lines = (line[0] for line in re.finditer(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+", text))
        yield from csv.reader(lines, delimiter=delimiter_of(_first_line(text[:4096])))
    except csv.Error as error:
        raise DatasetError(f"{path}: the {what} is not a table: {error}") from error


def first_line(path: Path, most: int = START) -> str:
    """The first line of a file, from its first `most` bytes. Raises DatasetError if it cannot be read."""
    try:
        with path.open("rb") as opened:
            start = opened.read(most)
        return _first_line(start.decode(text_encoding(start), "replace")).strip()
    except OSError as error:
        raise DatasetError(f"{path}: the file cannot be read: {error.strerror}") from error


def _first_line(text: str) -> str:
    return re.split("[\r\n]", text, maxsplit=1)[0]  # a carriage return alone: Excel on a Mac


def delimiter_of(line: str) -> str:
    """The delimiter of a table by its first line: a comma, unless semicolons or tabs are more.

    >>> delimiter_of("a,b;c"), delimiter_of("a;b"), delimiter_of("a")
    (',', ';', ',')
    """
    return max(",;\t", key=line.count)


def begins_with(path: Path, *words: str) -> bool:
    """Whether the first few thousand bytes of a file contain all the words; a cheap test for a format."""
    return contains(path, *words, most=START)


def contains(path: Path, *words: str, most: int = maxsize) -> bool:
    """Whether a file contains all the words, within its first `most` bytes; it is not read into memory."""
    if not os.path.isfile(path):
        return False
    try:
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            encoding = _WORDS_IN.get(content[:2], "utf-8")
            return all(content.find(word.encode(encoding), 0, most) >= 0 for word in words)
    except (OSError, ValueError):  # ValueError: an empty file
        return False

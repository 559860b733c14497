"""Read JSON and CSV files of annotation tools within limits, and recognize formats by their keywords."""

import codecs
import csv
import io
import json
import os
from collections.abc import Callable
from mmap import ACCESS_READ, mmap
from pathlib import Path
from sys import maxsize
from typing import Any

from ssd300.data.files import child, folders_in, with_suffix
from ssd300.data.finder import LABEL_FOLDERS
from ssd300.data.parts import Part, files_of_parts
from ssd300.data.reading import read_file, read_text, text_encoding
from ssd300.errors import DatasetError
from ssd300.limits import CSV_BYTES, JSON_BYTES

START = 4096
_WORDS_IN = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}  # the first bytes of a file


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises DatasetError."""
    data = read_file(path, "annotation file", JSON_BYTES)
    try:
        return json.loads(data)
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not UTF-8 text; save it as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: not valid JSON: {error}") from error


def read_table(path: Path, what: str) -> list[list[str]]:
    """The rows of a CSV file, also with semicolons or tabs. Raises DatasetError."""
    text = read_text(path, what, CSV_BYTES)
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text[:4096].split("\n")[0])))
    except csv.Error as error:
        raise DatasetError(f"{path}: the {what} is not a table: {error}") from error


def first_line(path: Path, most: int) -> str:
    """The first line of a file, from its first `most` bytes. Raises DatasetError if it cannot be read."""
    try:
        with path.open("rb") as opened:
            start = opened.read(most)
        return start.decode(text_encoding(start), "replace").split("\n")[0].strip()
    except OSError as error:
        raise DatasetError(f"{path}: the file cannot be read: {error.strerror}") from error


def find_files(
    format: str, path: Path, accept: Callable[[Path], bool], *suffixes: str, most: int | None = None
) -> list[Part]:
    """The accepted files at a path, each as a part: itself, those of the folder, or else those in its sub-folders.

    Folders of labels in these, and folders in one of these, count, too. `most`: of the first files of each folder.
    """
    files = with_suffix(path, *suffixes) if path.is_dir() else [path] if path.suffix.lower() in suffixes else []
    found = [file for file in files[:most] if accept(file)]
    if not found and path.is_dir():
        places = folders_in(path)
        labels = [inner for place in (path, *places) for name in LABEL_FOLDERS if (inner := child(place, name))]
        places += [*labels, *(inner for place in labels if place in places for inner in folders_in(place))]
        files = [file for place in dict.fromkeys(places) for file in with_suffix(place, *suffixes)[:most]]
        found = [file for file in files if accept(file)]
    return [Part(format, name, file) for name, file in files_of_parts(found, path)]


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

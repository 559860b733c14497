"""SOURCE... -> the list of pictures, in a stable order: folders, globs, list files, Parquet, object stores.

A listed picture is its place (a path or an address, as bytes, because file names need not be text) and, if the
picture is in a Parquet file, its row there.
"""

import codecs
import errno
import fnmatch
import glob
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ssd300.batch.stores import is_remote, list_remote, one_line, open_place, store_errors
from ssd300.data.reading import text_encoding
from ssd300.errors import ArgumentError, DatasetError
from ssd300.images.addresses import is_url, shown_address
from ssd300.images.folders import folder_of, is_clutter, is_picture_name, is_run, pictures_of, sort_out
from ssd300.images.source import Tell, expand

LISTING = pa.schema([pa.field("place", pa.binary(), nullable=False), pa.field("row", pa.int64())])
Listed = tuple[bytes, int | None]  # place, row of a Parquet file


def list_pictures(
    sources: Sequence[str], *, recursive: bool = False, column: str | None = None, tell: Tell = warnings.warn
) -> Iterator[Listed]:
    """Every picture of the sources, in their order; those of a folder or glob are sorted by name.

    Args:
        sources: folders, globs, picture files, http(s) addresses, folders, globs or files of s3://, gs:// and az://,
            list files (.txt: one path or address per line), Parquet files (a column of paths, or of pictures as bytes).
        recursive: include sub-folders.
        column: the column of the Parquet files; None takes the only possible one.
        tell: called with a message about skipped files of folders.

    A source without pictures is listed itself: reading it fails with the reason, as one failure among others. Raises
    DatasetError for a list or Parquet file that cannot be read, ArgumentError for a column, DownloadError.
    """
    has_table = False
    for source in sources:
        if source == "-":
            raise ArgumentError("- (standard input) cannot be read again by --resume: write the list to a .txt file")
        if source.lower().endswith(".txt") and "*" not in source and not folder_of(source):
            yield from ((place, None) for place in _lines(source))
            continue
        for place in _files(source, recursive, tell):
            if place.lower().endswith(".parquet"):
                has_table = True
                yield from _parquet(place, column)
            else:
                yield os.fsencode(place), None
    if column is not None and not has_table:
        raise ArgumentError(f"there is no Parquet file among the sources, so no column {column!r}: drop --column")


def _files(source: str, recursive: bool, tell: Tell) -> Iterator[str]:
    """The files of one argument: itself, or those of the folder or glob."""
    if is_remote(source):
        yield from _remote(source, recursive, tell) or [source]
    elif folder := folder_of(source):
        yield from _folder(folder, recursive, tell) or [source]
    else:
        yield from (str(one.value) for one in expand(source, tell=tell))


def _folder(source: str, recursive: bool, tell: Tell) -> Sequence[str]:
    """The pictures of a folder of this machine, or its Parquet files. Raises ArgumentError where it has both."""
    below = os.path.join(glob.escape(source), "**" if recursive else "")
    tables = [name for name in pictures_of(os.path.join(below, "*.parquet")).paths if _is_table(Path(name).name)]
    pictures = pictures_of(below if recursive else source)
    if pictures.paths and pictures.skipped and not tables:
        tell(f"{source}: {pictures.skipped}")
    return _refuse_both(source, [*pictures.paths, *tables])


def _refuse_both(source: str, found: list[str]) -> list[str]:
    """The files found in a folder. Raises ArgumentError for pictures beside Parquet files, whose rows may be them."""
    tables = sum(name.lower().endswith(".parquet") for name in found)
    if 0 < tables < len(found):
        raise ArgumentError(
            f"{source}: {len(found) - tables} pictures and {tables} .parquet files in one folder; "
            "say which by a glob, such as '*.jpg' or '*.parquet' in it"
        )
    return found


def _remote(address: str, recursive: bool, tell: Tell) -> list[str]:
    """The pictures and Parquet files of an address, chosen as on this machine; in a glob `**` crosses folders."""
    top, slash, below = re.split(r"[*?\[]", address, maxsplit=1)[0].rpartition("/")
    is_glob = glob.has_magic(address)
    if not is_glob and _is_wanted(below):
        return [address]
    top = top + slash if is_glob else address.rstrip("/") + "/"
    below = address[len(top) :]
    found = list_remote(top, recursive="/" in below or "**" in below if is_glob else recursive)
    if "/." not in address:
        found = [name for name in found if not any(map(is_clutter, name[len(top) :].split("/")))]
    if not is_glob or "**" in below:
        found = [name for name in found if not is_run(name[len(top) :].rpartition("/")[0])]
    if is_glob:
        pattern = glob_pattern(address)
        found = [name for name in found if pattern.fullmatch(name)]
    tables = [] if is_glob else [name for name in found if _is_table(name.rpartition("/")[2])]
    pictures = sort_out(found, address if is_glob else "")
    if pictures.paths and pictures.skipped and not tables:
        tell(f"{address}: {pictures.skipped}")
    return _refuse_both(address, [*pictures.paths, *tables])


def _is_wanted(name: str) -> bool:
    return is_picture_name(name) or _is_table(name)


def _is_table(name: str) -> bool:
    return name.lower().endswith(".parquet") and not name.startswith((".", "_"))


def glob_pattern(address: str) -> re.Pattern[str]:
    """An address with * ? [] as a pattern for whole addresses.

    >>> pattern = glob_pattern("s3://b/**/x-*.jpg")
    >>> [bool(pattern.fullmatch(f"s3://b/{name}")) for name in ("x-1.jpg", "a/b/x-1.jpg", "x-a/1.jpg")]
    [True, True, False]
    """
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[!?\]?[^]/]*\])", address)
    texts = []
    for piece in pieces:
        if piece in words:
            texts.append(words[piece])
        elif piece.startswith("[") and piece.endswith("]"):
            texts.append("(?!/)" + fnmatch.translate(piece)[len("(?s:") : -len(r")\Z")])
        else:
            texts.append(re.escape(piece))
    return re.compile("".join(texts), re.DOTALL)


def _lines(source: str) -> Iterator[bytes]:
    """The lines of a list file; UTF-16 (PowerShell) as UTF-8.

    Without a byte order mark, empty lines and comments: those with # that name no file.
    """
    try:
        with open_file(source) as file:
            content: bytes = file.read()
    except OSError as error:
        raise DatasetError(f"{source}: the list cannot be read: {error.strerror or error}; check the path") from error
    if text_encoding(content) == "utf-16":
        content = content.decode("utf-16", "replace").encode()
    lines = map(bytes.strip, content.removeprefix(codecs.BOM_UTF8).splitlines())
    yield from (line for line in lines if line and (line[:1] != b"#" or os.path.lexists(line)))


def _parquet(place: str, column: str | None) -> Iterator[Listed]:
    with open_parquet(place) as file:
        name, is_path = picture_column(file.schema_arrow, column, place)
        if not is_path:
            yield from ((os.fsencode(place), row) for row in range(file.metadata.num_rows))
            return
        row = 0
        for batch in file.iter_batches(columns=[name]):
            for value in batch.column(0).to_pylist():
                # A missing path is listed by its row: reading it reports that the cell is empty.
                yield (os.fsencode(value), None) if value and value.strip() else (os.fsencode(place), row)
                row += 1


def picture_column(schema: Any, column: str | None, place: str) -> tuple[str, bool]:
    """The column of a Parquet file with pictures, and whether it has their paths (else their bytes).

    Pictures are binary, or a struct with a binary field `bytes`. Raises ArgumentError if none or several are possible.
    """
    able = {field.name: _kind(field.type) for field in schema}
    able = {name: kind for name, kind in able.items() if kind and column in (None, name)}
    if len(able) == 1:
        [(name, kind)] = able.items()
        return name, kind == "path"
    found = ", ".join(f"{field.name} ({field.type})" for field in schema)
    asked = f"no column {column!r} with paths or pictures" if column else f"{len(able)} columns could hold the pictures"
    raise ArgumentError(f"{place}: {asked}; it has {found}; name one with --column")


def _kind(type_: Any) -> str:
    if any(is_text(type_) for is_text in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)):
        return "path"
    if pa.types.is_dictionary(type_):
        return _kind(type_.value_type)
    if pa.types.is_struct(type_):
        return "bytes" if any(field.name == "bytes" and _kind(field.type) == "bytes" for field in type_) else ""
    binary = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)  # Polars writes views
    return "bytes" if any(is_binary(type_) for is_binary in binary) else ""


def open_parquet(place: str) -> Any:
    """A Parquet file, opened; close it, or use `with`. Raises DatasetError."""
    try:
        return pq.ParquetFile(open_file(place), pre_buffer=False)
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{place}: cannot be read as Parquet: {one_line(error)}; check the path") from error


def open_file(place: str) -> Any:
    """A file on this machine or in an object store, for reading at any position.

    Raises OSError, DownloadError, DatasetError for an http(s) address.
    """
    if is_url(place):
        words = "lists and Parquet files are read from this machine and from object stores"
        raise DatasetError(f"{shown_address(place)}: {words}; download it and pass its path")
    if is_remote(place):
        system, path = open_place(place)
        with store_errors(place, "read"):
            return system.open_input_file(path)
    if os.path.lexists(place) and not os.path.isfile(place):  # opening a pipe waits for ever, signals or not
        raise OSError(errno.EINVAL, "it is not a regular file")
    return pa.OSFile(os.fsencode(place))  # as bytes: a name need not be text

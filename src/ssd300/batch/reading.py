"""Listed pictures -> sources for a detector; files on the network are read ahead in threads."""

import os
from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from typing import Any

import pyarrow as pa

from ssd300.batch.listing import Listed, open_parquet, picture_column
from ssd300.batch.stores import is_remote, one_line, read_remote
from ssd300.errors import DatasetError, DownloadError, ImageError, SSD300Error
from ssd300.images.addresses import is_url, shown_address
from ssd300.images.source import Source, read_bytes
from ssd300.pipeline import in_order

_READERS = 32  # files on the network that are read at once: they take about 50 ms each and no CPU
_ROWS = 16  # pictures of a Parquet file that are in memory at once


def sources_of(pictures: Iterable[Listed], *, base: str, column: str | None, ahead: bool) -> Iterator[Source]:
    """A source for each listed picture, in order.

    Args:
        base: the folder of relative paths.
        column: of Parquet files, as in `list_pictures`.
        ahead: read addresses ahead, `_READERS` at once; else the detector's threads read them.

    A picture that cannot be read becomes a source that raises the error when it is opened. The number of pictures in
    memory is bounded.
    """
    named = _make_sources(pictures, base, column)
    return in_order(_download, named, _READERS) if ahead else named


def needs_reading_ahead(place: bytes) -> bool:
    """Whether a place is on the network."""
    text = os.fsdecode(place)
    return is_remote(text) or is_url(text)


def _make_sources(pictures: Iterable[Listed], base: str, column: str | None) -> Iterator[Source]:
    numbered = enumerate(pictures)
    # Consecutive rows of one Parquet file are read together: index minus row is constant for them.
    for (place, key), group in groupby(numbered, lambda n: (n[1][0], None if n[1][1] is None else n[0] - n[1][1])):
        if key is None:
            text = os.fsdecode(place)
            local = text if text.lower().startswith("file:/") else os.path.join(base, text)
            value = _Address(text) if needs_reading_ahead(place) else local
            yield from (Source(value, shown_address(text)) for _ in group)
        else:
            yield from _read_rows((row for _, (_, row) in group if row is not None), os.fsdecode(place), base, column)


class _Address:
    """A picture on the network, read when it is opened."""

    def __init__(self, address: str) -> None:
        self.address = address

    def read(self, _size: int = -1) -> bytes:
        name = shown_address(self.address)
        return read_remote(self.address) if is_remote(self.address) else read_bytes(self.address, name)


class _Broken:
    """A picture that could not be read: opening it raises the error."""

    def __init__(self, error: SSD300Error) -> None:
        self.error = error

    def read(self, _size: int = -1) -> bytes:
        raise self.error


def _download(source: Source) -> Source:
    if not isinstance(source.value, _Address):
        return source
    try:
        return Source(source.value.read(), source.name)
    except (ImageError, DownloadError) as error:
        return Source(_Broken(error), source.name)


def _read_rows(rows: Iterator[int], file: str, base: str, column: str | None) -> Iterator[Source]:
    """Pictures of consecutive rows of a Parquet file."""
    first = next(rows)
    values = _read_cells(file if is_remote(file) else os.path.join(base, file), first, column)
    fault: SSD300Error | None = None
    for row in chain([first], rows):
        name, value = f"{file}#{row}", None
        if fault is None:
            try:
                value = next(values)
            except StopIteration:
                fault = ImageError(f"{file}: has no row {row} any more; it changed after the run began")
            except (OSError, pa.ArrowException, DatasetError, DownloadError) as error:
                fault = ImageError(f"{file}: cannot be read from row {row} on: {one_line(error)}")
        missing = fault or ImageError(f"{name}: the cell is empty; expected a path or the bytes of a picture")
        yield Source(_Broken(missing) if value is None else value, name)


def _read_cells(place: str, first: int, column: str | None) -> Iterator[Any]:
    """The values of the picture column from a row on, to the end of the file: bytes, or None for an empty cell."""
    with open_parquet(place) as file:
        name, is_path = picture_column(file.schema_arrow, column, place)
        groups, before = list(range(file.num_row_groups)), 0
        while groups and before + (size := file.metadata.row_group(groups[0]).num_rows) <= first:
            before += size
            del groups[0]
        skipped = first - before
        for batch in file.iter_batches(_ROWS, row_groups=groups, columns=[name]):
            cells = batch.column(0)
            if pa.types.is_struct(cells.type):
                cells = cells.field("bytes")
            for cell in cells[min(skipped, len(cells)) :]:
                yield None if is_path else cell.as_py()
            skipped = max(0, skipped - len(cells))

"""The results folder of a batch, local or in an object store, and its run.

    _run.json          the request: sources, model, settings
    _sources.parquet   every picture, listed once when the run began: one row group per part
    part-000000.parquet, ...   the rows of each part; a file appears when it is complete
    _run.lock          in a local folder: locked by the process that works here

So a part is done if its file exists, and a run that was stopped at any moment continues with the missing ones.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from ssd300.batch.listing import LISTING, Listed, open_file
from ssd300.batch.reading import needs_reading_ahead
from ssd300.batch.rows import to_parquet
from ssd300.batch.stores import is_remote, one_line, open_place, store_errors
from ssd300.errors import ArgumentError, OutputError
from ssd300.files import try_lock, write_whole
from ssd300.images.addresses import shown_address
from ssd300.pipeline import chunked

RUN, SOURCES, RUN_LOCK = "_run.json", "_sources.parquet", "_run.lock"
LAYOUT_VERSION = 1


@dataclass(frozen=True)
class Request:
    """The request of a batch. Two runs with equal requests and pictures give equal rows.

    model_files: name -> sha256 of each file of the model; precision: the one it runs with.
    options: of `Detector.detect_many`.
    """

    sources: list[str]
    recursive: bool
    column: str | None
    part_rows: int
    model_sha256: str
    model_files: dict[str, str]
    precision: str
    options: dict[str, Any]


@dataclass(frozen=True)
class BatchJob:
    """The data to process a part, here or on another machine.

    base: the folder of relative paths. ahead: whether pictures come over the network.
    """

    request: Request
    base: str
    ahead: bool


@dataclass(frozen=True)
class Run:
    """A job with its folder and its list of pictures."""

    folder: "Folder"
    job: BatchJob
    pictures: int

    @cached_property
    def _listing(self) -> Any:
        try:
            listing = pq.ParquetFile(self.folder.open(SOURCES))
        except (OSError, pa.ArrowException) as error:
            raise _damaged(self.folder, SOURCES, one_line(error)) from error
        rows = listing.metadata.num_rows
        if (rows, listing.num_row_groups) != (self.pictures, self.parts):  # that of another run
            found = f"{rows} pictures in {listing.num_row_groups} parts"
            raise _damaged(self.folder, SOURCES, f"{found}, {RUN} has {self.pictures} in {self.parts}")
        return listing

    def close(self) -> None:
        """Close the list of pictures, and let other processes into the folder."""
        if "_listing" in vars(self):
            self._listing.close(force=True)
        self.folder.unlock()

    @property
    def parts(self) -> int:
        return -(-self.pictures // self.job.request.part_rows)

    def missing(self) -> list[int]:
        names = self.folder.names()
        return [part for part in range(self.parts) if part_name(part) not in names]

    def listed(self, part: int) -> list[Listed]:
        table = self._listing.read_row_group(part)
        return list(zip(table["place"].to_pylist(), table["row"].to_pylist(), strict=True))

    def rows_of(self, part: int) -> int:
        return min(self.job.request.part_rows, self.pictures - part * self.job.request.part_rows)

    def write(self, part: int, table: Any) -> None:
        """Write the rows of a part. Raises OutputError."""
        self.folder.write(part_name(part), to_parquet(table))


def part_name(part: int) -> str:
    """The file of a part.

    >>> part_name(12)
    'part-000012.parquet'
    """
    return f"part-{part:06d}.parquet"


def is_part(name: str) -> bool:
    return re.fullmatch(r"part-\d+\.parquet", name) is not None


def begin(folder: "Folder", request: Request, pictures: Iterator[Listed], version: str) -> Run:
    """Write the listing and the request of a new run. The request comes last: without it there is no run.

    Raises ArgumentError if another process began a run meanwhile: listing may take minutes.
    """
    sink, count, ahead = pa.BufferOutputStream(), 0, False
    with pq.ParquetWriter(sink, LISTING, compression="zstd") as writer:
        for chunk in chunked(pictures, request.part_rows):
            places, rows = zip(*chunk, strict=True)
            writer.write_table(pa.table([places, rows], schema=LISTING), row_group_size=request.part_rows)
            count += len(chunk)
            ahead = ahead or any(needs_reading_ahead(place) for place in places)
    folder.lock()
    if RUN in folder.names():
        raise ArgumentError(
            f"{folder}: another run began here meanwhile; continue it with --resume, or choose a new --out"
        )
    folder.write(SOURCES, bytes(sink.getvalue()))
    facts = {"base": os.getcwd(), "ahead": ahead, "pictures": count}
    text = {"layout_version": LAYOUT_VERSION, "ssd300": version, **facts, "request": asdict(request)}
    folder.write(RUN, json.dumps(text, indent=1).encode())
    return Run(folder, BatchJob(request, os.getcwd(), ahead), count)


def resume(folder: "Folder", request: Request) -> Run:
    """The run in a folder. Raises ArgumentError if its request differs, or cannot be read."""
    try:
        with folder.open(RUN) as file:
            values = dict(json.loads(file.read()))
    except (ValueError, TypeError) as error:
        raise _damaged(folder, RUN, one_line(error)) from error
    if values.get("layout_version") != LAYOUT_VERSION:
        raise ArgumentError(f"{folder}: written by ssd300 {values.get('ssd300')} in another layout; choose a new --out")
    before, now = _settings(values["request"]), _settings(json.loads(json.dumps(asdict(request))))
    differs = [key for key in now if before.get(key) != now[key]]
    changed = [f"{key} was {before.get(key)!r}, now {now[key]!r}" for key in differs if not key.startswith("model_")]
    if len(changed) < len(differs):
        changed.append("the files of the model have changed, perhaps with an upgrade of ssd300")
    if not differs and values["request"]["sources"] != request.sources:  # the list of pictures has the old ones
        changed.append("the passwords in the sources have changed")
    if changed:
        raise ArgumentError(
            f"{folder} holds a run with another request: {'; '.join(changed)[:500]}; "
            "repeat the command of that run with --resume, or choose a new --out"
        )
    folder.lock()
    folder.sweep()
    return Run(folder, BatchJob(request, values["base"], values["ahead"]), values["pictures"])


def _damaged(folder: "Folder", name: str, found: str) -> ArgumentError:
    return ArgumentError(f"{folder}: its {name} is damaged ({found}); choose a new --out")


def _settings(request: dict[str, Any]) -> dict[str, Any]:
    """The values of a request, each option on its own, and no passwords."""
    options: dict[str, Any] = request.get("options", {})
    return request | options | {"options": None, "sources": list(map(shown_address, request["sources"]))}


class Folder:
    """A local folder, or one in an object store, whose files appear only when complete."""

    def __init__(self, out: str) -> None:
        if not out or ("://" in out and not is_remote(out)):
            raise ArgumentError(f"--out is {out!r}: expected a folder, or an address of s3://, gs:// or az://")
        self.out = out
        self._system: Any
        self._system, self._path = open_place(out) if is_remote(out) else (None, out)
        self._lock: int | None = None

    def __str__(self) -> str:
        return self.out

    def lock(self) -> None:
        """Keep other processes out of a local folder until `unlock`, or until this process ends.

        Raises ArgumentError if another one works in it.
        """
        if self._system is None and self._lock is None:
            self._lock = try_lock(Path(self._path) / RUN_LOCK)
            if self._lock is None:
                raise ArgumentError(f"{self.out}: another process works in it; wait for it, or choose a new --out")

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def names(self) -> set[str]:
        """The names of the files in it; empty if it does not exist."""
        if self._system is None:
            path = Path(self._path)
            if path.exists() and not path.is_dir():
                raise OutputError(f"{path}: a file, expected a folder for the results; choose another --out")
            return set(os.listdir(path)) if path.exists() else set()
        with store_errors(self.out, "listed"):
            found = self._system.get_file_info(fs.FileSelector(self._path, allow_not_found=True))
        # An upload that was cut off may leave an empty object.
        return {entry.base_name for entry in found if entry.size}

    def write(self, name: str, content: bytes) -> None:
        """Write a file atomically. Raises OutputError."""
        if self._system is None:
            write_whole(Path(self._path) / name, content)
            return
        address = f"{self.out}/{name}"
        with store_errors(address, "written", OutputError), self._system.open_output_stream(self._at(name)) as file:
            file.write(content)  # an object appears when its upload is finished

    def open(self, name: str) -> Any:
        """A file, open for reading at any position."""
        if self._system is None:
            return open_file(str(Path(self._path) / name))
        with store_errors(f"{self.out}/{name}", "read"):
            return self._system.open_input_file(self._at(name))

    def _at(self, name: str) -> str:
        return f"{self._path}/{name}"

    def sweep(self) -> None:
        """Remove incomplete files of a killed run."""
        if self._system is None:
            for name in os.listdir(self._path):
                if re.fullmatch(r"\.(part-\d+\.parquet|_run\.json|_sources\.parquet)\.[0-9a-f]+\.tmp", name):
                    (Path(self._path) / name).unlink(missing_ok=True)

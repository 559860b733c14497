"""Begin a batch in a results folder, or resume the one in it."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssd300 import __version__
from ssd300.batch.folder import RUN, Folder, Request, Run, begin, is_part, resume
from ssd300.batch.listing import list_pictures
from ssd300.detector import Detector
from ssd300.errors import ArgumentError, DatasetError
from ssd300.files import looked_from, sha256_of
from ssd300.images.folders import pictures_of
from ssd300.images.source import Tell
from ssd300.runtime.choice import choose_model_file
from ssd300.weights.catalog import resolve


def open_run(
    sources: Sequence[str],
    out: str,
    *,
    model: str | os.PathLike[str],
    precision: str,
    recursive: bool = False,
    column: str | None = None,
    part_rows: int = 1000,
    again: bool = False,
    tell: Tell = warnings.warn,
    options: dict[str, Any],
) -> Run:
    """The run in the folder `out`: a new one, or with `again` the existing one.

    Args:
        model, precision: the model, and the precision that it runs with here, not "auto".
        part_rows: pictures per part.
        options: of `Detector.detect_many`.

    Raises ArgumentError if the folder holds a run and `again` is not set, or that run has another request, or parts
    without a run; DatasetError, DownloadError for the sources; OutputError.
    """
    folder = Folder(out)
    path = resolve(model)
    files = {file.name: sha256_of(file) for file in model_files(path, precision)}
    request = Request(list(sources), recursive, column, part_rows, sha256_of(path), files, precision, options)
    names = folder.names()
    if RUN in names:
        if again:
            return resume(folder, request)
        raise ArgumentError(f"{out} holds a run already: continue it with --resume, or choose a new --out")
    if part := next((name for name in sorted(names) if is_part(name)), None):  # it would pass for one of this run
        raise ArgumentError(f"{out} holds {part} of a run whose {RUN} is missing; choose a new --out")
    if sources and not any(map(_may_exist, sources)):
        raise DatasetError(f"{sources[0]}: no such file or folder{looked_from(sources[0])}; check the path")
    return begin(folder, request, list_pictures(sources, recursive=recursive, column=column, tell=tell), __version__)


def _may_exist(source: str) -> bool:
    """False for a path or glob of this machine that names nothing: a typing error must not take the results folder."""
    if source == "-" or "://" in source or os.path.lexists(source) or source.lower().endswith((".txt", ".parquet")):
        return True  # a list that cannot be read says so itself
    found = pictures_of(source)  # the standard library's "**" may never end where links point upwards
    return bool(found.paths or found.skipped)


def model_files(path: Path, precision: str) -> list[Path]:
    """The files of a model: its own, that of its INT8 form, and the .bin of a graph."""
    files = {path} if path.suffix.lower() == ".onnx" else {path, choose_model_file(path, precision).path}
    numbers = {file.with_suffix(".bin") for file in files if file.suffix.lower() == ".xml"}
    return sorted(files | {file for file in numbers if file.exists()})


def load_detector(path: str | os.PathLike[str], precision: str, threads: int | None) -> Detector:
    """A detector set up for throughput from the first picture on, so results do not depend on a picture's position."""
    return Detector(Detector.load(path, precision=precision, threads=threads).runtime.for_throughput())

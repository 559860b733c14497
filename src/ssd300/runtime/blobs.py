"""A cache of compiled INT8 graphs, so that the next start skips reading weights, building and compiling.

A blob is a file with its sha256 and the export of OpenVINO: one that changed on disk is dropped and rebuilt. Without
a writable folder nothing is cached, one message reports it, and detection continues.
"""

import hashlib
import logging
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import openvino as ov

from ssd300.cpu import cpu_flags, isa_cap
from ssd300.errors import OutputError
from ssd300.files import sha256_of, write_whole
from ssd300.weights.catalog import NO_FOLDER, cache_folder

GRAPH_VERSION = 1  # raise it when a change of `runtime/graph.py` gives other graphs from the same file
KEPT_BLOBS = 16  # the least recently used one is removed first
_DIGEST_BYTES = 32
_log = logging.getLogger("ssd300")


def source_key(path: Path) -> str:
    """The hash of a model's files, which identifies its blobs. Raises ModelError."""
    files = [path, path.with_suffix(".bin")] if path.suffix.lower() == ".xml" else [path]
    return " ".join(sha256_of(file) for file in files)


def blob_path(source: str, settings: Mapping[str, Any], device: str) -> Path | None:
    """The path of a model's blob for these settings, OpenVINO and CPU; None if blobs cannot be cached."""
    folder = _folder()
    if folder is None:
        return None
    graph = [source, str(GRAPH_VERSION), *map(str, settings.items())]
    facts = [*graph, ov.get_version(), device, isa_cap() or "", *sorted(cpu_flags())]
    return folder / f"{hashlib.sha256(' '.join(facts).encode()).hexdigest()[:32]}.blob"


def read_blob(path: Path) -> bytes | None:
    """The exported graph in a blob, or None if there is none or it has changed."""
    try:
        if not path.is_file():
            return None
        with path.open("rb", buffering=0) as file:  # without a buffer the graph is read where it stays
            digest, exported = file.read(_DIGEST_BYTES), file.readall()
    except OSError:
        return None
    with suppress(OSError):  # the cache may be read-only
        path.touch()  # marks it as used
    return exported if exported and hashlib.sha256(exported).digest() == digest else None


def write_blob(path: Path, exported: bytes) -> None:
    """Cache an exported graph, atomically; the least recently used ones are removed."""
    try:
        write_whole(path, hashlib.sha256(exported).digest() + exported)
    except OutputError as error:
        reason = getattr(error.__cause__, "strerror", None) or error
        _warn_once(f"{path.parent} cannot be written ({reason}): set SSD300_CACHE to another folder")
        return
    with suppress(OSError):  # other processes remove them, too
        blobs = sorted(path.parent.glob("*.blob"), key=lambda blob: blob.stat().st_mtime)
        for blob in blobs[:-KEPT_BLOBS]:
            blob.unlink(missing_ok=True)


def _folder() -> Path | None:
    folder = cache_folder()
    if folder == NO_FOLDER:
        _warn_once("this user has no home folder: set SSD300_CACHE to a folder for caches")
        return None
    return folder / "openvino"


@cache
def _warn_once(reason: str) -> None:
    """Log once per process and reason: to stderr unless the program handles the logger `ssd300`."""
    _log.warning("compiled models are not cached, so each start takes longer: %s", reason)

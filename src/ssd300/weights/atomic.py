"""Writing a file so that it appears under its name only when it is whole, and what its bytes' sha256 is."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ssd300.errors import ModelError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, to be written by the caller; on leaving, its bytes are on the disk as `path`.

    After an error nothing is left: neither the temporary file nor a change of `path`. A kill between any two steps
    leaves the old `path` or the new one. Raises ModelError where the folder cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent)
    except OSError as error:
        raise ModelError(f"{path}: cannot be written: {error.strerror}; choose a folder that exists") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        publish(temporary, path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def publish(temporary: Path, path: Path) -> None:
    """A finished file of the same folder becomes `path`: fsync, rename, fsync of the folder. Raises OSError."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.chmod(0o644)
    temporary.replace(path)
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def sha256_of(path: str | Path) -> str:
    """The sha256 of a file's bytes, 64 hexadecimal digits. Raises ModelError if it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}; check the path") from error

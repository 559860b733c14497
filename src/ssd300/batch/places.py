"""Files in object stores: s3://, gs:// and az:// addresses."""

import os
import time
from typing import Any

from pyarrow import fs

from ssd300.batch.stores import SCHEMES, open_store, store_errors
from ssd300.errors import ArgumentError, DownloadError, ImageError
from ssd300.images.fetch import is_offline
from ssd300.images.streams import MAX_FILE_BYTES

PAUSES = (0.5, 2.0)  # seconds before the second and the third try of a read that failed


def is_remote(name: str) -> bool:
    """Whether a name is an address in an object store.

    >>> is_remote("s3://bucket/a.jpg"), is_remote("a.jpg"), is_remote("https://example.org/a.jpg")
    (True, False, False)
    """
    return name.partition("://")[0].lower() in SCHEMES and "://" in name


def open_place(address: str) -> tuple[Any, str]:
    """The pyarrow file system of an address, and the address's path in it: `bucket/folder/name`.

    Raises ArgumentError for an invalid address, DownloadError if the network is forbidden or the store refuses.
    """
    scheme, bucket, path = _split(address)
    if is_offline():
        raise DownloadError(f"{address}: not read, SSD300_OFFLINE is set; copy the files here and pass their folder")
    return open_store(scheme.lower(), bucket, os.getpid()), path


def _split(address: str) -> tuple[str, str, str]:
    """Scheme, bucket, and path with the bucket. Raises ArgumentError for an invalid address."""
    scheme, _, path = address.partition("://")
    path = path.rstrip("/")
    bucket = path.partition("/")[0]
    if not bucket or "@" in bucket or ":" in bucket:
        raise ArgumentError(
            f"{scheme}://{bucket.rpartition('@')[2]}: expected {scheme}://BUCKET/NAME; "
            "keys and the server's address come from the environment (docs/scale.md)"
        )
    if "//" in path:
        raise ArgumentError(
            f"{address}: pyarrow opens no name with two slashes in a row; expected {scheme}://BUCKET/NAME"
        )
    return scheme, bucket, path


def read_remote(address: str) -> bytes:
    """The bytes of one file in an object store; a failed read is tried twice more. Raises ImageError, DownloadError."""
    try:
        _split(address)
    except ArgumentError as error:  # of one picture: others may continue after it
        raise ImageError(str(error)) from error
    system, path = open_place(address)
    for pause in (*PAUSES, None):
        try:
            with store_errors(address, "read"), system.open_input_file(path) as file:
                size = file.size()
                if size > MAX_FILE_BYTES:
                    raise ImageError(f"{address}: larger than {MAX_FILE_BYTES:,} bytes, the limit of a picture")
                data: bytes = file.read()
                return data
        except FileNotFoundError as error:
            raise ImageError(f"{address}: no such file; check the address") from error
        except DownloadError:
            if pause is None:
                raise
            time.sleep(pause)
    raise AssertionError  # the last pause is None


def list_remote(address: str, *, recursive: bool) -> list[str]:
    """The files under a folder of an object store, as sorted addresses; a missing folder gives none.

    Raises DownloadError if the store cannot be asked.
    """
    system, path = open_place(address)
    scheme = address.partition("://")[0]
    with store_errors(address, "listed"):
        found = system.get_file_info(fs.FileSelector(path, allow_not_found=True, recursive=recursive))
    return sorted(f"{scheme}://{entry.path}" for entry in found if entry.type == fs.FileType.File)

"""Files in object stores: s3://, gs:// and az://, with the keys and servers that the environment names.

The variables are those of the stores' own tools. An address has no keys: addresses end up in results.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any

from pyarrow import ArrowException, fs

from ssd300.digits import is_set
from ssd300.errors import ArgumentError, DownloadError, ImageError, SSD300Error
from ssd300.images.fetch import is_offline
from ssd300.images.streams import MAX_FILE_BYTES

SCHEMES = ("s3", "gs", "az")
GCS_RETRY = timedelta(seconds=20)  # Google's client tries for 15 minutes by default, also without any keys
PAUSES = (0.5, 2.0)  # seconds before the second and the third try of a read that failed


@cache
def open_store(scheme: str, bucket: str, _pid: int) -> Any:
    """One pyarrow file system per bucket and process: its connections are shared by all threads.

    Raises ArgumentError if the environment lacks a setting, DownloadError if the store refuses.
    """
    with store_errors(f"{scheme}://{bucket}", "opened"):
        if scheme == "s3":
            return fs.FileSystem.from_uri(f"s3://{bucket}")[0]  # asks the store for the bucket's region
        if scheme == "gs":
            public = is_set("CLOUDSDK_AUTH_DISABLE_CREDENTIALS") or is_set("CLOUD_STORAGE_EMULATOR_ENDPOINT")
            return fs.GcsFileSystem(anonymous=public, retry_time_limit=GCS_RETRY)
        account = os.environ.get("AZURE_STORAGE_ACCOUNT")
        if not account:
            raise ArgumentError(f"az://{bucket}: set AZURE_STORAGE_ACCOUNT to the name of the storage account")
        return fs.AzureFileSystem(account, **_azure_settings(account))


def _azure_settings(account: str) -> dict[str, str]:
    """The key and server of an account. Without a key Azure's own login is used."""
    settings = {}
    if key := os.environ.get("AZURE_STORAGE_KEY"):
        settings["account_key"] = key
    elif token := os.environ.get("AZURE_STORAGE_SAS_TOKEN"):
        settings["sas_token"] = token
    scheme, _, server = os.environ.get("AZURE_STORAGE_SERVICE_ENDPOINT", "").partition("://")
    if server:
        # ".blob.core.windows.net" follows the account's name; any other server has the account in its paths.
        authority = server.partition("/")[0].removeprefix(account)
        for service in ("blob", "dfs"):
            settings[f"{service}_storage_scheme"] = scheme
            settings[f"{service}_storage_authority"] = authority.replace(".blob.", f".{service}.")
    return settings


@contextmanager
def store_errors(address: str, done: str, kind: type[SSD300Error] = DownloadError) -> Iterator[None]:
    """Turn every fault of a store into an error that names the address and `done`, such as "read".

    A missing file stays a FileNotFoundError.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, ArrowException) as error:
        remedy = "check the address, and the keys in the environment (docs/scale.md)"
        raise kind(f"{address}: cannot be {done}: {one_line(error)}; {remedy}") from error


def one_line(error: Exception) -> str:
    """An error's message on one line, truncated."""
    return " ".join(str(error).split())[:300]


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
            f"{scheme}://{bucket.rpartition('@')[2].partition(':')[0]}: expected {scheme}://BUCKET/NAME; "
            "keys and the server's address come from the environment (docs/scale.md)"
        )
    if "//" in path:
        raise ArgumentError(
            f"{address}: pyarrow opens no name with two slashes in a row; expected {scheme}://BUCKET/NAME"
        )
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise ArgumentError(f"{address}: names in a store are text in UTF-8; save the list of them in UTF-8") from error
    return scheme, bucket, path


def read_remote(address: str) -> bytes:
    """The bytes of one file in an object store; a failed read is tried twice more. Raises ImageError, DownloadError."""
    try:
        _split(address)
    except ArgumentError as error:  # of one picture: others may continue after it
        raise ImageError(str(error)) from error
    for pause in (*PAUSES, None):
        try:
            system, path = open_place(address)
            with store_errors(address, "read"), system.open_input_file(path) as file:
                size = file.size()
                if size > MAX_FILE_BYTES:
                    raise ImageError(f"{address}: larger than {MAX_FILE_BYTES:,} bytes, the limit of a picture")
                data: bytes = file.read()
                return data
        except FileNotFoundError as error:
            raise ImageError(f"{address}: no such file; check the address") from error
        except DownloadError:
            if pause is None or is_offline():
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

"""The file systems of object stores: s3://, gs:// and az://, with the keys and servers that the environment names.

The variables are those of the stores' own tools. An address has no keys: addresses end up in results.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any

from pyarrow import ArrowException, fs

from ssd300.digits import is_set
from ssd300.errors import ArgumentError, DownloadError, SSD300Error

SCHEMES = ("s3", "gs", "az")
GCS_RETRY = timedelta(seconds=20)  # Google's client tries for 15 minutes by default, also without any keys


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

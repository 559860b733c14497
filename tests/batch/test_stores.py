"""Object stores: what the environment says about them, and batches from and to servers that stand in for them."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch.results import rows
from ssd300.batch import stores
from ssd300.batch.stores import open_place
from ssd300.errors import ArgumentError

AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # published


def test_az_needs_the_name_of_the_account(monkeypatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT", raising=False)
    with pytest.raises(ArgumentError, match="set AZURE_STORAGE_ACCOUNT"):
        open_place("az://container/x")


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        ({}, {}),
        ({"AZURE_STORAGE_KEY": "k", "AZURE_STORAGE_SAS_TOKEN": "s"}, {"account_key": "k"}),
        ({"AZURE_STORAGE_SAS_TOKEN": "s"}, {"sas_token": "s"}),
        (
            {"AZURE_STORAGE_SERVICE_ENDPOINT": "https://me.blob.core.usgovcloudapi.net/"},
            {
                "blob_storage_scheme": "https",
                "blob_storage_authority": ".blob.core.usgovcloudapi.net",
                "dfs_storage_scheme": "https",
                "dfs_storage_authority": ".dfs.core.usgovcloudapi.net",
            },
        ),
        (
            {"AZURE_STORAGE_SERVICE_ENDPOINT": "http://127.0.0.1:10000/me"},
            {
                "blob_storage_scheme": "http",
                "blob_storage_authority": "127.0.0.1:10000",
                "dfs_storage_scheme": "http",
                "dfs_storage_authority": "127.0.0.1:10000",
            },
        ),
    ],
)
def test_keys_and_server_of_azure_come_from_the_environment(monkeypatch, given, settings) -> None:
    for name in ("KEY", "SAS_TOKEN", "SERVICE_ENDPOINT"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)
    for name, value in {"AZURE_STORAGE_ACCOUNT": "me", **given}.items():
        monkeypatch.setenv(name, value)
    taken = []
    monkeypatch.setattr(stores.fs, "AzureFileSystem", lambda account, **rest: taken.append((account, rest)))
    stores.open_store.__wrapped__("az", "container", 0)
    assert taken == [("me", settings)]


@pytest.mark.slow
def test_without_keys_google_s_store_is_given_up_within_a_minute(batch, monkeypatch) -> None:
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "CLOUD_STORAGE_EMULATOR_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    began = time.monotonic()
    result = batch("gs://no-such-bucket/photos", "--out", "out")
    assert time.monotonic() - began < 60
    assert result.returncode == 2
    assert "cannot be listed" in result.stderr


@pytest.fixture(params=["s3", "gs", "az"])
def server(request, tmp_path) -> Iterator[tuple[str, dict[str, str]]]:
    """A server on this machine that speaks as a store: its scheme, and the environment of a command."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    variable, command, environment = {
        "s3": (
            "SSD300_S3_SERVER",
            ["-H", "127.0.0.1", "-p", port],
            {
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                "AWS_EC2_METADATA_DISABLED": "true",
            },
        ),
        "gs": (
            "SSD300_GCS_SERVER",
            ["start", "--host=127.0.0.1", f"--port={port}", "--in-memory", "--default-bucket=bucket"],
            {"CLOUD_STORAGE_EMULATOR_ENDPOINT": f"http://127.0.0.1:{port}"},
        ),
        "az": (
            "SSD300_AZURE_SERVER",
            ["--silent", "--skipApiVersionCheck", "--blobPort", port, "--location", str(tmp_path / "azurite")],
            {
                "AZURE_STORAGE_ACCOUNT": "devstoreaccount1",
                "AZURE_STORAGE_KEY": AZURITE_KEY,
                "AZURE_STORAGE_SERVICE_ENDPOINT": f"http://127.0.0.1:{port}/devstoreaccount1",
            },
        ),
    }[request.param]
    if variable not in os.environ:
        pytest.skip(f"no server that speaks {request.param}://: name its program in {variable} (Makefile)")
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen([os.environ[variable], *command], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                try:
                    socket.create_connection(("127.0.0.1", int(port)), 1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield request.param, environment
        finally:
            server.kill()
            server.wait()


UPLOAD = """
import os, sys
from pyarrow import fs
from ssd300.batch.stores import open_place
address = sys.argv[1] + "://bucket"
if sys.argv[1] == "s3":
    fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"], allow_bucket_creation=True).create_dir("bucket")
elif sys.argv[1] == "az":
    open_place(address)[0].create_dir("bucket")
fs.copy_files(sys.argv[2], "bucket/photos", destination_filesystem=open_place(address)[0])
"""
DOWNLOAD = """
import os, sys
from pyarrow import fs
from ssd300.batch.stores import open_place
store = open_place(sys.argv[1] + "://bucket")[0]
os.makedirs("down", exist_ok=True)
fs.copy_files("bucket/results", "down", source_filesystem=store)
if len(sys.argv) > 2:
    store.delete_file("bucket/results/" + sys.argv[2])
"""


def without_source(folder: str) -> list[str]:
    return sorted(str({**row, "source": Path(row["source"]).name, "error": bool(row["error"])}) for row in rows(folder))


@pytest.mark.slow
def test_pictures_and_results_in_a_store(batch, server, seeded_checkpoint) -> None:
    scheme, environment = server

    def run(*command: str) -> str:
        given = {**os.environ, **environment}
        result = subprocess.run([sys.executable, *command], env=given, capture_output=True, text=True)
        assert result.returncode in (0, 1), result.stderr
        return result.stderr

    batch("pictures", "--recursive", "--out", "here", "--part-rows", "5", "--precision", "f32")
    run("-c", UPLOAD, scheme, str(Path("pictures").resolve()))
    command = [
        "-m",
        "ssd300",
        "batch",
        f"{scheme}://bucket/photos",
        "--recursive",
        "--out",
        f"{scheme}://bucket/results",
    ]
    command += ["--part-rows", "5", "--precision", "f32", "--model", str(seeded_checkpoint), "--threads", "2"]
    assert "Failed: 1 of them" in run(*command)
    run("-c", DOWNLOAD, scheme, "part-000001.parquet")
    # Both orders are those of the whole names, in which a/b comes before a0.
    assert without_source("down") == without_source("here")
    assert all(row["source"].startswith(f"{scheme}://bucket/photos/") for row in rows("down"))
    shutil.rmtree("down")
    assert "Resumed: 8 of 13 pictures were done." in run(*command, "--resume")
    run("-c", DOWNLOAD, scheme)
    assert without_source("down") == without_source("here")

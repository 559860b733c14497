"""Object stores: a folder of this machine stands in for a store, and a server that speaks S3 is one."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyarrow import fs

from batch.results import parts, rows
from ssd300.batch import places
from ssd300.errors import DownloadError, ImageError


@pytest.fixture
def store(pictures, tmp_path, monkeypatch) -> Path:
    """The folder that s3://, gs:// and az:// addresses lead to; bucket/photos holds the pictures."""
    folder = tmp_path / "store"
    shutil.copytree(pictures, folder / "bucket" / "photos")
    (folder / "bucket" / "results").mkdir()  # a store has no folders to make
    system = fs.SubTreeFileSystem(str(folder), fs.LocalFileSystem())
    monkeypatch.setattr(places, "_file_system", lambda scheme, bucket, pid: system)
    return folder


def without_source(folder: str) -> list[dict[str, object]]:
    return [{**row, "source": Path(row["source"]).name, "error": bool(row["error"])} for row in rows(folder)]


@pytest.mark.parametrize(
    ("source", "same_as"),
    [
        ("s3://bucket/nosuch/", None),
        ("s3://bucket/photos", ["pictures"]),
        ("gs://bucket/photos/0*.png", ["pictures/0*.png"]),
        ("az://bucket/**/1*.png", ["pictures/1*.png", "pictures/sub/deep/11.png"]),
        ("s3://bucket/photos/bad.jpg", ["pictures/bad.jpg"]),
    ],
)
def test_a_store_gives_the_rows_of_its_files(batch, store, source, same_as) -> None:
    there = batch(source, "--out", "there", "--part-rows", "5")
    if same_as is None:
        assert there.returncode == 2
        assert [row["error"] for row in rows("there")] == [f"{source}: no such file; check the address"]
        return
    batch(*same_as, "--out", "here", "--part-rows", "5")
    assert without_source("there") == without_source("here")
    assert all(row["source"].startswith(source.partition("bucket")[0]) for row in rows("there"))


def test_results_in_a_store(batch, store) -> None:
    arguments = ("pictures", "--part-rows", "5")
    batch(*arguments, "--out", "here")
    assert batch(*arguments, "--out", "s3://bucket/results").stdout == "s3://bucket/results\n"
    results = store / "bucket" / "results"
    assert rows(results) == rows("here")
    parts(results)[1].write_bytes(b"")  # what an upload that was cut off may leave
    assert "Resumed: 7 of 12" in batch(*arguments, "--out", "s3://bucket/results/", "--resume").stderr
    assert rows(results) == rows("here")


class Flaky:
    """A store whose reads fail as often as it is told."""

    def __init__(self, failures: int) -> None:
        self.failures, self.reads = failures, 0

    def open_input_file(self, path: str) -> object:
        self.reads += 1
        if self.reads <= self.failures:
            raise OSError("AWS Error SLOW_DOWN")
        return fs.LocalFileSystem().open_input_file(path.removeprefix("bucket"))


@pytest.mark.parametrize(("failures", "reads"), [(0, 1), (2, 3)])
def test_a_failed_read_is_tried_twice_more(monkeypatch, tmp_path, failures, reads) -> None:
    (tmp_path / "x").write_bytes(b"content")
    flaky = Flaky(failures)
    monkeypatch.setattr(places, "_file_system", lambda *_: flaky)
    monkeypatch.setattr(places, "PAUSES", (0, 0))
    assert places.read_remote(f"s3://bucket{tmp_path}/x") == b"content"
    assert flaky.reads == reads


@pytest.mark.parametrize(
    ("failures", "error", "words"), [(0, ImageError, "no such file"), (9, DownloadError, "SLOW_DOWN")]
)
def test_what_cannot_be_read_says_so(monkeypatch, failures, error, words) -> None:
    flaky = Flaky(failures)
    monkeypatch.setattr(places, "_file_system", lambda *_: flaky)
    monkeypatch.setattr(places, "PAUSES", (0, 0))
    with pytest.raises(error, match=words):
        places.read_remote("s3://bucket/nosuch/x")
    assert flaky.reads == (3 if failures else 1)


def test_az_needs_the_name_of_the_account(monkeypatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT", raising=False)
    with pytest.raises(ValueError, match="set AZURE_STORAGE_ACCOUNT"):
        places.open_place("az://container/x")


@pytest.fixture
def s3(tmp_path, monkeypatch):
    """A server that speaks S3 on this machine (moto's), as the environment of a command."""
    program = os.environ.get("SSD300_S3_SERVER") or shutil.which("moto_server")
    if program is None:
        pytest.skip("no server that speaks S3: name moto's program `moto_server` in SSD300_S3_SERVER")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
            yield {**keys, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_EC2_METADATA_DISABLED": "true"}
        finally:
            server.kill()
            server.wait()


UPLOAD = """
import os, sys
from pyarrow import fs
store = fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"], allow_bucket_creation=True)
store.create_dir("bucket")
fs.copy_files(sys.argv[1], "bucket/photos", destination_filesystem=store)
"""
DOWNLOAD = """
import os, sys
from pyarrow import fs
store = fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"])
os.makedirs("down", exist_ok=True)
fs.copy_files("bucket/results", "down", source_filesystem=store)
if len(sys.argv) > 1:
    store.delete_file("bucket/results/" + sys.argv[1])
"""


@pytest.mark.slow
def test_pictures_and_results_on_a_server_that_speaks_s3(batch, s3, seeded_checkpoint) -> None:
    def run(*command: str) -> str:
        result = subprocess.run([sys.executable, *command], env={**os.environ, **s3}, capture_output=True, text=True)
        assert result.returncode in (0, 1), result.stderr
        return result.stderr

    batch("pictures", "--recursive", "--out", "here", "--part-rows", "5", "--precision", "f32")
    run("-c", UPLOAD, str(Path("pictures").resolve()))
    command = ["-m", "ssd300", "batch", "s3://bucket/photos", "--recursive", "--out", "s3://bucket/results"]
    command += ["--part-rows", "5", "--precision", "f32", "--model", str(seeded_checkpoint), "--threads", "2"]
    assert "Failed: 1 of them" in run(*command)
    run("-c", DOWNLOAD, "part-000001.parquet")
    # Both orders are those of the whole names, in which a/b comes before a0.
    assert sorted(map(str, without_source("down"))) == sorted(map(str, without_source("here")))
    assert all(row["source"].startswith("s3://bucket/photos/") for row in rows("down"))
    shutil.rmtree("down")
    assert "Resumed: 8 of 13 pictures were done." in run(*command, "--resume")
    run("-c", DOWNLOAD)
    assert sorted(map(str, without_source("down"))) == sorted(map(str, without_source("here")))

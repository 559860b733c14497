"""Object stores: a folder of this machine stands in for a store."""

import shutil
from pathlib import Path

import pytest
from pyarrow import ArrowException, fs

from batch.results import parts, rows
from ssd300.batch import stores as places
from ssd300.errors import DownloadError, ImageError


@pytest.fixture
def store(pictures, tmp_path, monkeypatch) -> Path:
    """The folder that s3://, gs:// and az:// addresses lead to; bucket/photos holds the pictures."""
    folder = tmp_path / "store"
    shutil.copytree(pictures, folder / "bucket" / "photos")
    (folder / "bucket" / "results").mkdir()  # a store has no folders to make
    system = fs.SubTreeFileSystem(str(folder), fs.LocalFileSystem())
    monkeypatch.setattr(places, "open_store", lambda scheme, bucket, pid: system)
    return folder


def without_source(folder: str) -> list[dict[str, object]]:
    return [{**row, "source": Path(row["source"]).name, "error": bool(row["error"])} for row in rows(folder)]


@pytest.mark.parametrize(
    ("source", "same_as"),
    [
        ("s3://bucket/nosuch/", None),
        ("s3://bucket/photos", ["pictures"]),
        ("gs://bucket/photos/0*.png", ["pictures/0*.png"]),
        ("s3://bucket/photos/*", ["pictures/*"]),
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
    monkeypatch.setattr(places, "open_store", lambda *_: flaky)
    monkeypatch.setattr(places, "PAUSES", (0, 0))
    assert places.read_remote(f"s3://bucket{tmp_path}/x") == b"content"
    assert flaky.reads == reads


@pytest.mark.parametrize(
    ("failures", "error", "words"), [(0, ImageError, "no such file"), (9, DownloadError, "SLOW_DOWN")]
)
def test_what_cannot_be_read_says_so(monkeypatch, failures, error, words) -> None:
    flaky = Flaky(failures)
    monkeypatch.setattr(places, "open_store", lambda *_: flaky)
    monkeypatch.setattr(places, "PAUSES", (0, 0))
    with pytest.raises(error, match=words):
        places.read_remote("s3://bucket/nosuch/x")
    assert flaky.reads == (3 if failures else 1)


def test_a_store_that_does_not_open_at_first_is_tried_again(monkeypatch, tmp_path) -> None:
    (tmp_path / "x").write_bytes(b"content")
    tries = iter([DownloadError("resolving region: SLOW_DOWN"), Flaky(0)])

    def open_store(*_: object) -> object:
        if isinstance(one := next(tries), DownloadError):
            raise one
        return one

    monkeypatch.setattr(places, "open_store", open_store)
    monkeypatch.setattr(places, "PAUSES", (0, 0))
    assert places.read_remote(f"s3://bucket{tmp_path}/x") == b"content"


class Refusing:
    """A store that refuses everything, as pyarrow's file system of Azure does without a key: not by an OSError."""

    def __getattr__(self, name: str) -> object:
        raise ArrowException("Failed to get token from DefaultAzureCredential")


@pytest.mark.parametrize("arguments", [("az://c/photos", "--out", "o"), ("pictures", "--out", "az://c/out")])
def test_a_store_that_refuses_is_a_message(batch, monkeypatch, arguments) -> None:
    monkeypatch.setattr(places, "open_store", lambda *_: Refusing())
    result = batch(*arguments)
    assert result.returncode == 2
    assert "cannot be listed: Failed to get token" in result.stderr
    assert "keys in the environment" in result.stderr

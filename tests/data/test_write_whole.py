"""A file of a data set appears whole or not at all, and an unwritable place is named."""

from pathlib import Path

import pytest

from ssd300.data.files import write_whole
from ssd300.errors import DatasetError


def test_empty_content_is_an_empty_file(tmp_path: Path) -> None:
    write_whole(tmp_path / "empty", b"")
    assert (tmp_path / "empty").read_bytes() == b""


def test_folders_are_made_and_an_old_file_is_replaced(tmp_path: Path) -> None:
    for content in (b"old and longer", b"new"):
        write_whole(tmp_path / "a" / "b" / "notes.txt", content)
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["notes.txt"]
    assert (tmp_path / "a" / "b" / "notes.txt").read_bytes() == b"new"


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"notes\.txt: cannot be written: .*; choose another folder"):
        write_whole(tmp_path / "file" / "notes.txt", b"x")


def test_a_file_that_cannot_be_replaced_stays_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").mkdir()
    with pytest.raises(DatasetError, match=r"notes\.txt: cannot be written"):
        write_whole(tmp_path / "notes.txt", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]

"""A file appears whole or not at all; what is not a regular file is never replaced."""

import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from ssd300.errors import OutputError
from ssd300.files import (
    new_folder,
    path_from,
    refuse_special,
    replacing,
    scratch_beside,
    temporary_beside,
    try_lock,
    write_whole,
)


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
    with pytest.raises(OutputError, match=r"notes\.txt: cannot be written: .*; choose another folder"):
        write_whole(tmp_path / "file" / "notes.txt", b"x")


def test_a_file_that_cannot_be_replaced_stays_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").mkdir()
    with pytest.raises(OutputError, match=r"notes\.txt: cannot be written: it is a folder"):
        write_whole(tmp_path / "notes.txt", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_fifos_sockets_links_and_devices_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path may be about 100 bytes long
    os.mkfifo("fifo")
    Path("target").write_bytes(b"kept")
    Path("link").symlink_to("target")
    Path("dangling").symlink_to("nothing")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket")
        kinds = {"fifo": "a FIFO", "link": "a symbolic link", "dangling": "a symbolic link", "socket": "a socket"}
        for name, kind in {**kinds, os.devnull: "a device"}.items():
            before = sorted(tmp_path.iterdir())
            mode = Path(name).lstat().st_mode
            with pytest.raises(OutputError, match=rf"{name}: cannot be written: it is {kind}; choose another name"):
                refuse_special(Path(name))
            with pytest.raises(OutputError, match=f"it is {kind}"), replacing(Path(name)):
                pytest.fail("reached the writing")
            assert (sorted(tmp_path.iterdir()), Path(name).lstat().st_mode) == (before, mode)
    assert Path("target").read_bytes() == b"kept"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_what_this_user_may_not_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Renaming needs only a writable folder. For root, who may write everything, the mode stands for another user."""
    kept = tmp_path / "kept"
    kept.write_bytes(b"kept")
    kept.chmod(0o444)
    monkeypatch.setattr(os, "access", lambda path, mode: bool(os.stat(path).st_mode & 0o200))
    with pytest.raises(
        OutputError, match="kept: cannot be written: it exists and is read-only for you; choose another"
    ):
        write_whole(kept, b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"kept"]
    kept.chmod(0o644)
    write_whole(kept, b"new")
    assert kept.read_bytes() == b"new"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_decides_the_permissions(tmp_path: Path, umask: int, mode: int) -> None:
    old = os.umask(umask)
    try:
        write_whole(tmp_path / "notes.txt", b"x")
    finally:
        os.umask(old)
    assert (tmp_path / "notes.txt").stat().st_mode & 0o777 == mode


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_folder_appears_whole_with_the_permissions_of_the_umask(tmp_path: Path) -> None:
    out = tmp_path / "above" / "out"
    old = os.umask(0o027)
    try:
        with new_folder(out) as work:
            (work / "notes.txt").write_bytes(b"x")
            assert not any(out.glob("*"))
    finally:
        os.umask(old)
    assert out.stat().st_mode & 0o777 == 0o750
    assert [path.name for path in (tmp_path / "above").rglob("*")] == ["out", "notes.txt"]


@pytest.mark.parametrize("name", ["out", "link", "."])
def test_an_empty_folder_stays_and_is_filled_when_all_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It may be a volume or the current folder, which cannot be replaced, or a link to one on another disk."""
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "link").symlink_to(out)
    monkeypatch.chdir(out if name == "." else tmp_path)
    same = out.stat()
    with new_folder(Path(name)) as work:
        (work / "inner").mkdir()
        (work / "inner" / "notes.txt").write_bytes(b"x")
        assert not (out / "inner").exists()
    assert out.stat().st_ino == same.st_ino
    assert [path.relative_to(out).as_posix() for path in sorted(out.rglob("*"))] == ["inner", "inner/notes.txt"]


@pytest.mark.parametrize("writer", [replacing, new_folder, scratch_beside, temporary_beside])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("bad"), OSError(28, "No space left on device")])
def test_whatever_stops_a_writer_leaves_nothing(tmp_path: Path, writer: Any, error: BaseException) -> None:
    """SIGTERM and Ctrl-C come out as KeyboardInterrupt: the files of an export, a pack, the best weights."""

    def write_half() -> None:
        with writer(tmp_path / "out") as work:
            (work / "half" if work.is_dir() else work).write_bytes(b"x")
            raise error

    with pytest.raises((type(error), OutputError)):
        write_half()
    assert not any(tmp_path.iterdir())


def test_a_folder_that_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    def write_half(error: BaseException) -> None:
        with new_folder(tmp_path / "out") as work:
            (work / "half.txt").write_bytes(b"x")
            raise error

    for error in (KeyboardInterrupt(), ValueError("bad")):
        with pytest.raises(type(error)):
            write_half(error)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "of another.txt").write_bytes(b"kept")
    with pytest.raises(OutputError, match=r"out: cannot be written: Directory not empty"), new_folder(tmp_path / "out"):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "of another.txt"]


def test_the_longest_names_that_a_disk_takes(tmp_path: Path) -> None:
    for name in ("a" * 255, "ü" * 127):
        write_whole(tmp_path / name, b"x")
        assert (tmp_path / name).read_bytes() == b"x"


def test_a_full_disk_is_named_and_the_old_file_stays(tmp_path: Path) -> None:
    write_whole(tmp_path / "notes.txt", b"old")
    with (
        pytest.raises(OutputError, match=r"No space left on device; free some space"),
        replacing(tmp_path / "notes.txt"),
    ):
        raise OSError(28, "No space left on device")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("notes.txt", b"old")]


@pytest.mark.parametrize(
    ("folder", "path", "relative"),
    [
        (".", "a.jpg", "a.jpg"), ("new/lists", "pets/a.jpg", "../../pets/a.jpg"),
        ("link", "pets/a.jpg", "../../../pets/a.jpg"), ("link/new", "pets/a.jpg", "../../../../pets/a.jpg"),
        ("link/lists", "link/pets/a.jpg", "../pets/a.jpg"), ("link", "link/a.jpg", "a.jpg"),
    ],
)  # fmt: skip
def test_a_relative_path_is_right_behind_a_link(tmp_path: Path, folder: str, path: str, relative: str) -> None:
    (tmp_path / "some/deep/folder").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "some/deep/folder")
    write_whole(tmp_path / path, b"x")
    assert path_from(tmp_path / folder, tmp_path / path) == relative
    write_whole(tmp_path / folder / "list.txt", b"x")  # `folder` is there now
    assert (tmp_path / folder / relative).read_bytes() == b"x"


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.lock"
    first = try_lock(path)
    assert first is not None
    assert try_lock(path) is None
    os.close(first)
    second = try_lock(path)
    assert second is not None
    os.close(second)
    with pytest.raises(OutputError, match=r"a\.lock"):
        try_lock(path / "below")


def test_a_file_system_without_locks_is_no_other_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(handle: int, *, wait: bool) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("ssd300.files.lock_file", lacks)
    with pytest.raises(OutputError, match=r"a\.lock: cannot be written: No locks available; choose another folder"):
        try_lock(tmp_path / "a.lock")

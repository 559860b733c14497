"""The rules of Windows, as far as another system can imitate them."""

import errno
import os
from pathlib import Path

import pytest

from ssd300.files import write_whole

fcntl = pytest.importorskip("fcntl", reason="on Windows the other tests show this")


def test_a_file_is_flushed_while_it_is_open_for_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flush = os.fsync

    def fsync(handle: int) -> None:
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY and not Path(f"/dev/fd/{handle}").is_dir():
            raise OSError(errno.EBADF, "Bad file descriptor")
        flush(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(tmp_path / "notes.txt", b"whole")
    assert (tmp_path / "notes.txt").read_bytes() == b"whole"

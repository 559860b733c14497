"""The same answers on every system: names that a file system does not tell apart, orders, limits."""

import os
from pathlib import Path, PureWindowsPath

import pytest

from ssd300.data import files


def test_pictures_have_one_order_on_all_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A split that is drawn with a seed depends on it, and paths of Windows compare without regard to case."""
    for name in ("b.jpg", "C.jpg", "a.jpg"):
        (tmp_path / name).touch()
    assert [path.name for path in files.entries(tmp_path)] == ["C.jpg", "a.jpg", "b.jpg"]
    monkeypatch.setattr(files, "Path", PureWindowsPath)
    monkeypatch.setattr(os.path, "isfile", lambda path: True)
    assert [path.name for path in files.walk(tmp_path, lambda path: True)] == ["C.jpg", "a.jpg", "b.jpg"]

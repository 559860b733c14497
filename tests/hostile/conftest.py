"""Code that a file wants executed would leave a witness in the working folder."""

import pytest

from hostile.torch_bytes import WITNESS


@pytest.fixture(autouse=True)
def nothing_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / WITNESS).exists()

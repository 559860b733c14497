"""Pictures, and `ssd300 detect` on them with a small seeded model."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image

from command import ssd300


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """A folder with a/x.png, b/x.png, `c d/ü ñ.jpg`, rubbish.jpg and empty.png."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for name, (height, width) in {"a/x.png": (90, 120), "b/x.png": (60, 200), "c d/ü ñ.jpg": (150, 100)}.items():
        (folder / name).parent.mkdir()
        small = Image.fromarray(random.integers(0, 255, (12, 12, 3), np.uint8))
        small.resize((width, height)).save(folder / name)
    (folder / "rubbish.jpg").write_text("rubbish")
    (folder / "empty.png").touch()
    return folder


@pytest.fixture
def here(pictures, tmp_path, monkeypatch) -> Path:
    """A fresh working folder where the pictures lie."""
    monkeypatch.chdir(tmp_path)
    for entry in pictures.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    return tmp_path


@pytest.fixture
def detect(here, narrow, narrow_checkpoint) -> Callable[..., CompletedProcess[str]]:
    """`ssd300 detect` in this process, in the folder `here`."""

    def run(*arguments: object, **options: str) -> CompletedProcess[str]:
        return ssd300("detect", *arguments, "--model", narrow_checkpoint, "--threads", 2, **options)

    return run

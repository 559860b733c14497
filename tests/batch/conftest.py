"""Pictures for batches, and a run of the command in this process with a model that is loaded once."""

import sys
from contextlib import nullcontext
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image

import ssd300.batch.start
from narrow import narrow_network
from ssd300.cli import main

LOADED: dict[object, object] = {}


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    """A folder with 00.png to 10.png, `bad.jpg` that is none, notes.md, and sub/deep/11.png."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "sub" / "deep").mkdir(parents=True)
    random = np.random.default_rng(3)
    for number in range(12):
        blocks = random.integers(0, 256, (6, 6, 3), np.uint8)
        place = folder / "sub" / "deep" if number == 11 else folder
        Image.fromarray(blocks).resize((60 + number, 50)).save(place / f"{number:02d}.png")
    (folder / "bad.jpg").write_text("no picture")
    (folder / "notes.md").write_text("no picture either")
    return folder


@pytest.fixture
def checkpoint(request, narrow_checkpoint) -> Path:
    """The small model; for slow tests, which start processes, the whole one."""
    slow = request.node.get_closest_marker("slow") is not None
    return request.getfixturevalue("seeded_checkpoint") if slow else narrow_checkpoint


@pytest.fixture
def batch(pictures, checkpoint, narrow_checkpoint, tmp_path, monkeypatch, capsys):
    """Run `ssd300 batch` in a folder where `pictures` lies; each model and precision is loaded once."""
    (tmp_path / "pictures").symlink_to(pictures)
    monkeypatch.chdir(tmp_path)
    load = ssd300.batch.start.load_detector

    def load_once(*arguments: object) -> object:
        if arguments not in LOADED:
            with narrow_network() if checkpoint == narrow_checkpoint else nullcontext():
                LOADED[arguments] = load(*arguments)
        return LOADED[arguments]

    monkeypatch.setattr(ssd300.batch.start, "load_detector", load_once)

    def run(*arguments: str) -> CompletedProcess[str]:
        command = ["ssd300", "batch", *arguments, "--model", str(checkpoint), "--threads", "2"]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as stop:
            main.run()
        shown = capsys.readouterr()
        return CompletedProcess(command, stop.value.code, shown.out, shown.err)

    return run

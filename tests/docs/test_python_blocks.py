"""The Python blocks of the pages for users run, in a folder that has what they name."""

import re
import shutil
from pathlib import Path

import pytest

from command import ssd300
from data.sets import coco
from video.clips import write_clip

ROOT = Path(__file__).parents[2]
ELSEWHERE = {"export.md", "detect.md", "migrate.md", "install.md", "model-file.md"}  # of the other tests here
BLOCKS = {
    path.name: found
    for path in sorted((ROOT / "docs").glob("*.md"))
    if path.name not in ELSEWHERE
    and (found := re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S))
}


@pytest.fixture
def folder(seeded_checkpoint, tmp_path, monkeypatch) -> Path:
    """examples/, clip.mp4, cells/ and models of it, and results/ of a batch."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    write_clip(tmp_path / "clip.mp4", size=(640, 480))
    coco(tmp_path / "cells")
    (tmp_path / "cells/annotations.json").rename(tmp_path / "cells/val.json")
    (tmp_path / "runs/cells").mkdir(parents=True)
    for name in ("cells_old.safetensors", "cells_new.safetensors", "runs/cells/best.safetensors"):
        shutil.copyfile(seeded_checkpoint, tmp_path / name)
    shutil.copyfile(ROOT / "examples/images/coffee.jpg", tmp_path / "BloodImage_00000.jpg")
    monkeypatch.chdir(tmp_path)
    done = ssd300("batch", "examples/images", "--out", "results", "--model", seeded_checkpoint)
    assert done.returncode == 0, done.stderr
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", BLOCKS)
def test_the_blocks_of_a_page_run_in_turn(page, folder) -> None:
    names: dict[str, object] = {}
    for block in BLOCKS[page]:
        exec(compile(block, page, "exec"), names)


def test_blocks_are_found() -> None:
    assert {"evaluation.md", "large-pictures.md", "own-pictures.md", "scale.md", "video.md"} <= set(BLOCKS)

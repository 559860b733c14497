"""What a folder, a glob, a list or a generator stands for."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssd300.errors import ImageError
from ssd300.images import expand, name_of, open_source


@pytest.fixture
def folder(tmp_path: Path, photo, encode) -> Path:
    for name in ("b.png", "a.JPG", "c.tiff", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(encode(photo, "PNG"))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "d.png").write_bytes(encode(photo, "PNG"))
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def names(sources):
    return [os.path.basename(source.name) for source in expand(sources)]


@pytest.mark.parametrize(
    "empty", [[], (), iter(()), np.zeros((0, 4, 4, 3), np.uint8)], ids=["list", "tuple", "iterator", "array"]
)
def test_nothing_expands_to_nothing(empty):
    assert list(expand(empty)) == []


def test_directories_give_their_pictures_by_name(folder):
    assert names(folder) == names(str(folder)) == ["a.JPG", "b.png", "c.tiff"]
    assert names([folder, folder / "sub"]) == ["a.JPG", "b.png", "c.tiff", "d.png"]
    assert all(open_source(source).shape == (60, 90, 3) for source in expand(folder))


def test_globs_give_the_matching_pictures_by_name(folder):
    assert names(f"{folder}/*") == ["a.JPG", "b.png", "c.tiff"]
    assert names(f"{folder}/*.txt") == ["notes.txt"]  # asked for by its ending
    assert names(f"{folder}/**/*.png") == ["b.png", "d.png"]
    assert names(f"{folder}/[ab]*") == ["a.JPG", "b.png"]


def test_a_name_with_brackets_is_a_file_if_there_is_one(folder, photo, encode):
    (folder / "x[1].png").write_bytes(encode(photo, "PNG"))
    assert names(folder / "x[1].png") == ["x[1].png"]
    assert open_source(folder / "x[1].png").shape == (60, 90, 3)


def test_lists_keep_their_order_and_single_sources_stay_single(folder, photo):
    picture = Image.fromarray(photo)
    items = [photo, folder / "b.png", b"123", picture, io.BytesIO(b""), "https://example.com/a.jpg", "-"]
    assert [source.value for source in expand(items)][1:3] == [folder / "b.png", b"123"]
    assert [source.name for source in expand(items)] == [name_of(item) for item in items]
    for item in items:
        assert [source.name for source in expand(item)] == [name_of(item)]


def test_a_4d_array_gives_its_pictures(photo):
    assert [source.name for source in expand(np.stack([photo, photo]))] == ["<array 60x90>"] * 2


def test_generators_are_read_one_at_a_time(photo):
    taken = []

    def many():
        for i in range(10**9):
            taken.append(i)
            yield photo

    sources = expand(many())
    for _ in range(3):
        next(sources)
    assert len(taken) <= 4


def test_what_gives_nothing_fails_when_opened_not_in_between(folder, tmp_path):
    (tmp_path / "none").mkdir()
    items = [folder / "a.JPG", tmp_path / "none", tmp_path / "missing.jpg", f"{tmp_path}/*.nef", 5, folder / "b.png"]
    outcomes = []
    for source in expand(items):
        try:
            outcomes.append(open_source(source).shape)
        except ImageError:
            outcomes.append("failure")
    assert outcomes == [(60, 90, 3), "failure", "failure", "failure", "failure", (60, 90, 3)]

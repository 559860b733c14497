"""Which pictures a directory or a glob stands for, and what is said of the rest."""

import os
import warnings
from pathlib import Path

import pytest

from ssd300.images import expand
from ssd300.images.folders import EXTENSIONS, pictures_of, skipped_text


def filled(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def found(pattern: object, folder: Path) -> list[str]:
    return [os.path.relpath(path, folder) for path in pictures_of(str(pattern)).paths]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ""),
        (["a.jpg", "notes.txt", "labels.json", ".DS_Store", "._a.heic", "Thumbs.db"], ""),
        (["a.HEIC"], "1 file skipped: 1 .HEIC"),
        (["a.heic", "b.HEIC", "c.Heic", "d.nef", "e.jpg"], "4 files skipped: 3 .HEIC, 1 .NEF"),
        (["IMG_1", "b.mov"], "2 files skipped: 1 .MOV, 1 without an extension"),
        ([f"a.x{i:02}" for i in range(12)], "12 files skipped: 1 .X00, 1 .X01, 1 .X02, 1 .X03, 1 .X04, 1 .X05, "
         "1 .X06, 1 .X07, 1 .X08, 3 other extensions"),
    ],
)  # fmt: skip
def test_what_was_skipped_is_counted_by_ending(names, expected):
    assert skipped_text(names) == expected


@pytest.mark.parametrize("ending", [*EXTENSIONS, ".JIF", ".Mpo", ".APNG"])
def test_every_ending_is_found_by_folder_and_glob(ending, tmp_path):
    filled(tmp_path, f"a{ending}", "b.txt")
    assert found(tmp_path, tmp_path) == found(tmp_path / "*", tmp_path) == [f"a{ending}"]


@pytest.mark.parametrize("pattern", ["*", "*.*", "?*", "[a-z]*", "**"])
def test_a_glob_and_a_folder_agree(pattern, tmp_path):
    filled(tmp_path, "a.jpg", "b.PNG", "c.heic", "d", "notes.txt", ".e.jpg", "f.nef")
    by_folder = pictures_of(str(tmp_path))
    assert by_folder.skipped == "3 files skipped: 1 .HEIC, 1 .NEF, 1 without an extension"
    by_glob = pictures_of(f"{tmp_path}/{pattern}")
    assert set(by_glob.paths) == set(by_folder.paths)
    assert by_glob.skipped == ("2 files skipped: 1 .HEIC, 1 .NEF" if pattern == "*.*" else by_folder.skipped)


def test_a_glob_that_spells_the_ending_gives_all_it_matches(tmp_path):
    filled(tmp_path, "a.heic", "b.dat", "c.jpg")
    assert found(tmp_path / "*.heic", tmp_path) == ["a.heic"]
    assert found(tmp_path / "*.dat", tmp_path) == ["b.dat"]
    assert pictures_of(f"{tmp_path}/*.dat").skipped == ""


def test_skipped_files_are_said_once_a_folder(tmp_path):
    filled(tmp_path, "a.jpg", "b.heic", "sub/c.jpg")
    lines = []
    assert len(list(expand([tmp_path, tmp_path / "sub", tmp_path / "a.jpg"], tell=lines.append))) == 3
    assert lines == [f"{tmp_path}: 1 file skipped: 1 .HEIC"]
    with pytest.warns(UserWarning, match="1 file skipped: 1 .HEIC"):
        list(expand(tmp_path))


@pytest.mark.parametrize("pattern", ["**", "**/*.jpg"])
def test_a_folder_that_may_not_be_read_is_said(pattern, tmp_path, monkeypatch):
    filled(tmp_path, "a.jpg", "closed/b.jpg")
    assert pictures_of(f"{tmp_path}/{pattern}").skipped == ""
    scan, closed = os.scandir, str(tmp_path / "closed")

    def refuse(folder: str):
        if folder == closed:
            raise PermissionError
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    some = pictures_of(f"{tmp_path}/{pattern}")
    assert some.paths == (str(tmp_path / "a.jpg"),)
    assert some.skipped == f"1 folder skipped, which may not be read: {closed}"


def test_a_folder_of_skipped_files_alone_fails_when_opened(tmp_path):
    filled(tmp_path, "b.heic")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [source.value for source in expand(tmp_path)] == [tmp_path]
    assert [source.value for source in expand(f"{tmp_path}/*")] == [f"{tmp_path}/*"]


def test_two_stars_go_through_all_folders_but_hidden_ones_and_clutter(tmp_path):
    filled(
        tmp_path,
        "a.jpg",
        "s/b.jpg",
        "s/t/c.jpg",
        ".h/d.jpg",
        "__MACOSX/e.jpg",
        "@eaDir/f.jpg",
        "$RECYCLE.BIN/g.jpg",
        "data-view/h.jpg",
        "runs/detect/1/i.jpg",
        "runs/detect/cam-2/j.jpg",
        "s/runs/train/12/samples.jpg",
        "s/notes.txt",
    )
    assert found(tmp_path / "**/*.jpg", tmp_path) == ["a.jpg", "s/b.jpg", "s/t/c.jpg"]
    assert found(tmp_path / "**", tmp_path) == ["a.jpg", "s/b.jpg", "s/t/c.jpg"]
    assert found(tmp_path / "**/t/*.jpg", tmp_path) == ["s/t/c.jpg"]
    assert found(tmp_path / "*/**/c.*", tmp_path) == ["s/t/c.jpg"]
    assert found(tmp_path / "**/**/t/**/*", tmp_path) == ["s/t/c.jpg"]


def test_the_folder_of_a_run_is_searched_where_it_is_given(tmp_path):
    filled(tmp_path, "runs/detect/1/a.jpg")
    assert found(tmp_path / "runs/detect/1/**", tmp_path) == ["runs/detect/1/a.jpg"]
    assert found(tmp_path / "runs/**/*.jpg", tmp_path) == ["runs/detect/1/a.jpg"]


def test_relative_patterns_stay_relative(tmp_path, monkeypatch):
    filled(tmp_path, "a.jpg", "s/b.jpg")
    monkeypatch.chdir(tmp_path)
    assert pictures_of("**/*.jpg").paths == ("a.jpg", "s/b.jpg")
    assert pictures_of("s/**").paths == ("s/b.jpg",)
    assert pictures_of(".").paths == ("./a.jpg",)


def test_brackets_in_folder_names_are_no_pattern(tmp_path):
    filled(tmp_path, "s[1]/a.jpg")
    assert found(tmp_path / "**/*.jpg", tmp_path) == ["s[1]/a.jpg"]


# Links ---------------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(20)
def test_loops_of_links_end(tmp_path):
    filled(tmp_path, "a.jpg", "s/b.jpg", "t/c.jpg")
    for folder in (tmp_path, tmp_path / "s", tmp_path / "t"):
        for number, target in enumerate((tmp_path, tmp_path / "s", tmp_path / "t")):
            (folder / f"loop{number}").symlink_to(target)
    assert found(tmp_path / "**/*.jpg", tmp_path) == ["a.jpg", "s/b.jpg", "t/c.jpg"]


def test_folders_that_are_linked_are_gone_through_once(tmp_path):
    filled(tmp_path, "in/a.jpg", "out/b.jpg")
    (tmp_path / "in/link").symlink_to(tmp_path / "out")
    (tmp_path / "in/again").symlink_to(tmp_path / "out")
    assert found(tmp_path / "in/**/*.jpg", tmp_path) == ["in/a.jpg", "in/again/b.jpg"]


def test_a_link_to_itself_hides_nothing(tmp_path):
    filled(tmp_path, "a.jpg")
    (tmp_path / "self.jpg").symlink_to(tmp_path / "self.jpg")
    assert found(tmp_path, tmp_path) == ["a.jpg", "self.jpg"]


def test_a_locked_folder_gives_nothing(tmp_path, monkeypatch):
    filled(tmp_path, "a.jpg")

    def refuse(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    assert found(tmp_path, tmp_path) == []

"""Devices, pipes and links that lead in circles where a data set has files."""

import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from data.sets import TRUTH, coco, found, stems, voc, write, yolo
from data.test_hostile_convert import convert
from ssd300.data.check import check_dataset
from ssd300.data.load import find_parts, load_dataset
from ssd300.errors import DatasetError, OutputError, SSD300Error


@pytest.mark.posix
@pytest.mark.parametrize("kind", ["FIFO", "device", "link to a device", "folder", "socket"])
@pytest.mark.parametrize(
    "name",
    ["data.yaml", "annotations.json", "list.txt", "labels/a.txt", "images/a.jpg", "Annotations/a.xml", "ssd300.json",
     "classes.txt", "obj.data", "annotations.xml", "boxes.csv", "set.pack", "a.json"],
)  # fmt: skip
def test_only_regular_files_are_read(tmp_path: Path, name: str, kind: str) -> None:
    {"Annotations/a.xml": voc, "annotations.json": coco}.get(name, yolo)(tmp_path)
    if name == "list.txt":
        write(tmp_path / "data.yaml", "train: list.txt\nnames: [cat, dog]\n")
    path = tmp_path / name
    path.unlink(missing_ok=True)
    special(path, kind)
    start = time.monotonic()
    try:
        check_dataset(tmp_path)
        check_dataset(path)
    except SSD300Error:
        pass
    assert time.monotonic() - start < 10
    assert os.path.lexists(path)


def special(path: Path, kind: str) -> None:
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "link to a device":
        path.with_name("link").symlink_to("/dev/zero")
        path.symlink_to(path.with_name("link"))
    elif kind == "folder":
        path.mkdir()
    else:
        import socket

        with socket.socket(socket.AF_UNIX) as one, contextlib.chdir(path.parent):  # a path may be too long for it
            one.bind(path.name)


KITTI = "Car 0 0 0 1 2 30 40 0 0 0 0 0 0 0"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("Annotations/a.xml", b"<annotation/>" * 9),
        ("annotations.xml", b"<annotations/>" * 9),
        ("labels/a.txt", b"\xff"),
        ("label_2/b.txt", b"\xff"),
        ("createml.json", b'[{"image": "a.jpg", "annotations": []}]'),
        ("labelme.json", b'{"shapes": [], "imagePath": "a.jpg"}'),
        ("via.json", b'{"a.jpg": {"filename": "a.jpg", "size": 1, "regions": []}}'),
    ],
)
def test_an_error_names_its_file_once(tmp_path: Path, monkeypatch, name: str, content: bytes) -> None:
    monkeypatch.setattr("ssd300.data.markup.XML_BYTES", 10)
    monkeypatch.setattr("ssd300.data.reading.JSON_BYTES", 10)
    yolo(tmp_path) if name == "labels/a.txt" else write(tmp_path / "label_2/a.txt", KITTI)
    if name.endswith((".xml", ".json")):
        (tmp_path / "label_2/a.txt").unlink()
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        load_dataset(tmp_path)
    assert str(caught.value).count(str(tmp_path / name)) == 1, str(caught.value)


@pytest.mark.parametrize("name", ["boxes.csv", "label_2/a.txt"])
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch, name: str) -> None:
    write(tmp_path / name, KITTI)
    opened = Path.open

    def refuse(path: Path, *given: object, **options: object) -> object:
        if path == tmp_path / name:
            raise PermissionError(13, "Permission denied")
        return opened(path, *given, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DatasetError, match=rf"{name}: the file cannot be read: Permission denied"):
        load_dataset(tmp_path)


def test_labels_in_a_folder_that_may_not_be_read_are_not_counted_as_empty(tmp_path: Path, monkeypatch) -> None:
    yolo(tmp_path)
    (tmp_path / "labels/a.txt").unlink()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "labels")
    with pytest.raises(DatasetError, match=r"unreadable label file: .*labels may not be read; change its permissions"):
        load_dataset(tmp_path)


@pytest.mark.posix
@pytest.mark.parametrize("kind", ["FIFO", "link to a device"])
@pytest.mark.parametrize("what", ["cases", "split", "convert"])
def test_nothing_is_written_over_a_device(tmp_path: Path, kind: str, what: str) -> None:
    from ssd300.data.load import write_split
    from ssd300.data.split import split_dataset

    root = coco(tmp_path / "set")
    target = tmp_path / "out" / "train.json"
    target.parent.mkdir()
    special(target, kind)
    before = target.lstat()
    train, val = split_dataset(load_dataset(root))
    writers: dict[str, Callable[[], object]] = {
        "cases": lambda: check_dataset(root).write_cases(target),
        "split": lambda: write_split(find_parts(root)[0], {"train": train, "val": val}, target.parent),
        "convert": lambda: convert(root, target, "coco"),
    }
    with pytest.raises((OutputError, DatasetError)):
        writers[what]()
    assert (target.lstat().st_mode, target.lstat().st_ino) == (before.st_mode, before.st_ino)


# links that lead in circles


@pytest.mark.posix
@pytest.mark.parametrize("make", [yolo, voc])
def test_folders_linked_in_circles_end(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    make(tmp_path)
    for folder in [path for path in tmp_path.iterdir() if path.is_dir()]:
        (folder / "loop").symlink_to(folder)
        (folder / "up").symlink_to(tmp_path)
        (folder / "self").symlink_to(folder / "self")
    assert {"a", "b", "c"} <= stems(load_dataset(tmp_path))


@pytest.mark.skipif(sys.platform != "linux", reason="folders of Linux")
@pytest.mark.parametrize("place", ["/", "/proc", "/proc/self", "/sys", "/dev", "link/proc/self"])
def test_the_system_s_folders_are_no_part(tmp_path: Path, place: str) -> None:
    (tmp_path / "link").symlink_to("/")
    yolo(tmp_path, f"train: {place}\nnames: [cat, dog]\n")
    with pytest.raises(
        DatasetError, match="a folder of the system, not of a data set; give the folder of the pictures"
    ):
        load_dataset(tmp_path)


@pytest.mark.posix
def test_links_to_the_system_are_not_followed(tmp_path: Path) -> None:
    yolo(tmp_path)
    for name, target in (("proc", "/proc/self"), ("dev", "/dev/fd")):
        (tmp_path / "images" / name).symlink_to(target)
    assert found(load_dataset(tmp_path)) == TRUTH


def test_too_many_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssd300.data.files.FOLDER_FILES", 3)
    assert found(load_dataset(yolo(tmp_path))) == TRUTH
    write(tmp_path / "images/more/notes.txt", "")
    with pytest.raises(DatasetError, match=r"images: holds more than 3 files; give the folder of the pictures"):
        load_dataset(tmp_path)

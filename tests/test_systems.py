"""The same answers on every system: names that a file system does not tell apart, orders, limits."""

import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PureWindowsPath
from typing import Any

import pytest

from data.sets import TRUTH, coco, coco_content, found, pictures, voc, voc_text, write, yolo
from ssd300.data import files
from ssd300.data.load import find_parts, load_dataset, read_part
from ssd300.errors import DatasetError
from ssd300.serve.connections import allow_many_files


@pytest.fixture
def ignore_case(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """After a call one file has all letter cases of its name, as on the disks of Windows and the Mac."""
    listed = os.listdir

    def on_disk(path: Any) -> Any:
        place = Path()
        for part in Path(os.fsdecode(path)).parts:
            names = [part]
            if not os.path.lexists(place / part):
                with suppress(OSError):
                    names = [name for name in listed(place) if name.casefold() == part.casefold()] or names
            place /= names[0]
        return str(place)

    def through(call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda path=".", *more, **options: call(
            path if isinstance(path, int) else on_disk(path), *more, **options
        )

    def begin() -> None:
        for module, name in ((os, "stat"), (os, "listdir"), (os, "scandir"), (io, "open")):
            monkeypatch.setattr(module, name, through(getattr(module, name)))

    return begin


def test_pictures_of_another_part_are_left_out_under_any_name(tmp_path: Path, ignore_case: Callable[[], None]) -> None:
    """Else those of val are in train, too."""
    yolo(tmp_path, "train: images\nval: Images/VAL\ntest: test.txt\nnames: [cat, dog]\n", names="ab")
    pictures(tmp_path / "images/val", names="c")
    write(tmp_path / "test.txt", "Images/B.JPG\n")
    ignore_case()
    sets = {part.split: found(read_part(part)) for part in find_parts(tmp_path)}
    assert {split: sorted(names) for split, names in sets.items()} == {"test": ["b"], "train": ["a"], "val": ["c"]}


def test_one_label_file_of_two_pictures_is_a_fault(tmp_path: Path, ignore_case: Callable[[], None]) -> None:
    yolo(tmp_path, names="a")
    pictures(tmp_path / "images", ".png", names="b")
    for old, new in {
        "images/b.png": "images/Aß.png",
        "images/a.jpg": "images/aß.jpg",
        "labels/a.txt": "labels/aß.txt",
    }.items():
        (tmp_path / old).rename(tmp_path / new)
    ignore_case()
    with pytest.raises(DatasetError, match=r"label file shared: .*two pictures differ only in their extensions"):
        load_dataset(tmp_path)


def test_a_picture_with_boxes_is_not_read_again_without(tmp_path: Path, ignore_case: Callable[[], None]) -> None:
    voc(tmp_path, names="ab")
    (tmp_path / "Annotations/a.xml").unlink()
    write(tmp_path / "Annotations/1.xml", voc_text("A", TRUTH["a"]))
    ignore_case()
    assert found(load_dataset(tmp_path)) == {name: TRUTH[name] for name in "ab"}


def test_the_folders_of_a_set_have_their_own_names(tmp_path: Path, ignore_case: Callable[[], None]) -> None:
    voc(tmp_path, annotations="annotations", images="photos")
    ignore_case()
    assert found(load_dataset(tmp_path)) == TRUTH
    assert {picture.labels.parent.name for picture in load_dataset(tmp_path).pictures if picture.labels} == {
        "annotations"
    }


def test_names_of_another_letter_case(tmp_path: Path, ignore_case: Callable[[], None]) -> None:
    content = coco_content()
    for image in content["images"]:
        image["file_name"] = f"PHOTOS/{image['file_name'].upper()}"
    coco(tmp_path, content)
    (tmp_path / "photos").mkdir()
    for name in "abc":
        (tmp_path / f"{name}.jpg").rename(tmp_path / f"photos/{name}.jpg")
    expected = [str(tmp_path / f"photos/{name}.jpg") for name in "abc"]
    assert [str(picture.path) for picture in load_dataset(tmp_path).pictures] == expected
    ignore_case()
    assert [str(picture.path) for picture in load_dataset(tmp_path).pictures] == expected


def test_pictures_have_one_order_on_all_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A split that is drawn with a seed depends on it, and paths of Windows compare without regard to case."""
    for name in ("b.jpg", "C.jpg", "a.jpg"):
        (tmp_path / name).touch()
    assert [path.name for path in files.entries(tmp_path)] == ["C.jpg", "a.jpg", "b.jpg"]
    monkeypatch.setattr(files, "Path", PureWindowsPath)
    monkeypatch.setattr(os.path, "isfile", lambda path: True)
    assert [path.name for path in files.walk(tmp_path, lambda path: True)] == ["C.jpg", "a.jpg", "b.jpg"]


@pytest.mark.parametrize(("accepted", "limit"), [(10240, 10240), (100_000, 65536), (0, 256)])
def test_a_system_that_refuses_so_many_open_files(accepted: int, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Mac names no limit, and has one."""
    resource, limits = pytest.importorskip("resource"), [256]

    def set_limit(_: int, wanted: tuple[int, int]) -> None:
        if wanted[0] > accepted:
            raise ValueError("current limit exceeds maximum limit")
        limits[0] = wanted[0]

    monkeypatch.setattr(resource, "getrlimit", lambda _: (limits[0], resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    allow_many_files()
    assert limits == [limit]

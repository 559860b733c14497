import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssd300.cli.saving import OutputFolder
from ssd300.detections import Detections
from ssd300.errors import SSD300Error
from ssd300.labels import COCO, ClassList

PICTURE = np.full((80, 120, 3), 90, np.uint8)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(source: str | None, boxes=((10, 10, 50, 60),)) -> Detections:
    count = len(boxes)
    boxes = np.array(boxes, np.float32).reshape(count, 4)
    return Detections(boxes, np.linspace(0.9, 0.5, count), [18] * count, COCO, (80, 120), source)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_nothing_found_is_drawn_too() -> None:
    folder = OutputFolder(Path("out"))
    folder.save(found("a.jpg", ()), PICTURE, crops=True, yolo=True)
    assert files(Path("out")) == ["a.jpg", "classes.txt", "labels/a.txt"]
    assert Path("out/labels/a.txt").read_text() == ""


def test_runs_are_numbered_on_from_the_highest() -> None:
    for name in ("7", "3", "x", "٣"):
        Path("runs/detect", name).mkdir(parents=True)
    assert OutputFolder(None).path == Path("runs/detect/8")
    assert OutputFolder(None).path == Path("runs/detect/9")


def test_runs_that_start_at_once_get_folders_of_their_own() -> None:
    numbers = []
    threads = [threading.Thread(target=lambda: numbers.append(OutputFolder(None).path)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(numbers)) == 20


def test_an_empty_folder_is_not_left_behind_but_a_used_one_is() -> None:
    folder = OutputFolder(None)
    folder.remove_if_empty()
    assert not folder.path.exists()
    Path("old").mkdir()
    Path("old/file").touch()
    OutputFolder(Path("old")).remove_if_empty()
    assert files(Path("old")) == ["file"]


def test_pictures_of_one_name_do_not_overwrite_each_other() -> None:
    folder = OutputFolder(Path("out"))
    for source in ("a/x.jpg", "b/x.jpg", "x.png", "X.JPG", "x-2.jpg", "https://host/x.jpg?size=2", "<stdin>", "y.tiff"):
        folder.save(found(source), PICTURE, crops=False, yolo=False)
    expected = ["X-4.JPG", "stdin.jpg", "x-2-2.jpg", "x-2.jpg", "x-3.png", "x-5.jpg", "x.jpg", "y.jpg"]
    assert files(Path("out")) == sorted(expected)


@pytest.mark.parametrize("name", ["", ".", "..", "a:b*?", "con/..", "x" * 300, "日" * 300, "\x1b[31m", "ü ñ 日"])
def test_any_name_stays_inside_the_folder(name) -> None:
    folder = OutputFolder(Path("out"))
    folder.save(found(name), PICTURE, crops=False, yolo=False)
    (path,) = Path().rglob("*.jpg")
    assert path.parent == Path("out")


def test_crops_lie_in_a_folder_per_class() -> None:
    boxes = ((10, 10, 50, 60), (-50, -50, -1, -1), (100, 70, 500, 500))
    folder = OutputFolder(Path("out"))
    folder.save(found("a.png", boxes), PICTURE, crops=True, yolo=False)
    assert files(Path("out")) == ["a.png", "crops/dog/a_1.jpg", "crops/dog/a_3.jpg"]
    with Image.open("out/crops/dog/a_1.jpg") as image:
        assert image.size == (40, 50)


def test_names_of_classes_cannot_leave_the_folder() -> None:
    classes = ClassList(("../../evil", "..", "a/b"), (1, 2, 3))
    result = Detections([[0, 0, 9, 9]] * 3, [0.9] * 3, [1, 2, 3], classes, (80, 120), "a.jpg")
    OutputFolder(Path("out")).save(result, PICTURE, crops=True, yolo=True)
    assert [path for path in files(Path()) if not path.startswith("out/")] == []
    assert len(files(Path("out/crops"))) == 3


def test_a_side_too_long_for_jpeg_becomes_png() -> None:
    size_hw = (1, 65501)
    result = Detections.empty(COCO, size_hw, "long.jpg")
    OutputFolder(Path("out")).save(result, np.zeros((*size_hw, 3), np.uint8), crops=False, yolo=False)
    assert files(Path("out")) == ["long.png"]


@pytest.mark.parametrize("path", [Path("file"), Path("file/sub"), None])
def test_a_folder_that_cannot_be_made_says_what_to_do(path) -> None:
    Path("file").touch()
    Path("runs").touch()
    with pytest.raises(SSD300Error, match=r"cannot make the folder .*--save-dir.*--no-save"):
        OutputFolder(path)


def test_a_picture_that_cannot_be_written_is_named() -> None:
    folder = OutputFolder(Path("out"))
    Path("out/a.jpg").mkdir()
    with pytest.raises(SSD300Error, match=r"a.jpg: detected, but not saved in out: Is a directory"):
        folder.save(found("a.jpg"), PICTURE, crops=False, yolo=False)
    assert folder.saved == 0

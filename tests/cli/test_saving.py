import csv
import errno
import io
import threading
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssd300.cli import saving
from ssd300.cli.saving import OutputFolder, refuse_filled, render
from ssd300.detections import Detections
from ssd300.errors import ArgumentError, SSD300Error
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


def save(folder: OutputFolder, result: Detections, picture=PICTURE, *, crops=False, yolo=False) -> None:
    folder.write(render(replace(result, picture=picture), crops=crops), {"yolo"} if yolo else ())


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_an_interrupted_write_leaves_no_half_file(here, monkeypatch) -> None:
    class Stopped(io.BytesIO):
        def write(self, data) -> int:
            raise KeyboardInterrupt

    def opened(path: Path, mode: str) -> io.BytesIO:
        path.touch()
        return Stopped()

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(KeyboardInterrupt):
        saving._write_new(here / "a.jpg", b"half")
    assert list(here.iterdir()) == []


def test_nothing_found_is_drawn_too() -> None:
    folder = OutputFolder(Path("out"))
    save(folder, found("a.jpg", ()), crops=True, yolo=True)
    assert files(Path("out")) == ["a.jpg", "classes.txt", "labels/a.txt", "sources.csv"]
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
    used = OutputFolder(Path("old"))
    Path("old/file").touch()
    used.remove_if_empty()
    assert files(Path("old")) == ["file"]


@pytest.mark.parametrize("place", [".", "empty", "link"])
def test_a_folder_that_was_there_before_stays(place: str, monkeypatch) -> None:
    Path("empty").mkdir()
    Path("link").symlink_to("empty")
    monkeypatch.chdir("empty" if place == "." else ".")
    OutputFolder(Path(place)).remove_if_empty()
    assert Path(place).is_dir()


def test_pictures_of_one_name_do_not_overwrite_each_other() -> None:
    folder = OutputFolder(Path("out"))
    for source in ("a/x.jpg", "b/x.jpg", "x.png", "X.JPG", "x-2.jpg", "https://host/x.jpg?size=2", "<stdin>", "y.tiff"):
        save(folder, found(source), crops=False, yolo=False)
    expected = ["X-4.JPG", "stdin.jpg", "x-2-2.jpg", "x-2.jpg", "x-3.png", "x-5.jpg", "x.jpg", "y.jpg"]
    assert files(Path("out")) == sorted(expected)


@pytest.mark.parametrize("name", ["", ".", "..", "a:b*?", "con/..", "x" * 300, "日" * 300, "\x1b[31m", "ü ñ 日"])
def test_any_name_stays_inside_the_folder(name) -> None:
    folder = OutputFolder(Path("out"))
    folder.write(render(replace(found(name), picture=PICTURE), crops=False), {"labelme"})
    (path,) = Path().rglob("*.jpg")
    assert path.parent == Path("out")


def test_a_crop_that_no_jpeg_holds_is_a_png() -> None:
    wide = np.zeros((2, 65_600, 3), np.uint8)
    boxes = np.array([[0, 0, 65_600, 2], [0, 0, 9, 2]], np.float32)
    save(
        OutputFolder(Path("out")), Detections(boxes, [0.9, 0.8], [18, 18], COCO, (2, 65_600), "a.jpg"), wide, crops=True
    )
    assert files(Path("out")) == ["a.png", "crops/dog/a_1.png", "crops/dog/a_2.jpg"]


def test_classes_never_share_a_folder_of_crops() -> None:
    classes = ClassList.from_names(["a/b", "cat", "a:b", "A_B"])
    boxes = np.array([[10, 10, 50, 60]] * 3, np.float32)
    result = Detections(boxes, [0.9, 0.8, 0.7], [4, 3, 1], classes, (80, 120), "a.png")
    save(OutputFolder(Path("out")), result, crops=True)
    assert files(Path("out/crops")) == ["A_B-3/a_1.jpg", "a_b-2/a_2.jpg", "a_b/a_3.jpg"]


def test_crops_lie_in_a_folder_per_class() -> None:
    boxes = ((10, 10, 50, 60), (-50, -50, -1, -1), (100, 70, 500, 500))
    folder = OutputFolder(Path("out"))
    save(folder, found("a.png", boxes), crops=True, yolo=False)
    assert files(Path("out")) == ["a.png", "crops/dog/a_1.jpg", "crops/dog/a_3.jpg"]
    with Image.open("out/crops/dog/a_1.jpg") as image:
        assert image.size == (40, 50)


def test_names_of_classes_cannot_leave_the_folder() -> None:
    classes = ClassList(("../../evil", "..", "a/b"), (1, 2, 3))
    result = Detections([[0, 0, 9, 9]] * 3, [0.9] * 3, [1, 2, 3], classes, (80, 120), "a.jpg")
    save(OutputFolder(Path("out")), result, crops=True, yolo=True)
    assert [path for path in files(Path()) if not path.startswith("out/")] == []
    assert len(files(Path("out/crops"))) == 3


@pytest.mark.parametrize(
    ("name", "folder"), [("CON", "_CON"), ("nul.5", "_nul.5"), ("conout$", "_conout$"), ("x" * 199 + " y", "x" * 199)]
)
def test_names_of_classes_are_no_devices_of_windows(name, folder) -> None:
    named = Detections([[1, 1, 60, 60]], [0.9], [1], ClassList((name,), (1,)), (80, 120), "aux.png")
    save(OutputFolder(Path("out")), named, crops=True)
    assert files(Path("out")) == ["_aux.png", f"crops/{folder}/_aux_1.jpg"]


def test_classes_that_differ_in_how_accents_are_written_are_not_mixed() -> None:
    """A Mac has one folder for both."""
    classes = ClassList(("gr\u00fcn", "gru\u0308n"), (1, 2))
    both = Detections([[1, 1, 60, 60]] * 2, [0.9, 0.8], [1, 2], classes, (80, 120), "a.png")
    save(OutputFolder(Path("out")), both, crops=True)
    assert {unicodedata.normalize("NFC", path.name) for path in Path("out/crops").iterdir()} == {"grün", "grün-2"}


def test_a_side_too_long_for_jpeg_becomes_png() -> None:
    size_hw = (1, 65501)
    result = Detections.empty(COCO, size_hw, "long.jpg")
    save(OutputFolder(Path("out")), result, np.zeros((*size_hw, 3), np.uint8))
    assert files(Path("out")) == ["long.png"]


@pytest.mark.parametrize("path", [Path("file"), Path("file/sub"), None])
def test_a_folder_that_cannot_be_made_says_what_to_do(path) -> None:
    Path("file").touch()
    Path("runs").touch()
    with pytest.raises(SSD300Error, match=r"cannot make the folder .*--save-dir.*--no-save"):
        OutputFolder(path)


def test_a_picture_that_cannot_be_written_is_named() -> None:
    folder = OutputFolder(Path("out"))
    Path("out").rmdir()
    with pytest.raises(SSD300Error, match=r"a.jpg: detected, but not saved in out: No such file or directory"):
        save(folder, found("a.jpg"))
    assert folder.saved == 0


@pytest.mark.parametrize("inside", ["a.jpg", "labels", ".hidden"])
def test_a_folder_that_holds_anything_is_refused_before_any_work(inside) -> None:
    refuse_filled(None)
    refuse_filled(Path("new"))
    Path("used", inside).mkdir(parents=True)
    for refuse in (refuse_filled, OutputFolder):
        with pytest.raises(ArgumentError, match=rf"--save-dir used: the folder is not empty \(it holds {inside}\)"):
            refuse(Path("used"))
    Path("empty").mkdir()
    assert OutputFolder(Path("empty")).path == Path("empty")


def test_a_file_that_appears_meanwhile_is_kept() -> None:
    folder = OutputFolder(Path("out"))
    Path("out/a.jpg").write_bytes(b"mine")
    Path("out/b.jpg").symlink_to("nowhere")
    save(folder, found("a.jpg"))
    save(folder, found("b.jpg"))
    assert Path("out/a.jpg").read_bytes() == b"mine"
    assert Path("out/b.jpg").is_symlink()
    assert {"a-2.jpg", "b-2.jpg"} < {path.name for path in Path("out").iterdir()}


def test_labels_classes_and_crops_that_appear_meanwhile_are_kept() -> None:
    for made in ("labels/a.txt", "classes.txt", "crops/dog/a_1.jpg"):
        folder = OutputFolder(Path("out", made.replace("/", " ")))
        path = folder.path / made
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        with pytest.raises(SSD300Error, match=r"a.jpg: detected, but not saved in .*: File exists"):
            save(folder, found("a.jpg"), crops=True, yolo=True)
        assert path.read_text() == "mine"


@pytest.mark.parametrize("full", ["classes.txt", "sources.csv"])
def test_a_picture_that_is_not_saved_does_not_stop_those_after_it(monkeypatch, full) -> None:
    write = saving._write_new

    def write_once_refused(path: Path, data: bytes) -> None:
        if path.name == full:
            monkeypatch.setattr(saving, "_write_new", write)
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, data)

    monkeypatch.setattr(saving, "_write_new", write_once_refused)
    folder = OutputFolder(Path("out"))
    with pytest.raises(SSD300Error, match=r"a.jpg: detected, but not saved in out: No space left"):
        save(folder, found("a.jpg"), yolo=True)
    save(folder, found("b.jpg"), yolo=True)
    assert Path("out/sources.csv").read_text() == "label,picture,source\nlabels/b.txt,b.jpg,b.jpg\n"
    assert Path("out/classes.txt").read_text() == COCO.to_lines()


def test_a_full_disk_leaves_no_half_row() -> None:
    from full_disk import files_of_at_most

    folder = OutputFolder(Path("out"))
    save(folder, found("a.jpg"), yolo=True)
    with files_of_at_most(60), pytest.raises(OSError, match=r"No space left|too large"):
        folder._write_labels("b", Path("out/b.jpg"), found("b.jpg"))
    save(folder, found("c.jpg"), yolo=True)
    rows = Path("out/sources.csv").read_text().splitlines()
    assert rows == ["label,picture,source", "labels/a.txt,a.jpg,a.jpg", "labels/c.txt,c.jpg,c.jpg"]


def test_labels_say_which_picture_they_belong_to() -> None:
    folder = OutputFolder(Path("out"))
    for source in ("a/x.jpg", "b/x.png", "odd\udcff.jpg", 'a,"b\r.jpg'):
        save(folder, found(source), yolo=True)
    table = list(csv.DictReader(io.StringIO(Path("out/sources.csv").read_bytes().decode(), newline="")))
    assert [(row["label"], row["picture"], row["source"]) for row in table] == [
        ("labels/x.txt", "x.jpg", "a/x.jpg"),
        ("labels/x-2.txt", "x-2.png", "b/x.png"),
        ("labels/odd\\udcff.txt", "odd\\udcff.jpg", "odd\\udcff.jpg"),
        ("labels/a,_b_.txt", "a,_b_.jpg", 'a,"b\r.jpg'),
    ]


def test_a_class_is_one_line_of_the_list() -> None:
    classes = ClassList(("cat", "two\r\nlines", "dog"), (1, 2, 18))
    folder = OutputFolder(Path("out"))
    save(folder, replace(found("a.jpg"), classes=classes), yolo=True)
    assert Path("out/classes.txt").read_text().splitlines() == ["cat", "two lines", "dog"]


def test_what_cannot_be_drawn_is_a_fault_of_its_picture() -> None:
    rendered = render(found("gone.jpg"), crops=False)
    assert len(rendered.found) == 1
    with pytest.raises(ArgumentError, match="pass picture="):
        OutputFolder(Path("out")).write(rendered)

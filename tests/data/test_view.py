import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssd300.data.load import load_dataset
from ssd300.data.view import contact_sheet, draw_sheets, make_view
from ssd300.errors import OutputError


def test_no_pictures(coco: Path, tmp_path: Path) -> None:
    assert draw_sheets(load_dataset(coco), tmp_path / "out", []) == []
    assert contact_sheet([], 6, 50).size == (58, 58)


def test_sheets_hold_so_many_tiles_each(coco: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("ssd300.data.view._COLUMNS", 2)
    monkeypatch.setattr("ssd300.data.view._ROWS", 1)
    paths = draw_sheets(load_dataset(coco), tmp_path / "out", [0, 1, 2, 3], tile=50)
    assert [path.name for path in paths] == ["sheet-001.png", "sheet-002.png"]
    with Image.open(paths[0]) as sheet:
        assert sheet.size == (2 * 54 + 4, 54 + 4)


def test_large_pictures_are_not_kept_whole(coco: Path, tmp_path: Path) -> None:
    dataset = load_dataset(coco)
    large = np.zeros((3000, 4000, 3), np.uint8)  # 36 MB each
    pictures = [replace(one, payload=SimpleNamespace(read=large.copy)) for one in dataset.pictures]
    tracemalloc.start()
    draw_sheets(replace(dataset, pictures=tuple(pictures)), tmp_path / "out", [0, 1, 2, 3])
    assert tracemalloc.get_traced_memory()[1] < 2.5 * large.nbytes
    tracemalloc.stop()


def test_the_memory_does_not_grow_with_the_number_of_sheets(coco: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("ssd300.data.view._COLUMNS", 1)
    monkeypatch.setattr("ssd300.data.view._ROWS", 1)
    dataset = load_dataset(coco)
    peaks = []
    for count in (1, 12):
        tracemalloc.start()
        draw_sheets(dataset, tmp_path / "out", [0] * count, tile=600)  # 0.7 MB each
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2e6


def test_sheets_replace_no_other_files(coco: Path, tmp_path: Path) -> None:
    dataset = load_dataset(coco)
    draw_sheets(dataset, tmp_path / "out", [0])
    draw_sheets(dataset, tmp_path / "out", [1])  # those of an earlier call are replaced
    pictures = coco / "images"
    Image.new("RGB", (40, 30)).save(pictures / "sheet-001.png")  # a user's
    before = {path: path.read_bytes() for path in pictures.iterdir()}
    with pytest.raises(OutputError, match=r"images is not empty \(it holds a\.jpg\)"):
        draw_sheets(dataset, pictures, [1])
    for path in pictures.glob("*.jpg"):
        path.unlink()
    with pytest.raises(OutputError, match=r"images is not empty \(it holds sheet-001\.png\)"):
        draw_sheets(dataset, pictures, [1])
    assert (pictures / "sheet-001.png").read_bytes() == before[pictures / "sheet-001.png"]
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="it is no folder"):
        draw_sheets(dataset, tmp_path / "file", [1])


def test_a_file_that_comes_while_sheets_are_drawn_stays(coco: Path, tmp_path: Path) -> None:
    def save_notes(*given: Any) -> Any:
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / "notes.txt").write_bytes(b"mine")
        return given[0], given[1], given[2]

    draw_sheets(load_dataset(coco), tmp_path / "out", [0], augment=save_notes)
    assert (tmp_path / "out" / "notes.txt").read_bytes() == b"mine"


def test_no_sheet_of_an_earlier_call_stays(coco: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("ssd300.data.view._COLUMNS", 1)
    monkeypatch.setattr("ssd300.data.view._ROWS", 1)
    dataset = load_dataset(coco)
    assert len(draw_sheets(dataset, tmp_path / "out", [0, 1, 2])) == 3
    assert draw_sheets(dataset, tmp_path / "out", [1]) == list((tmp_path / "out").iterdir())


def test_captions_tell_flags_and_scores(edit_coco: Any) -> None:
    def flag(content: dict[str, Any]) -> None:
        content["annotations"][0].update(iscrowd=1)
        content["annotations"][1].update(ignore=1, score=0.25)

    dataset = load_dataset(edit_coco(flag))
    assert make_view(dataset, dataset.pictures[0]).captions == ("cat (crowd)", "dog 0.25 (ignore)")


def test_each_picture_is_followed_by_its_augmented_self(coco: Path, tmp_path: Path) -> None:
    seen: list[tuple[list[float], list[int], float]] = []

    def drop_first(rgb: Any, unit_xyxy: Any, positions: Any, crowd: Any, rng: np.random.Generator) -> Any:
        seen.append((unit_xyxy[0].tolist(), positions.tolist(), rng.random()))
        return 255 - rgb, unit_xyxy[1:], positions[1:]

    dataset = load_dataset(coco)
    (path,) = draw_sheets(dataset, tmp_path / "out", [0], augment=drop_first, tile=64)
    with Image.open(path) as sheet:
        assert sheet.size == (2 * 68 + 4, 68 + 4)
    assert np.allclose(seen[0][0], [4 / 64, 6 / 48, 24 / 64, 36 / 48])
    assert seen[0][1] == [0, 1]
    draw_sheets(dataset, tmp_path / "again", [0], augment=drop_first, tile=64)
    assert seen[0] == seen[1]  # chance comes from the seed and the position alone
    assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_its_sheets_are_no_pictures_of_a_flat_folder(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg")
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "classes.txt").write_text("cat\n")
    for out in ("data-view", "runs/detect/1"):
        draw_sheets(load_dataset(tmp_path), tmp_path / out, [0])
    assert len(load_dataset(tmp_path)) == 1

"""`ssd300 data` through its command line."""

import csv
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command import ssd300


@pytest.fixture
def pets(tmp_path) -> Path:
    """A COCO set of twelve pictures with a cat and a dog each, and one picture without boxes."""
    root = tmp_path / "pets"
    (root / "images").mkdir(parents=True)
    random = np.random.default_rng(0)
    images, boxes = [], []
    for i in range(13):
        Image.fromarray(random.integers(0, 256, (12, 16, 3), np.uint8)).resize((64, 48)).save(root / f"images/{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "width": 64, "height": 48})
        for class_id, box in ((7, [4, 6, 20, 30]), (9, [30, 10, 25, 25])) if i else ():
            boxes.append({"id": len(boxes) + 1, "image_id": i, "category_id": class_id, "bbox": box})
    categories = [{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}]
    content = {"images": images, "annotations": boxes, "categories": categories}
    (root / "annotations.json").write_text(json.dumps(content))
    return root


@pytest.fixture
def data(tmp_path):
    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return ssd300("data", *arguments, cwd=tmp_path)

    return run


def spoil(pets: Path, **fields: object) -> None:
    content = json.loads((pets / "annotations.json").read_text())
    content["annotations"][0].update(fields)
    (pets / "annotations.json").write_text(json.dumps(content))


def test_an_empty_folder_is_no_data_set(data, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    result = data("check", "empty")
    assert (result.returncode, result.stdout) == (2, "")
    assert "was not found in this folder" in result.stderr


def test_check_of_a_sound_set(data, pets, tmp_path) -> None:
    result = data("check", "pets", "--strict")
    assert (result.returncode, result.stderr) == (0, "")
    assert "No problems found." in result.stdout
    assert "all: 0 of your 24 boxes (0.0%) match no default box at IoU 0.5" in result.stdout
    assert not (tmp_path / "data-check.csv").exists()


def test_check_names_a_fault_and_writes_every_case(data, pets, tmp_path) -> None:
    spoil(pets, category_id=1)
    result = data("check", "pets")
    assert result.returncode == 1
    assert not list(tmp_path.glob("*.csv"))
    result = data("check", "pets", "--cases", "data-check.csv")
    assert result.returncode == 1
    assert "unknown class id" in result.stdout
    assert "1 error, 0 warnings, 0 notes" in result.stdout
    with (tmp_path / "data-check.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["annotation"] for row in csv.DictReader(file)] == ["1"]


def test_the_report_comes_also_where_the_cases_cannot_be_written(data, pets, tmp_path) -> None:
    (tmp_path / "file").touch()
    result = data("check", "pets", "--cases", "file/cases.csv")
    assert result.returncode == 2
    assert "No problems found." in result.stdout
    assert "cases.csv: cannot be written" in result.stderr


def test_check_as_json_and_strict(data, pets) -> None:
    spoil(pets, bbox=[-1, 6, 20, 30])
    result = data("check", "pets", "--json", "--cases", "cases.csv")
    assert result.returncode == 0
    report = json.loads(result.stdout)
    assert (report["warnings"], report["splits"]["all"]["clipped"]) == (1, 1)
    assert data("check", "pets", "--strict").returncode == 1


def test_the_json_of_a_set_without_boxes_is_json(data, pets) -> None:
    content = json.loads((pets / "annotations.json").read_text())
    (pets / "annotations.json").write_text(json.dumps(content | {"annotations": []}))
    result = data("check", "pets", "--json")
    report = json.loads(result.stdout, parse_constant=pytest.fail)  # NaN, which JSON does not have
    assert report["splits"]["all"]["shapes"] is None
    assert "all: no boxes" in data("check", "pets").stdout


def test_headings_stay_whole_on_a_narrow_terminal(data, pets, monkeypatch) -> None:
    monkeypatch.setattr("ssd300.cli.messages.PIPED_WIDTH", 60)
    assert "…" not in data("check", "pets").stdout.partition("boxes per class")[0]


@pytest.mark.parametrize("name", ["x" * 80 + "0.png", "猫 0.png"])
def test_the_names_of_files_are_whole_in_the_table(data, pets, name) -> None:
    (pets / "images/1.png").rename(pets / "images" / name)
    content = json.loads((pets / "annotations.json").read_text())
    content["images"][1]["file_name"] = name
    (pets / "annotations.json").write_text(json.dumps(content))
    spoil(pets, category_id=1)
    for width in range(60, 160, 7):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("ssd300.cli.messages.PIPED_WIDTH", width)
            table = data("check", "pets").stdout.partition("unknown class id")[2]
        assert "…" not in table


@pytest.mark.parametrize(("no_color", "bold"), [("", True), ("1", False)])
def test_tables_are_plain_without_color(data, pets, monkeypatch, no_color, bold) -> None:
    for name, value in {"NO_COLOR": no_color, "FORCE_COLOR": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    assert ("\033[" in data("check", "pets").stdout) is bold


def test_convert_there_and_back(data, pets) -> None:
    for source, out, format in (("pets", "voc", "voc"), ("voc", "yolo", "yolo"), ("yolo", "back", "coco")):
        result = data("convert", source, out, "--format", format)
        assert (result.returncode, result.stdout) == (0, f"{out}\n"), result.stderr
        assert "13 pictures and 24 boxes written" in result.stderr
    back = json.loads((pets.parent / "back/train.json").read_text())  # YOLO knows no set without splits
    first = json.loads((pets / "annotations.json").read_text())
    assert [a["bbox"] for a in back["annotations"]] == [a["bbox"] for a in first["annotations"]]
    assert back["categories"] == first["categories"]


def test_a_pack_has_the_name_by_which_it_is_recognized(data, pets) -> None:
    for name in ("pets.zip", "pets-00000-of-00002.pack"):
        result = data("pack", "pets", name)
        assert (result.returncode, f"{name}: expected a name that ends with .pack" in result.stderr) == (2, True)


def test_convert_to_an_unknown_format(data, pets) -> None:
    result = data("convert", "pets", "out", "--format", "voc2007")
    assert result.returncode == 2
    assert "did you mean 'voc'" in result.stderr


def test_split_is_seeded_and_stratified(data, pets, tmp_path) -> None:
    result = data("split", "pets", "--val", "0.25", "--seed", "3")
    assert result.stdout.splitlines() == ["split/train.json", "split/val.json"]
    val = json.loads((tmp_path / "split/val.json").read_text())
    assert len({a["image_id"] for a in val["annotations"]}) == 3
    picture = (pets / "images/1.png").rename(tmp_path / "1.png")  # a fault of the set, which is not read before
    again = data("split", "pets", "--val", "0.25")
    words = "ssd300: split/train.json, split/val.json exist already: give another --out\n"
    assert (again.returncode, again.stderr) == (2, words)  # nothing is overwritten
    picture.rename(pets / "images/1.png")
    data("split", "pets", "--val", "0.25", "--seed", "3", "--out", "again")
    again = json.loads((tmp_path / "again/val.json").read_text())
    assert [image["id"] for image in again["images"]] == [image["id"] for image in val["images"]]


def test_a_set_with_parts_is_not_split_and_the_way_is_said(data, pets, tmp_path) -> None:
    assert data("split", "pets", "--out", "lists").returncode == 0
    result = data("split", "lists", "--out", "again")
    assert (result.returncode, result.stdout) == (2, "")
    assert "has the splits train, val already" in result.stderr
    assert data("convert", "lists", "own", "--to", "yolo", "--split", "train", "--allow-outside").returncode == 0
    assert data("split", "own", "--out", "again").returncode == 0
    assert sorted(path.name for path in (tmp_path / "again").glob("*.txt")) == ["train.txt", "val.txt"]


@pytest.mark.parametrize("augment", ["none", "modern"])
def test_view_draws_sheets(data, pets, tmp_path, augment) -> None:
    result = data("view", "pets", "--augment", augment, "-n", "4", "--tile", "60", "--out", "sheets")
    assert (result.returncode, result.stdout) == (0, "sheets/sheet-001.png\n"), result.stderr
    tiles = 4 if augment == "none" else 6  # a row is six tiles
    with Image.open(tmp_path / "sheets/sheet-001.png") as sheet:
        assert sheet.width == tiles * 64 + 4


@pytest.mark.parametrize(("pictures", "words"), [(0, "0 pictures"), (1, "none has one of --labels")])
def test_view_of_nothing_is_an_error(data, pets, tmp_path, pictures, words) -> None:
    content = json.loads((pets / "annotations.json").read_text())
    content |= {"images": content["images"][:pictures], "annotations": []}
    (pets / "annotations.json").write_text(json.dumps(content))
    result = data("view", "pets", "--out", "sheets", *(["--labels", "cat"] if pictures else []))
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr
    assert not (tmp_path / "sheets").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--augment", "modren"], "did you mean 'modern'"), (["--labels", "cta"], "did you mean 'cat'")],
)
def test_view_of_unknown_names(data, pets, arguments, words) -> None:
    result = data("view", "pets", *arguments)
    assert result.returncode == 2
    assert words in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("data", "check", "gone", "--cases", "link"),
        ("data", "pack", "gone", "link"),
        ("export", "--model", "gone", "--out", "link.onnx"),
        ("export", "--model", "gone", "--out", "link.html"),
        ("export", "--model", "gone", "--out", "link.pt2"),
    ],
)
def test_what_is_no_file_is_not_replaced_and_said_before_any_work(tmp_path, arguments) -> None:
    (tmp_path / arguments[-1]).symlink_to("/dev/null")
    result = ssd300(*arguments, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert f"{arguments[-1]}: cannot be written: it is a symbolic link; choose another name" in result.stderr


@pytest.mark.parametrize("verb", [("detect", "--no-save"), ("data", "rank"), ("data", "autolabel", "--out", "x.json")])
@pytest.mark.parametrize("debug", ["", "1"])
def test_bad_pictures_and_skipped_files_are_messages(seeded_checkpoint, tmp_path, verb, debug) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/c.heic").touch()
    for name in ("a.png", "b.png"):
        (tmp_path / "in" / name).write_text("no picture")
    result = ssd300(*verb, "in", "--model", seeded_checkpoint, cwd=tmp_path, SSD300_DEBUG=debug)
    assert result.returncode == 2
    assert "in: 1 file skipped: 1 .HEIC\n" in result.stderr
    assert "UserWarning" not in result.stderr
    assert ("Traceback" in result.stderr) == bool(debug)


def test_pack_and_its_pieces(data, pets) -> None:
    result = data("pack", "pets", "packed/pets.pack", "--raw", "--piece-mb", "0.1")
    assert result.returncode == 0, result.stderr
    pieces = result.stdout.splitlines()
    assert pieces[0] == f"packed/pets-00000-of-{len(pieces):05}.pack"
    assert len(pieces) > 1
    assert data("check", "packed", "--strict").returncode == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--raw", "--original"), "--raw and --original exclude each other"),
        (("--original", "--max-side", "100"), "--original keeps the files unchanged, and --max-side shrinks pictures"),
        (("--original", "--jpeg-quality", "50"), "--jpeg-quality is for pictures written as JPEG, and --original"),
        (("--raw", "--jpeg-quality", "50"), "--jpeg-quality is for pictures written as JPEG, and --raw writes none"),
    ],
)
def test_options_of_a_pack_that_would_have_no_effect_are_refused(data, pets, tmp_path, options, words) -> None:
    result = data("pack", "pets", "two.pack", *options)
    assert (result.returncode, (tmp_path / "two.pack").exists()) == (2, False)
    assert words in result.stderr

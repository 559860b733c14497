"""`ssd300 detect` with a small seeded model, through its command line in this process."""

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from command import ssd300


def drawn(folder: str = "runs/detect/1") -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file())


def test_a_folder_without_pictures(detect) -> None:
    Path("bare").mkdir()
    result = detect("bare")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("ssd300: bare: ")
    assert not Path("runs/detect/1").exists()


def test_one_picture(detect) -> None:
    result = detect("a/x.png")
    assert result.returncode == 0
    title, header, *rows = result.stdout.splitlines()
    assert title.startswith("a/x.png  120x90  ")
    assert header.split() == ["name", "score", "left", "top", "right", "bottom"]
    assert rows
    assert result.stderr == "Drawn: runs/detect/1/x.png\n"
    with Image.open("runs/detect/1/x.png") as image, Image.open("a/x.png") as original:
        assert image.size == original.size
        assert image.convert("RGB").tobytes() != original.convert("RGB").tobytes()


def test_many_inputs_good_and_bad(detect) -> None:
    result = detect("a", "rubbish.jpg", "b/*.png", "c d/ü ñ.jpg", "nowhere.jpg", "--format", "jsonl")
    assert result.returncode == 1
    pictures = [json.loads(line) for line in result.stdout.splitlines()]
    assert [p["source"] for p in pictures] == ["a/x.png", "b/x.png", "c d/ü ñ.jpg"]
    assert drawn() == ["x-2.png", "x.png", "ü ñ.jpg"]
    words = result.stderr.splitlines()
    assert words[0].startswith("3 pictures, ")
    assert words[1:3] == ["Drawn: runs/detect/1", "2 of 5 inputs failed:"]
    assert words[3].startswith("  rubbish.jpg: not a picture")
    assert words[4].startswith("  nowhere.jpg: no such file")


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        (["nowhere.jpg"], "nowhere.jpg: no such file"),
        (["no*match.png"], "no*match.png: no file matches"),
        (["rubbish.jpg", "empty.png"], "2 of 2 inputs failed:"),
        (["a/x.png", "--labels", "persn"], "did you mean 'person'?"),
        (["a/x.png", "--labels", ""], "--labels names no class: give names or ids"),
        (["a/x.png", "--labels", " , ,"], "--labels names no class: give names or ids"),
        (["a/x.png", "--labels", "2"], "unknown class id '2'"),
        (["a", "--save-dir", "a"], "--save-dir a: the folder is not empty (it holds x.png)"),
        (["a/x.png", "--save-dir", "."], "--save-dir .: the folder is not empty"),
        (["a/x.png", "--precision", "f31"], "f31"),
        (["a/x.png", "--save-dir", "rubbish.jpg"], "cannot make the folder rubbish.jpg"),
    ],
)
def test_nothing_could_be_done(detect, sources, words) -> None:
    result = detect(*sources, "--format", "jsonl")
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_a_model_that_is_not_there(here) -> None:
    result = ssd300("detect", "a/x.png", "--model", "no/such.safetensors")
    assert (result.returncode, result.stdout) == (2, "")
    assert "no/such.safetensors" in result.stderr
    assert not Path("runs").exists()


@pytest.mark.parametrize("name", ["json", "jsonl", "csv", "coco", "yolo"])
def test_formats_agree(detect, name) -> None:
    result = detect("a", "b", "--no-save", "--format", name)
    expected = json.loads(detect("a", "b", "--no-save", "--format", "json").stdout)
    scores = [one["score"] for picture in expected for one in picture["detections"]]
    assert scores
    read = {
        "json": lambda text: [one["score"] for picture in json.loads(text) for one in picture["detections"]],
        "jsonl": lambda text: [one["score"] for line in text.splitlines() for one in json.loads(line)["detections"]],
        "csv": lambda text: [float(row["score"]) for row in csv.DictReader(io.StringIO(text))],
        "coco": lambda text: [row["score"] for row in json.loads(text)],
        "yolo": lambda text: [float(line.split()[5]) for line in text.splitlines() if not line.startswith("#")],
    }[name]
    assert read(result.stdout) == scores
    assert not Path("runs").exists()


def test_thresholds_labels_and_limits(detect) -> None:
    everything = json.loads(detect("a/x.png", "--no-save", "--format", "json", "--conf", "0.1").stdout)[0]["detections"]
    few = detect("a/x.png", "--no-save", "--format", "json", "--conf", "0.1", "--max-detections", "2").stdout
    assert json.loads(few)[0]["detections"] == everything[:2]
    names = {one["name"] for one in everything}
    assert len(names) > 1
    for wanted, meant in (("dog", "dog"), ("Größe,dog", "Größe,dog"), ("DOG", "dog"), ("900,18,", "Größe,dog")):
        chosen = detect("a/x.png", "--no-save", "--format", "json", "--conf", "0.1", "--labels", wanted).stdout
        found = {one["name"] for one in json.loads(chosen)[0]["detections"]}
        assert found == names & set(meant.split(","))
    high = detect("a/x.png", "--no-save", "--format", "json", "--score-threshold", "1").stdout
    assert json.loads(high)[0]["detections"] == []


def test_crops_and_yolo_labels(detect) -> None:
    result = detect("a", "b", "--crops", "--format", "yolo", "--save-dir", "my out")
    assert result.returncode == 0
    files = drawn("my out")
    assert {"x.png", "x-2.png", "labels/x.txt", "labels/x-2.txt", "classes.txt"} <= set(files)
    assert any(name.startswith("crops/") for name in files)
    text = Path("my out/labels/x.txt").read_text()
    assert result.stdout.startswith(f"# a/x.png\n{text}# b/x.png\n")
    assert Path("my out/classes.txt").read_text(encoding="utf-8").split("\n") == [
        "person",
        "dog",
        "traffic light",
        "Größe",
        "",
    ]


@pytest.mark.parametrize("options", [["--save-dir", "a"], ["--save-dir", "a", "--format", "yolo"], ["--save-dir", "."]])
def test_originals_are_never_replaced(detect, options) -> None:
    Path("a").unlink()
    Path("a").mkdir()
    Image.new("RGB", (64, 48)).save("a/x.png")
    for name in ("a/classes.txt", "classes.txt"):
        Path(name).write_text("mine")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert detect("a", *options).returncode == 2
    assert before == {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def test_every_picture_is_decoded_once_also_when_it_is_drawn_and_cut(detect, monkeypatch) -> None:
    from ssd300.images import source

    decoded = []
    decode = source.decode_image
    monkeypatch.setattr(source, "decode_image", lambda data, **options: decoded.append(1) or decode(data, **options))
    for names in (["a/x.png"], ["a/x.png", "b/x.png", "c d/ü ñ.jpg"] * 7):
        decoded.clear()
        result = detect(*names, "--crops", "--conf", "0.1")
        assert result.returncode == 0
        assert len(decoded) == len(names)
    assert len([name for name in drawn("runs/detect/2") if "crops" not in name]) == 21


def test_boxes_are_cut_to_the_picture_unless_told_otherwise(detect) -> None:
    whole = json.loads(detect("b/x.png", "--no-save", "--format", "json", "--conf", "0.05", "--no-clip").stdout)[0]
    cut = json.loads(detect("b/x.png", "--no-save", "--format", "json", "--conf", "0.05").stdout)[0]
    outside = [box for box in boxes_of(whole) if min(box) < 0 or box[2] > 200 or box[3] > 60]
    assert outside
    assert boxes_of(cut) == [
        [min(max(v, 0), side) for v, side in zip(box, [200, 60] * 2, strict=True)] for box in boxes_of(whole)
    ]


def test_one_box_where_classes_overlap(detect) -> None:
    command = ["b/x.png", "--no-save", "--format", "json", "--conf", "0.05"]
    every = boxes_of(json.loads(detect(*command).stdout)[0])
    fewer = boxes_of(json.loads(detect(*command, "--agnostic-nms").stdout)[0])
    assert 0 < len(fewer) < len(every)


def boxes_of(picture) -> list[list[float]]:
    return [one["box_xyxy"] for one in picture["detections"]]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("form", ["json", "csv"])
def test_json_and_csv_are_utf_8_in_a_pipe(detect, encoding, form) -> None:
    result = detect("c d/ü ñ.jpg", "--conf", "0.05", "--no-save", "--format", form, encoding=encoding)
    assert result.returncode == 0, result.stderr
    rows = json.loads(result.stdout) if form == "json" else list(csv.DictReader(io.StringIO(result.stdout)))
    assert rows[0]["source"] == "c d/ü ñ.jpg"


def test_a_file_address_is_saved_under_the_file_s_name(detect) -> None:
    path = Path("c d/ü ñ.jpg").resolve()
    Path("far/away").mkdir(parents=True)
    Path("out").symlink_to("far/away")
    assert detect(path.as_uri(), "--save-dir", "out", "--format", "labelme").returncode == 0
    assert sorted(one.name for one in Path("out").rglob("*.*")) == ["ü ñ.jpg", "ü ñ.json"]
    assert (Path("out/labelme") / json.loads(Path("out/labelme/ü ñ.json").read_bytes())["imagePath"]).samefile(path)


@pytest.mark.parametrize("name", ["clip.mp4", "list.txt"])
def test_a_folder_named_as_a_video_or_a_list_is_a_folder(detect, name) -> None:
    Path(name).mkdir()
    Path(name, "x.png").write_bytes(Path("a/x.png").read_bytes())
    for source in (name, Path(name).resolve().as_uri()):
        result = detect(source, "--no-save", "--format", "jsonl")
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout)["source"].endswith(f"{name}/x.png")


def test_saved_pictures_are_upright(detect) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (100, 200)).save("on its side.jpg", exif=exif)
    result = detect("on its side.jpg", "--format", "json")
    assert (json.loads(result.stdout)[0]["width"], json.loads(result.stdout)[0]["height"]) == (200, 100)
    with Image.open("runs/detect/1/on its side.jpg") as image:
        assert image.size == (200, 100)
        assert image.getexif().get(0x0112, 1) == 1


def test_a_pipe_shows_no_progress(detect) -> None:
    assert "\r" not in detect(*["a/x.png"] * 12, "--no-save").stderr


def test_the_progress_counts_a_picture_once_that_cannot_be_saved(detect, monkeypatch) -> None:
    shown = []
    monkeypatch.setattr("ssd300.cli.messages.ProgressLine.show", lambda _line, done: shown.append(done))
    monkeypatch.setattr("ssd300.cli.saving._write_new", lambda path, _data: path.rename("nowhere/at all"))
    assert "2 of 2 inputs failed" in detect("a/x.png", "b/x.png", "--conf", 0.9).stderr
    assert shown == [0, 1, 2]


def test_a_font_of_ones_own(detect) -> None:
    assert "rubbish.jpg: cannot be used as a font" in detect("a/x.png", "--font", "rubbish.jpg").stderr
    assert not Path("runs").exists()


@pytest.mark.parametrize(("tiles", "code"), [("auto", 0), ("2", 0), ("400x300", 0), ("many", 2)])
def test_tiles_are_understood_or_refused(tiles, code) -> None:
    picture = Path(__file__).parents[2] / "examples/images/coffee.jpg"
    done = ssd300("detect", picture, "--tiles", tiles, "--no-save", "--format", "jsonl")
    assert done.returncode == code, done.stderr
    assert (len(done.stdout.splitlines()), "internal error" in done.stderr) == (1 - code // 2, False)

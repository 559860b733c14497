"""`ssd300 detect` with a small seeded model: the command's own entry, and where processes matter, in one of its own."""

import csv
import functools
import io
import json
import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image

from ssd300.cli import main
from ssd300.detector import Detector


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """A folder with a/x.png, b/x.png, `c d/ü ñ.jpg`, rubbish.jpg and empty.png."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for name, (height, width) in {"a/x.png": (90, 120), "b/x.png": (60, 200), "c d/ü ñ.jpg": (150, 100)}.items():
        (folder / name).parent.mkdir()
        small = Image.fromarray(random.integers(0, 255, (12, 12, 3), np.uint8))
        small.resize((width, height)).save(folder / name)
    (folder / "rubbish.jpg").write_text("rubbish")
    (folder / "empty.png").touch()
    return folder


@pytest.fixture
def here(pictures, tmp_path, monkeypatch) -> Path:
    """A fresh working folder where the pictures lie."""
    monkeypatch.chdir(tmp_path)
    for entry in pictures.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    return tmp_path


LOAD_ONCE = cache(Detector.load)


@pytest.fixture
def detect(here, seeded_checkpoint, monkeypatch, capsys):
    """Run the command's entry in this process; the same model is loaded once for all tests."""
    monkeypatch.setattr(Detector, "load", LOAD_ONCE)

    def run(*arguments: str) -> CompletedProcess[str]:
        command = ["ssd300", "detect", *arguments, "--model", str(seeded_checkpoint), "--threads", "2"]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as stop:
            main.run()
        shown = capsys.readouterr()
        return CompletedProcess(command, stop.value.code, shown.out, shown.err)

    return run


@pytest.fixture
def command(here, seeded_checkpoint) -> list[str]:
    """The real command, for a process of its own."""
    return [sys.executable, "-m", "ssd300", "detect", "--model", str(seeded_checkpoint), "--threads", "2"]


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
    command = [sys.executable, "-m", "ssd300", "detect", "a/x.png", "--model", "no/such.safetensors"]
    result = subprocess.run(command, capture_output=True, text=True)
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
def test_json_and_csv_are_utf_8_in_a_pipe(command, encoding, form) -> None:
    result = subprocess.run(
        [*command, "c d/ü ñ.jpg", "--conf", "0.05", "--no-save", "--format", form],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )
    assert result.returncode == 0, result.stderr
    text = result.stdout.decode("utf-8")
    rows = json.loads(text) if form == "json" else list(csv.DictReader(io.StringIO(text)))
    assert rows[0]["source"] == "c d/ü ñ.jpg"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_json_on_a_terminal_that_is_not_utf_8(command) -> None:
    import pty

    screen, terminal = pty.openpty()
    command += ["c d/ü ñ.jpg", "--no-save", "--format", "json"]
    with subprocess.Popen(command, stdout=terminal, env=os.environ | {"PYTHONIOENCODING": "latin-1"}) as process:
        os.close(terminal)
        shown = b""
        try:
            while piece := os.read(screen, 65536):
                shown += piece
        except OSError:  # how Linux says that the other side has closed
            pass
        assert process.wait(60) == 0
    os.close(screen)
    assert json.loads(shown.decode("ascii"))[0]["source"] == "c d/ü ñ.jpg"


def test_stdin(detect, command) -> None:
    data = Path("a/x.png").read_bytes()
    result = subprocess.run([*command, "-", "--format", "json"], input=data, capture_output=True)
    assert result.returncode == 0, result.stderr
    (picture,) = json.loads(result.stdout)
    assert picture["source"] == "<stdin>"
    assert picture["detections"] == json.loads(detect("a/x.png", "--format", "json").stdout)[0]["detections"]
    assert drawn() == ["stdin.jpg"]


def test_saved_pictures_are_upright(detect) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (100, 200)).save("on its side.jpg", exif=exif)
    result = detect("on its side.jpg", "--format", "json")
    assert (json.loads(result.stdout)[0]["width"], json.loads(result.stdout)[0]["height"]) == (200, 100)
    with Image.open("runs/detect/1/on its side.jpg") as image:
        assert image.size == (200, 100)
        assert image.getexif().get(0x0112, 1) == 1


def test_names_that_a_terminal_cannot_show(command) -> None:
    name = b"\xff \x1b[31m.png"
    with open(name, "wb") as file:
        file.write(Path("a/x.png").read_bytes())
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii"}
    for form in ("table", "json"):
        result = subprocess.run([*command, os.fsdecode(name), "--format", form], capture_output=True, env=ascii_only)
        assert result.returncode == 0, result.stderr
        assert b"\x1b" not in result.stdout


def test_a_reader_that_stops_early(command) -> None:
    command += [*["a/x.png"] * 30, "--no-save", "--format", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        json.loads(process.stdout.readline())
        process.stdout.close()
        words = process.stderr.read()
        assert process.wait(60) in (0, 1)
    assert "Traceback" not in words
    assert "bug" not in words
    assert "BrokenPipe" not in words


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("name", ["json", "csv"])
def test_ctrl_c_leaves_valid_output_of_what_was_done(command, name) -> None:
    command += [*["a/x.png"] * 3000, "--no-save", "--format", name]
    # A suite that a shell started in the background ignores SIGINT, and so would its children.
    listen = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    pipes = {"stderr": subprocess.PIPE, "text": True, "preexec_fn": listen}
    with open("out", "w") as out, subprocess.Popen(command, stdout=out, **pipes) as process:
        deadline = time.monotonic() + 60
        while Path("out").stat().st_size < 2000 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        words = process.stderr.read()
        assert process.wait(30) == 130, words
    text = Path("out").read_text()
    assert "Interrupted: " in words
    assert " of 3000 pictures done." in words
    assert "Traceback" not in words
    if name == "json":
        assert json.loads(text)
    else:
        assert {len(row) for row in csv.reader(io.StringIO(text))} == {10}


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_2000_pictures_one_in_a_hundred_damaged(command) -> None:
    """Order kept, each damaged file told, memory flat: the last quarter within 5 % of the second."""
    Path("many").mkdir()
    good, damaged = Path("a/x.png").read_bytes(), Path("a/x.png").read_bytes()[:100]
    names = [f"many/{i:04}.png" for i in range(2000)]
    for i, name in enumerate(names):
        Path(name).write_bytes(damaged if i % 100 == 50 else good)
    found, resident = [], []
    command += ["many", "--no-save", "--format", "jsonl"]
    with (
        open("words", "w+") as words,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=words, text=True) as process,
    ):
        for line in process.stdout:
            found.append(json.loads(line)["source"])
            resident.append(resident_kib(process.pid))
        assert process.wait(60) == 1
        words.seek(0)
        told = words.read().splitlines()
    failed = names[50::100]
    assert found == [name for name in names if name not in failed]
    assert told[-21] == "20 of 2000 inputs failed:"
    assert [line.split(":")[0].strip() for line in told[-20:]] == failed
    second, last = resident[len(found) // 4 : len(found) // 2], resident[-(len(found) // 4) :]
    assert max(last) <= 1.05 * max(second)


def resident_kib(process: int) -> int:
    """The memory that a process holds now; 0 when it has ended."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_no_bug(command) -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run([*command, "a/x.png", "--no-save"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 2
    assert "No space left on device" in result.stderr
    assert "bug" not in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("no_color", "bold"), [("", True), ("1", False)])
def test_on_a_terminal(command, no_color, bold) -> None:
    import pty

    screen, terminal = pty.openpty()
    command += [*["a/x.png"] * 12, "--no-save"]
    with subprocess.Popen(
        command, stdout=terminal, stderr=terminal, env=os.environ | {"NO_COLOR": no_color}
    ) as process:
        os.close(terminal)
        shown = b""
        try:
            while piece := os.read(screen, 65536):
                shown += piece
        except OSError:  # how Linux says that the other side has closed
            pass
        assert process.wait(60) == 0
    os.close(screen)
    text = shown.decode()
    assert ("\033[1m" in text) is bold
    assert "0/12 pictures" in text
    # Every table starts on a line of its own, after the progress line was erased.
    for line in text.replace("\r\n", "\n").split("\n"):
        if "120x90" in line:
            assert line.split("\033[K")[-1].removeprefix("\033[1m").startswith("a/x.png")


def test_a_pipe_shows_no_progress(detect) -> None:
    assert "\r" not in detect(*["a/x.png"] * 12, "--no-save").stderr


def test_a_font_of_ones_own(detect) -> None:
    assert "rubbish.jpg: cannot be used as a font" in detect("a/x.png", "--font", "rubbish.jpg").stderr
    assert not Path("runs").exists()


@pytest.mark.parametrize(("tiles", "code"), [("auto", 0), ("2", 0), ("400x300", 0), ("many", 2)])
def test_tiles_are_understood_or_refused(tiles, code) -> None:
    picture = Path(__file__).parents[2] / "examples/images/coffee.jpg"
    command = [
        sys.executable,
        "-m",
        "ssd300",
        "detect",
        str(picture),
        "--tiles",
        tiles,
        "--no-save",
        "--format",
        "jsonl",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    assert (len(done.stdout.splitlines()), "internal error" in done.stderr) == (1 - code // 2, False)

"""Options under the names that other packages give them."""

import json
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from ssd300.cli.hints import ANSWERS, answer_for
from ssd300.cli.main import make_app
from ssd300.errors import ArgumentError
from ssd300.terminal import as_argument

RUN, APP = CliRunner(), make_app()


@pytest.fixture
def detect(tmp_path, monkeypatch, narrow, narrow_checkpoint):
    """Run detect in a folder with in/a.png and in/deep/b.png."""
    monkeypatch.chdir(tmp_path)
    Path("in/deep").mkdir(parents=True)
    for name in ("in/a.png", "in/deep/b.png"):
        Image.new("RGB", (90, 60), (200, 30, 30)).save(name)

    def run(*arguments: str):
        given = ["predict", *arguments, "--model", str(narrow_checkpoint), "--threads", "1"]
        return RUN.invoke(APP, given, catch_exceptions=True)

    return run


def files() -> list[str]:
    return sorted(path.as_posix() for path in Path().rglob("*") if path.is_file() and path.parts[0] != "in")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ["runs/detect/1/a.png"]),
        (("--name", "mine"), ["runs/detect/mine/a.png"]),
        (("--project", "p", "--name", "mine"), ["p/mine/a.png"]),
        (("--name", "n", "--save-txt"), [f"runs/detect/n/{x}" for x in ("a.png", "classes.txt", "labels/a.txt")]),
        (("--name", "n", "--format", "labelme"), ["runs/detect/n/a.png", "runs/detect/n/labelme/a.json"]),
        (("--name", "n", "-r"), ["runs/detect/n/a.png", "runs/detect/n/b.png"]),
    ],
)
def test_files_go_where_familiar_options_say(detect, arguments, expected) -> None:
    assert detect("in", "--conf", "0.99", "--classes", "dog", "--max-det", "3", *arguments).exit_code == 0
    assert [name for name in files() if not name.endswith("sources.csv")] == expected


@pytest.mark.parametrize("folder", ["up", "up [1]", "it's"])
def test_the_glob_that_is_offered_for_a_folder_finds_its_pictures(detect, folder) -> None:
    Path(folder).mkdir()
    Path("in/deep").rename(f"{folder}/in [1]")
    refused = detect(folder, "--no-save").stderr
    pattern = shlex.split(refused.split("a glob such as ")[1].split(", or -r")[0])
    assert detect(*pattern, "--no-save", "--conf", "0.99").exit_code == 0


def test_sub_folders_of_a_file_address_are_included(detect) -> None:
    assert detect(Path("in").absolute().as_uri(), "-r", "--name", "n", "--conf", "0.99").exit_code == 0
    assert [name for name in files() if name.startswith("runs")] == ["runs/detect/n/a.png", "runs/detect/n/b.png"]


def test_a_folder_s_name_is_no_pattern(detect) -> None:
    Path("in/deep").rename("in [1]")
    assert detect("in [1]", "-r", "--name", "n", "--conf", "0.99").exit_code == 0
    assert "runs/detect/n/b.png" in files()


def test_a_picture_s_name_may_look_like_an_option(detect) -> None:
    names = ["batch=8.png", "conf=0.5.png"]
    for name in names:
        Image.new("RGB", (90, 60)).save(name)
    assert detect(*names, "--name", "n", "--conf", "0.99").exit_code == 0
    assert [name for name in files() if name.startswith("runs")] == [f"runs/detect/n/{name}" for name in names]


def test_a_name_that_is_used_gets_a_number(detect) -> None:
    for _ in range(2):
        assert detect("in", "--name", "n", "--conf", "0.99").exit_code == 0
    assert files() == ["runs/detect/n-2/a.png", "runs/detect/n/a.png"]


@pytest.mark.parametrize(
    ("project", "name", "code"), [("in", ".", 0), ("in", "..", 1), (".", ".", 1), ("in", "../in", 0)]
)
def test_a_folder_that_holds_pictures_is_never_written_to(detect, project, name, code) -> None:
    before = {path: path.read_bytes() for path in Path("in").rglob("*.png")}
    answer = detect("in", "--project", project, "--name", name, "--conf", "0.99")
    assert answer.exit_code == code, answer.output
    assert {path: path.read_bytes() for path in Path("in").rglob("*.png")} == before


def test_quiet_prints_failures_alone(detect) -> None:
    answer = detect("in", "-q")
    assert (answer.exit_code, answer.output) == (0, "")
    Path("in/z.png").write_text("no picture")
    answer = detect("in", "-q")
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert "z.png" in answer.stderr
    assert len(json.loads(detect("in/a.png", "-q", "--format", "json").stdout)) == 1


@pytest.mark.parametrize(("option", "told"), [("--hide-conf", True), ("--hide-labels", False), ("-q", False)])
def test_letters_without_a_font_are_told_where_they_are_drawn(detect, monkeypatch, option, told) -> None:
    monkeypatch.setattr("ssd300.lettering.missing_letters", lambda names, font: "".join(names))
    assert ("no font was found for" in detect("in", "--conf", "0.99", option).stderr) == told


def test_hidden_names_and_wide_lines_are_drawn(detect) -> None:
    Image.new("RGB", (500, 400), (200, 30, 30)).save("in/a.png")
    pictures = set()
    for n, more in enumerate(((), ("--hide-conf",), ("--hide-labels",), ("--hide-labels", "--line-width", "9"))):
        assert detect("in", "--conf", "0", "--max-det", "1", "--name", f"n{n}", *more).exit_code == 0
        pictures.add(Path(f"runs/detect/n{n}/a.png").read_bytes())
    assert len(pictures) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("in", "--weights", "x.pt"), "use --model"),
        (("in", "--imgsz=640"), "300x300"),
        (("in", "--json"), "use --format json;"),
        (("in", "--threshold", "0.3"), "use --conf"),
        (("in", "--output-dir", "x"), "use --save-dir DIR"),
        (("in", "--overlap", "0.5"), "--overlap is for --tiles"),
        (("in", "--no-save", "--project", "p"), "--project writes files and --no-save forbids it"),
        (("in", "--exist-ok"), "are not mixed"),
        (("source=in",), "give pictures"),
        (("in", "conf=0.3"), "write --conf 0.3"),
        (("in", "--no-save", "--save-txt"), "--no-save forbids"),
        (("in", "--no-save", "--line-width", "3"), "--line-width is for drawing, and with --no-save nothing is drawn"),
        (("in", "--no-save", "--font", "x.ttf"), "--font is for drawing"),
        (("in", "--no-save", "--hide-conf"), "--hide-conf is for drawing"),
        (("in", "--no-save", "--hide-labels"), "--hide-labels is for drawing"),
        (("in", "--save-dir", "x", "--name", "y"), "give one or the other"),
    ],
)
def test_foreign_options_are_answered(detect, arguments, words) -> None:
    answer = detect(*arguments)
    assert isinstance(answer.exception, ArgumentError)
    assert words in str(answer.exception)


@pytest.mark.parametrize(
    ("verb", "option", "words"),
    [("train", "source", "use --data"), ("evaluate", "images", "use --data"), ("benchmark", "source", "use --images"),
     ("track", "source", "without an option's name"), ("export", "batch", "use --dynamic-batch"),
     ("train", "batch", "use --batch-size"), ("detect", "batch", "drop it"), ("train", "half", "bf16, or on CUDA"),
     ("train", "int8", "with `ssd300 quantize` afterwards"), ("detect", "half", "use --precision bf16 or int8"),
     ("detect", "csv", "use --format csv"), ("track", "save-json", "use --format jsonl")],
)  # fmt: skip
def test_an_answer_depends_on_the_verb(verb, option, words) -> None:
    answer = RUN.invoke(APP, [verb, f"--{option}", "x"])
    assert isinstance(answer.exception, ArgumentError)
    assert words in str(answer.exception)


@pytest.mark.parametrize("verb", ["evaluate", "export"])
def test_a_format_of_rows_is_not_offered_where_format_is_another(verb) -> None:
    answer = RUN.invoke(APP, [verb, "--csv", "x"])
    assert answer.exit_code == 2
    assert "No such option" in answer.stderr


@pytest.mark.parametrize("verb", ["detect", "track", "train", "evaluate", "export", "quantize", "batch", "serve"])
def test_every_option_that_an_answer_names_is_the_verb_s(verb) -> None:
    shown = RUN.invoke(APP, [verb, "--help"], env={"COLUMNS": "300"}).stdout
    options = set(re.findall(r"--[a-z][a-z-]*", shown)) | {"--debug"}  # of the command, before the verb
    answers = {name: answer_for(name, options) for name in ANSWERS}
    assert sum(answer is not None for answer in answers.values()) > 15
    assert {word for text in answers.values() if text for word in re.findall(r"--[a-z][a-z-]*", text)} <= options
    assert RUN.invoke(APP, [verb, "--world-size", "2"]).exit_code != 0


def test_every_answer_is_one_of_some_verb() -> None:
    shown = [RUN.invoke(APP, [verb, "--help"]).stdout for verb in ("detect", "train", "evaluate", "export", "track")]
    options = [set(re.findall(r"--[a-z][a-z-]*", text)) for text in shown]
    assert [name for name in ANSWERS if not any(answer_for(name, one) for one in options)] == []


@pytest.mark.parametrize(
    ("given", "example"),
    [("in/a.png", "in/a.png"), ("source=in/a.png", "in/a.png"), ("in/a b.png", as_argument("in/a b.png")),
     ("model=in/a.png", "PICTURES"), ("task=detect", "PICTURES")],
)  # fmt: skip
def test_a_source_without_a_verb_is_answered(detect, given, example) -> None:
    Path("in/a b.png").write_bytes(Path("in/a.png").read_bytes())
    answer = RUN.invoke(APP, [given])
    assert isinstance(answer.exception, ArgumentError)
    assert str(answer.exception).endswith(f"for example: ssd300 detect {example}")


def test_a_value_that_looks_foreign_after_two_dashes_is_a_file(detect) -> None:
    Image.new("RGB", (90, 60)).save("source=x.png")
    assert detect("--no-save", "--conf", "0.99", "./source=x.png").exit_code == 0

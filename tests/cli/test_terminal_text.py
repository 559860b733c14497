"""Names and words from outside never act on a terminal, at none of the places where something is shown."""

import csv
import importlib
import io
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from command import ssd300
from ssd300.cli.results import ResultStream, result_layout
from ssd300.detections import Detections
from ssd300.errors import ArgumentError
from ssd300.labels import ClassList
from ssd300.weights.checkpoint import read_checkpoint, write_checkpoint

EVIL = "a\x1b[2J\x9b31m\x07\u202eb"  # clears the screen, colors, beeps, turns the direction of letters
CLASSES = ClassList((EVIL, "dog"), (1, 18))
FOUND = Detections([[1, 2, 3, 4.6]], [0.9], [1], CLASSES, (10, 20), f"{EVIL}.jpg")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(text: str) -> str:
    """The text, which has nothing in it that a terminal would act on."""
    assert all(character.isprintable() or character == "\n" for character in text), text
    return text


@pytest.fixture(scope="module")
def evil_set(tmp_path_factory):
    """A COCO set whose folder, class and category bear the name."""
    folder = tmp_path_factory.mktemp("sets") / EVIL
    folder.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)).save(folder / "a.png")
    image = {"id": 1, "file_name": "a.png", "width": 40, "height": 40}
    boxes = [{"id": i, "image_id": 1, "category_id": i, "bbox": [5, 5, 30, 30 - i]} for i in (1, 2)]
    names = [{"id": 1, "name": EVIL}, {"id": 2, "name": "person"}]
    content = {"images": [image], "annotations": boxes, "categories": names}
    (folder / "pets.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    "name", ["table", "json", "jsonl", "csv", "coco", "yolo", "labelme", "labelstudio", "fiftyone", "cvat"]
)
@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
def test_results_on_a_terminal_and_in_a_file(name, kind) -> None:
    stream = kind()
    results = ResultStream(result_layout(name, many=True, bold=False), stream)
    for source in (EVIL, "b.jpg"):
        results.add(replace(FOUND, source=f"{source}.jpg"))
    results.end()
    text = stream.getvalue()
    if kind is Terminal:
        shown(text)
    if name in ("json", "labelstudio", "coco", "fiftyone"):
        assert "\x1b[2J" in json.dumps(json.loads(text), ensure_ascii=False).encode().decode("unicode_escape")
    if name == "csv" and kind is io.StringIO:
        assert next(csv.DictReader(io.StringIO(text)))["name"] == EVIL


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate", "--data"),
        ("data", "check"),
        ("data", "split"),
        ("data", "view", "--split", "all"),
        ("train", "--data"),
    ],
)
def test_words_about_a_data_set(arguments, evil_set, seeded_checkpoint, tmp_path) -> None:
    more = {"evaluate": ("--model", seeded_checkpoint, "--precision", "f32"), "train": ("--recipe", "\x1b[2J")}
    result = ssd300(*arguments, evil_set / "pets.json", *more.get(arguments[0], ()), cwd=tmp_path)
    assert r"\x1b[2J" in shown(result.stderr) + shown(result.stdout) or arguments[1] == "view"


def test_words_about_a_model(seeded_checkpoint, tmp_path) -> None:
    state, metadata = read_checkpoint(seeded_checkpoint)
    classes = ClassList((EVIL, "b", "c", "d"), (1, 2, 3, 4))
    written = replace(metadata, name=EVIL, licence=EVIL, classes=classes, training={EVIL: {EVIL: [EVIL]}})
    write_checkpoint(tmp_path / "m.safetensors", state, written)
    result = ssd300("info", tmp_path / "m.safetensors")
    assert shown(result.stdout).count(r"\x1b[2J") >= 5
    assert result.returncode == 0


def test_words_while_quantizing_and_training(monkeypatch, tmp_path, capsys) -> None:
    from ssd300.learn.display import Display

    def run(*_given, say, **_options):
        say(f"Measuring in float on 3 pictures of {EVIL}.")
        raise ArgumentError(EVIL)

    monkeypatch.setattr(importlib.import_module("ssd300.export.quantize"), "quantize", run)
    assert shown(ssd300("quantize", "--data", "x").stderr).count(r"\x1b[2J") == 2
    Display(1, 1, 1, tmp_path, shown=True).note(EVIL)
    assert r"\x1b[2J" in shown(capsys.readouterr().err)


def test_a_warning_is_a_message(tmp_path) -> None:
    """In a process of its own, as pytest collects warnings: about a letter that no font has."""
    Image.new("RGB", (300, 300)).save(tmp_path / "a.png")
    images, names = [{"id": 1, "file_name": "a.png", "width": 300, "height": 300}], [{"id": 1, "name": "\U000f0000"}]
    boxes = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [50, 50, 200, 200]}]
    (tmp_path / "a.json").write_text(json.dumps({"images": images, "annotations": boxes, "categories": names}))
    command = [sys.executable, "-m", "ssd300", "data", "view", "a.json", "--out", "sheets"]
    stderr = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stderr.decode()
    assert stderr.startswith("ssd300: no font was found for ")
    assert stderr.count("\n") == 1

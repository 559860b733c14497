"""`ssd300 quantize` through its command line; one run is a process of its own, whose home stays empty."""

import os
import shutil
import subprocess
import sys

import pytest

from command import ssd300
from ssd300.weights.checkpoint import read_int8


@pytest.fixture(scope="module")
def model(seeded_checkpoint, tmp_path_factory):
    return shutil.copy(seeded_checkpoint, tmp_path_factory.mktemp("quantize") / "m.safetensors")


@pytest.mark.slow
def test_two_runs_write_the_same_bytes_and_nothing_about_the_user(model, found_again, tmp_path):
    data = ["--data", found_again / "train.json", "--val", found_again / "val.json"]
    settings = ["--subset", 2, "--max-ap-drop", 0.3]
    home = tmp_path / "home"
    home.mkdir()
    out = tmp_path / "other.safetensors"
    options = ["--model", model, *data, *settings, "--threads", 1, "--out", out]
    command = [sys.executable, "-m", "ssd300", "quantize", *map(str, options)]
    first = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"HOME": str(home)})
    assert first.returncode == 0, first.stderr
    lines = first.stdout.splitlines()
    assert lines[0].split() == ["float", "INT8", "lost"]
    assert [line.split()[0] for line in lines[1:13]][:2] == ["AP", "AP50"]
    assert lines[-1] == str(out)
    assert "Calibrating on 2 pictures" in first.stderr
    assert not any(home.rglob("*"))  # where telemetry keeps its identifier of the user

    second = ssd300("quantize", "--model", model, "--data", found_again, *settings)  # its splits are the same two
    assert second.returncode == 0, second.stderr
    assert second.stdout.endswith(f"{model}\n")
    assert read_int8(model).to_json() == read_int8(out).to_json()

    shown = ssd300("info", model)
    assert shown.returncode == 0, shown.stderr
    assert "training quantization" in shown.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--data", "train.json", "--val", "train.json"], "--data and --val are the same"),
        (["--data", "train.json", "--val", "val.json", "--out", "m.onnx"], "extension .safetensors"),
        (["--data", "train.json", "--val", "nothing.json"], "nothing.json"),
    ],
)
def test_what_does_not_go_together_is_said(options, words, model, narrow_found_again):
    given = [option if option.startswith("--") else narrow_found_again / option for option in options]
    result = ssd300("quantize", "--model", model, *given)
    assert result.returncode == 2
    assert words in result.stderr
    assert result.stdout == ""

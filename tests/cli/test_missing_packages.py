"""A package that is not installed is said before anything is fetched or read."""

import sys

import pytest

from ssd300.cli import main

MODEL = ["--model", "nvidia-resnet50-coco"]  # not in the cache: resolving it is an error offline


@pytest.mark.parametrize(
    ("missing", "arguments", "extra"),
    [
        ("onnx", ["export", *MODEL, "--out", "x.html", "--web-runtime", "fetch"], "onnx"),
        ("onnxruntime", ["export", *MODEL, "--out", "x.onnx"], "onnx"),
        ("onnx", ["export", *MODEL, "--out", "x", "--format", "ovms"], "onnx"),
        ("torch", ["export", *MODEL, "--out", "x.pt2"], "train"),
        ("onnx", ["serve", *MODEL, "--web-runtime", "fetch"], "onnx"),
        ("nncf", ["quantize", *MODEL, "--data", "none"], "quantize"),
        ("hotcoco", ["evaluate", *MODEL, "--data", "none"], "eval"),
        ("hotcoco", ["train", "--data", "none"], "train"),
        ("tensorboardX", ["train", "--data", "none", "--tensorboard"], "tensorboard"),
        ("pyarrow", ["batch", "none", *MODEL, "--out", "x"], "batch"),
        ("pyarrow", ["batch", "none", *MODEL, "--out", "x", "--engine", "ray"], "ray"),
        ("ray", ["batch", "none", *MODEL, "--out", "x", "--engine", "ray"], "ray"),
    ],
)
def test_it_is_said_first(tmp_path, own_cache, monkeypatch, capsys, missing, arguments, extra) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SSD300_OFFLINE", "1")
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "ssd300.export.pt2", raising=False)
    monkeypatch.setattr(sys, "argv", ["ssd300", *arguments])
    with pytest.raises(SystemExit) as stop:
        main.run()
    assert stop.value.code == 2
    assert f'pip install ".[{extra}]" in a clone of ssd300' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())

"""`ssd300.export` and `ssd300.quantize` from Python take what the commands take."""

from pathlib import Path

import numpy as np
import pytest

import ssd300
from ssd300.errors import ArgumentError, DatasetError, ModelError
from ssd300.export.files import load_source
from ssd300.export.write import choose_format
from ssd300.files import sha256_of

pytestmark = pytest.mark.usefixtures("narrow")


@pytest.mark.parametrize(
    ("name", "given", "format"),
    [
        ("m.onnx", None, "onnx"),
        ("m.XML", None, "openvino"),
        ("m.html", "html", "html"),
        ("models", "triton", "triton"),
        ("models", "ovms", "ovms"),
    ],
)
def test_the_extension_names_the_format(name, given, format, tmp_path):
    assert choose_format(tmp_path / name, given) == format


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("models", {}, "expected a name with the extension .onnx"),
        ("m.onnx", {"format": "onyx"}, "did you mean 'onnx'"),
        ("m.onnx", {"format": "openvino"}, "expected a name with the extension .xml"),
        ("m.onnx", {"format": "ovms"}, "--format ovms writes a folder"),
        ("m.onnx", {"opsett": 18}, "did you mean 'opset'"),
        ("m.xml", {"opset": 18}, "--opset is for onnx, not for openvino"),
        ("m.xml", {"int8": False, "nms": True}, "--nms is for onnx, not for openvino"),
        ("m.onnx", {"nms": False, "iou_threshold": 0.3}, "--iou-threshold is fixed in a file that selects"),
        ("m.onnx", {"nms": np.bool_(False), "iou_threshold": 0.3}, "--iou-threshold is fixed in a file that selects"),
        ("m.onnx", {"dynamic_batch": "no"}, "dynamic_batch must be True or False, got 'no'"),
        ("m.xml", {"half": 1}, "half must be True or False, got 1"),
        ("m.onnx", {"half": None, "classes": ["a"]}, "--classes is for safetensors"),
    ],
)
def test_what_does_not_go_together_is_said(name, options, words, narrow_checkpoint, tmp_path):
    with pytest.raises(ArgumentError) as raised:
        ssd300.export(narrow_checkpoint, tmp_path / name, **options)
    assert words in str(raised.value)


def test_classes_as_a_list(narrow_checkpoint, tmp_path):
    ssd300.export(narrow_checkpoint, tmp_path / "m.safetensors", classes=["a", "b, c", "d", "e"], half=None)
    renamed, classes = (ssd300.Detector.load(file).classes for file in (tmp_path / "m.safetensors", narrow_checkpoint))
    assert renamed == ssd300.ClassList(("a", "b, c", "d", "e"), classes.ids)
    assert classes.ids != (1, 2, 3, 4)


# Notepad's and PowerShell's encodings, too
@pytest.mark.parametrize(("encoding", "kind"), [("utf-8", str), ("utf-8-sig", Path), ("utf-16", str)])
def test_classes_in_a_file(encoding, kind, narrow_checkpoint, tmp_path):
    (tmp_path / "names.txt").write_text("köter\r\nb\r\n\r\nc c\r\nd\r\n", encoding)
    ssd300.export(narrow_checkpoint, tmp_path / "m.safetensors", classes=kind(tmp_path / "names.txt"))
    assert ssd300.Detector.load(tmp_path / "m.safetensors").classes.names == ("köter", "b", "c c", "d")


@pytest.mark.parametrize(
    ("classes", "words"), [("", "gives 0"), ([], "gives 0"), ("typo.text", r"gives 1 \('typo\.text'\)")]
)
def test_another_number_of_classes(classes, words, narrow_checkpoint, tmp_path):
    with pytest.raises(ModelError, match=rf"has 4 classes \(without background\), --classes {words}"):
        ssd300.export(narrow_checkpoint, tmp_path / "m.safetensors", classes=classes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("classes", ["typo.txt", "typo.names", Path("typo")])
def test_a_missing_file_of_class_names_is_no_class(classes, narrow_checkpoint, tmp_path):
    with pytest.raises(DatasetError, match=rf"{classes}: the list of class names cannot be read: No such file"):
        ssd300.export(narrow_checkpoint, tmp_path / "m.safetensors", classes=classes)


def test_quantize_needs_pictures_to_measure_on(narrow_checkpoint, narrow_found_again):
    pictures = ssd300.load_dataset(narrow_found_again / "train.json")
    with pytest.raises(ArgumentError, match="data is a Dataset: give val too"):
        ssd300.quantize(narrow_checkpoint, pictures)
    with pytest.raises(ArgumentError, match="--data and --val are the same"):
        ssd300.quantize(str(narrow_checkpoint), narrow_found_again, narrow_found_again / ".." / narrow_found_again.name)
    with pytest.raises(ArgumentError, match="share 8 pictures"):  # of the folder the part to learn from is taken
        ssd300.quantize(narrow_checkpoint, [narrow_found_again], narrow_found_again / "train.json")


def test_the_source_is_remembered(narrow_checkpoint):
    _, metadata = load_source(narrow_checkpoint)
    assert metadata.parent_sha256 == sha256_of(narrow_checkpoint)

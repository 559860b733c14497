import json
import os
import struct

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save_file

from ssd300.errors import ArgumentError, ModelError, OutputError, SSD300Error
from ssd300.labels import COCO
from ssd300.weights.checkpoint import (
    ModelMetadata,
    read_checkpoint,
    read_metadata,
    read_specs,
    read_tensors,
    sha256_of,
    write_checkpoint,
)


def test_an_empty_state_is_refused(tmp_path, metadata) -> None:
    with pytest.raises(ModelError, match="174 missing"):
        write_checkpoint(tmp_path / "x.safetensors", {}, metadata)
    assert list(tmp_path.iterdir()) == []


def test_state_and_metadata_survive(checkpoint, state, metadata) -> None:
    read, description = read_checkpoint(checkpoint)
    assert description == metadata == read_metadata(checkpoint)
    assert list(read) == list(state)  # published order
    for key, value in state.items():
        assert read[key].dtype == (np.int64 if value.ndim == 0 else np.float32)
        np.testing.assert_array_equal(read[key], value)


def test_writing_twice_gives_the_same_bytes(tmp_path, checkpoint, state, metadata) -> None:
    write_checkpoint(tmp_path / "again.safetensors", dict(reversed(state.items())), metadata)
    assert sha256_of(tmp_path / "again.safetensors") == sha256_of(checkpoint)


def test_arrays_of_any_memory_layout_are_written(tmp_path, checkpoint, state, metadata) -> None:
    other = {k: np.asfortranarray(v) if v.ndim > 1 else v for k, v in state.items()}
    write_checkpoint(tmp_path / "x.safetensors", other, metadata)
    assert sha256_of(tmp_path / "x.safetensors") == sha256_of(checkpoint)


def test_float16_halves_the_file_and_keeps_batch_norms(tmp_path, checkpoint, state, metadata) -> None:
    path = tmp_path / "half.safetensors"
    big = dict(state)
    norm = "feature_extractor.feature_extractor.1.running_var"
    big[norm] = np.full(64, 1e6, np.float32)  # infinite in float16
    big["conf.3.bias"] = np.full(24, 7e4, np.float32)
    write_checkpoint(path, big, metadata, dtype="float16")
    assert path.stat().st_size < 0.51 * checkpoint.stat().st_size
    kinds = {key: spec.dtype for key, spec in read_specs(path).items()}
    assert kinds["conf.0.weight"] == kinds["loc.0.bias"] == "float16"
    assert kinds[norm] == kinds["conf.3.bias"] == "float32"  # the bias does not fit
    read, _ = read_checkpoint(path)
    assert read["conf.0.weight"].dtype == np.float32
    np.testing.assert_array_equal(read["conf.0.weight"], state["conf.0.weight"].astype(np.float16))
    np.testing.assert_array_equal(read[norm], big[norm])
    np.testing.assert_array_equal(read["conf.3.bias"], big["conf.3.bias"])


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_failed_write_leaves_the_old_file_and_nothing_else(error, tmp_path, state, metadata, monkeypatch) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"old")

    def full_disk(*_args, **_options):
        raise error

    monkeypatch.setattr("ssd300.weights.checkpoint.save_file", full_disk)
    with pytest.raises(OutputError, match=r"x\.safetensors: cannot be written: No space left on device"):
        write_checkpoint(path, state, metadata)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_writing_into_a_missing_folder_is_an_error(tmp_path, state, metadata) -> None:
    with pytest.raises(OutputError, match=r"cannot be written: No such file or directory; choose another folder"):
        write_checkpoint(tmp_path / "no" / "x.safetensors", state, metadata)


def test_an_unknown_dtype_is_an_error(tmp_path, state, metadata) -> None:
    with pytest.raises(ArgumentError, match="dtype is 'int8': expected 'float32' or 'float16'"):
        write_checkpoint(tmp_path / "x.safetensors", state, metadata, dtype="int8")


def test_a_file_without_metadata_is_read_and_says_so(tmp_path, state) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file(state, path)
    read, description = read_checkpoint(path)
    assert (description.backbone, description.classes.names) == ("resnet18", ("class_1", "class_2", "class_3"))
    assert "without ssd300 metadata" in description.training["note"]
    assert list(read) == list(state)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_kinds_of_float_become_float32(tmp_path, state, dtype) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({key: value.astype(dtype) if value.ndim else value for key, value in state.items()}, path)
    read, _ = read_checkpoint(path)
    assert read["conf.0.weight"].dtype == np.float32
    np.testing.assert_array_equal(read["conf.0.weight"], state["conf.0.weight"].astype(dtype).astype(np.float32))


def _without(state, key):
    return {k: v for k, v in state.items() if k != key}


FAULTS = {
    "a key is missing": (lambda s: _without(s, "conf.0.weight"), "1 missing (conf.0.weight)"),
    "a key is misspelt": (
        lambda s: _without(s, "conf.0.weight") | {"conf.0.wieght": s["conf.0.weight"]},
        "1 unexpected ('conf.0.wieght', did you mean 'conf.0.weight'?)",
    ),
    "a key is too many": (lambda s: s | {"ema.decay": np.ones(1, "f")}, "1 unexpected ('ema.decay')"),
    "a shape is wrong": (
        lambda s: s | {"loc.2.bias": np.ones(16, "f")},
        "1 of another shape (loc.2.bias is [16], expected [24])",
    ),
    "a head has other classes": (
        lambda s: s | {"conf.1.bias": np.ones(30, "f")},
        "conf.1.bias is [30], expected [24]",
    ),
    "no number of classes": (lambda s: s | {"conf.0.bias": np.ones(17, "f")}, "conf.0.bias is [17], expected 4 x the"),
    "NaN": (
        lambda s: s | {"loc.0.bias": np.array([np.nan] * 3 + [0] * 13, "f")},
        "loc.0.bias has 3 of 16 numbers that are NaN or infinite",
    ),
    "infinite": (lambda s: s | {"loc.0.bias": np.full(16, np.inf, "f")}, "16 of 16 numbers that are NaN or infinite"),
    "beyond float32": (lambda s: s | {"loc.0.bias": np.full(16, 1e300)}, "16 of 16 numbers that are NaN or infinite"),
    "negative variance": (
        lambda s: s | {"additional_blocks.0.1.running_var": np.full(256, -1, "f")},
        "additional_blocks.0.1.running_var holds -1, a variance is never negative",
    ),
    "whole numbers": (lambda s: s | {"loc.0.bias": np.ones(16, "i4")}, "loc.0.bias is int32, expected float32"),
    "a counter of floats": (
        lambda s: s | {"additional_blocks.0.1.num_batches_tracked": np.array(1.0, "f")},
        "num_batches_tracked is float32, expected int64",
    ),
    "a kind that is not supported": (
        lambda s: s | {"loc.0.bias": np.ones(16, "u1")},
        "tensor 'loc.0.bias' is U8, expected one of F32",
    ),
    "something else": (lambda _: {"a": np.ones(3, "f")}, "not an SSD300 model: found 1 tensors ('a'), expected the"),
    "nothing": (lambda _: {}, "not an SSD300 model: found 0 tensors (none)"),
    "a torchvision ResNet": (
        lambda _: {"conv1.weight": np.ones(3, "f"), "layer1.0.conv1.weight": np.ones(3, "f")},
        "this looks like a torchvision ResNet: start a training from it with `ssd300 train --start FILE`",
    ),
}


@pytest.mark.parametrize(("damage", "words"), FAULTS.values(), ids=FAULTS)
def test_wrong_states_are_refused_when_read(tmp_path, state, damage, words) -> None:
    path = tmp_path / "bad.safetensors"
    save_file(damage(state), path)
    with pytest.raises(ModelError) as caught:
        read_checkpoint(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("case", ["a key is missing", "a shape is wrong", "NaN", "negative variance", "whole numbers"])
def test_wrong_states_are_refused_when_written(tmp_path, state, metadata, case) -> None:
    damage, words = FAULTS[case]
    with pytest.raises(ModelError) as caught:
        write_checkpoint(tmp_path / "bad.safetensors", damage(state), metadata)
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_state_of_another_size_than_its_metadata_is_refused(tmp_path, state) -> None:
    with pytest.raises(ModelError, match="not an SSD300 resnet18 with 81 classes"):
        write_checkpoint(tmp_path / "x.safetensors", state, ModelMetadata("resnet18", COCO))


def _safetensors(header: bytes, body: bytes = b"", claimed: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if claimed is None else claimed) + header + body


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "header too small; 0 bytes found"),
        (b"\0" * 7, "header too small"),
        (_safetensors(b"{}", claimed=2 << 30), "header too large"),
        (_safetensors(b"{}", claimed=2**63), "header too large"),
        (_safetensors(b"{}", claimed=100), "10 bytes found"),
        (_safetensors(b"<html>"), "invalid JSON in header"),
        (_safetensors(b'{"x":' * 1000 + b"1" + b"}" * 1000), "recursion limit exceeded"),
        (_safetensors(json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 8]}}).encode()), "bytes"),
        (_safetensors(json.dumps({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 8]}}).encode()), "invalid"),
        (
            _safetensors(
                json.dumps({"a": {"dtype": "F8_E5M2", "shape": [8], "data_offsets": [0, 8]}}).encode(), b"x" * 8
            ),
            "is F8_E5M2, expected one of",
        ),
        (
            _safetensors(json.dumps({"a": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}}).encode(), b"x" * 8),
            "save the model as float32 or float16",
        ),
    ],
)
def test_files_that_are_not_safetensors_are_refused(tmp_path, data, words) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(data)
    for read in (read_checkpoint, read_metadata, read_specs, lambda p: read_tensors(p, ["a"])):
        with pytest.raises(ModelError) as caught:
            read(path)
        assert words in str(caught.value)
        assert str(path) in str(caught.value)


def test_a_file_cut_off_is_refused(tmp_path, checkpoint) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(checkpoint.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="not a complete safetensors file"):
        read_checkpoint(path)


def test_a_newer_schema_asks_for_an_upgrade(tmp_path, state) -> None:
    save_file(state, tmp_path / "new.safetensors", metadata={"ssd300": '{"schema_version": 9}'})
    with pytest.raises(ModelError, match=r"new\.safetensors: .* schema 9, this ssd300 reads 1: upgrade ssd300"):
        read_checkpoint(tmp_path / "new.safetensors")


@pytest.mark.parametrize("name", ["missing.safetensors", ""])
def test_a_missing_file_or_a_folder_is_an_error(tmp_path, name) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        read_checkpoint(tmp_path / name)


@pytest.mark.parametrize("name", ["model", "model.bin", "model.txt"])
def test_metadata_is_read_by_suffix(tmp_path, name) -> None:
    with pytest.raises(ModelError, match=r"expected \.safetensors, \.xml or \.onnx"):
        read_metadata(tmp_path / name)


IR = '<?xml version="1.0"?><net name="m" version="11"><layers/><rt_info><ssd300>{}</ssd300></rt_info></net>'


def test_the_metadata_of_an_openvino_model_is_read(tmp_path, metadata) -> None:
    import openvino
    from openvino import opset13

    parameter = opset13.parameter([1, 3], np.float32)
    model = openvino.Model([opset13.relu(parameter)], [parameter], "m")
    model.set_rt_info(metadata.to_json(), ["ssd300", "meta"])
    openvino.save_model(model, tmp_path / "m.xml")
    assert read_metadata(tmp_path / "m.xml") == metadata


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not an OpenVINO model: no element found"),
        ("<net>", "not an OpenVINO model"),
        ("<net/>", "no ssd300 metadata in it"),
        (IR.format(""), "no ssd300 metadata in it"),
        (IR.format('<meta value="{"/>'), "not JSON"),
        (
            '<!DOCTYPE x [<!ENTITY a "b">]>' + IR.format('<meta value="&a;"/>'),
            "with a DOCTYPE is not an OpenVINO model",
        ),
    ],
)
def test_bad_openvino_files_are_refused(tmp_path, text, words) -> None:
    (tmp_path / "m.xml").write_text(text)
    with pytest.raises(ModelError) as caught:
        read_metadata(tmp_path / "m.xml")
    assert words in str(caught.value)


def test_the_metadata_of_an_onnx_model_is_read(tmp_path, metadata) -> None:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    x, y = (helper.make_tensor_value_info(name, kind, [1]) for name in "xy")
    model = helper.make_model(helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y]))
    onnx.save(model, tmp_path / "bare.onnx")
    helper.set_model_props(model, {"ssd300": metadata.to_json()})
    onnx.save(model, tmp_path / "m.onnx")
    assert read_metadata(tmp_path / "m.onnx") == metadata
    (tmp_path / "bad.onnx").write_bytes(b"\xff" * 40)
    for name, words in (("bare", "no ssd300 metadata"), ("bad", "not an ONNX model"), ("missing", "cannot be read")):
        with pytest.raises(ModelError, match=words):
            read_metadata(tmp_path / f"{name}.onnx")


def test_sha256_of_nothing_and_of_a_missing_file(tmp_path) -> None:
    (tmp_path / "empty").touch()
    assert sha256_of(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    with pytest.raises(SSD300Error, match="cannot be read"):
        sha256_of(tmp_path / "missing")


def test_a_written_file_can_be_read_by_others(checkpoint) -> None:
    assert os.stat(checkpoint).st_mode & 0o777 == 0o644

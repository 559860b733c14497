"""States and files that are not what a model file must be."""

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from ssd300.errors import ModelError
from ssd300.labels import COCO
from ssd300.weights.checkpoint import (
    ModelMetadata,
    read_checkpoint,
    read_metadata,
    read_specs,
    read_tensors,
    write_checkpoint,
)


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
        lambda s: s | {"additional_blocks.0.1.running_var": np.full(32, -1, "f")},
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


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"<html>", "not a safetensors file: it is a web page, not the file: download it again$"),
        (b"version https://git-lfs.github.com/spec/v1", "it is a Git LFS pointer, .*: run `git lfs pull`$"),
        (b"PK\x03\x04", "it begins as a file of torch.save: name it .pt$"),
        (b"GGUF\x03", "it is a GGUF file, of another kind of network: give an SSD300$"),
        (b"hello", r"not a complete safetensors file \(.*header.*\); copy or download it again$"),
    ],
)
def test_files_of_another_kind_are_named(tmp_path, start, words) -> None:
    (tmp_path / "x.safetensors").write_bytes(start + bytes(99))
    with pytest.raises(ModelError, match=words):
        read_checkpoint(tmp_path / "x.safetensors")


def test_a_newer_schema_asks_for_an_upgrade(tmp_path, state) -> None:
    save_file(state, tmp_path / "new.safetensors", metadata={"ssd300": '{"schema_version": 9}'})
    with pytest.raises(ModelError, match=r"new\.safetensors: .* schema 9, this ssd300 reads 1: upgrade ssd300"):
        read_checkpoint(tmp_path / "new.safetensors")

"""Our own model files: written whole, read back bit for bit."""

import os

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save_file

from ssd300.errors import ArgumentError, ModelError, OutputError, SSD300Error
from ssd300.files import sha256_of
from ssd300.weights.checkpoint import (
    read_checkpoint,
    read_metadata,
    read_specs,
    write_checkpoint,
)
from ssd300.weights.facts import examine


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
    big[norm] = np.full(8, 1e6, np.float32)  # infinite in float16
    big["conf.3.bias"] = np.full(24, 7e4, np.float32)
    write_checkpoint(path, big, metadata, dtype="float16")
    half, whole = (sum(examine(file).precision.values()) for file in (path, checkpoint))  # bytes
    assert half < 0.51 * whole
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


@pytest.mark.parametrize("name", ["missing.safetensors", ""])
def test_a_missing_file_or_a_folder_is_an_error(tmp_path, name) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        read_checkpoint(tmp_path / name)


def test_sha256_of_nothing_and_of_a_missing_file(tmp_path) -> None:
    (tmp_path / "empty").touch()
    assert sha256_of(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    with pytest.raises(SSD300Error, match="cannot be read"):
        sha256_of(tmp_path / "missing")


def test_a_written_file_can_be_read_by_others(checkpoint) -> None:
    assert os.stat(checkpoint).st_mode & 0o777 == 0o644

"""The INT8 entry is written to the weights that it was measured with, in plain numbers. NNCF does not run here."""

from dataclasses import replace

import numpy as np
import pytest

from ssd300.architecture import architecture
from ssd300.errors import ModelError
from ssd300.export import quantize as module
from ssd300.export.quantize import quantize
from ssd300.weights.checkpoint import read_checkpoint, read_int8, read_metadata, write_checkpoint
from ssd300.weights.int8 import Int8, activation_names


@pytest.fixture(autouse=True)
def rough(narrow, narrow_checkpoint, monkeypatch):
    """A calibration whose numbers do not count."""
    metadata = read_metadata(narrow_checkpoint)
    ranges = dict.fromkeys(activation_names(architecture(metadata.backbone, metadata.num_classes)), (-8.0, 8.0))
    monkeypatch.setattr(module, "calibrate", lambda *_: Int8(ranges))


@pytest.mark.parametrize("name", [None, "other.safetensors"])
def test_ranges_of_other_weights_are_not_written(name, narrow_checkpoint, train, val, tmp_path):
    """A training may replace the file during the measurement."""
    path, out = tmp_path / "m.safetensors", name and tmp_path / name
    state, metadata = read_checkpoint(narrow_checkpoint)
    write_checkpoint(path, state, metadata)

    def train_on(words: str) -> None:
        if "in INT8" in words:
            write_checkpoint(path, state, replace(metadata, name="of a later epoch"))

    with pytest.raises(ModelError, match="it changed while it was measured; nothing was written"):
        quantize(path, train, val, out, subset=2, max_ap_drop=1, threads=1, say=train_on)
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
    assert read_int8(path) is None


def test_numbers_of_numpy_are_written_as_pythons(narrow_checkpoint, train, val, tmp_path):
    limits = {"subset": np.int64(2), "seed": np.int64(3), "max_ap_drop": np.float32(1)}
    out = quantize(narrow_checkpoint, train, val, tmp_path / "m.safetensors", threads=1, **limits).path
    calibration = read_metadata(out).training["quantization"]["calibration"]
    assert calibration == {"dataset": train.name, "pictures": 2, "seed": 3}

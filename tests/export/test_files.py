"""OpenVINO, safetensors and torch.export files: written whole, read back by their own readers, same answers."""

import io
import json
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import ssd300
from ssd300.errors import OutputError
from ssd300.export.files import export_onnx, export_openvino, export_safetensors, make_reference
from ssd300.export.onnx import OnnxOptions
from ssd300.export.verify import make_comparison_pictures
from ssd300.weights.checkpoint import read_checkpoint, read_metadata

pytestmark = pytest.mark.usefixtures("narrow")


@pytest.mark.parametrize("half", [False, True])
def test_openvino(half, seeded_model, tmp_path):
    from ssd300.runtime.openvino import load_openvino

    state, metadata = seeded_model("resnet18")
    result = export_openvino(state, metadata, tmp_path / "m.xml", half=half)
    assert (result.probabilities == 0) is not half
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["m.bin", "m.xml"]
    assert read_metadata(tmp_path / "m.xml") == metadata
    pictures = make_comparison_pictures()[:1]
    [(boxes_xyxy, _)] = load_openvino(tmp_path / "m.xml", precision="f32").infer(pictures)
    [(expected, _)] = make_reference(state, metadata).infer(pictures)
    np.testing.assert_allclose(boxes_xyxy, expected, atol=2e-2 if half else 0)


def test_openvino_replaces_no_bin_of_another_program(seeded_model, tmp_path):
    (tmp_path / "m.bin").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"m\.bin: exists without m\.xml, so it may be another program's"):
        export_openvino(*seeded_model("resnet18"), tmp_path / "m.xml")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"m.bin": b"mine"}


@pytest.mark.parametrize("half", [False, True])
def test_safetensors(half, seeded_model, tmp_path):
    state, metadata = seeded_model("resnet18")
    result = export_safetensors(state, metadata, tmp_path / "m.safetensors", half=half)
    assert (result.probabilities == 0) is not half
    read, described = read_checkpoint(tmp_path / "m.safetensors")
    assert described == metadata
    assert list(read) == list(state)


@pytest.mark.slow
@pytest.mark.parametrize("dynamic_batch", [False, True])
def test_pt2(dynamic_batch, seeded_model, tmp_path):
    import torch

    from ssd300.export.pt2 import METADATA_FILE, export_pt2

    state, metadata = seeded_model("resnet18")
    result = export_pt2(state, metadata, tmp_path / "m.pt2", dynamic_batch=dynamic_batch)
    assert result.boxes < 1e-4
    with zipfile.ZipFile(tmp_path / "m.pt2") as archive:
        place = str(Path(ssd300.__file__).parent).encode()
        assert not [name for name in archive.namelist() if place in archive.read(name)]
    extra = {METADATA_FILE: ""}
    program = torch.export.load(io.BytesIO((tmp_path / "m.pt2").read_bytes()), extra_files=extra).module()
    assert json.loads(extra[METADATA_FILE]) == json.loads(metadata.to_json())
    pictures = torch.from_numpy(make_comparison_pictures()[: 2 if dynamic_batch else 1])
    boxes, probabilities = program(pictures)
    assert boxes.shape == (len(pictures), 8732, 4)
    assert probabilities.shape == (len(pictures), 5, 8732)


@pytest.mark.parametrize("export", [partial(export_onnx, options=OnnxOptions()), export_openvino, export_safetensors])
def test_a_folder_that_is_not_there(export, seeded_model, tmp_path):
    with pytest.raises(OutputError, match="folder"):
        export(*seeded_model("resnet18"), tmp_path / "missing" / "m.xml")

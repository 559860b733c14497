"""INT8 files: what is in them, who picks them up, and that one that loses too much is not written."""

import json
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import numpy as np
import openvino as ov
import pytest

from ssd300.detector import Detector
from ssd300.errors import ArgumentError, DatasetError, ModelError, OutputError
from ssd300.export import quantize as module
from ssd300.export.files import export_onnx, export_openvino, load_int8
from ssd300.export.nncf_graph import import_nncf, quantize_graph
from ssd300.export.onnx import OnnxOptions
from ssd300.export.quantize import quantize, read_calibration_pictures
from ssd300.images.resize import load_for_network
from ssd300.runtime.choice import choose_model_file
from ssd300.runtime.graph import build_graph
from ssd300.runtime.openvino import load_openvino
from ssd300.weights import catalog
from ssd300.weights.checkpoint import read_checkpoint, read_int8, read_metadata, read_specs, read_tensors
from ssd300.weights.facts import examine

pytestmark = pytest.mark.usefixtures("narrow")


@pytest.fixture
def calibrated(done, model, monkeypatch):
    """The calibration of `done` once more, for tests of what becomes of it."""
    int8 = read_int8(model)
    monkeypatch.setattr(module, "calibrate", lambda *_: int8)


def test_the_model_itself_says_how_and_keeps_its_numbers(done, model, train, narrow_checkpoint):
    assert done.path == model
    assert [p.name for p in model.parent.iterdir()] == ["m.safetensors"]
    assert read_specs(model) == read_specs(narrow_checkpoint)
    for key, before in read_tensors(narrow_checkpoint, read_specs(model)).items():
        np.testing.assert_array_equal(read_tensors(model, [key])[key], before)
    assert model.stat().st_size - narrow_checkpoint.stat().st_size < 40_000
    metadata, before = read_metadata(model), read_metadata(narrow_checkpoint)
    assert replace(metadata, training=before.training) == before
    facts = metadata.training["quantization"]
    assert facts["passed"] is True
    assert facts["AP_int8"] == pytest.approx(done.int8.metrics.ap, abs=1e-4)
    assert facts["calibration"] == {"dataset": train.name, "pictures": 8, "seed": 0}


def test_both_were_measured_on_the_same_pictures(done):
    assert 0.2 < done.int8.metrics.ap <= done.float32.metrics.ap + 0.02
    assert done.difference.ap.value == pytest.approx(done.int8.metrics.ap - done.float32.metrics.ap, abs=1e-3)
    assert done.difference.ap.low <= done.difference.ap.value <= done.difference.ap.high
    assert (done.convolutions, done.kept_float) == (31, ())


def test_the_detector_takes_it_and_says_why(done, model):
    runtime = Detector.load(model).runtime
    assert runtime.precision == "int8"
    assert "m.safetensors holds INT8 ranges that passed their accuracy check" in runtime.reason
    assert Detector.load(model, precision="f32").runtime.precision == "f32"


def test_it_answers_about_as_the_float_model(done, model, narrow_found_again):
    picture = load_for_network(narrow_found_again / "val1.png")[0][None]
    [(boxes, probabilities)] = load_openvino(model, threads=1).infer(picture)
    [(exact_boxes, exact)] = load_openvino(model, precision="f32", threads=1).infer(picture)
    assert boxes.shape == exact_boxes.shape
    assert 0 < np.abs(probabilities - exact).mean() < 0.01
    assert np.corrcoef(probabilities[1:].ravel(), exact[1:].ravel())[0, 1] > 0.97


def test_two_threads_leave_stdout_as_it_was(monkeypatch):
    """The first one ends while the second is calibrating."""
    nncf, before, both, ended = import_nncf(), sys.stdout, threading.Barrier(2), threading.Event()

    def calibrates(*_, **settings):
        with suppress(threading.BrokenBarrierError):
            both.wait(0.2)
        if settings["subset_size"] == 2:
            ended.wait(0.2)

    def run(count):
        quantize_graph(None, np.zeros((count, 300, 300, 3), np.uint8))
        if count == 1:
            ended.set()

    monkeypatch.setattr(nncf, "quantize", calibrates)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, (1, 2)))
    after, sys.stdout = sys.stdout, before
    assert after is before


def test_the_graph_is_the_one_that_nncf_makes(done, model, train):
    """The same activations rounded to the same levels, so that sums and all convolutions stay in 8 bits."""
    state, metadata = read_checkpoint(model)
    graph = build_graph(state, metadata)
    theirs = quantize_graph(graph, read_calibration_pictures(train, 8, 0))
    ours = build_graph(state, metadata, read_int8(model))
    assert rounded(ours) == rounded(theirs)
    assert len(rounded(ours)) == len(read_int8(model).ranges) - 12  # those of the heads are for ONNX
    picture = train.pictures[0].read()
    exact, a, b = (outputs(g, load_for_network(picture)[0]) for g in (graph, ours, theirs))
    assert np.linalg.norm(a - exact) < 1.1 * np.linalg.norm(b - exact)


def rounded(graph):
    """Node whose output is rounded -> low, high, and the kinds of node that read it."""
    found = {}
    for node in graph.get_ops():
        if node.get_type_name() == "FakeQuantize":
            low, high = (node.input_value(i).get_node().data.item() for i in (1, 2))
            readers = sorted(i.get_node().get_type_name() for i in node.output(0).get_target_inputs())
            found[node.input_value(0).get_node().get_friendly_name()] = (low, high, readers)
    return found


def outputs(graph, picture):
    request = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    request.infer([picture[None]])
    return request.get_tensor("outputs").data.copy()


def test_a_checkpoint_that_cannot_hold_it_gets_a_file_beside_it(calibrated, narrow_checkpoint, train, val, tmp_path):
    import torch

    state, metadata = read_checkpoint(narrow_checkpoint)
    path, names = tmp_path / "m.pt", dict(enumerate(["background", *metadata.classes.names]))
    tensors = {key: torch.from_numpy(np.array(value)) for key, value in state.items()}
    torch.save({"model": tensors, "label_map": names}, path)
    assert quantize(path, train, val, subset=2, max_ap_drop=1, threads=1).path == tmp_path / "m.int8.safetensors"
    assert "m.int8.safetensors was made from this file" in choose_model_file(path, "auto").reason
    assert load_int8(path).to_json() == read_int8(tmp_path / "m.int8.safetensors").to_json()
    path.write_bytes(path.read_bytes() + b"\0")
    assert "m.int8.safetensors was made from another file" in choose_model_file(path, "auto").reason
    with pytest.raises(ModelError, match=r"m\.int8\.safetensors was made from another file than m\.pt; make them"):
        load_int8(path)
    (tmp_path / "m.int8.safetensors").unlink()
    with pytest.raises(ModelError, match=r"m\.pt: holds no INT8 ranges; make them with"):
        load_int8(path)


def test_openvino_in_int8(done, model, tmp_path):
    (state, metadata), int8 = read_checkpoint(model), read_int8(model)
    result = export_openvino(state, metadata, tmp_path / "m.xml", int8=int8)
    assert (result.boxes, result.probabilities) == (0, 0)
    weights = examine(tmp_path / "m.xml").precision
    assert weights.keys() == {"i8", "f32"}  # the sizes and axes of a graph are none
    assert weights["i8"] > 90_000
    assert load_openvino(tmp_path / "m.xml").precision == "int8"


def test_float16_and_int8_exclude_each_other(done, model, tmp_path):
    (state, metadata), int8 = read_checkpoint(model), read_int8(model)
    for export in (
        lambda: export_onnx(state, metadata, tmp_path / "m.onnx", OnnxOptions(half=True), int8=int8),
        lambda: export_openvino(state, metadata, tmp_path / "m.xml", half=True, int8=int8),
    ):
        with pytest.raises(ArgumentError, match="choose one"):
            export()
    assert not any(tmp_path.iterdir())


def test_a_model_that_loses_too_much_is_refused_and_nothing_is_written(
    calibrated, model, train, val, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "MOST_FLOAT", 0)
    monkeypatch.setattr(module, "measure_convolution_errors", lambda *_: {})  # not needed where no layer may stay float
    with pytest.raises(
        ModelError, match=r"INT8 loses 0\.\d+ AP on .*, more than the allowed 0, even with 0 of 31 layers"
    ):
        quantize(model, train, val, tmp_path / "m.safetensors", max_ap_drop=0, threads=1)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"val": "train"}, ArgumentError, "share 8 pictures"),
        ({"out": "m.xml"}, ArgumentError, r"extension \.safetensors; `ssd300 export --int8` writes others"),
        ({"out": "no/m.safetensors"}, OutputError, "there is no folder"),
        ({"subset": 0}, ArgumentError, "--subset is 0"),
        ({"subset": 10.5}, ArgumentError, "--subset is 10.5"),
        ({"threads": 0}, ArgumentError, "threads must be a whole number of at least 1"),
        ({"seed": None}, ArgumentError, "--seed is None"),
        ({"max_ap_drop": "0.1"}, ArgumentError, "--max-ap-drop is '0.1'"),
        ({"seed": -1}, ArgumentError, "--seed is -1: expected a whole number, 0 or more"),
        ({"max_ap_drop": 2}, ArgumentError, "--max-ap-drop is 2"),
        ({"max_ap_drop": float("nan")}, ArgumentError, "--max-ap-drop is nan"),
        ({"data": "none"}, DatasetError, "no picture to calibrate on"),
        ({"val": "none"}, DatasetError, "no picture to evaluate on"),
    ],
)
def test_what_does_not_go_together_is_said(settings, error, words, model, train, val, tmp_path):
    sets = {"train": train, "val": val, "none": val.subset([])}
    data, measured = sets[settings.pop("data", "train")], sets[settings.pop("val", "val")]
    with pytest.raises(error, match=words):
        quantize(model, data, measured, tmp_path / settings.pop("out", "m.safetensors"), **settings)
    assert not any(tmp_path.iterdir())


def test_lost_boxes_are_no_reason_to_stop(narrow_found_again, tmp_path):
    """Calibration does not use boxes, and there is no option to allow it."""
    labels = json.loads((narrow_found_again / "train.json").read_text())
    for i, entry in enumerate(labels["annotations"]):
        entry["bbox"][2:] = [0, 0] if i % 2 else entry["bbox"][2:]
    for entry in labels["images"]:
        shutil.copy(narrow_found_again / entry["file_name"], tmp_path)
    (tmp_path / "lossy.json").write_text(json.dumps(labels))
    sets = module._load_sets(tmp_path / "lossy.json", None, 0)
    assert [len(one) for one in sets] == [6, 2]


def test_the_bundled_model_stays_as_it_is(train, val):
    before = catalog.resolve("default").read_bytes()
    with pytest.raises(ArgumentError, match="is part of the installation and stays as it is: give --out"):
        quantize("default", train, val)
    assert catalog.resolve("default").read_bytes() == before


def test_pictures_without_boxes_cannot_measure(model, train, val, tmp_path):
    empty = [replace(picture, annotations=picture.annotations.select(np.zeros(0, int))) for picture in val.pictures]
    with pytest.raises(DatasetError, match="has no boxes to measure"):
        quantize(model, train, replace(val, pictures=tuple(empty[:1])), tmp_path / "m.safetensors", threads=1)


def test_the_calibration_pictures_are_drawn_with_the_seed(train):
    some, same, other = (read_calibration_pictures(train, 3, seed) for seed in (0, 0, 1))
    assert some.shape == (3, 300, 300, 3)
    assert (some == same).all()
    assert (some != other).any()
    assert read_calibration_pictures(train, 300, 0).shape == (8, 300, 300, 3)

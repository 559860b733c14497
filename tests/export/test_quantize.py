"""INT8 files: what is in them, who picks them up, and that one that loses too much is not written."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ssd300.data.load import load_dataset
from ssd300.detector import Detector
from ssd300.errors import ArgumentError, DatasetError, ModelError
from ssd300.export import quantize as module
from ssd300.export.nncf_graph import convolution_errors, quantised_convolutions, quantize_graph
from ssd300.export.quantize import calibration_pictures, quantize
from ssd300.files import sha256_of
from ssd300.images.resize import load_for_network
from ssd300.runtime.graph import build_graph
from ssd300.runtime.openvino import load_openvino
from ssd300.weights.catalog import load_state
from ssd300.weights.checkpoint import read_metadata
from ssd300.weights.facts import examine


@pytest.fixture(scope="module")
def train(found_again):
    return load_dataset(found_again / "train.json")


@pytest.fixture(scope="module")
def val(found_again):
    return load_dataset(found_again / "val.json")


@pytest.fixture(scope="module")
def model(seeded_checkpoint, tmp_path_factory):
    return shutil.copy(seeded_checkpoint, tmp_path_factory.mktemp("int8") / "m.safetensors")


@pytest.fixture(scope="module")
def done(model, train, val):
    return quantize(model, train, val, max_ap_drop=0.2, threads=1)


def test_the_file_lies_beside_its_model_and_says_what_it_is(done, model, train, val):
    assert done.path == model.with_name("m.int8.xml")
    assert sorted(p.name for p in model.parent.iterdir()) == ["m.int8.bin", "m.int8.xml", "m.safetensors"]
    metadata, parent = read_metadata(done.path), read_metadata(model)
    assert replace(metadata, training=None, metric=None, parent_sha256=None) == replace(parent, training=None)
    assert metadata.parent_sha256 == sha256_of(model)
    assert metadata.metric["AP"] == pytest.approx(done.int8.metrics.ap, abs=1e-4)
    assert metadata.metric["pictures"] == len(val) == 8
    facts = metadata.training["quantization"]
    assert facts["passed"] is True
    assert facts["calibration"] == {"dataset": train.name, "pictures": 8, "seed": 0}
    precision = examine(done.path).precision
    assert precision["i8"] > 0.95 * sum(precision.values())


def test_both_were_measured_on_the_same_pictures(done):
    assert 0.2 < done.int8.metrics.ap <= done.float32.metrics.ap + 0.02
    assert done.difference.ap.value == pytest.approx(done.int8.metrics.ap - done.float32.metrics.ap, abs=1e-3)
    assert done.difference.ap.low <= done.difference.ap.value <= done.difference.ap.high
    assert (done.convolutions, done.kept_float) == (31, ())


def test_the_detector_takes_it_and_says_why(done, model):
    runtime = Detector.load(model).runtime
    assert runtime.precision == "int8"
    assert "passed its accuracy check" in runtime.reason
    assert Detector.load(done.path).runtime.precision == "int8"


def test_it_answers_about_as_the_float_model(done, model, found_again):
    picture = load_for_network(found_again / "val1.png")[0][None]
    [(boxes, probabilities)] = load_openvino(done.path, threads=1).infer(picture)
    [(exact_boxes, exact)] = load_openvino(model, precision="f32", threads=1).infer(picture)
    assert boxes.shape == exact_boxes.shape
    assert 0 < np.abs(probabilities - exact).mean() < 0.01
    assert np.corrcoef(probabilities[1:].ravel(), exact[1:].ravel())[0, 1] > 0.97


def test_a_model_that_loses_too_much_is_refused_and_nothing_is_written(model, train, val, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_FLOAT", 0)
    monkeypatch.setattr(module, "convolution_errors", lambda *_: {})  # not needed where no layer may stay float
    with pytest.raises(ModelError, match=r"INT8 loses 0\.\d+ AP on .*, allowed is 0, even with 0 of 31 layers"):
        quantize(model, train, val, tmp_path / "m.xml", max_ap_drop=0, threads=1)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"val": "train"}, ArgumentError, "share 8 pictures"),
        ({"out": "m.bin"}, ArgumentError, r"ends in \.xml"),
        ({"out": "no/m.xml"}, ModelError, "there is no folder"),
        ({"subset": 0}, ArgumentError, "--subset is 0"),
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
        quantize(model, data, measured, tmp_path / settings.pop("out", "m.xml"), **settings)
    assert not any(tmp_path.iterdir())


def test_pictures_without_boxes_cannot_measure(model, train, val, tmp_path):
    empty = [replace(picture, annotations=picture.annotations.select(np.zeros(0, int))) for picture in val.pictures]
    with pytest.raises(DatasetError, match="has no boxes to measure"):
        quantize(model, train, replace(val, pictures=tuple(empty[:1])), tmp_path / "m.xml", threads=1)


def test_the_calibration_pictures_are_drawn_with_the_seed(train):
    some, same, other = (calibration_pictures(train, 3, seed) for seed in (0, 0, 1))
    assert some.shape == (3, 300, 300, 3)
    assert (some == same).all()
    assert (some != other).any()
    assert calibration_pictures(train, 300, 0).shape == (8, 300, 300, 3)


@pytest.mark.slow
def test_layers_go_back_to_float_one_by_one(model, train, val, tmp_path):
    """The worst layers first, and those that stay float are so in the file."""
    state, metadata = load_state(model)
    graph, pictures = build_graph(state, metadata), calibration_pictures(train, 4, 0)
    quantised = quantize_graph(graph, pictures)
    errors = convolution_errors(graph, quantised, pictures)
    assert list(errors) == quantised_convolutions(quantised)
    assert all(0 < error < 0.1 for error in errors.values())
    worst = sorted(errors, key=errors.get)[-2:]
    assert set(errors) - set(quantised_convolutions(quantize_graph(graph, pictures, worst))) == set(worst)

    told = []
    with pytest.raises(ModelError, match="even with 8 of 31 layers in float; nothing was written"):
        quantize(model, train, val, tmp_path / "m.xml", max_ap_drop=0, threads=1, say=told.append)
    assert [words.split()[3] for words in told if "layers in float" in words] == ["0", "1", "2", "4", "8"]
    assert not any(tmp_path.iterdir())


CAPPED = """
import json, sys
from pathlib import Path
import numpy as np
from ssd300.images.resize import load_for_network
from ssd300.runtime.openvino import load_openvino
runtime = load_openvino(Path(sys.argv[1]), threads=1)
kinds = [str(op.rt_info["primitiveType"].astype(str)) for op in runtime._compiled.get_runtime_model().get_ops()
         if op.rt_info["layerType"].astype(str) == "Convolution"]
[(boxes, probabilities)] = runtime.infer(load_for_network(sys.argv[2])[0][None])
np.save(sys.argv[3], probabilities)
print(json.dumps(kinds))
"""


@pytest.mark.slow
def test_it_holds_on_avx2_too(done, model, found_again, tmp_path):
    """Without VNNI the products are added in 16 bits, which can saturate. The primitives tell that AVX2 ran."""
    picture, answer = found_again / "val1.png", tmp_path / "answer.npy"
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    command = [sys.executable, "-c", CAPPED, str(done.path), str(picture), str(answer)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    kinds = json.loads(ran.stdout)
    assert len(kinds) == 31
    assert all("avx2" in kind and kind.endswith("I8") for kind in kinds), kinds
    capped, pixels = np.load(answer), load_for_network(picture)[0][None]
    [(_, native)] = load_openvino(done.path, threads=1).infer(pixels)
    [(_, exact)] = load_openvino(model, precision="f32", threads=1).infer(pixels)
    # The two differ from each other by about as much as either from float: activations round to other neighbours.
    # What counts is that AVX2 is no further from float.
    lost, lost_natively = np.abs(capped - exact).mean(), np.abs(native - exact).mean()
    assert lost < 1.25 * lost_natively, (lost, lost_natively)

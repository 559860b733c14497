"""INT8 layer by layer, and on CPUs without VNNI."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ssd300.data.load import load_dataset
from ssd300.errors import ModelError
from ssd300.export.nncf_graph import calibrate, measure_convolution_errors
from ssd300.export.quantize import quantize, read_calibration_pictures
from ssd300.images.resize import load_for_network
from ssd300.runtime.graph import build_graph
from ssd300.runtime.openvino import load_openvino
from ssd300.weights.catalog import load_weights

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("narrow")
def test_layers_go_back_to_float_one_by_one(model, train, val, tmp_path):
    """The worst layers first, and those that stay float are so in the file."""
    (state, metadata), pictures = load_weights(model), read_calibration_pictures(train, 4, 0)
    int8 = calibrate(state, metadata, pictures)
    errors = measure_convolution_errors(state, metadata, int8, pictures)
    assert len(errors) == 31
    assert all(0 < error < 0.1 for error in errors.values())
    worst = sorted(errors, key=errors.get)[-2:]
    graph = build_graph(state, metadata, replace(int8, kept_float=tuple(worst)))
    floats = {
        node.get_friendly_name()
        for node in graph.get_ops()
        if node.get_type_name() == "Convolution" and node.input_value(1).get_node().get_type_name() == "Constant"
    }
    assert floats == set(worst)

    told = []
    with pytest.raises(ModelError, match="even with 8 of 31 layers in float; nothing was written"):
        quantize(model, train, val, tmp_path / "m.safetensors", max_ap_drop=0, threads=1, say=told.append)
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


@pytest.fixture(scope="module")
def whole(seeded_checkpoint, found_again, tmp_path_factory):
    """The wide model in INT8: another process knows no narrow one."""
    model = shutil.copy(seeded_checkpoint, tmp_path_factory.mktemp("int8") / "m.safetensors")
    train, val = (load_dataset(found_again / f"{split}.json") for split in ("train", "val"))
    return quantize(model, train, val, max_ap_drop=0.2, threads=1).path


def test_it_holds_on_avx2_too(whole, found_again, tmp_path):
    """Without VNNI the products are added in 16 bits, which can saturate. The primitives tell that AVX2 ran."""
    picture, answer = found_again / "val1.png", tmp_path / "answer.npy"
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    command = [sys.executable, "-c", CAPPED, str(whole), str(picture), str(answer)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    kinds = json.loads(ran.stdout)
    assert len(kinds) == 31
    assert all("avx2" in kind and kind.endswith("I8") for kind in kinds), kinds
    capped, pixels = np.load(answer), load_for_network(picture)[0][None]
    [(_, native)] = load_openvino(whole, threads=1).infer(pixels)
    [(_, exact)] = load_openvino(whole, precision="f32", threads=1).infer(pixels)
    # The two differ from each other by about as much as either from float: activations round to other neighbors.
    # What counts is that AVX2 is no further from float.
    lost, lost_natively = np.abs(capped - exact).mean(), np.abs(native - exact).mean()
    assert lost < 1.25 * lost_natively, (lost, lost_natively)

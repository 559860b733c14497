"""Compiled INT8 graphs on the disk: used, healed, and never in the way of a detection."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ssd300.architecture import architecture
from ssd300.errors import ModelError
from ssd300.runtime import blobs, openvino
from ssd300.runtime.openvino import load_openvino
from ssd300.weights.checkpoint import read_checkpoint, read_int8, write_checkpoint, write_int8
from ssd300.weights.int8 import Int8, activation_names

PICTURE = np.random.default_rng(0).integers(0, 256, (1, 300, 300, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model(seeded_checkpoint, tmp_path_factory):
    """The seeded model with some INT8 ranges that "passed"."""
    return with_ranges(seeded_checkpoint, tmp_path_factory.mktemp("blobs"))


@pytest.fixture
def narrow_model(narrow, narrow_checkpoint, tmp_path):
    """The same for the narrow one."""
    return with_ranges(narrow_checkpoint, tmp_path)


def with_ranges(checkpoint, folder):
    _, metadata = read_checkpoint(checkpoint)
    network = architecture(metadata.backbone, metadata.num_classes)
    ranges = Int8(dict.fromkeys(activation_names(network), (-4.0, 4.0)))
    passed = replace(metadata, training={"quantization": {"passed": True}})
    write_int8(checkpoint, folder / "m.safetensors", passed, ranges)
    return folder / "m.safetensors"


@pytest.fixture
def built(monkeypatch):
    """Counts how often a graph was built."""
    calls = []
    build = openvino.build_graph
    monkeypatch.setattr(openvino, "build_graph", lambda *given: calls.append(1) or build(*given))
    return calls


def answer(path):
    [(boxes, probabilities)] = load_openvino(path, threads=1).infer(PICTURE)
    return boxes, probabilities


def test_a_second_start_takes_the_blob_and_a_flipped_bit_heals(narrow_model, built, own_cache):
    first = answer(narrow_model)
    [blob] = (own_cache / "openvino").iterdir()
    again = answer(narrow_model)
    assert len(built) == 1
    whole = blob.read_bytes()
    draw = np.random.default_rng(1)
    for place in draw.integers(0, len(whole), 3).tolist():
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(draw.integers(8))
        blob.write_bytes(damaged)
        assert all((a == b).all() for a, b in zip(answer(narrow_model), first, strict=True))
        assert blobs.read_blob(blob) is not None  # written anew
    assert len(built) == 4
    assert all((a == b).all() for a, b in zip(again, first, strict=True))


def test_a_model_that_is_replaced_while_it_is_loaded(narrow_model, own_cache):
    """As a training does with best.safetensors: neither its answers nor the cache mix the two."""
    loaded = load_openvino(narrow_model, threads=2)
    state, metadata = read_checkpoint(narrow_model)
    state["conf.0.bias"] = state["conf.0.bias"] + 1
    whole, int8 = narrow_model.read_bytes(), read_int8(narrow_model)
    write_checkpoint(narrow_model, state, metadata, int8=int8)
    with pytest.raises(ModelError, match="the file has changed since it was loaded; load it again"):
        loaded.for_throughput()
    narrow_model.write_bytes(whole)
    for a, b in zip(loaded.for_throughput().infer(PICTURE)[0], loaded.infer(PICTURE)[0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_blobs_that_are_not_whole_are_not_read(tmp_path):
    path = tmp_path / "a.blob"
    assert blobs.read_blob(path) is None
    blobs.write_blob(path, b"graph")
    assert blobs.read_blob(path) == b"graph"
    for content in (b"", b"short", path.read_bytes()[:-1]):
        path.write_bytes(content)
        assert blobs.read_blob(path) is None


@pytest.mark.posix
def test_a_pipe_is_no_blob(tmp_path):
    os.mkfifo(tmp_path / "a.blob")
    assert blobs.read_blob(tmp_path / "a.blob") is None


def test_the_one_used_longest_ago_makes_room(tmp_path):
    for i in range(blobs.KEPT_BLOBS + 2):
        blobs.write_blob(tmp_path / f"{i}.blob", b"x")
        os.utime(tmp_path / f"{i}.blob", (i, i))
    assert len(list(tmp_path.iterdir())) == blobs.KEPT_BLOBS
    assert not (tmp_path / "0.blob").exists()


DETECT = """
import sys
import platformdirs
from ssd300 import Detector
def nowhere(name):
    if sys.argv[2] == "raises":
        raise RuntimeError("could not determine the home directory")
    return "~/.cache/" + name
if sys.argv[2]:
    platformdirs.user_cache_dir = nowhere
print(Detector.load(sys.argv[1], threads=1).runtime.precision)
"""


@pytest.mark.parametrize(
    ("home", "cache", "words"),
    [
        ("raises", "", "this user has no home folder: set SSD300_CACHE"),
        ("tilde", "", "this user has no home folder: set SSD300_CACHE"),
        pytest.param("", "/dev/null/cache", "cannot be written", marks=pytest.mark.posix),
        pytest.param("", "/proc/cache", "cannot be written", marks=pytest.mark.posix),
    ],
)
def test_without_a_cache_it_says_so_in_one_line_and_detects(home, cache, words, model, tmp_path):
    command = [sys.executable, "-c", DETECT, str(model), home]
    environment = os.environ | {"SSD300_CACHE": cache}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "int8\n"), done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith("compiled models are not cached")
    assert words in line
    assert "set SSD300_CACHE to " in line
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_sixteen_processes_that_start_cold_on_one_cache_answer_alike(model, own_cache):
    code = (
        "import sys; import numpy as np; from ssd300 import Detector\n"
        "d = Detector.load(sys.argv[1], threads=1)\n"
        "print(d.runtime.precision, d.detect(np.full((90, 70, 3), 99, np.uint8), score_threshold=0.01).to_json())"
    )
    command = [sys.executable, "-c", code, str(model)]
    all_at_once = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(16)
    ]
    answers = [process.communicate(timeout=280) for process in all_at_once]
    assert {words for _, words in answers} == {""}
    assert len({text for text, _ in answers}) == 1
    assert answers[0][0].startswith("int8 ")
    assert len([path for path in (own_cache / "openvino").iterdir() if path.suffix == ".blob"]) == 1
    assert not [path for path in (own_cache / "openvino").iterdir() if path.name.endswith(".tmp")]

"""The INT8 entry of a model file: what goes in comes out, and anything else is refused."""

import json

import numpy as np
import pytest

from ssd300.architecture import architecture
from ssd300.errors import ModelError
from ssd300.weights.int8 import Int8, activation_names, align_zero, convolution_sizes, quantize_kernel

NETWORK = architecture("resnet18", 3)
RANGES = dict.fromkeys(activation_names(NETWORK), (-1.5, 2.5))


def test_nothing_to_round() -> None:
    numbers, scale = quantize_kernel(np.zeros((2, 1, 1, 1)), stem=False)
    assert not numbers.any()
    assert (scale > 0).all()


@pytest.mark.parametrize(("stem", "most"), [(False, 127), (True, 64)])
def test_a_kernel_is_rounded_by_output_channel(stem, most) -> None:
    kernel = np.random.default_rng(0).normal(size=(4, 3, 3, 3)) * np.array([1, 0.1, 5, 1e-9]).reshape(-1, 1, 1, 1)
    numbers, scale = quantize_kernel(kernel, stem=stem)
    largest = np.abs(numbers[:3].astype(int)).max((1, 2, 3))
    assert set(largest.tolist()) <= {most, most - stem}  # -63.5 goes up to -63
    assert not numbers[3].any()  # a dead channel does not get a scale of its own
    assert (np.abs(numbers * scale - kernel) <= scale * 0.51).all()


@pytest.mark.parametrize(("low", "high"), [(0.0, 6.0), (-3.7, 2.8), (-1.0, 0.0), (1.0, 2.0), (0.0, 0.0)])
def test_zero_is_one_of_the_levels(low, high) -> None:
    a, b = align_zero(low, high)
    step = (b - a) / 255
    assert a <= 0 <= b
    assert abs(a / step - round(a / step)) < 1e-9
    assert abs(a - min(low, 0)) < max(step, 2e-6)
    assert abs(b - max(high, 0)) < max(step, 2e-6)


def test_what_is_written_is_read() -> None:
    bias = np.random.default_rng(0).normal(size=64).astype(np.float32)
    given = Int8(RANGES, {"feature_extractor.feature_extractor.0": bias}, ("head.0",))
    read = Int8.from_json(given.to_json(), NETWORK, "m")
    assert (read.ranges, read.kept_float) == (given.ranges, given.kept_float)
    np.testing.assert_array_equal(read.biases["feature_extractor.feature_extractor.0"], bias)
    assert not read.rounds("head.0")
    assert read.rounds("head.1")


def changed(**parts):
    return json.dumps({"ranges": RANGES, "biases": {}, "kept_float": []} | parts)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "expected an object"),
        (changed(more=1), "expected an object"),
        (changed(ranges={}), "not those of the network's activations"),
        (changed(ranges=RANGES | {"head.0.relu": [0, 1]}), "not those of the network's activations"),
        (changed(ranges=RANGES | {"pictures.centered": [1, 2]}), "expected .low, high. with low <= 0 <= high"),
        (changed(ranges=RANGES | {"pictures.centered": [0, 0]}), "the range of pictures.centered is"),
        (changed(ranges=RANGES | {"pictures.centered": [0, float("nan")]}), "the range of pictures.centered is"),
        (changed(ranges=RANGES | {"pictures.centered": [0, 1e300]}), "the range of pictures.centered is"),
        (changed(ranges=RANGES | {"pictures.centered": [False, True]}), "the range of pictures.centered is"),
        (changed(ranges=RANGES | {"pictures.centered": "01"}), "the range of pictures.centered is"),
        (changed(biases={"head.9": [1]}), "its biases name other convolutions"),
        (changed(biases={"head.0": [1]}), f"the bias of head.0 is not {convolution_sizes(NETWORK)['head.0']} finite"),
        (changed(kept_float=["x"]), "kept_float names other convolutions"),
        (changed(kept_float=[["head.0"]]), "kept_float names other convolutions"),
    ],
)
def test_another_entry_is_refused(text, words) -> None:
    with pytest.raises(ModelError, match=words):
        Int8.from_json(text, NETWORK, "m.safetensors")

"""The INT8 entry of a float model: ranges of activations and corrected biases, as JSON in the model file.

The weights need no entry: their scale is the largest weight of each output channel (`quantize_kernel`). Names are those
of the nodes that `runtime/graph.py` builds: a range belongs to the output of a node, a bias to a convolution.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssd300.architecture import Architecture
from ssd300.arrays import Float32, Float64
from ssd300.errors import ModelError

INT8_KEY = "ssd300.int8"  # in the header of the safetensors file
PICTURES = "pictures.centered"  # the normalized pictures, input of the first convolution
LEVELS = 256  # of an activation: 8 bits from low to high
WEIGHT_MAX, STEM_WEIGHT_MAX = 127, 63.5
LOGITS_THAT_COUNT = 20.0  # below the highest logit of a map: exp(-20) of its probability
SMALLEST_SHARE = 0.01  # of the largest channel's scale: a dead channel's tiny scale would overflow biases


@dataclass(frozen=True)
class Int8:
    """The INT8 entry of a model.

    ranges: node name -> (low, high), low <= 0 <= high, so that 0 is one of the 256 levels.
    biases: convolution name -> corrected bias float32 [out]; a convolution without an entry keeps its own.
    kept_float: names of the convolutions that stay float.
    """

    ranges: dict[str, tuple[float, float]]
    biases: dict[str, Float32] = field(default_factory=dict)
    kept_float: tuple[str, ...] = ()

    def rounds(self, convolution: str) -> bool:
        return convolution not in self.kept_float

    def to_json(self) -> str:
        """One line of JSON; float32 numbers in the shortest form that reads back exactly."""
        values = {
            "ranges": {name: [_short(low), _short(high)] for name, (low, high) in self.ranges.items()},
            "biases": {name: [_short(value) for value in bias] for name, bias in self.biases.items()},
            "kept_float": list(self.kept_float),
        }
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str, network: Architecture, source: str) -> "Int8":
        """Parse the output of `to_json` for this network; messages call the file `source`. Raises ModelError."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelError(f"{source}: its INT8 entry is not JSON ({error}); quantize the model again") from error
        fault = _fault(values, network)
        if fault:
            raise ModelError(f"{source}: bad INT8 entry: {fault}; quantize the model again")
        return cls(
            {name: (float(low), float(high)) for name, (low, high) in values["ranges"].items()},
            {name: np.array(bias, np.float32) for name, bias in values["biases"].items()},
            tuple(values["kept_float"]),
        )


def activation_names(network: Architecture) -> Iterator[str]:
    """Every node whose output has a range: inputs of convolutions and residual sums, and outputs of the heads."""
    yield PICTURES
    yield f"{network.stem.key}.relu"
    for stage in network.stages:
        for block in stage:
            yield from (f"{conv.key}.relu" for conv in block.convs)
            yield f"{block.convs[-1].key}.biased"
            if block.shortcut:
                yield f"{block.shortcut.key}.biased"
    for extra in network.extras:
        yield from (f"{conv.key}.relu" for conv in extra)
    yield from head_names(network)


def head_names(network: Architecture) -> Iterator[str]:
    """The outputs of the heads: quantized in ONNX, because otherwise onnxruntime computes the heads in float."""
    for heads in (network.location_heads, network.class_heads):
        yield from (f"{head.key}.biased" for head in heads)


def align_zero(low: float, high: float) -> tuple[float, float]:
    """Shift the range by less than one of its 256 levels, so that 0 is one of them."""
    low, high = min(low, 0.0), max(high, 0.0)
    step = max(high - low, 1e-6) / (LEVELS - 1)
    zero = round(-low / step)
    return -zero * step, (LEVELS - 1 - zero) * step


def convolution_sizes(network: Architecture) -> dict[str, int]:
    """Convolution of the graph -> its output channels, in the order of computation. Both heads of a map are one."""
    sizes = {conv.key: conv.out_channels for conv in network.convs()}
    for k, (loc, conf) in enumerate(zip(network.location_heads, network.class_heads, strict=True)):
        sizes[f"head.{k}"] = sizes.pop(loc.key) + sizes.pop(conf.key)
    return sizes


def quantize_kernel(kernel: Float64, *, stem: bool) -> tuple[NDArray[np.int8], Float32]:
    """Kernel [out, in, k, k] -> int8 values and a scale per output channel, float32 [out, 1, 1, 1].

    CPUs without VNNI add products in 16 bits, which can saturate. Weights of 7 bits never do, but lose more accuracy
    than saturation, on AVX2 too (docs/quantize.md), so they are used only for the first convolution.
    """
    largest = np.abs(kernel).max((1, 2, 3), keepdims=True)
    # A kernel of zeros can have any scale that keeps its bias within int32.
    smallest = SMALLEST_SHARE * (float(largest.max()) or 1.0)
    largest = np.maximum(largest, smallest)
    scale = largest / (STEM_WEIGHT_MAX if stem else WEIGHT_MAX)
    # Halves round up: each channel's largest weight is at 63.5 in the stem, and corrected biases depend on it.
    return np.floor(kernel / scale + 0.5).astype(np.int8), scale.astype(np.float32)


def _short(value: float) -> float:
    return float(str(np.float32(value)))


def _fault(values: Any, network: Architecture) -> str | None:
    """The error of the parsed entry, or None."""
    if not isinstance(values, dict) or values.keys() != {"ranges", "biases", "kept_float"}:
        return "expected an object with ranges, biases and kept_float"
    sizes = convolution_sizes(network)
    ranges, biases, kept = values["ranges"], values["biases"], values["kept_float"]
    if not isinstance(ranges, dict) or ranges.keys() != set(activation_names(network)):
        return "its ranges are not those of the network's activations"
    for name, limits in ranges.items():
        if not _finite(limits, 2) or not limits[0] <= 0 <= limits[1] or limits[0] == limits[1]:
            return f"the range of {name} is {str(limits)[:60]}, expected [low, high] with low <= 0 <= high"
    if not isinstance(biases, dict) or not biases.keys() <= sizes.keys():
        return "its biases name other convolutions than the network's"
    for name, bias in biases.items():
        if not _finite(bias, sizes[name]):
            return f"the bias of {name} is not {sizes[name]} finite numbers"
    if not isinstance(kept, list) or not all(isinstance(name, str) and name in sizes for name in kept):
        return "kept_float names other convolutions than the network's"
    return None


def _finite(numbers: Any, count: int) -> bool:
    if not isinstance(numbers, list) or len(numbers) != count:
        return False
    # Beyond float32 a number would become infinite; NaN compares as false; bool is an int to Python.
    return all(isinstance(n, int | float) and not isinstance(n, bool) and abs(n) < 1e30 for n in numbers)

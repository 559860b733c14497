"""Named tensors: identify the SSD300 network of a set of them, check it, and fold its batch norms."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssd300 import limits
from ssd300.architecture import BACKBONES, BATCH_NORM_EPS, Architecture, Conv, architecture
from ssd300.arrays import Float64
from ssd300.errors import ModelError

Shape = tuple[int, ...]
State = dict[str, NDArray[Any]]  # published key -> float32 array; num_batches_tracked int64, shape ()
COUNTER = "num_batches_tracked"
_SHOWN = 3  # keys named in a message


@dataclass(frozen=True)
class TensorSpec:
    """A stored tensor: numpy's name of its data type ("float32", also "bfloat16"), and its shape."""

    dtype: str
    shape: Shape


def identify(source: str, shapes: Mapping[str, Shape]) -> Architecture:
    """The network with these keys and shapes. `source` is the file's name in messages.

    Raises ModelError with missing and unexpected keys (and the nearest expected one) and wrong shapes.
    """
    nearest = min(BACKBONES, key=lambda b: len(architecture(b, 2).state_shapes().keys() ^ shapes.keys()))
    known = architecture(nearest, 2).state_shapes().keys()
    if len(known & shapes.keys()) < len(known) / 2:
        examples = first_few(map(repr, shapes)) if shapes else "none"
        raise ModelError(
            f"{source}: not an SSD300 model: found {len(shapes)} tensors ({examples}), expected the published keys "
            f"(feature_extractor.feature_extractor.0.weight, ..., conf.5.bias)"
            f"{_torchvision_hint(shapes)}"
        )
    network = architecture(nearest, _num_classes(source, shapes))
    check_network(source, shapes, network)
    return network


def check_network(source: str, shapes: Mapping[str, Shape], network: Architecture) -> None:
    """Raise ModelError unless keys and shapes are those of the network."""
    what = f"an SSD300 {network.backbone} with {network.num_classes} classes (background included)"
    check_tensor_shapes(source, shapes, network.state_shapes(), what)


def check_tensor_shapes(source: str, shapes: Mapping[str, Shape], expected: Mapping[str, Shape], what: str) -> None:
    """Raise ModelError, listing missing, unexpected and wrong shapes, unless `shapes` equals `expected`."""
    missing = [key for key in expected if key not in shapes]
    unexpected = [key for key in shapes if key not in expected]
    wrong = [key for key in expected if key in shapes and tuple(shapes[key]) != expected[key]]
    faults = []
    if missing:
        faults.append(f"{len(missing)} missing ({first_few(missing)})")
    if unexpected:
        faults.append(
            f"{len(unexpected)} unexpected ({first_few(_add_hint(key, missing) for key in unexpected[: _SHOWN + 1])})"
        )
    if wrong:
        sizes = (f"{key} is {list(shapes[key])}, expected {list(expected[key])}" for key in wrong)
        faults.append(f"{len(wrong)} of another shape ({first_few(sizes)})")
    if faults:
        raise ModelError(f"{source}: not {what}: of its tensors {'; '.join(faults)}; save the whole state_dict again")


def check_state(source: str, state: Mapping[str, NDArray[Any]], network: Architecture) -> State:
    """The state in published order, as float32 and int64 counters, every number finite and every variance >= 0.

    Keys and shapes must have been checked. Raises ModelError.
    """
    return {key: check_tensor(source, key, state[key]) for key in network.state_shapes()}


def check_tensor(source: str, key: str, value: NDArray[Any]) -> NDArray[Any]:
    """One tensor as float32 (a counter as int64). Raises ModelError if it has another type or is not finite."""
    if key.endswith(COUNTER):
        if value.dtype.kind not in "iu":
            raise ModelError(f"{source}: {key} is {value.dtype}, expected int64; save the model again")
        return np.asarray(value, np.int64)
    if value.dtype.kind != "f":
        raise ModelError(f"{source}: {key} is {value.dtype}, expected float32 or float16; save the model again")
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf and is refused
        numbers = np.asarray(value, np.float32)
    if not np.isfinite(numbers).all():
        bad = int(np.count_nonzero(~np.isfinite(numbers)))
        raise ModelError(
            f"{source}: {key} has {bad} of {numbers.size} numbers that are NaN or infinite; the training that wrote it "
            "diverged or the file is damaged: use an earlier checkpoint"
        )
    if key.endswith("running_var") and numbers.size and numbers.min() < 0:
        raise ModelError(f"{source}: {key} holds {numbers.min():g}, a variance is never negative; the file is damaged")
    return numbers


def fold_batch_norm(conv: Conv, state: State) -> tuple[Float64, Float64]:
    """Kernel [out, in, k, k] and bias [out] of a convolution with its batch norm, for every builder of a graph.

    In float64: rounding happens once.
    """
    kernel = state[f"{conv.key}.weight"].astype(np.float64)
    if conv.norm_key is None:
        return kernel, state[f"{conv.key}.bias"].astype(np.float64)
    leaves = ("weight", "bias", "running_mean", "running_var")
    gain, shift, mean, variance = (state[f"{conv.norm_key}.{leaf}"].astype(np.float64) for leaf in leaves)
    scale = gain / np.sqrt(variance + BATCH_NORM_EPS)
    return kernel * scale[:, None, None, None], shift - mean * scale


def first_few(words: Iterable[str]) -> str:
    words = [word if len(word) <= 200 else word[:200] + "..." for word in words]
    return ", ".join(words[:_SHOWN]) + (", ..." if len(words) > _SHOWN else "")


def _num_classes(source: str, shapes: Mapping[str, Shape]) -> int:
    """K, from the bias of the first class head: 4 anchors * K numbers."""
    bias = tuple(shapes.get("conf.0.bias", ()))
    if len(bias) == 1 and bias[0] % 4 == 0 and 2 <= bias[0] // 4 <= limits.PLAIN_CLASSES:
        return bias[0] // 4
    raise ModelError(
        f"{source}: conf.0.bias is {list(bias) or 'missing'}, expected 4 x the number of classes (background included, "
        f"2 to {limits.PLAIN_CLASSES}); save the model again"
    )


def _add_hint(key: str, missing: list[str]) -> str:
    near = get_close_matches(key[:200], missing, n=1, cutoff=0.8)
    return f"{key!r}, did you mean {near[0]!r}?" if near else repr(key)


def _torchvision_hint(shapes: Mapping[str, Shape]) -> str:
    if "conv1.weight" in shapes and "layer1.0.conv1.weight" in shapes:
        return "; this looks like a torchvision ResNet: start a training from it with `ssd300 train --start FILE`"
    return "; give an ssd300 or published SSD300 file"

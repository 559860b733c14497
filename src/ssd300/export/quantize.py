"""A model in INT8 beside the float one, written only if it holds the accuracy.

weights -> float graph -> quantised graph -> AP of both on the same pictures -> good enough: the file
                              ^ the worst layers stay float, twice as many each round  <- too much lost
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ssd300.arrays import UInt8
from ssd300.data.dataset import Dataset
from ssd300.detector import Detector
from ssd300.errors import ArgumentError, DatasetError, ModelError
from ssd300.evaluate.run import Evaluation, compare, evaluate
from ssd300.export.files import load_source, publish_graph, save_graph
from ssd300.export.nncf_graph import convolution_errors, import_nncf, quantised_convolutions, quantize_graph
from ssd300.images.resize import resize_to_network
from ssd300.runtime.choice import int8_sibling
from ssd300.runtime.graph import build_graph
from ssd300.runtime.openvino import OpenVINORuntime, read_graph
from ssd300.weights.embedded import RT_INFO_PATH
from ssd300.weights.metadata import ModelMetadata

if TYPE_CHECKING:
    from ssd300.evaluate.bootstrap import Difference

SUBSET, MAX_AP_DROP = 300, 0.003
MOST_FLOAT = 0.5  # share of the convolutions that may stay float: with more, INT8 is hardly faster than bf16

Say = Callable[[str], None]
Progress = Callable[[int, int], None]  # pictures done, pictures in all


@dataclass(frozen=True)
class Quantization:
    """The answer of `quantize`.

    path            the .xml that was written, its .bin beside it
    float32, int8   the evaluations of both models on the same pictures
    difference      INT8 minus float with paired 95 % intervals
    convolutions    how many there are; `kept_float` names those that stayed float
    calibrated_on   pictures of the calibration
    """

    path: Path
    float32: Evaluation
    int8: Evaluation
    difference: "Difference"
    convolutions: int
    kept_float: tuple[str, ...]
    calibrated_on: int


def quantize(
    model: Path,
    data: Dataset,
    val: Dataset,
    out: Path | None = None,
    *,
    subset: int = SUBSET,
    seed: int = 0,
    max_ap_drop: float = MAX_AP_DROP,
    threads: int | None = None,
    say: Say = lambda words: None,
    progress: Progress | None = None,
) -> Quantization:
    """Write the INT8 form of a model file (.safetensors, .pt, .pth), if it loses at most `max_ap_drop` AP on `val`.

    Args:
        data: pictures that show the value ranges; `subset` of them are drawn with `seed`. Their boxes are not used.
        val: other pictures, on which both models are measured.
        out: an .xml file; None takes the place beside the model where `Detector.load(model)` finds it.
        say: is told each step in words.

    The same arguments write the same bytes on the same kind of CPU. Raises ArgumentError, DatasetError, ImageError,
    MissingExtraError; ModelError where the model cannot be used, or loses too much, and then nothing is written.
    """
    out = int8_sibling(model) if out is None else out
    _check(data, val, out, subset, max_ap_drop)
    import_nncf()  # a missing package is told before minutes of detecting
    state, metadata = load_source(model)
    graph = build_graph(state, metadata)
    say(f"Measuring in float on {len(val)} pictures of {val.name}.")
    exact = _measure(graph, metadata, val, threads, progress)
    if exact.metrics.ap < 0:
        raise DatasetError(f"{val.name} has no boxes to measure AP with: give --val pictures with boxes of the classes")
    pictures = calibration_pictures(data, subset, seed)
    say(f"Calibrating on {len(pictures)} pictures of {data.name}.")
    for attempt in _attempts(graph, pictures):
        say(f"Measuring in INT8, {len(attempt.kept_float)} of {attempt.convolutions} layers in float.")
        rounded = _measure(attempt.graph, metadata, val, threads, progress)
        drop = exact.metrics.ap - rounded.metrics.ap
        say(f"AP {exact.metrics.ap:.4f} in float, {rounded.metrics.ap:.4f} in INT8.")
        if drop <= max_ap_drop:
            break
    else:
        raise ModelError(
            f"{model}: INT8 loses {drop:.4f} AP on {val.name}, allowed is {max_ap_drop:g}, even with "
            f"{len(attempt.kept_float)} of {attempt.convolutions} layers in float; nothing was written. Calibrate on "
            "more pictures of the kind that the model will see, or allow more with --max-ap-drop"
        )
    calibration = {"dataset": data.name, "pictures": len(pictures), "seed": seed}
    described = _described(metadata, exact, rounded, attempt.kept_float, calibration, max_ap_drop)
    attempt.graph.set_rt_info(described.to_json(), list(RT_INFO_PATH))
    _write(attempt.graph, out)
    difference = compare(exact, rounded)
    return Quantization(out, exact, rounded, difference, attempt.convolutions, attempt.kept_float, len(pictures))


@dataclass(frozen=True)
class _Attempt:
    graph: Any
    convolutions: int
    kept_float: tuple[str, ...]


def _attempts(graph: Any, pictures: UInt8) -> Iterator[_Attempt]:
    """Quantised graphs, each with more layers in float: none, the one that hurts most, then twice as many each time."""
    quantised = quantize_graph(graph, pictures)
    total = len(quantised_convolutions(quantised))
    yield _Attempt(quantised, total, ())
    errors = convolution_errors(graph, quantised, pictures)
    worst = sorted(errors, key=lambda name: (-errors[name], name))
    number = 1
    while number <= MOST_FLOAT * total:
        kept = tuple(worst[:number])
        yield _Attempt(quantize_graph(graph, pictures, kept), total, kept)
        number *= 2


def calibration_pictures(data: Dataset, subset: int, seed: int) -> UInt8:
    """`subset` pictures of a data set, drawn with a seed, as the network sees them [N, 300, 300, 3]."""
    drawn = np.random.default_rng(seed).permutation(len(data))[:subset]
    return np.stack([resize_to_network(data.pictures[i].read()) for i in sorted(drawn.tolist())])


def _check(data: Dataset, val: Dataset, out: Path, subset: int, max_ap_drop: float) -> None:
    if out.suffix.lower() != ".xml":
        raise ArgumentError(f"--out is {out}: expected a name that ends in .xml (its weights go into a .bin beside it)")
    if not out.parent.is_dir():
        raise ModelError(f"{out}: cannot be written: there is no folder {out.parent}; make it first")
    if subset < 1:
        raise ArgumentError(f"--subset is {subset}: expected at least 1 picture to calibrate on")
    if not 0 <= max_ap_drop <= 1:
        raise ArgumentError(f"--max-ap-drop is {max_ap_drop}: expected a loss of AP from 0 to 1")
    if not len(data):
        raise DatasetError(f"{data.name} has no picture to calibrate on")
    if common := _places(data) & _places(val):
        raise ArgumentError(
            f"--data and --val share {len(common)} pictures, such as {min(common)[0]}: a model is measured on pictures "
            "that did not calibrate it; give two data sets without common pictures"
        )


def _places(dataset: Dataset) -> set[tuple[str, str]]:
    """Where the pictures lie; of those in one packed file, the name in it too."""
    return {(str(p.path.resolve()), p.file_name if p.payload else "") for p in dataset.pictures}


def _measure(
    graph: Any, metadata: ModelMetadata, val: Dataset, threads: int | None, progress: Progress | None
) -> Evaluation:
    # Quantised graphs, too, have f32 as the precision of what is left to choose. "int8" would only add that the
    # compiled form of every attempt is kept in the user's cache.
    runtime = OpenVINORuntime(graph, metadata, "f32", threads=threads)
    return evaluate(Detector(runtime), val, progress=progress)


def _described(
    metadata: ModelMetadata,
    exact: Evaluation,
    rounded: Evaluation,
    kept: Sequence[str],
    calibration: dict[str, Any],
    max_ap_drop: float,
) -> ModelMetadata:
    """What the file says of itself: its metric is that of INT8, and its training tells what was lost."""
    measured = {
        "passed": True,
        "AP_float": round(exact.metrics.ap, 4),
        "AP_int8": round(rounded.metrics.ap, 4),
        "max_ap_drop": max_ap_drop,
        "dataset": rounded.dataset.name,
        "kept_float": list(kept),
        "calibration": calibration,
        "nncf": version("nncf"),
    }
    metric = {
        "AP": round(rounded.metrics.ap, 4),
        "AP50": round(rounded.metrics.ap50, 4),
        "interval": [round(rounded.ap.low, 4), round(rounded.ap.high, 4)],
        "dataset": rounded.dataset.name,
        "pictures": len(rounded.dataset),
    }
    return replace(metadata, metric=metric, training={**(metadata.training or {}), "quantization": measured})


def _write(quantised: Any, out: Path) -> None:
    """The pair .xml and .bin, read back before it is moved into place."""
    with tempfile.TemporaryDirectory(prefix=f".{out.stem}.", dir=out.parent) as folder:
        temporary = Path(folder) / out.name
        save_graph(quantised, temporary)
        read_graph(temporary)
        publish_graph(temporary, out)

"""INT8 for a model: ranges and corrected biases in its own file, written only if INT8 keeps the accuracy.

weights, pictures -> ranges and biases -> INT8 graph -> AP of both on the same pictures -> good enough: the file
                                  ^ the worst layers stay float, twice as many each round  <- too much lost
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ssd300.architecture import architecture
from ssd300.arrays import UInt8
from ssd300.data.dataset import Dataset
from ssd300.data.load import load_training, load_validation
from ssd300.data.usable import usable_sets
from ssd300.detector import Detector
from ssd300.digits import as_plain
from ssd300.errors import ArgumentError, DatasetError, ModelError
from ssd300.evaluate.run import Evaluation, Progress, compare, evaluate
from ssd300.export.files import check_folder
from ssd300.export.nncf_graph import calibrate, import_nncf, measure_convolution_errors
from ssd300.files import refuse_special, sha256_of
from ssd300.flow import prepare
from ssd300.options import DetectOptions
from ssd300.runtime.choice import int8_siblings
from ssd300.runtime.graph import build_graph
from ssd300.runtime.load import checked_threads
from ssd300.runtime.openvino import OpenVINORuntime
from ssd300.weights.catalog import BUNDLED_FOLDER, load_weights, resolve
from ssd300.weights.checkpoint import write_checkpoint, write_int8
from ssd300.weights.int8 import Int8, convolution_sizes
from ssd300.weights.metadata import ModelMetadata
from ssd300.weights.state import State

if TYPE_CHECKING:
    from ssd300.evaluate.bootstrap import Difference

SUBSET, MAX_AP_DROP = 300, 0.003
MOST_FLOAT = 0.5  # largest fraction of float convolutions: with more, INT8 is hardly faster than bf16


@dataclass(frozen=True)
class Quantization:
    """The result of `quantize`.

    Attributes:
        path: the file that was written
        float32: the evaluation of the float model
        int8: that of the INT8 model, on the same pictures
        difference: INT8 minus float with paired 95 % intervals
        convolutions: number of convolutions
        kept_float: names of those that stayed float
        calibrated_on: number of calibration pictures
    """

    path: Path
    float32: Evaluation
    int8: Evaluation
    difference: "Difference"
    convolutions: int
    kept_float: tuple[str, ...]
    calibrated_on: int


def quantize(
    model: str | os.PathLike[str],
    data: Dataset | str | Path | Sequence[str | Path],
    val: Dataset | str | Path | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    subset: int = SUBSET,
    seed: int = 0,
    max_ap_drop: float = MAX_AP_DROP,
    threads: int | None = None,
    say: Callable[[str], None] = lambda words: None,
    progress: Progress | None = None,
) -> Quantization:
    """Prepare a model for INT8, if that keeps its accuracy on `val`.

    Args:
        model: a name that `ssd300 models` lists, or a file: .safetensors, .pt, .pth.
        data: pictures for calibration: a `Dataset`, or paths for `load_dataset`; `subset` of them, drawn with `seed`.
        val: other pictures, to measure both models on. None: those that `train` would take, if `data` is a path.
        out: a .safetensors file with the float weights and the INT8 entry; None rewrites the model itself with
            unchanged tensors, or for a .pt a file beside it that `Detector.load(model)` finds.
        threads: CPU threads, as for `Detector`.
        max_ap_drop: the largest loss of AP; layers stay float as needed to meet it.
        say: called with a message for each step.
        progress: called with the number of pictures measured, and the total.

    Raises ArgumentError, DatasetError, ImageError, MissingExtraError, and ModelError, also if too much AP is lost.
    """
    import_nncf()  # before a model is downloaded
    subset, seed, max_ap_drop = as_plain((subset, seed, max_ap_drop))
    threads = checked_threads(threads)
    model = resolve(model, detector=True)
    if out is None:  # the model itself if its format can hold INT8
        if model.is_relative_to(BUNDLED_FOLDER):
            raise ArgumentError(f"{model} is part of the installation and stays as it is: give --out FILE.safetensors")
        out = model if model.suffix.lower() == ".safetensors" else int8_siblings(model)[0]
    out = Path(out)
    data, val = _load_sets(data, val, seed)
    _check(data, val, out, subset, max_ap_drop)
    source = sha256_of(model)
    state, metadata = load_weights(model)
    say(f"Measuring in float on {len(val)} pictures of {val.name}.")
    exact = _measure(build_graph(state, metadata), metadata, val, threads, progress)
    if exact.metrics.ap < 0:
        raise DatasetError(f"{val.name} has no boxes to measure AP with: give --val pictures with boxes of the classes")
    pictures = read_calibration_pictures(data, subset, seed)
    say(f"Calibrating on {len(pictures)} pictures of {data.name}.")
    layers = len(convolution_sizes(architecture(metadata.backbone, metadata.num_classes)))
    for int8 in _try_with_fewer_layers(state, metadata, pictures, layers):
        say(f"Measuring in INT8, {len(int8.kept_float)} of {layers} layers in float.")
        rounded = _measure(build_graph(state, metadata, int8), metadata, val, threads, progress)
        drop = exact.metrics.ap - rounded.metrics.ap
        say(f"AP {exact.metrics.ap:.4f} in float, {rounded.metrics.ap:.4f} in INT8.")
        if drop <= max_ap_drop:
            break
    else:
        raise ModelError(
            f"{model}: INT8 loses {drop:.4f} AP on {val.name}, more than the allowed {max_ap_drop:g}, even with "
            f"{len(int8.kept_float)} of {layers} layers in float; nothing was written. Calibrate on "
            "more pictures of the kind that the model will see, or allow more with --max-ap-drop"
        )
    calibration = {"dataset": data.name, "pictures": len(pictures), "seed": seed}
    described = _describe(metadata, exact, rounded, int8.kept_float, max_ap_drop=max_ap_drop, calibration=calibration)
    if sha256_of(model) != source:  # by a training, for instance: the ranges are those of the old weights
        raise ModelError(f"{model}: it changed while it was measured; nothing was written: quantize it again")
    if not (out.exists() and out.samefile(model)):
        described = replace(described, parent_sha256=source)
    if model.suffix.lower() == ".safetensors":
        write_int8(model, out, described, int8)
    else:
        write_checkpoint(out, state, described, int8=int8)
    difference = compare(exact, rounded)
    return Quantization(out, exact, rounded, difference, layers, int8.kept_float, len(pictures))


def _load_sets(
    data: Dataset | str | Path | Sequence[str | Path], val: Dataset | str | Path | None, seed: int
) -> tuple[Dataset, Dataset]:
    """The pictures for calibration, whose boxes are not used, and those for validation."""
    if not isinstance(seed, int) or seed < 0:
        raise ArgumentError(f"--seed is {seed!r}: expected a whole number, 0 or more")
    if val is None:
        if isinstance(data, Dataset):
            raise ArgumentError("data is a Dataset: give val too, the pictures on which both models are measured")
        sets = usable_sets(data, seed=seed, allow_lost=True)  # as where both are given
        return sets.train, sets.val
    if isinstance(data, str | Path) and isinstance(val, str | Path) and Path(data).resolve() == Path(val).resolve():
        raise ArgumentError(
            f"--data and --val are the same ({data}): validation needs other pictures than calibration; leave out "
            "--val to take both from --data, or give two data sets"
        )
    train = data if isinstance(data, Dataset) else load_training(data)
    return train, val if isinstance(val, Dataset) else load_validation(val)


def _try_with_fewer_layers(state: State, metadata: ModelMetadata, pictures: UInt8, layers: int) -> Iterator[Int8]:
    """Yield entries with more and more float layers: none, the one with the largest error, then twice as many."""
    int8 = calibrate(state, metadata, pictures)
    yield int8
    errors = measure_convolution_errors(state, metadata, int8, pictures)
    worst = sorted(errors, key=lambda name: (-errors[name], name))
    number = 1
    while number <= MOST_FLOAT * layers:
        yield replace(int8, kept_float=tuple(worst[:number]))
        number *= 2


def read_calibration_pictures(data: Dataset, subset: int, seed: int) -> UInt8:
    """`subset` pictures of a data set, drawn with a seed, resized for the network [N, 300, 300, 3]."""
    drawn = np.random.default_rng(seed).permutation(len(data))[:subset]
    return np.stack([prepare(data.pictures[i], DetectOptions()).pixels for i in sorted(drawn.tolist())])


def _check(data: Dataset, val: Dataset, out: Path, subset: int, max_ap_drop: float) -> None:
    if out.suffix.lower() != ".safetensors":
        raise ArgumentError(
            f"--out is {out}: expected a name with the extension .safetensors; `ssd300 export --int8` writes others"
        )
    refuse_special(out)
    check_folder(out)
    if not isinstance(subset, int) or subset < 1:
        raise ArgumentError(f"--subset is {subset!r}: expected at least 1 picture to calibrate on")
    if not isinstance(max_ap_drop, int | float) or not 0 <= max_ap_drop <= 1:
        raise ArgumentError(f"--max-ap-drop is {max_ap_drop!r}: expected a loss of AP from 0 to 1")
    if not len(data):
        raise DatasetError(f"{data.name} has no picture to calibrate on")
    if common := _list_places(data) & _list_places(val):
        raise ArgumentError(
            f"--data and --val share {len(common)} pictures, such as {min(common)[0]}: validation needs other pictures "
            "than calibration; give two data sets without common pictures"
        )


def _list_places(dataset: Dataset) -> set[tuple[str, str]]:
    """The paths of the pictures; for those in one packed file, also their names."""
    return {(str(p.path.resolve()), p.file_name if p.payload else "") for p in dataset.pictures}


def _measure(
    graph: Any, metadata: ModelMetadata, val: Dataset, threads: int | None, progress: Progress | None
) -> Evaluation:
    # f32 is right for quantized graphs, too; "int8" would cache the compiled form of every attempt.
    runtime = OpenVINORuntime(graph, metadata, "f32", threads=threads)
    return evaluate(Detector(runtime), val, progress=progress)


def _describe(
    metadata: ModelMetadata, exact: Evaluation, rounded: Evaluation, kept: Sequence[str], **facts: Any
) -> ModelMetadata:
    """The metadata of the file: the metric is that of float, and `training` has the loss of INT8."""
    measured = {
        "passed": True,
        "AP_float": round(exact.metrics.ap, 4),
        "AP_int8": round(rounded.metrics.ap, 4),
        "dataset": rounded.dataset.name,
        "kept_float": list(kept),
        **facts,
        "nncf": version("nncf"),
    }
    return replace(metadata, training={**(metadata.training or {}), "quantization": measured})

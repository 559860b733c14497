"""The whole flow for one picture, in one screen, and the same for many.

source -> RGB uint8 [300, 300, 3] -> network -> candidates -> boxes, labels, scores -> Detections
"""

import os
import threading
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ssd300.arrays import Int64
from ssd300.detections import Detections
from ssd300.errors import ArgumentError, DownloadError, ImageError, ModelError, SSD300Error, unknown_name
from ssd300.images.resize import load_for_network
from ssd300.images.source import expand, name_of
from ssd300.labels import ClassList
from ssd300.pipeline import in_order
from ssd300.postprocess import check_thresholds, select
from ssd300.runtime.base import Runtime
from ssd300.runtime.load import load_runtime
from ssd300.weights.catalog import resolve
from ssd300.weights.metadata import ModelMetadata

_SHORT_LIST = 16  # pictures; for more it pays to set the runtime up for throughput, which takes some 0.2 s


@dataclass(frozen=True)
class Failure:
    """A source that gave no picture: its name, and the error that says why and what to do."""

    source: str
    error: SSD300Error


class Detector:
    """A model that is loaded and ready; any number of threads may use one at once.

    It pickles as the arguments it was loaded with. A process forked after loading must load its own.
    """

    def __init__(self, runtime: Runtime, loaded_with: dict[str, Any] | None = None) -> None:
        self.runtime = runtime
        self._loaded_with = loaded_with
        self._throughput: Runtime | None = None
        self._preparing = threading.Lock()

    @classmethod
    def load(
        cls,
        model: str | os.PathLike[str] = "default",
        *,
        runtime: Literal["auto", "openvino", "onnx", "torch"] | str = "auto",
        precision: Literal["auto", "f32", "bf16", "int8"] | str = "auto",
        device: str = "cpu",
        threads: int | None = None,
    ) -> "Detector":
        """Load a model once, detect often.

        Args:
            model: a name that `ssd300 models` lists, or a file: .safetensors, .pt or .pth as published, .xml, .onnx.
            runtime: "auto" takes OpenVINO, or onnxruntime for .onnx, or torch for another device than the CPU.
            precision: "auto" takes the fastest that holds the accuracy on this CPU, "f32" the exact one.
            device: "cpu", or a device of torch such as "cuda".
            threads: CPU threads; None takes the CPUs that this process may use.

        Raises ModelError, ArgumentError, DownloadError, MissingExtraError.
        """
        path = resolve(model)
        loaded = load_runtime(path, runtime=runtime, precision=precision, device=device, threads=threads)
        named = isinstance(model, str) and not Path(model).exists()
        arguments = {"runtime": runtime, "precision": precision, "device": device, "threads": threads}
        return cls(loaded, {"model": model if named else path.absolute(), **arguments})

    @property
    def metadata(self) -> ModelMetadata:
        """What the model file says of itself."""
        return self.runtime.metadata

    @property
    def classes(self) -> ClassList:
        """The names and ids that the model knows."""
        return self.runtime.metadata.classes

    def detect(
        self,
        source: Any,
        *,
        score_threshold: float = 0.4,
        iou_threshold: float = 0.5,
        max_detections: int = 200,
        labels: Sequence[str] | None = None,
        color: Literal["rgb", "bgr"] = "rgb",
        decode: Literal["exact", "fast"] = "exact",
    ) -> Detections:
        """The objects in one picture, best first, in pixels of the original.

        Args:
            source: a path, an http(s) address, "-" for stdin, bytes, a binary file object, a PIL picture, a numpy array
                [H, W] or [H, W, 3], or a torch tensor.
            score_threshold: objects must score above this, 0 to 1.
            iou_threshold: boxes of a class overlap less than this, 0 to 1.
            max_detections: the best so many, counted after `labels`.
            labels: class names to look for; None looks for all.
            color: channel order of arrays and tensors; "bgr" for OpenCV frames.
            decode: "fast" reads large JPEGs at reduced scale: quicker, boxes move slightly.

        Raises ImageError or DownloadError for the source, ArgumentError for the rest.
        """
        settings = self._settings(score_threshold, iou_threshold, max_detections, labels, color, decode)
        return _detect(self.runtime, source, settings)

    def detect_many(
        self,
        sources: Any,
        *,
        on_error: Literal["raise", "yield"] = "raise",
        score_threshold: float = 0.4,
        iou_threshold: float = 0.5,
        max_detections: int = 200,
        labels: Sequence[str] | None = None,
        color: Literal["rgb", "bgr"] = "rgb",
        decode: Literal["exact", "fast"] = "exact",
    ) -> Generator[Detections | Failure, None, None]:
        """The objects in each of many pictures, in the order of `sources`: a list, an iterator, a directory or a glob.

        Pictures are read ahead in threads, so do not change an array before its result has come. The answers are those
        of `detect`. A source that cannot be read raises its error in its turn, or with on_error="yield" gives a
        `Failure` and the rest goes on. Close the iterator to stop early.
        """
        settings = self._settings(score_threshold, iou_threshold, max_detections, labels, color, decode)
        if on_error not in ("raise", "yield"):
            raise unknown_name("on_error", on_error, ("raise", "yield"))

        def one(numbered: tuple[int, Any]) -> Detections | Failure:
            number, source = numbered
            runtime = self.runtime if number < _SHORT_LIST else self._for_throughput()
            try:
                return _detect(runtime, source, settings)
            except (ImageError, DownloadError) as error:
                if on_error == "raise":
                    raise
                return Failure(name_of(source), error)

        return in_order(one, zip(count(), expand(sources)), 2 * self.runtime.threads)

    def _for_throughput(self) -> Runtime:
        with self._preparing:
            if self._throughput is None:
                self._throughput = self.runtime.for_throughput()
            return self._throughput

    def _settings(
        self,
        score_threshold: float,
        iou_threshold: float,
        max_detections: int,
        labels: Sequence[str] | None,
        color: str,
        decode: str,
    ) -> "_Settings":
        """The options of a call, checked before the first picture is read."""
        check_thresholds(score_threshold, iou_threshold, max_detections)
        for name, value, known in (("color", color, ("rgb", "bgr")), ("decode", decode, ("exact", "fast"))):
            if value not in known:
                raise unknown_name(name, str(value), known)
        names = self.classes.names if labels is None else (labels,) if isinstance(labels, str) else labels
        if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
            raise ArgumentError(f"labels must be class names, got {labels!r}")
        positions = sorted(set(self.classes.positions_of_names(names)))
        rows = np.array([0, *(position + 1 for position in positions)], np.int64)
        return _Settings(score_threshold, iou_threshold, max_detections, rows, self.classes, color, decode)

    def __reduce__(self) -> tuple[Any, ...]:
        if self._loaded_with is None:
            raise TypeError("only a Detector made by Detector.load can be pickled: it is loaded again from its file")
        return _load, (self._loaded_with,)


@dataclass(frozen=True)
class _Settings:
    score_threshold: float
    iou_threshold: float
    max_detections: int
    rows: Int64  # of the probabilities to look at: background and the wanted labels
    classes: ClassList
    color: str
    decode: Any


def _detect(runtime: Runtime, source: Any, settings: _Settings) -> Detections:
    """The flow: every detection of this package comes through here."""
    picture, size_hw = load_for_network(source, settings.color, decode=settings.decode)  # uint8 [300, 300, 3]
    [(boxes_xyxy, probabilities)] = runtime.infer(picture[None], settings.score_threshold)  # unit frame
    boxes_xyxy, labels, scores = select(
        boxes_xyxy,
        probabilities[settings.rows],
        score_threshold=settings.score_threshold,
        iou_threshold=settings.iou_threshold,
        max_detections=settings.max_detections,
    )
    if not np.isfinite(boxes_xyxy).all():
        raise ModelError("the network's boxes are not finite: its weights are damaged or diverged in training")
    height, width = size_hw
    return Detections(
        boxes_xyxy * np.array([width, height, width, height], np.float32),
        scores,
        settings.classes.ids_of_labels(settings.rows[labels]),
        settings.classes,
        size_hw,
        name_of(source),
    )


def _load(arguments: dict[str, Any]) -> Detector:
    return Detector.load(**arguments)

"""A loaded model. The steps of a detection are in `flow.py`, their options in `options.py`."""

import os
import threading
import warnings
from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from ssd300.detections import Detections
from ssd300.errors import ArgumentError, unknown_name
from ssd300.flow import Failure, detect_one, detect_tiled
from ssd300.images.source import expand
from ssd300.labels import ClassList
from ssd300.many import Answer, detect_each
from ssd300.options import DetectKeywords, DetectOptions, VideoKeywords, make_options
from ssd300.runtime.base import Runtime
from ssd300.runtime.load import load_runtime
from ssd300.weights.catalog import CATALOG, resolve
from ssd300.weights.metadata import ModelMetadata

if TYPE_CHECKING:
    from ssd300.video import FrameDetections

__all__ = ["Detector", "Failure"]

OnError = Literal["raise", "yield"]  # what a source that cannot be read does; only "yield" gives a `Failure`
_SHORT_LIST = 16  # pictures; for more it pays to set up the runtime for throughput, which takes about 0.2 s


class Detector:
    """A loaded model; any number of threads may use one at the same time.

    It pickles as the arguments it was loaded with. A process forked after loading must load its own.

    Every method that detects takes the fields of `DetectOptions` as keyword arguments, or a `DetectOptions` as
    `options`, of which keyword arguments change single fields.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Runtime = "default",
        *,
        runtime: Literal["auto", "openvino", "onnx", "torch"] | str = "auto",
        precision: Literal["auto", "f32", "bf16", "int8"] | str = "auto",
        device: Any = "cpu",
        threads: int | None = None,
    ) -> None:
        """As `Detector.load`; `model` may also be a `Runtime`, which takes no other argument."""
        self._throughput: Runtime | None = None
        self._preparing = threading.Lock()
        self._loaded_with: dict[str, Any] | None = None
        arguments = {"runtime": runtime, "precision": precision, "device": device, "threads": threads}
        if not isinstance(model, str | os.PathLike):
            if not hasattr(model, "infer"):
                raise ArgumentError(f"expected the name of a model, its file or a Runtime, got {type(model).__name__}")
            if arguments != {"runtime": "auto", "precision": "auto", "device": "cpu", "threads": None}:
                raise ArgumentError(f"a Runtime is loaded already: {', '.join(arguments)} are for a model to load")
            self.runtime = model
            return
        path = resolve(model, detector=True)
        self.runtime = load_runtime(path, **arguments)
        named = any(entry.name == model for entry in CATALOG)
        self._loaded_with = {"model": model if named else path.absolute(), **arguments}

    @classmethod
    def load(
        cls,
        model: str | os.PathLike[str] = "default",
        *,
        runtime: Literal["auto", "openvino", "onnx", "torch"] | str = "auto",
        precision: Literal["auto", "f32", "bf16", "int8"] | str = "auto",
        device: Any = "cpu",
        threads: int | None = None,
    ) -> "Detector":
        """Load a model.

        Args:
            model: a name that `ssd300 models` lists, or a file: .safetensors, .pt or .pth as published, .xml, .onnx.
            runtime: "auto" takes OpenVINO, or onnxruntime for .onnx, or torch for another device than the CPU.
            precision: "auto" takes the fastest one that keeps the accuracy on this CPU, "f32" the exact one
                (on CUDA torch computes its convolutions in TF32 unless `torch.backends.cudnn.allow_tf32` is False).
            device: "cpu", or a device of torch such as "cuda".
            threads: CPU threads; None takes the CPUs that this process may use.

        Raises ModelError, ArgumentError, DownloadError, MissingExtraError.
        """
        return cls(model, runtime=runtime, precision=precision, device=device, threads=threads)

    @property
    def metadata(self) -> ModelMetadata:
        """The metadata of the model file."""
        return self.runtime.metadata

    @property
    def classes(self) -> ClassList:
        """The class names and ids of the model."""
        return self.runtime.metadata.classes

    def detect(
        self, source: Any, options: DetectOptions | None = None, **changes: Unpack[DetectKeywords]
    ) -> Detections:
        """The objects in one picture, best first, in pixels of the original.

        `source` is a path, an http(s) address, "-" for stdin, bytes, a binary file object, a PIL picture, a numpy array
        [H, W] or [H, W, 3], a torch tensor, or a picture of a data set. Options: see `DetectOptions`.

        The result refers to a picture that was passed in memory, so that it can be drawn. No pixels are copied: if
        the array changes, so does the drawing.

        Raises ImageError or DownloadError for the source, DatasetError for a data set's picture whose size is not that
        of its annotations, ArgumentError for the rest.
        """
        checked = self._check_options(options, changes)
        if checked.tiles is not None:
            return detect_tiled(self._runtime_of, source, checked, 2 * self.runtime.threads)
        return detect_one(self.runtime, source, checked)

    @overload
    def detect_many(
        self, sources: Any, options: DetectOptions | None = None, **changes: Unpack[DetectKeywords]
    ) -> Generator[Detections, None, None]: ...
    @overload
    def detect_many(
        self, sources: Any, options: DetectOptions | None = ..., *, on_error: OnError, **changes: Unpack[DetectKeywords]
    ) -> Generator[Detections | Failure, None, None]: ...
    def detect_many(
        self,
        sources: Any,
        options: DetectOptions | None = None,
        *,
        on_error: OnError = "raise",
        **changes: Unpack[DetectKeywords],
    ) -> Generator[Detections | Failure, None, None]:
        """The objects in each of many pictures, in the order of `sources`: a list, an iterator, a directory or a glob.

        Pictures are read ahead in threads, so neither change an array nor close a file before its result has been
        yielded. The results are those of `detect`. A source that cannot be read raises its error when its turn comes;
        with on_error="yield" it yields a `Failure` and the others continue. Close the iterator to stop early.
        """
        return self.map(lambda found: found, sources, options, on_error=on_error, **changes)

    @overload
    def detect_video(
        self, sources: Any, options: DetectOptions | None = ..., **changes: Unpack[VideoKeywords]
    ) -> Generator["FrameDetections", None, None]: ...
    @overload
    def detect_video(
        self, sources: Any, options: DetectOptions | None = ..., *, on_error: OnError, **changes: Unpack[VideoKeywords]
    ) -> Generator["FrameDetections | Failure", None, None]: ...
    def detect_video(
        self,
        sources: Any,
        options: DetectOptions | None = None,
        *,
        every: int = 1,
        start: float | None = None,
        end: float | None = None,
        on_error: OnError = "raise",
        tell: Callable[[str], None] = warnings.warn,
        **changes: Unpack[DetectKeywords],
    ) -> Generator["FrameDetections | Failure", None, None]:
        """The objects in each frame of a video file, a camera (its number) or a stream's address, or of several.

        Files give every frame once, in order. Cameras and streams give the newest frame; older ones are dropped and
        counted. Each result is that of `detect` for the frame's pixels. Close the iterator to stop.

        Args:
            every: use only frames whose number is a multiple of it.
            start: use only frames from this time on, in seconds.
            end: use only frames before this time, in seconds.
            on_error: a source that cannot be read raises, or yields a `Failure` and the others continue.
            tell: called with a message about damaged frames.

        Raises ImageError, DownloadError, ArgumentError, MissingExtraError (without the extra `video`).
        """
        from ssd300.images.video import check_range
        from ssd300.images.video_open import require_av
        from ssd300.video import VideoOptions, detect_video

        checked = self._check_options(options, changes, on_error)
        every, start, end = check_range(every, start, end)
        require_av()
        given = sources if isinstance(sources, list | tuple) else [sources]
        return detect_video(self._runtime_of, given, checked, VideoOptions(every, start, end, on_error, tell))

    @overload
    def map(
        self,
        call: Callable[[Detections], Answer],
        sources: Any,
        options: DetectOptions | None = None,
        **changes: Unpack[DetectKeywords],
    ) -> Generator[Answer, None, None]: ...
    @overload
    def map(
        self,
        call: Callable[[Detections], Answer],
        sources: Any,
        options: DetectOptions | None = None,
        *,
        on_error: OnError,
        **changes: Unpack[DetectKeywords],
    ) -> Generator[Answer | Failure, None, None]: ...
    def map(
        self,
        call: Callable[[Detections], Answer],
        sources: Any,
        options: DetectOptions | None = None,
        *,
        on_error: OnError = "raise",
        **changes: Unpack[DetectKeywords],
    ) -> Generator[Answer | Failure, None, None]:
        """As `detect_many`, but yields `call(found)`: work on a result, such as drawing, in the thread that detected.

        With keep_pixels=True `found.picture` holds the decoded pixels during the call; memory stays bounded if the
        results do not refer to them. An exception of `call` is raised when its turn comes.
        """
        checked = self._check_options(options, changes, on_error)
        return detect_each(self._runtime_of, expand(sources), checked, call, on_error=on_error)

    def _check_options(
        self, options: DetectOptions | None, changes: DetectKeywords, on_error: str = "raise"
    ) -> DetectOptions:
        """The options of a call, checked before the first picture is read."""
        checked = make_options(options, changes)
        checked.rows(self.classes)
        if on_error not in ("raise", "yield"):
            raise unknown_name("on_error", on_error, ("raise", "yield"))
        return checked

    def _runtime_of(self, number: int) -> Runtime:
        """The runtime for a picture of a list, by its position in the list."""
        if number < _SHORT_LIST:
            return self.runtime
        with self._preparing:
            if self._throughput is None:
                self._throughput = self.runtime.for_throughput()
            return self._throughput

    def __repr__(self) -> str:
        model = self._loaded_with["model"] if self._loaded_with else self.metadata.name or self.metadata.backbone
        return (
            f"Detector({str(model)!r}, runtime={self.runtime.name!r}, precision={self.runtime.precision!r}, "
            f"{len(self.classes)} classes)"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        if self._loaded_with is None:
            raise TypeError("only a Detector made by Detector.load can be pickled: it is loaded again from its file")
        return partial(Detector.load, **self._loaded_with), ()

"""A model file -> a runtime that is ready. The one place that knows which runtime reads which kind of file."""

from importlib import import_module
from pathlib import Path

from ssd300.errors import ArgumentError, MissingExtraError, ModelError, unknown_name
from ssd300.runtime.base import Runtime

# Kind of file -> runtimes that read it, the first one by default.
READERS = {
    ".safetensors": ("openvino", "torch"),
    ".pt": ("openvino", "torch"),
    ".pth": ("openvino", "torch"),
    ".xml": ("openvino",),
    ".onnx": ("onnx",),
}
# By name, because each needs large packages, and torch is not part of the detecting half.
LOADERS = {
    "openvino": ("ssd300.runtime.openvino", "load_openvino"),
    "onnx": ("ssd300.runtime.onnx", "load_onnx"),
    "torch": ("ssd300.learn.inference", "load_torch"),
}


def load_runtime(
    path: Path, *, runtime: str = "auto", precision: str = "auto", device: str = "cpu", threads: int | None = None
) -> Runtime:
    """The runtime of a model file. Arguments as in `Detector.load`.

    Raises ModelError for a file that cannot be used, ArgumentError for arguments that do not go together, and
    MissingExtraError where the runtime's packages are not installed.
    """
    if runtime not in ("auto", *LOADERS):
        raise unknown_name("runtime", runtime, ("auto", *LOADERS))
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise ArgumentError(f"threads must be a whole number of at least 1, or None for all allowed, got {threads!r}")
    able = READERS.get(path.suffix.lower())
    if able is None:
        raise ModelError(f"{path}: its name ends in {path.suffix!r}, expected a model: {', '.join(READERS)}")
    if runtime == "auto":
        runtime = able[0] if device == "cpu" or "torch" not in able else "torch"
    if runtime not in able:
        raise ArgumentError(f"runtime={runtime!r} does not read {path.suffix} files; use {' or '.join(able)}")
    module, function = LOADERS[runtime]
    try:
        load = getattr(import_module(module), function)
    except ImportError as error:
        if runtime != "torch":
            raise
        raise MissingExtraError("the torch runtime", "train") from error
    if runtime == "torch":
        return load(path, precision=precision, device=device, threads=threads)  # type: ignore[no-any-return]
    if device != "cpu":
        raise ArgumentError(f"device={device!r}: {runtime} runs on the CPU; for a GPU use runtime='torch' and weights")
    return load(path, precision=precision, threads=threads)  # type: ignore[no-any-return]

"""Load a model file with a runtime. Only this module knows which runtime reads which kind of file."""

import re
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

from ssd300.digits import as_plain, whole_number
from ssd300.errors import ArgumentError, ModelError, needs, unknown_name
from ssd300.runtime.base import Runtime

# Kind of file -> runtimes that read it, the first one by default.
READERS = {
    ".safetensors": ("openvino", "torch"),
    ".pt": ("openvino", "torch"),
    ".pth": ("openvino", "torch"),
    ".xml": ("openvino",),
    ".onnx": ("onnx",),
}
# By name, because each needs large packages, and detection must not import torch.
LOADERS = {
    "openvino": ("ssd300.runtime.openvino", "load_openvino"),
    "onnx": ("ssd300.runtime.onnx", "load_onnx"),
    "torch": ("ssd300.runtime.torch", "load_torch"),
}


_DEVICE = re.compile(r"(cpu|cuda|mps|xpu)(?::([0-9]{1,4}))?")


def device_name(device: Any) -> str:
    """The canonical name of a device: None, "CPU", "cpu:0" and torch.device("cpu") are "cpu"; 0 and "0" are "cuda:0".

    Raises ArgumentError if it is not the name of a device.

    >>> device_name(None), device_name(" CUDA:01 "), device_name(0), device_name("cpu:0")
    ('cpu', 'cuda:1', 'cuda:0', 'cpu')
    """
    text = "cpu" if device is None else str(device).strip().lower()
    text = text if whole_number(text) is None else f"cuda:{text}"
    match = None if isinstance(device, bool) else _DEVICE.fullmatch(text)
    if match is None or (match[1] == "cpu" and int(match[2] or 0)):
        raise ArgumentError(f"device is {device!r}: expected cpu, cuda, cuda:1 or mps")
    return match[1] if match[1] == "cpu" or match[2] is None else f"{match[1]}:{int(match[2])}"


def checked_threads(threads: int | None) -> int | None:
    """The number of threads, None for those allowed. Raises ArgumentError unless it is at least 1."""
    threads = as_plain(threads)
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise ArgumentError(f"threads must be a whole number of at least 1, or None for all allowed, got {threads!r}")
    return threads


def load_runtime(
    path: Path, *, runtime: str = "auto", precision: str = "auto", device: Any = "cpu", threads: int | None = None
) -> Runtime:
    """Load the runtime of a model file. Arguments as in `Detector.load`.

    Raises ModelError for a file that cannot be used, ArgumentError for arguments that do not fit together, and
    MissingExtraError if the runtime's packages are not installed.
    """
    if runtime not in ("auto", *LOADERS):
        raise unknown_name("runtime", runtime, ("auto", *LOADERS))
    threads = checked_threads(threads)
    device = device_name(device)
    able = READERS.get(path.suffix.lower())
    if able is None:
        raise ModelError(f"{path}: its extension is {path.suffix!r}, expected a model: {', '.join(READERS)}")
    if runtime == "auto":
        runtime = able[0] if device == "cpu" or "torch" not in able else "torch"
    if runtime not in able:
        raise ArgumentError(f"runtime {runtime} does not read {path.suffix} files; use {' or '.join(able)}")
    module, function = LOADERS[runtime]
    with needs("the torch runtime", "train") if runtime == "torch" else nullcontext():
        load = getattr(import_module(module), function)
    if runtime == "torch":
        return load(path, precision=precision, device=device, threads=threads)  # type: ignore[no-any-return]
    if device != "cpu":
        raise ArgumentError(f"device {device}: {runtime} runs on the CPU; for a GPU use the torch runtime and weights")
    return load(path, precision=precision, threads=threads)  # type: ignore[no-any-return]

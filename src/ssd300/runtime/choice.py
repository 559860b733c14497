"""Choose the file and the precision that a model runs with, and give the reason."""

from dataclasses import dataclass
from pathlib import Path

from ssd300.cpu import isa_cap, native_bf16
from ssd300.errors import ArgumentError, ModelError, unknown_name
from ssd300.files import sha256_of
from ssd300.terminal import as_argument
from ssd300.weights.checkpoint import read_int8, read_metadata
from ssd300.weights.graphs import read_ir
from ssd300.weights.metadata import ModelMetadata

PRECISIONS = ("auto", "f32", "bf16", "int8")


@dataclass(frozen=True)
class Choice:
    """The file to load, the precision of its convolutions, and the reason as text (`Detector.runtime.reason`)."""

    path: Path
    precision: str  # "f32", "bf16" or "int8"
    reason: str


def choose_model_file(path: Path, precision: str) -> Choice:
    """The choice for `precision` with a model file on this CPU.

    "auto": INT8 if the file has INT8 ranges, or a sibling that was made from it, and passed the accuracy check; else
    bf16 if the CPU has it and its instruction set is not capped; else f32. Raises ArgumentError for a precision that
    is not available, and ModelError for a file that cannot be read.
    """
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    if path.suffix.lower() == ".xml":
        return _choose_for_graph(path, precision)
    if precision in ("auto", "int8"):
        fault = f"{path.name} holds no INT8 ranges"
        if path.suffix.lower() == ".safetensors" and read_int8(path):
            if _has_passed(read_metadata(path)):
                return Choice(path, "int8", f"{path.name} holds INT8 ranges that passed their accuracy check")
            fault = f"the INT8 ranges in {path.name} did not pass their accuracy check"
        for sibling in filter(Path.is_file, int8_siblings(path)):
            found = sibling_fault(path, sibling)
            if found is None:
                return Choice(sibling, "int8", f"{sibling.name} was made from this file and passed its accuracy check")
            fault = found
        if precision == "int8":
            command = f"ssd300 quantize --model {as_argument(path)} --data PATH"
            raise ArgumentError(f"precision int8: {fault}; make it with `{command}`")
        return _choose_float(path, precision, f"no INT8 ({fault}); ")
    return _choose_float(path, precision, "")


def int8_siblings(path: Path) -> list[Path]:
    """Files beside a model that may have its INT8 form, because a .pt cannot; older versions wrote an .xml."""
    own = [] if path.suffix.lower() == ".safetensors" else [path.with_name(f"{path.stem}.int8.safetensors")]
    return [*own, path.with_name(f"{path.stem}.int8.xml")]


def sibling_fault(path: Path, sibling: Path) -> str | None:
    """Why the INT8 sibling of a model file cannot replace it, or None if it can."""
    try:
        if sibling.suffix == ".xml":
            metadata, constants = read_ir(sibling)
            rounded = "i8" in constants
        else:
            metadata, rounded = read_metadata(sibling), read_int8(sibling) is not None
    except ModelError as error:
        return str(error)
    if not rounded:
        return f"{sibling.name} is a float model"
    if metadata.parent_sha256 != sha256_of(path):
        return f"{sibling.name} was made from another file than {path.name}"
    return None if _has_passed(metadata) else f"{sibling.name} did not pass its accuracy check"


def _has_passed(metadata: ModelMetadata) -> bool:
    quantization = (metadata.training or {}).get("quantization")
    return isinstance(quantization, dict) and quantization.get("passed") is True


def _choose_for_graph(path: Path, precision: str) -> Choice:
    quantized = "i8" in read_ir(path)[1]
    if quantized and precision in ("auto", "int8"):
        return Choice(path, "int8", "the file is an INT8 graph")
    if quantized:
        raise ArgumentError(f"precision {precision}: {path.name} is an INT8 graph; use auto or int8")
    if precision == "int8":
        command = f"ssd300 export --model WEIGHTS --int8 --out {as_argument(path)}"
        raise ArgumentError(
            f"precision int8: {path.name} is a float graph; make an INT8 one of its weights: `{command}`"
        )
    return _choose_float(path, precision, "")


def _choose_float(path: Path, precision: str, before: str) -> Choice:
    fault = _bf16_fault()
    if precision == "bf16" and fault:
        raise ArgumentError(f"precision bf16: {fault}; use auto or f32")
    if precision != "auto":
        return Choice(path, precision, "as requested")
    if fault:
        return Choice(path, "f32", f"{before}no bf16 ({fault})")
    return Choice(path, "bf16", f"{before}this CPU computes bf16 natively")


def _bf16_fault() -> str | None:
    if cap := isa_cap():
        return f"ONEDNN_MAX_CPU_ISA={cap} caps the instruction set"
    return None if native_bf16() else "this CPU does not compute bf16 natively"

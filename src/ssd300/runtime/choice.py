"""Which file and which precision a model runs with, and why."""

from dataclasses import dataclass
from pathlib import Path

from ssd300.errors import ArgumentError, ModelError, unknown_name
from ssd300.files import sha256_of
from ssd300.runtime.cpu import isa_cap, native_bf16
from ssd300.weights.embedded import read_ir

PRECISIONS = ("auto", "f32", "bf16", "int8")


@dataclass(frozen=True)
class Choice:
    """The file to load, the precision of its convolutions, and the reason in words (`ssd300 info` shows it)."""

    path: Path
    precision: str  # "f32", "bf16" or "int8"
    reason: str


def choose(path: Path, precision: str) -> Choice:
    """What `precision` means for a model file on this CPU.

    "auto": the INT8 sibling if it was made from this very file and passed its accuracy check; else bf16 where the CPU
    has it and its instruction set is not capped; else f32. Raises ArgumentError for a precision that cannot be had,
    and ModelError for a file that cannot be read.
    """
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    if path.suffix.lower() == ".xml":
        return _choose_for_graph(path, precision)
    if precision in ("auto", "int8"):
        sibling = int8_sibling(path)
        fault = sibling_fault(path)
        if fault is None:
            return Choice(sibling, "int8", f"{sibling.name} was made from this file and passed its accuracy check")
        if precision == "int8":
            raise ArgumentError(f'precision="int8": {fault}; make one with `ssd300 quantize --model {path}`')
        return _choose_float(path, precision, f"no INT8 ({fault}); ")
    return _choose_float(path, precision, "")


def int8_sibling(path: Path) -> Path:
    """Where the INT8 graph of a model file lies: default.safetensors -> default.int8.xml."""
    return path.with_name(f"{path.stem}.int8.xml")


def sibling_fault(path: Path) -> str | None:
    """Why the INT8 sibling of a model file cannot stand in for it, or None if it can."""
    sibling = int8_sibling(path)
    if not sibling.is_file():
        return f"there is no {sibling.name} beside {path.name}"
    try:
        metadata, constants = read_ir(sibling)
    except ModelError as error:
        return str(error)
    if "i8" not in constants:
        return f"{sibling.name} is a float graph"
    if metadata.parent_sha256 != sha256_of(path):
        return f"{sibling.name} was made from another file than {path.name}"
    if not (metadata.training or {}).get("quantization", {}).get("passed"):
        return f"{sibling.name} did not pass its accuracy check"
    return None


def _choose_for_graph(path: Path, precision: str) -> Choice:
    quantised = "i8" in read_ir(path)[1]
    if quantised and precision in ("auto", "int8"):
        return Choice(path, "int8", "the file is an INT8 graph")
    if quantised:
        raise ArgumentError(f'precision="{precision}": {path.name} is an INT8 graph; use "auto" or "int8"')
    if precision == "int8":
        raise ArgumentError(f'precision="int8": {path.name} is a float graph; make an INT8 one with `ssd300 quantize`')
    return _choose_float(path, precision, "")


def _choose_float(path: Path, precision: str, before: str) -> Choice:
    fault = _bf16_fault()
    if precision == "f32":
        return Choice(path, "f32", "as asked for")
    if precision == "bf16" and fault:
        raise ArgumentError(f'precision="bf16": {fault}; use "auto" or "f32"')
    if precision == "bf16":
        return Choice(path, "bf16", "as asked for")
    if fault:
        return Choice(path, "f32", f"{before}no bf16 ({fault})")
    return Choice(path, "bf16", f"{before}this CPU computes bf16 natively")


def _bf16_fault() -> str | None:
    if cap := isa_cap():
        return f"ONEDNN_MAX_CPU_ISA={cap} caps the instruction set"
    return None if native_bf16() else "this CPU does not compute bf16 natively"

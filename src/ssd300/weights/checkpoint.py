"""The model file of ssd300: safetensors with the published keys, and `ModelMetadata` as JSON in its header."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ssd300.architecture import Architecture, architecture
from ssd300.errors import ArgumentError, ModelError
from ssd300.files import replacing
from ssd300.weights.foreign import check_regular, describe_start
from ssd300.weights.graphs import read_ir, read_onnx
from ssd300.weights.int8 import INT8_KEY, Int8
from ssd300.weights.metadata import ModelMetadata
from ssd300.weights.state import State, TensorSpec, check_network, check_state, check_tensor, identify

METADATA_KEY = "ssd300"  # in the header of the safetensors file
_DTYPES = {"F32": "float32", "F16": "float16", "F64": "float64", "I64": "int64", "I32": "int32"}


def read_checkpoint(path: str | Path) -> tuple[State, ModelMetadata]:
    """The state (published keys in published order, float32, counters int64) and metadata of a safetensors file.

    Files without metadata are read, too: backbone and classes are inferred, and `training["note"]` states that.
    Raises ModelError: not readable, damaged, keys or shapes not an SSD300's, numbers not finite, a newer schema.
    """
    with _open_checked(path) as (file, specs):
        metadata, network = _describe(path, file, specs)
        return check_state(str(path), {key: file.get_tensor(key) for key in specs}, network), metadata


def read_metadata(path: str | Path) -> ModelMetadata:
    """The metadata of a model file (.safetensors, OpenVINO's .xml, .onnx), without reading its numbers.

    Raises ModelError; MissingExtraError for .onnx without the extra.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".safetensors":
        with _open_checked(path) as (file, specs):
            return _describe(path, file, specs)[0]
    if suffix == ".xml":
        return read_ir(path)[0]
    if suffix == ".onnx":
        return read_onnx(path)[1]
    raise ModelError(f"{path}: its extension is {suffix!r}, expected .safetensors, .xml or .onnx")


def read_int8(path: str | Path) -> Int8 | None:
    """The INT8 entry of a safetensors model, or None if there is none. Raises ModelError."""
    with _open_checked(path) as (file, specs):
        text = (file.metadata() or {}).get(INT8_KEY)
        return None if text is None else Int8.from_json(text, _describe(path, file, specs)[1], str(path))


def read_specs(path: str | Path) -> dict[str, TensorSpec]:
    """Every tensor of any safetensors file, without its numbers. Raises ModelError."""
    with _open_checked(path) as (_, specs):
        return specs


def read_tensors(path: str | Path, keys: Iterable[str]) -> State:
    """Some tensors of any safetensors file, as float32 (num_batches_tracked as int64). Raises ModelError."""
    with _open_checked(path) as (file, _):
        return {key: check_tensor(str(path), key, file.get_tensor(key)) for key in keys}


def write_checkpoint(
    path: str | Path,
    state: Mapping[str, NDArray[Any]],
    metadata: ModelMetadata,
    *,
    dtype: Literal["float32", "float16"] = "float32",
    int8: Int8 | None = None,
) -> None:
    """Write a state, its metadata and its INT8 entry; the file appears under its name when it is complete.

    float16 applies to weights and biases of convolutions. Batch norms stay float32 (a thousandth of the size: a
    variance above 65504 would become infinite), and so does any tensor with a number beyond float16.
    Raises ModelError if the state does not fit the metadata, is not finite, or the file cannot be written.
    """
    if dtype not in ("float32", "float16"):
        raise ArgumentError(f"dtype is {dtype!r}: expected 'float32' or 'float16'")
    network = architecture(metadata.backbone, metadata.num_classes)
    source = f"the state for {path}"
    check_network(source, {key: value.shape for key, value in state.items()}, network)
    tensors = check_state(source, state, network)
    if dtype == "float16":
        for conv in network.convs():
            for key in (f"{conv.key}.weight", f"{conv.key}.bias"):
                if key in tensors and np.abs(tensors[key]).max() <= np.finfo(np.float16).max:
                    tensors[key] = tensors[key].astype(np.float16)
    header = {METADATA_KEY: metadata.to_json()} | ({INT8_KEY: int8.to_json()} if int8 else {})
    with replacing(Path(path)) as temporary:
        _save({key: np.asarray(value, order="C") for key, value in tensors.items()}, temporary, header)


def write_int8(source: Path, path: Path, metadata: ModelMetadata, int8: Int8) -> None:
    """Write the tensors of a safetensors model unchanged, with other metadata and an INT8 entry.

    `path` may be `source`, which is then replaced when the new file is complete. Raises ModelError, OutputError.
    """
    with _open_checked(source) as (file, specs):
        tensors = {key: file.get_tensor(key) for key in specs}
    header = {METADATA_KEY: metadata.to_json(), INT8_KEY: int8.to_json()}
    with replacing(path) as temporary:
        _save(tensors, temporary, header)


def _save(tensors: dict[str, NDArray[Any]], path: Path, header: dict[str, str]) -> None:
    """Write a safetensors file. Raises OSError if the disk is full, which safetensors reports only in its message."""
    try:
        save_file(tensors, path, metadata=header)
    except SafetensorError as error:
        if not (found := re.search(r"([^:]*) \(os error (\d+)\)", str(error))):
            raise
        number = int(found[2])  # on Windows one of its own, which the fourth argument translates
        raise OSError(number, found[1].strip(), str(path), number) from error


@contextmanager
def _open_checked(path: str | Path) -> Iterator[tuple[Any, dict[str, TensorSpec]]]:
    """An open safetensors file and the specs of its tensors, checked. Every fault is a ModelError."""
    check_regular(Path(path), "check the path")
    try:
        with safe_open(path, framework="np") as file:
            specs = {}
            for key in file.keys():  # noqa: SIM118 (not a dict)
                part = file.get_slice(key)
                if part.get_dtype() not in _DTYPES:
                    raise ModelError(
                        f"{path}: tensor {key[:200]!r} is {part.get_dtype()}, expected one of {', '.join(_DTYPES)}; "
                        "save the model as float32 or float16"
                    )
                specs[key] = TensorSpec(_DTYPES[part.get_dtype()], tuple(part.get_shape()))
            yield file, specs
    except SafetensorError as error:
        with Path(path).open("rb") as opened:
            start = opened.read(64)
        if start[8:9] != b"{" and (known := describe_start(start)):
            raise ModelError(f"{path}: not a safetensors file: {known}") from error
        found = f"{error}; {Path(path).stat().st_size:,} bytes found"
        raise ModelError(f"{path}: not a complete safetensors file ({found}); copy or download it again") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}; check the path") from error


def _describe(path: str | Path, file: Any, specs: dict[str, TensorSpec]) -> tuple[ModelMetadata, Architecture]:
    """The metadata, written or inferred, and the network, once keys and shapes agree with it."""
    shapes = {key: spec.shape for key, spec in specs.items()}
    text = (file.metadata() or {}).get(METADATA_KEY)
    if text is None:
        network = identify(str(path), shapes)
        return ModelMetadata.inferred(network.backbone, network.num_classes, "a safetensors file"), network
    metadata = ModelMetadata.from_json(text, source=str(path))
    network = architecture(metadata.backbone, metadata.num_classes)
    check_network(str(path), shapes, network)
    return metadata, network

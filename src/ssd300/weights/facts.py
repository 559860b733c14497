"""Facts about a model file, for `ssd300 info`."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ssd300.errors import ModelError
from ssd300.files import sha256_of
from ssd300.weights.checkpoint import read_metadata
from ssd300.weights.graphs import read_ir
from ssd300.weights.metadata import ModelMetadata
from ssd300.weights.published import TORCH_SUFFIXES, is_backbone_file, read_named_specs, read_published

FLOAT_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


@dataclass(frozen=True)
class FileFacts:
    """A model file.

    kind: as text. size_bytes: with the .bin beside an .xml. sha256: of `path` alone.
    metadata: None for a file that is not a detector. precision: data type -> bytes of the weights in it.
    tensors, parameters: None if the file is a graph. Parameters do not include the statistics of batch norms.
    """

    path: Path
    kind: str
    size_bytes: int
    sha256: str
    metadata: ModelMetadata | None
    precision: dict[str, int]
    tensors: int | None = None
    parameters: int | None = None


def examine(path: str | Path) -> FileFacts:
    """Examine a model file: .safetensors, .pt, .pth, OpenVINO's .xml or .onnx. Raises ModelError, MissingExtraError."""
    path = Path(path)
    suffix = path.suffix.lower()
    sha256 = sha256_of(path)
    size = path.stat().st_size
    if suffix == ".xml":
        metadata, constants = read_ir(path)
        numbers = path.with_suffix(".bin")
        size += numbers.stat().st_size if numbers.exists() else 0
        weights = {kind: count for kind, count in constants.items() if kind != "i64"}  # of shapes and axes
        return FileFacts(path, "OpenVINO model", size, sha256, metadata, weights)
    if suffix == ".onnx":
        return FileFacts(path, "ONNX model", size, sha256, read_metadata(path), {})
    if suffix not in (".safetensors", *TORCH_SUFFIXES):
        raise ModelError(f"{path}: its extension is {suffix!r}, expected .safetensors, .pt, .pth, .xml or .onnx")
    kind, description = _weights(path)
    precision: Counter[str] = Counter()
    parameters = 0
    specs = read_named_specs(path)
    for key, spec in specs.items():
        if spec.dtype in FLOAT_BYTES:
            count = math.prod(spec.shape)
            precision[spec.dtype] += count * FLOAT_BYTES[spec.dtype]
            parameters += 0 if key.endswith(("running_mean", "running_var")) else count
    return FileFacts(path, kind, size, sha256, description, dict(precision), len(specs), parameters)


def _weights(path: Path) -> tuple[str, ModelMetadata | None]:
    if is_backbone_file(path):
        return "ResNet backbone in torchvision's layout: for training, not for detection", None
    if path.suffix.lower() in TORCH_SUFFIXES:
        return "checkpoint in the published layout", read_published(path)[1]
    return "checkpoint", read_metadata(path)

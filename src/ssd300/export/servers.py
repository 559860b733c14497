"""Write a model repository for another server: NVIDIA's Triton, or OpenVINO's model server (OVMS).

FOLDER/config.json                 OVMS: the list of models
FOLDER/ssd300/config.pbtxt         Triton: inputs and outputs
FOLDER/ssd300/labels.txt           class names, one per line, in the order of the output `labels`
FOLDER/ssd300/1/model.onnx         version 1, with the rule of selection inside
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ssd300.errors import OutputError
from ssd300.export.files import export_onnx
from ssd300.export.onnx import OnnxOptions
from ssd300.export.onnx_tail import count_places
from ssd300.export.verify import Verification
from ssd300.files import is_filled, new_folder
from ssd300.priors import IMAGE_SIZE
from ssd300.weights.int8 import Int8
from ssd300.weights.metadata import ModelMetadata
from ssd300.weights.state import State

_NAME = "ssd300"  # the model's name for clients
MOST_PICTURES = 16  # largest batch of Triton for a model with a dynamic batch


def export_server(
    state: State,
    metadata: ModelMetadata,
    folder: Path,
    server: str,
    options: OnnxOptions,
    *,
    int8: Int8 | None = None,
    pictures: Iterable[Any] = (),
) -> Verification:
    """Write a model repository for a server, "triton" or "ovms".

    `options` are those of its ONNX file, with NMS inside and uint8 pictures. The folder appears when it is complete.
    Raises OutputError if it is not empty or cannot be written; ModelError, ArgumentError, MissingExtraError as
    `export_onnx` does.
    """
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or is_filled(folder))):
        raise OutputError(f"{folder}: exists already; a model repository needs a new or an empty folder")
    with new_folder(folder) as whole:
        model = whole / _NAME
        (model / "1").mkdir(parents=True)
        result = export_onnx(state, metadata, model / "1" / "model.onnx", options, int8=int8, pictures=pictures)
        (model / "labels.txt").write_bytes(metadata.classes.to_lines().encode())  # on Windows, too, with \n
        if server == "triton":
            (model / "config.pbtxt").write_bytes(make_triton_config(metadata, options).encode())
        else:
            # The folder is /models there, as in the documentation of OVMS.
            served = {"model_config_list": [{"config": {"name": _NAME, "base_path": f"/models/{_NAME}"}}]}
            (whole / "config.json").write_bytes(json.dumps(served, indent=1).encode())
    return result


def make_triton_config(metadata: ModelMetadata, options: OnnxOptions) -> str:
    """The text of config.pbtxt: Triton's `ModelConfig`. With a dynamic batch Triton adds the first dimension."""
    count, batched = count_places(metadata.num_classes, options.max_detections), options.dynamic_batch
    first = [] if batched else [1]
    picture = [*first, IMAGE_SIZE, IMAGE_SIZE, 3]
    outputs = {"boxes": ("FP32", [*first, count, 4]), "scores": ("FP32", [*first, count])}
    outputs |= {"labels": ("INT32", [*first, count])}
    lines = [
        f"# SSD300 with {metadata.backbone}. RGB, the whole picture stretched to {IMAGE_SIZE}x{IMAGE_SIZE}, 0..255.",
        "# Boxes: left, top, right, bottom in 0..1 of the picture. labels.txt names the labels, from 0.",
        f'name: "{_NAME}"',
        'backend: "onnxruntime"',
        f"max_batch_size: {MOST_PICTURES if batched else 0}",
        _tensor("input", "pictures", "UINT8", picture),
        *(_tensor("output", name, kind, dims) for name, (kind, dims) in outputs.items()),
        # One number per picture: Triton has no tensors without dimensions, so this one gets a dimension and a reshape.
        _tensor("output", "num_detections", "INT32", [1], " reshape { shape: [ ] }" if batched else ""),
        "instance_group [ { kind: KIND_CPU } ]",
        *(["dynamic_batching { }"] if batched else []),
    ]
    return "\n".join(lines) + "\n"


def _tensor(role: str, name: str, kind: str, dims: list[int], more: str = "") -> str:
    return f'{role} [ {{ name: "{name}" data_type: TYPE_{kind} dims: {dims}{more} }} ]'

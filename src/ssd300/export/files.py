"""Write exported files: each is verified under a temporary name and then moved into place."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ssd300.arrays import UInt8
from ssd300.errors import ArgumentError, ModelError, OutputError
from ssd300.export.onnx import OnnxOptions, build_onnx, build_tail
from ssd300.export.verify import (
    SHARE,
    TOLERANCE,
    Infer,
    Selection,
    Verification,
    make_comparison_pictures,
    verify,
    verify_tail,
)
from ssd300.files import publish, refuse_special, replacing, scratch_beside, sha256_of
from ssd300.runtime.choice import int8_siblings, sibling_fault
from ssd300.runtime.graph import build_graph
from ssd300.runtime.openvino import OpenVINORuntime, read_graph
from ssd300.terminal import as_argument
from ssd300.weights.catalog import load_weights
from ssd300.weights.checkpoint import read_checkpoint, read_int8, write_checkpoint
from ssd300.weights.int8 import Int8
from ssd300.weights.metadata import ModelMetadata
from ssd300.weights.state import State


def load_source(path: Path) -> tuple[State, ModelMetadata]:
    """State and metadata of a model to export; the metadata identifies the file. Raises ModelError."""
    state, metadata = load_weights(path)
    return state, replace(metadata, parent_sha256=sha256_of(path))


def load_int8(path: Path) -> Int8:
    """The INT8 entry of a model to export; of a .pt, that of the file made from it. Raises ModelError."""
    own = path.suffix.lower() == ".safetensors"
    holder = path if own else int8_siblings(path)[0]
    fault = None if own or not holder.is_file() else sibling_fault(path, holder)
    int8 = read_int8(holder) if holder.is_file() and fault is None else None
    if int8 is None:
        found = fault or "holds no INT8 ranges"
        command = f"ssd300 quantize --model {as_argument(path)} --data PATH"
        raise ModelError(f"{path}: {found}; make them with `{command}`")
    return int8


def verify_export(
    state: State, metadata: ModelMetadata, int8: Int8 | None, infer: Infer, pictures: Any, kind: str, **more: Any
) -> Verification:
    """Compare an exported model with the original, see `verify`. kind: of its numbers, a key of TOLERANCE."""
    reference, shown = make_reference(state, metadata, int8).infer, make_comparison_pictures(pictures)
    against = f"OpenVINO in {'INT8' if int8 else 'float32'}"
    return verify(reference, infer, shown, against=against, tolerance=TOLERANCE[kind], share=SHARE[kind], **more)


def make_reference(state: State, metadata: ModelMetadata, int8: Int8 | None = None) -> OpenVINORuntime:
    """The runtime with which exports are compared."""
    return OpenVINORuntime(build_graph(state, metadata, int8), metadata, "f32")


def export_onnx(
    state: State,
    metadata: ModelMetadata,
    path: Path,
    options: OnnxOptions,
    *,
    int8: Int8 | None = None,
    pictures: Iterable[Any] = (),
) -> Verification:
    """Write one .onnx file (see `OnnxOptions`), in INT8 with `int8`.

    Raises ModelError, ArgumentError, OutputError, MissingExtraError.
    """
    from ssd300.runtime.onnx import load_onnx

    check_half(options.half, int8)
    kind = "int8" if int8 else "float16" if options.half else "float32"
    model = build_onnx(state, metadata, options, int8)
    with replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
        more = options.thresholds | {"least_score": options.score_threshold if int8 else 0.0}
        if options.nms:
            tail = OnnxDetections(build_tail(metadata.num_classes, options).SerializeToString())
            verify_tail(
                lambda locs, logits: tail.run({"locs": locs[None], "logits": logits[None]}),
                metadata.num_classes,
                **options.thresholds,
            )
            more["detect"] = OnnxDetections(temporary.read_bytes()).detect
        return verify_export(state, metadata, int8, load_onnx(temporary).infer, pictures, kind, **more)


class OnnxDetections:
    """Runs an ONNX file with NMS inside, as a user of the file does."""

    def __init__(self, model: bytes) -> None:
        from ssd300.runtime.onnx import open_session

        self._session = open_session(model, 0)
        self._uint8 = self._session.get_inputs()[0].type == "tensor(uint8)"

    def detect(self, picture: UInt8) -> Selection:
        """RGB uint8 [300, 300, 3] -> boxes_xyxy, labels from 1, scores."""
        fed = picture[None] if self._uint8 else picture.transpose(2, 0, 1)[None] / np.float32(255)
        return self.run({"pictures": np.ascontiguousarray(fed)})

    def run(self, inputs: dict[str, Any]) -> Selection:
        names = ("boxes", "scores", "labels", "num_detections")
        boxes_xyxy, scores, labels, [number] = self._session.run(names, inputs)
        return boxes_xyxy[0, :number], labels[0, :number].astype(np.int64) + 1, scores[0, :number]


def export_openvino(
    state: State,
    metadata: ModelMetadata,
    path: Path,
    *,
    half: bool = False,
    int8: Int8 | None = None,
    pictures: Iterable[Any] = (),
) -> Verification:
    """Write an OpenVINO model, .xml with its .bin beside it: half stores weights as float16, int8 quantizes it.

    Raises ModelError, ArgumentError, OutputError.
    """
    check_half(half, int8)
    _refuse_other_numbers(path)
    check_folder(path)
    with scratch_beside(path) as folder:
        temporary = folder / path.name
        save_graph(build_graph(state, metadata, int8), temporary, half=half)
        exported = OpenVINORuntime(*read_graph(temporary), "f32")
        result = verify_export(state, metadata, int8, exported.infer, pictures, "float16" if half else "float32")
        path.unlink(missing_ok=True)  # stopped half-way, this leaves no .xml rather than one of another .bin
        publish(temporary.with_suffix(".bin"), path.with_suffix(".bin"))
        publish(temporary, path)
    return result


def save_graph(model: Any, path: Path, *, half: bool = False) -> None:
    """An OpenVINO model as .xml and .bin. Raises OSError if the disk is full, else ModelError."""
    import openvino

    try:
        openvino.save_model(model, path, compress_to_fp16=half)
    except RuntimeError as error:
        size = sum(node.get_byte_size() for node in model.get_ops() if node.get_type_name() == "Constant")
        path.with_suffix(".probe").write_bytes(bytes(size))  # OpenVINO keeps the system's reason to itself
        raise ModelError(f"{path}: OpenVINO cannot write it: {str(error).splitlines()[0]}") from error


def _refuse_other_numbers(path: Path) -> None:
    """Raise OutputError if an .xml or its .bin cannot be replaced: a .bin without an .xml is another program's."""
    numbers = path.with_suffix(".bin")
    for name in (path, numbers):
        refuse_special(name)
    if numbers.exists() and not path.exists():
        raise OutputError(f"{numbers}: exists without {path.name}, so it may be another program's; choose another name")


def export_safetensors(
    state: State,
    metadata: ModelMetadata,
    path: Path,
    *,
    half: bool = False,
    int8: Int8 | None = None,
    pictures: Iterable[Any] = (),
) -> Verification:
    """Write a safetensors model, float32 or float16, with the INT8 entry. Raises ModelError, OutputError."""
    check_folder(path)
    kind: Literal["float16", "float32"] = "float16" if half else "float32"
    with replacing(path) as temporary:
        write_checkpoint(temporary, state, metadata, dtype=kind, int8=int8)
        exported = make_reference(*read_checkpoint(temporary))
        return verify_export(state, metadata, None, exported.infer, pictures, kind)


def check_half(half: bool, int8: Int8 | None) -> None:
    """Raise ArgumentError if both are requested."""
    if half and int8:
        raise ArgumentError("half stores float weights as float16, and int8 stores no float weights: choose one")


def check_folder(path: Path) -> None:
    """Raise OutputError where the folder of `path` is missing."""
    if not path.parent.is_dir():
        raise OutputError(f"{path}: cannot be written: there is no folder {path.parent}; create it first")

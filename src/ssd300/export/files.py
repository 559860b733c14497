"""Writing exported files: each is verified under a temporary name and then moved into place."""

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ssd300.arrays import UInt8
from ssd300.errors import ModelError
from ssd300.export.onnx import OnnxOptions, build_onnx, build_tail
from ssd300.export.verify import TOLERANCE, Selection, Verification, check_pictures, verify, verify_tail
from ssd300.files import publish, replacing, sha256_of
from ssd300.runtime.graph import build_graph
from ssd300.runtime.openvino import OpenVINORuntime, read_graph
from ssd300.weights.catalog import load_state
from ssd300.weights.checkpoint import read_checkpoint, write_checkpoint
from ssd300.weights.metadata import ModelMetadata
from ssd300.weights.state import State

AGAINST = "OpenVINO in float32"


def load_source(path: Path) -> tuple[State, ModelMetadata]:
    """State and metadata of a model to export; the metadata says which file it was. Raises ModelError."""
    state, metadata = load_state(path)
    return state, replace(metadata, parent_sha256=sha256_of(path))


def our_runtime(state: State, metadata: ModelMetadata) -> OpenVINORuntime:
    """What exports are compared with."""
    return OpenVINORuntime(build_graph(state, metadata), metadata, "f32")


def export_onnx(
    state: State,
    metadata: ModelMetadata,
    path: Path,
    options: OnnxOptions | None = None,
    *,
    pictures: Iterable[Any] = (),
) -> Verification:
    """Write one .onnx file (see `OnnxOptions`). Raises ModelError, ArgumentError, MissingExtraError."""
    from ssd300.runtime.onnx import load_onnx

    options = options or OnnxOptions()
    model = build_onnx(state, metadata, options)
    thresholds = {
        "score_threshold": options.score_threshold,
        "iou_threshold": options.iou_threshold,
        "max_detections": options.max_detections,
    }
    with replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
        if options.nms:
            tail = OnnxDetections(build_tail(metadata.num_classes, options).SerializeToString())
            verify_tail(
                lambda locs, logits: tail.run({"locs": locs[None], "logits": logits[None]}),
                metadata.num_classes,
                **thresholds,
            )
        inside = OnnxDetections(temporary.read_bytes()) if options.nms else None
        return verify(
            our_runtime(state, metadata).infer,
            load_onnx(temporary).infer,
            check_pictures(pictures),
            against=AGAINST,
            tolerance=TOLERANCE["float16" if options.half else "float32"],
            detect=inside.detect if inside else None,
            **thresholds,
        )


class OnnxDetections:
    """The detections that an ONNX file with NMS inside gives, as any user of the file gets them."""

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
    state: State, metadata: ModelMetadata, path: Path, *, half: bool = False, pictures: Iterable[Any] = ()
) -> Verification:
    """Write an OpenVINO model, .xml with its .bin beside it. half: weights stored as float16. Raises ModelError."""
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}.", dir=_folder(path)) as folder:
        temporary = Path(folder) / path.name
        save_graph(build_graph(state, metadata), temporary, half=half)
        result = verify(
            our_runtime(state, metadata).infer,
            OpenVINORuntime(*read_graph(temporary), "f32").infer,
            check_pictures(pictures),
            against=AGAINST,
            tolerance=TOLERANCE["float16" if half else "float32"],
        )
        publish_graph(temporary, path)
    return result


def save_graph(model: Any, path: Path, *, half: bool = False) -> None:
    """An OpenVINO model as .xml and .bin. Raises ModelError if that fails."""
    import openvino

    try:
        openvino.save_model(model, path, compress_to_fp16=half)
    except RuntimeError as error:
        raise ModelError(f"{path}: OpenVINO cannot write it: {str(error).splitlines()[0]}") from error


def publish_graph(temporary: Path, path: Path) -> None:
    """Move a pair .xml and .bin into place. Stopped half-way, it leaves no .xml rather than one of another .bin."""
    try:
        path.unlink(missing_ok=True)
        publish(temporary.with_suffix(".bin"), path.with_suffix(".bin"))
        publish(temporary, path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be written: {error.strerror or error}") from error


def export_safetensors(
    state: State, metadata: ModelMetadata, path: Path, *, half: bool = False, pictures: Iterable[Any] = ()
) -> Verification:
    """Write our own model file, float32 or float16. Raises ModelError."""
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}.", dir=_folder(path)) as folder:
        temporary = Path(folder) / path.name
        write_checkpoint(temporary, state, metadata, dtype="float16" if half else "float32")
        result = verify(
            our_runtime(state, metadata).infer,
            our_runtime(*read_checkpoint(temporary)).infer,
            check_pictures(pictures),
            against=AGAINST,
            tolerance=TOLERANCE["float16" if half else "float32"],
        )
        try:
            publish(temporary, path)
        except OSError as error:
            raise ModelError(f"{path}: cannot be written: {error.strerror or error}") from error
    return result


def _folder(path: Path) -> Path:
    if not path.parent.is_dir():
        raise ModelError(f"{path}: cannot be written: there is no folder {path.parent}; make it first")
    return path.parent

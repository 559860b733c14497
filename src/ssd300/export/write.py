"""`ssd300.export`: a model file for other programs, by the extension of its name."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ssd300.errors import ArgumentError, MissingExtraError
from ssd300.export.files import export_onnx, export_openvino, export_safetensors, load_source
from ssd300.export.onnx import OnnxOptions
from ssd300.export.verify import Verification
from ssd300.weights.catalog import resolve

EXTENSIONS = (".onnx", ".xml", ".safetensors", ".pt2")


def export(
    model: str | os.PathLike[str], out: str | os.PathLike[str], *, pictures: Iterable[Any] = (), **options: Any
) -> Verification:
    """Write a model for other programs, verified against the original before the file appears.

    Args:
        model: a name that `ssd300 models` lists, or a file with weights.
        out: the new file; its extension is the format: .onnx, .xml (OpenVINO), .safetensors or .pt2 (torch.export).
        pictures: more sources to compare on.
        options: of that format, named as the options of `ssd300 export`: `nms`, `dynamic_batch`, `half`, ...

    Raises ArgumentError, ModelError, OutputError, DownloadError, MissingExtraError.
    """
    out, source = Path(out), resolve(model)
    extension = out.suffix.lower()
    if extension not in EXTENSIONS:
        raise ArgumentError(f"out is {out}: expected a name that ends in {', '.join(EXTENSIONS)}")
    if out.exists() and out.samefile(source):
        raise ArgumentError(f"out is the model itself ({source}): choose another name")
    state, metadata = load_source(source)
    try:
        if extension == ".onnx":
            return export_onnx(state, metadata, out, OnnxOptions(**options), pictures=pictures)
        if extension == ".xml":
            return export_openvino(state, metadata, out, pictures=pictures, **options)
        if extension == ".safetensors":
            return export_safetensors(state, metadata, out, pictures=pictures, **options)
        from ssd300.export.pt2 import export_pt2

        return export_pt2(state, metadata, out, pictures=pictures, **options)
    except TypeError as error:
        raise ArgumentError(f"{extension} files take no such option: {error}") from error
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("a .pt2 file", "train") from error

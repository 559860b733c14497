"""`ssd300.export`: write a model for other programs, in the format of the file's extension."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ssd300.data.reading import lines_of, read_text
from ssd300.digits import as_plain
from ssd300.errors import ArgumentError, ModelError, needs, unknown_name
from ssd300.export.files import export_onnx, export_openvino, export_safetensors, load_int8, load_source
from ssd300.export.onnx import OnnxOptions
from ssd300.export.verify import Verification
from ssd300.files import refuse_special
from ssd300.labels import ClassList
from ssd300.weights.catalog import resolve
from ssd300.weights.checkpoint import read_int8
from ssd300.weights.state import first_few

_EXTENSIONS = {"onnx": ".onnx", "openvino": ".xml", "safetensors": ".safetensors", "pt2": ".pt2", "html": ".html"}
_FIXED = ("score_threshold", "iou_threshold", "max_detections")  # in a file that selects detections
_OPTIONS = {  # format -> the options that have a meaning for it
    "onnx": ("nms", "dynamic_batch", "opset", "input", "half", *_FIXED, "int8"),
    "openvino": ("half", "int8"),
    "safetensors": ("half", "classes"),
    "pt2": ("dynamic_batch",),
    "html": ("half", "web_runtime"),
    "triton": ("dynamic_batch", "half", "int8", *_FIXED),
    "ovms": ("half", "int8", *_FIXED),
}
_FORMATS = tuple(_OPTIONS)
_SWITCHES = ("nms", "dynamic_batch", "half", "int8")


def export(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    format: str | None = None,
    pictures: Any = (),
    **options: Any,
) -> Verification:
    """Write a model for other programs, verified against the original before the file appears.

    Args:
        model: a name that `ssd300 models` lists, or a file with weights.
        out: the new file; its extension selects the format: .onnx, .xml (OpenVINO), .safetensors, .pt2 (torch.export)
            or .html (a page that detects in the browser). For "triton" and "ovms" the new folder.
        format: "onnx", "openvino", "safetensors", "pt2", "html", "triton" or "ovms"; only the last two need it.
        pictures: more sources to compare on, as `Detector.detect_many` takes them.
        options: of that format, with the names of `ssd300 export`: `nms`, `dynamic_batch`, `half`, ...; None means
            not given.

    Raises ArgumentError, ModelError, OutputError, DatasetError (a file of class names),
    DownloadError, MissingExtraError.
    """
    out = Path(out)
    format = choose_format(out, format)
    given = {name: as_plain(value) for name, value in options.items() if value is not None}
    _check(format, given)
    if format in _EXTENSIONS:
        refuse_special(out)
    require_writer(format)
    source = resolve(model, detector=True)
    if out.exists() and out.samefile(source):
        raise ArgumentError(f"--out is the model itself ({source}): choose another name")
    return _write(format, source, out, given, pictures)


def choose_format(out: Path, format: str | None) -> str:
    """The format to write, by the extension of `out`. Raises ArgumentError if the two do not fit together."""
    if format is not None and format not in _FORMATS:
        raise unknown_name("format", format, _FORMATS)
    by_extension = next((name for name, extension in _EXTENSIONS.items() if extension == out.suffix.lower()), None)
    if format in ("triton", "ovms"):
        if by_extension is not None:
            raise ArgumentError(f"--out is {out}: --format {format} writes a folder; give its name")
        return format
    if by_extension is None or format not in (None, by_extension):
        expected = _EXTENSIONS[format] if format else ", ".join(_EXTENSIONS.values())
        raise ArgumentError(f"--out is {out}: expected a name with the extension {expected}")
    return by_extension


def _check(format: str, given: dict[str, Any]) -> None:
    for name in given:
        able = [known for known, names in _OPTIONS.items() if name in names]
        if not able:
            raise unknown_name("option of export", name, sorted({*sum(_OPTIONS.values(), ())}))
        if format not in able:
            words = " and ".join(filter(None, (", ".join(able[:-1]), able[-1])))
            raise ArgumentError(f"--{name.replace('_', '-')} is for {words}, not for {format}: leave it out")
        if name in _SWITCHES and not isinstance(given[name], bool):
            raise ArgumentError(f"{name} must be True or False, got {given[name]!r}")
    fixed = [name for name in _FIXED if name in given]
    if given.get("nms") is False and fixed:
        raise ArgumentError(
            f"--{fixed[0].replace('_', '-')} is fixed in a file that selects detections: leave it or --no-nms out"
        )


def require_writer(format: str) -> None:
    """Import what writing a format needs: call it before anything is fetched. Raises MissingExtraError."""
    if format == "pt2":
        with needs("`ssd300 export --format pt2`", "train"):
            import ssd300.export.pt2  # noqa: F401
    elif format not in ("openvino", "safetensors"):
        with needs("writing an ONNX file", "onnx"):
            import onnx  # noqa: F401
            import onnxruntime  # noqa: F401


def _write(format: str, source: Path, out: Path, given: dict[str, Any], pictures: Any) -> Verification:
    state, metadata = load_source(source)
    if format == "safetensors":
        if (classes := given.pop("classes", None)) is not None:
            metadata = replace(metadata, classes=_rename_classes(source, metadata.classes, classes))
        int8 = read_int8(source) if source.suffix.lower() == ".safetensors" else None
        return export_safetensors(state, metadata, out, int8=int8, pictures=pictures, **given)
    int8 = load_int8(source) if given.pop("int8", False) else None
    if format == "onnx":
        return export_onnx(state, metadata, out, OnnxOptions(**given), int8=int8, pictures=pictures)
    if format == "openvino":
        return export_openvino(state, metadata, out, int8=int8, pictures=pictures, **given)
    if format == "html":
        from ssd300.export.html import export_html, read_web_runtime

        runtime = read_web_runtime(given.pop("web_runtime", None))
        return export_html(state, metadata, out, runtime, pictures=pictures, **given)
    if format == "pt2":
        from ssd300.export.pt2 import export_pt2

        return export_pt2(state, metadata, out, pictures=pictures, **given)
    from ssd300.export.servers import export_server

    return export_server(state, metadata, out, format, OnnxOptions(**given), int8=int8, pictures=pictures)


def _rename_classes(source: Path, classes: ClassList, given: str | os.PathLike[str] | Sequence[str]) -> ClassList:
    """Other names for the same classes and ids: a list, or text: comma-separated names or a file with one per line."""
    if isinstance(given, str) and not (os.path.isfile(given) or given.lower().endswith((".txt", ".names"))):
        names = [name.strip() for name in given.split(",") if name.strip()]
    elif isinstance(given, str | os.PathLike):  # a wrong path is not the name of a class
        names = [name for _, name in lines_of(read_text(Path(given), "list of class names"))]
    else:
        names = list(given)
    if len(names) != len(classes):
        found = f"--classes gives {len(names)}{f' ({first_few(map(repr, names))})' if names else ''}"
        raise ModelError(f"{source}: has {len(classes)} classes (without background), {found}")
    return ClassList(ClassList.from_names(names).names, classes.ids)

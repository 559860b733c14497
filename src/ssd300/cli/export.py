"""`ssd300 export`: a model as a file for others, verified before it is moved into place."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssd300.errors import ArgumentError, MissingExtraError, ModelError

if TYPE_CHECKING:
    from ssd300.export.verify import Verification


class Format(StrEnum):
    onnx = "onnx"
    openvino = "openvino"
    safetensors = "safetensors"
    pt2 = "pt2"
    html = "html"
    triton = "triton"
    ovms = "ovms"


class Input(StrEnum):
    uint8 = "uint8"
    float = "float"


SUFFIXES = {Format.onnx: ".onnx", Format.openvino: ".xml", Format.safetensors: ".safetensors", Format.pt2: ".pt2"}
SUFFIXES[Format.html] = ".html"
# Options that mean something for one format only; each format's function has an argument of that name.
TAKES = {
    Format.onnx: {
        "nms", "dynamic_batch", "opset", "input", "half", "score_threshold", "iou_threshold", "max_detections",
        "int8",
    },
    Format.openvino: {"half", "int8"},
    Format.safetensors: {"half", "classes"},
    Format.pt2: {"dynamic_batch"},
    Format.html: {"half", "web_runtime"},
    Format.triton: {"dynamic_batch", "half", "int8", "score_threshold", "iou_threshold", "max_detections"},
    Format.ovms: {"half", "int8", "score_threshold", "iou_threshold", "max_detections"},
}  # fmt: skip


def export(
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Ends in .onnx, .xml, .safetensors, .pt2, .html; or a folder.")
    ],
    model: Annotated[str, typer.Option(help="A name that `ssd300 models` lists, or a file with weights.")] = "default",
    format: Annotated[Format | None, typer.Option(help="What to write.  [default: by the ending of --out]")] = None,
    nms: Annotated[
        bool | None, typer.Option("--nms/--no-nms", help="onnx: select detections inside the file.  [default: nms]")
    ] = None,
    dynamic_batch: Annotated[
        bool | None, typer.Option("--dynamic-batch", help="onnx, pt2: any number of pictures at once, else one.")
    ] = None,
    opset: Annotated[
        int | None, typer.Option(help="onnx: version of the operators, 17 or newer.  [default: 17]")
    ] = None,
    input: Annotated[
        Input | None,
        typer.Option(help="onnx: uint8 [B,300,300,3] 0..255, or float [B,3,300,300] 0..1.  [default: uint8]"),
    ] = None,
    half: Annotated[
        bool | None, typer.Option("--half", help="onnx, openvino, safetensors, html: store weights as float16.")
    ] = None,
    int8: Annotated[
        bool | None, typer.Option("--int8", help="onnx, openvino: in INT8, for a model that `ssd300 quantize` wrote.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="NAME,...|FILE", help="safetensors: class names, or a file with one a line.")
    ] = None,
    score_threshold: Annotated[
        float | None, typer.Option("--score-threshold", "--conf", help="onnx with NMS, fixed in it.  [default: 0.05]")
    ] = None,
    iou_threshold: Annotated[
        float | None, typer.Option("--iou-threshold", "--iou", help="onnx with NMS, fixed in it.  [default: 0.5]")
    ] = None,
    max_detections: Annotated[
        int | None, typer.Option(help="onnx with NMS: places for detections.  [default: 200]")
    ] = None,
    web_runtime: Annotated[
        str | None,
        typer.Option(metavar="PATH|fetch", help="html: onnxruntime-web, as `npm pack` writes it; fetch downloads it."),
    ] = None,
    picture: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Verify on this picture too; may be repeated.")
    ] = None,
) -> None:
    """Write a model for other programs.

    ONNX, OpenVINO, safetensors or torch.export, with its metadata inside; html is a page that detects by itself.

    The file is run and compared with the original before it appears; one that answers differently is refused.
    """
    format = _format(out, format)
    settings: dict[str, Any] = {
        "nms": nms, "dynamic_batch": dynamic_batch, "opset": opset, "input": input and input.value, "half": half,
        "score_threshold": score_threshold, "iou_threshold": iou_threshold, "max_detections": max_detections,
        "int8": int8, "classes": classes,
        "web_runtime": web_runtime,
    }  # fmt: skip
    given: dict[str, Any] = {name: value for name, value in settings.items() if value is not None}
    _check(format, given)
    from ssd300.export.files import load_int8, load_source
    from ssd300.weights.catalog import resolve

    path = resolve(model, detector=True)
    if out.exists() and out.samefile(path):
        raise ArgumentError(f"--out is the model itself ({path}): choose another name")
    if format is Format.safetensors:
        verification = write_safetensors(path, out, half=bool(half), classes=classes, pictures=picture or ())
    else:
        state, metadata = load_source(path)
        if given.pop("int8", False):
            given["int8"] = load_int8(path)
        verification = _write(format, state, metadata, out, given, picture or ())
    typer.echo(f"Verified on {verification}.", err=True)
    typer.echo(out)


def write_safetensors(path: Path, out: Path, *, half: bool, classes: str | None, pictures: Any = ()) -> "Verification":
    """Any model file as safetensors with metadata; classes: other names, with commas between or one a line in a file.

    What the file holds for INT8 is kept.
    """
    from dataclasses import replace

    from ssd300.export.files import export_safetensors, load_source
    from ssd300.labels import ClassList
    from ssd300.weights.checkpoint import read_int8

    state, metadata = load_source(path)
    if classes is not None:
        names = _class_names(classes)
        if len(names) != len(metadata.classes):
            raise ModelError(
                f"{path}: has {len(metadata.classes)} classes (background not counted), --classes gives {len(names)}"
            )
        metadata = replace(metadata, classes=ClassList.from_names(names))
    int8 = read_int8(path) if path.suffix.lower() == ".safetensors" else None
    return export_safetensors(state, metadata, out, half=half, int8=int8, pictures=pictures)


def _class_names(text: str) -> list[str]:
    """Class names of the command line: a file with one a line, or names with commas between."""
    parts = text.split(",")
    if Path(text).is_file():
        try:
            parts = Path(text).read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ArgumentError(f"{text}: cannot be read as a list of class names: {error}") from error
    return [name.strip() for name in parts if name.strip()]


def _format(out: Path, format: Format | None) -> Format:
    by_suffix = next((known for known, suffix in SUFFIXES.items() if suffix == out.suffix.lower()), None)
    if format in (Format.triton, Format.ovms):
        if by_suffix is not None:
            raise ArgumentError(f"--out is {out}: --format {format.value} writes a folder; give its name")
        return format
    if by_suffix is None or format not in (None, by_suffix):
        expected = SUFFIXES[format] if format else ", ".join(SUFFIXES.values())
        raise ArgumentError(f"--out is {out}: expected a name that ends in {expected}")
    return by_suffix


def _check(format: Format, given: dict[str, Any]) -> None:
    for name in given:
        if name not in TAKES[format]:
            able = " and ".join(known for known, names in TAKES.items() if name in names)
            able = able.replace(" and ", ", ", able.count(" and ") - 1)
            raise ArgumentError(f"--{name.replace('_', '-')} is for {able}, not for {format.value}: leave it out")
    thresholds = [n for n in ("score_threshold", "iou_threshold", "max_detections") if n in given]
    if given.get("nms") is False and thresholds:
        raise ArgumentError(
            f"--{thresholds[0].replace('_', '-')} is fixed in a file that selects detections: leave it or --no-nms out"
        )


def _write(format: Format, state: Any, metadata: Any, out: Path, given: dict[str, Any], pictures: Any) -> Any:
    from ssd300.export.files import export_onnx, export_openvino
    from ssd300.export.onnx import OnnxOptions

    if format is Format.onnx:
        int8 = given.pop("int8", None)
        return export_onnx(state, metadata, out, OnnxOptions(**given), int8=int8, pictures=pictures)
    if format in (Format.triton, Format.ovms):
        from ssd300.export.servers import export_server

        int8 = given.pop("int8", None)
        return export_server(state, metadata, out, format.value, OnnxOptions(**given), int8=int8, pictures=pictures)
    if format is Format.openvino:
        return export_openvino(state, metadata, out, pictures=pictures, **given)
    if format is Format.html:
        from ssd300.export.html import export_html
        from ssd300.export.web_runtime import read_web_runtime

        runtime = read_web_runtime(given.pop("web_runtime", None))
        return export_html(state, metadata, out, runtime, pictures=pictures, **given)
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("`ssd300 export --format pt2`", "train") from error
    from ssd300.export.pt2 import export_pt2

    return export_pt2(state, metadata, out, pictures=pictures, **given)

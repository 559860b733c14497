"""`ssd300 export`: write a model for other programs, verified before it is moved into place."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ssd300.cli.messages import say
from ssd300.cli.options import IOU_NAMES, MAX_NAMES, SCORE_NAMES


def export(
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="A file .onnx, .xml, .safetensors, .pt2 or .html; or a folder.")
    ],
    model: Annotated[str, typer.Option(help="A name that `ssd300 models` lists, or a file with weights.")] = "default",
    format: Annotated[
        Literal["onnx", "openvino", "safetensors", "pt2", "html", "triton", "ovms"] | None,
        typer.Option(help="What to write.  [default: by the extension of --out]"),
    ] = None,
    nms: Annotated[
        bool | None, typer.Option("--nms/--no-nms", help="onnx: select detections inside the file.  [default: nms]")
    ] = None,
    dynamic_batch: Annotated[
        bool | None, typer.Option("--dynamic-batch", help="onnx, pt2, triton: any batch size instead of 1.")
    ] = None,
    opset: Annotated[int | None, typer.Option(help="onnx: opset version, 17 or newer.  [default: 17]")] = None,
    input: Annotated[
        Literal["uint8", "float"] | None,
        typer.Option(help="onnx: uint8 [B,300,300,3] 0..255, or float [B,3,300,300] 0..1.  [default: uint8]"),
    ] = None,
    half: Annotated[bool | None, typer.Option("--half", help="All but pt2: store weights as float16.")] = None,
    int8: Annotated[
        bool | None,
        typer.Option("--int8", help="onnx, openvino, triton, ovms: INT8, of a model that `ssd300 quantize` prepared."),
    ] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="NAME,...|FILE", help="safetensors: class names, or a file with one per line.")
    ] = None,
    score_threshold: Annotated[
        float | None, typer.Option(*SCORE_NAMES, help="In a file with NMS: constant.  [default: 0.05]")
    ] = None,
    iou_threshold: Annotated[
        float | None, typer.Option(*IOU_NAMES, help="In a file with NMS: constant.  [default: 0.5]")
    ] = None,
    max_detections: Annotated[
        int | None, typer.Option(*MAX_NAMES, help="In a file with NMS: most detections.  [default: 200]")
    ] = None,
    web_runtime: Annotated[
        str | None,
        typer.Option(metavar="PATH|fetch", help="html: onnxruntime-web, as `npm pack` writes it; fetch downloads it."),
    ] = None,
    picture: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Also verify on this picture; may be repeated.")
    ] = None,
) -> None:
    """Write a model for other programs.

    ONNX, OpenVINO, safetensors or torch.export, with the metadata inside; html is a page that detects in the browser.

    The file is run and compared with the original before it is moved into place; if the results differ, it is not.
    """
    from ssd300.export.write import export as write

    verification = write(
        model, out, format=format, pictures=picture or (), nms=nms, dynamic_batch=dynamic_batch,
        opset=opset, input=input, half=half, int8=int8, classes=classes, web_runtime=web_runtime,
        score_threshold=score_threshold, iou_threshold=iou_threshold, max_detections=max_detections,
    )  # fmt: skip
    say(f"Verified on {verification}.")
    typer.echo(out)

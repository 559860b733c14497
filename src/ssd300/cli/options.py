"""Options that several verbs share: their names, limits and help, declared once.

A verb writes `model: Model = "default"`. Where the help differs between verbs, a function takes it.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ssd300.errors import ArgumentError

if TYPE_CHECKING:
    from ssd300.tiles import Tiles

# The first name is ours; the others are those of other packages.
SCORE_NAMES = ("--score-threshold", "--conf")
IOU_NAMES = ("--iou-threshold", "--iou")
MAX_NAMES = ("--max-detections", "--max-det")
LABEL_NAMES = ("--labels", "--classes")
OVERLAP = 0.2


def score_option(help: str) -> Any:
    return typer.Option(*SCORE_NAMES, min=0, max=1, help=help)


def max_option(help: str) -> Any:
    return typer.Option(*MAX_NAMES, min=1, help=help)


def labels_option(help: str) -> Any:
    """Class names, which `split_labels` reads."""
    return typer.Option(*LABEL_NAMES, metavar="NAME,...", help=help)


def save_dir_option(things: str) -> Any:
    return typer.Option(
        "--save-dir", metavar="DIR", help=f"For the drawn {things}.  [default: runs/detect/<next number>]"
    )


Model = Annotated[str, typer.Option("--model", help="A name that `ssd300 models` lists, or a model file.")]
RuntimeName = Annotated[str, typer.Option("--runtime", help="auto, openvino, onnx or torch.")]
Precision = Annotated[str, typer.Option("--precision", help="auto, f32, bf16 or int8.")]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="CPU threads.  [default: all that the process may use]")
]
Iou = Annotated[float, typer.Option(*IOU_NAMES, min=0, max=1, help="NMS threshold within a class.")]
JpegDecode = Annotated[
    Literal["exact", "fast"],
    typer.Option("--decode", help="fast decodes large JPEGs at reduced scale: boxes move slightly."),
]
TileGrid = Annotated[
    str | None,
    typer.Option("--tiles", metavar="auto|N|WxH", help="Also detect in tiles of large pictures: finds small objects."),
]
Overlap = Annotated[
    float, typer.Option("--overlap", min=0, max=0.8, help="Fraction of a tile that adjacent tiles share.")
]
Device = Annotated[str, typer.Option("--device", help="cpu, or cuda with torch.")]
AgnosticNms = Annotated[bool, typer.Option("--agnostic-nms", help="Apply NMS across classes.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
DataPath = Annotated[
    Path,
    typer.Argument(metavar="PATH", help="A file or folder of any layout of docs/data.md (COCO, YOLO, VOC, CVAT, ...)."),
]
InputFormat = Annotated[
    str | None, typer.Option("--input-format", help="coco, yolo, voc, cvat, labelme, ...  [default: detected]")
]
Split = Annotated[str | None, typer.Option(help="One of the splits of PATH (train, val, ...), or all.")]


def read_tiles(tiles: str | None, overlap: float) -> "Tiles | None":
    """The value of --tiles. Raises ArgumentError for an --overlap without it, too."""
    from ssd300.tiles import parse_tiles

    if tiles is None and overlap != OVERLAP:
        raise ArgumentError("--overlap is for --tiles: add it, or drop --overlap")
    return None if tiles is None else parse_tiles(tiles)


def split_labels(labels: list[str] | None, known: tuple[str, ...]) -> list[str] | None:
    """The labels of all --labels, or None without any; a known name with a comma may be given alone."""
    if labels is None:
        return None
    from ssd300.labels import parse_labels

    found = parse_labels(labels, known)
    if not found:
        raise ArgumentError("--labels names no class: give names or ids, such as --labels person,dog")
    return found

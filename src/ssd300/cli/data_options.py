"""Arguments and options that the verbs of `ssd300 data` share."""

from pathlib import Path
from typing import Annotated

import typer

PATH_HELP = "A file or folder of any layout of docs/data.md (COCO, YOLO, VOC, CVAT, ...)."
DataPath = Annotated[Path, typer.Argument(metavar="PATH", help=PATH_HELP)]
InputFormat = Annotated[
    str | None, typer.Option("--input-format", help="coco, yolo, voc, cvat, labelme, ...  [default: detected]")
]
Split = Annotated[str | None, typer.Option(help="One of the splits of PATH (train, val, ...), or all.")]

"""Options of other packages, answered with ours."""

import re
from collections.abc import Iterable
from typing import Any

import typer.core

from ssd300.errors import ArgumentError

_NONE = "there is nothing of that kind here: drop it"
_SIZE = "pictures are stretched to 300x300, the network's size; --tiles looks closer at large ones"
ANSWERS = {
    "source": "give pictures and videos without an option's name: ssd300 detect PICTURES",
    "input": "give pictures and videos without an option's name: ssd300 detect PICTURES",
    "weights": "use --model NAME or FILE",
    "checkpoint": "use --model NAME or FILE",
    "conf-thres": "use --conf",
    "conf-threshold": "use --conf",
    "confidence": "use --conf",
    "iou-thres": "use --iou",
    "nms-thres": "use --iou",
    "nms": "use --iou",
    "imgsz": _SIZE,
    "img-size": _SIZE,
    "image-size": _SIZE,
    "half": "use --precision bf16 or int8",
    "fp16": "use --precision bf16 or int8",
    "amp": "use --precision bf16",
    "int8": "use --precision int8; `ssd300 quantize` makes the model ready for it",
    "nosave": "use --no-save",
    "exist-ok": "the files of a run never mix with others: give a new --name, or none for the next number",
    "save-conf": "labels always hold the scores: drop it",
    "save-json": "use --format json, or --json where numbers are printed",
    "view-img": "use --show, for videos",
    "vid-stride": "use --every",
    "stream-buffer": _NONE,
    "visualize": _NONE,
    "augment": "detection looks at a picture once; --tiles looks closer",
    "dnn": _NONE,
    "show-labels": "names are drawn unless --hide-labels is given",
    "show-conf": "scores are drawn unless --hide-conf is given",
    "line-thickness": "use --line-width",
    "batch": "use --batch-size in training; detection needs none",
    "batch-size": "detection takes pictures side by side by itself: drop it",
    "lr0": "use --lr",
    "learning-rate": "use --lr",
    "lrf": "use --lr-floor",
    "cfg": "use --recipe, and options for single settings",
    "hyp": "use --recipe, and options for single settings",
    "pretrained": "use --start",
    "data-path": "use --data",
    "dataset": "use --data",
    "output-dir": "use --out",
    "project": "use --out DIR",
    "name": "use --out DIR",
    "cos-lr": "use --schedule",
    "lr-scheduler": "use --schedule",
    "cache": "`ssd300 data pack` makes reading fast",
    "close-mosaic": _NONE,
    "include": "use --format",
    "simplify": "the exported graph is simple already: drop it",
    "task": "the verb says it: ssd300 detect, evaluate, train",
    "verbose": "use --debug, before the verb",
    "world-size": "start several processes with torchrun",
}


class HintedCommand(typer.core.TyperCommand):
    """A verb that knows what its options are called elsewhere."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        own = {name for parameter in self.params for name in (*parameter.opts, *parameter.secondary_opts)}
        refuse_foreign(args, own)
        return super().parse_args(ctx, args)


def refuse_foreign(arguments: Iterable[str], own: set[str]) -> None:
    """Raise ArgumentError for `--weights x`, `weights=x` and their kin, unless the verb has that option itself."""
    for argument in arguments:
        if argument == "--":
            return
        found = re.fullmatch(r"(--)?([A-Za-z][\w-]*?)(=.*)?", argument, re.DOTALL)
        if not found or not (found[1] or found[3]):
            continue
        name = found[2].replace("_", "-").lower()
        option = f"--{name}"
        if option in own:
            if not found[1] and name in (*ANSWERS, "model", "data", "conf", "iou", "epochs", "device", "format"):
                raise ArgumentError(f"{argument}: options are written {option} {(found[3] or '=')[1:]} here")
        elif name in ANSWERS:
            raise ArgumentError(f"{argument.split('=')[0]}: this is an option of other packages: {ANSWERS[name]}")

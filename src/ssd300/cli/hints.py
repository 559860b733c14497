"""Answers to options of other packages and to former options: what to use instead."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer.core

from ssd300.errors import ArgumentError
from ssd300.terminal import as_argument

GLOBAL = ("--offline", "--debug")
_NONE = "ssd300 has no such option: drop it"
_STRETCHED = "pictures are stretched to 300x300, the network's size"
_PARALLEL = "detection runs pictures in parallel by itself: drop it"
_ROWS_ALONE = "; with --no-save there are no files"  # also keeps it from verbs whose --format is another
_RUNS = "the files of a run are not mixed with others: give a new"

# Former names -> what to do; of several answers, the first whose options the verb has.
_ANSWERS: Mapping[str, str | tuple[str, ...]] = {
    "source images input": (
        "use --data",
        "use --images",
        "give pictures and videos without an option's name, as in: ssd300 detect PICTURES",
    ),
    "weights checkpoint model": ("use --model NAME or FILE", "use --start NAME or FILE"),
    "conf-thres conf-threshold confidence threshold thresh min-score": "use --conf",
    "iou-thres nms-thres nms": "use --iou",
    "imgsz img-size image-size": (f"{_STRETCHED}; --tiles finds small objects in large ones", f"{_STRETCHED}: drop it"),
    "half fp16": ("use --precision bf16, or on CUDA f16; any --recipe takes them", "use --precision bf16 or int8"),
    "amp": "use --precision bf16",
    "int8": (
        "every --recipe trains in float: drop it, and prepare the model with `ssd300 quantize` afterwards",
        "use --precision int8; `ssd300 quantize` prepares the model",
    ),
    "nosave": "use --no-save",
    "exist-ok": (f"{_RUNS} --name, or none for the next number", f"{_RUNS} --save-dir", f"{_RUNS} --out"),
    "save-conf": "labels always hold the scores: drop it",
    "json": (
        "use --format jsonl; its last row has the counts of --line and --zone",
        f"use --format json; for videos jsonl{_ROWS_ALONE}",
    ),
    "jsonl": f"use --format jsonl{_ROWS_ALONE}",
    "csv": f"use --format csv{_ROWS_ALONE}",
    "save-json": ("use --json", f"use --format jsonl{_ROWS_ALONE}"),
    "view-img": "use --show, for videos",
    "vid-stride": "use --every",
    "stream-buffer visualize dnn mosaic mixup single-cls fraction": _NONE,
    "augment": ("there is no test-time augmentation; --tiles finds small objects", _NONE),
    "show-labels": "names are drawn unless --hide-labels is given",
    "show-conf": "scores are drawn unless --hide-conf is given",
    "line-thickness": "use --line-width",
    "batch": ("use --batch-size", "use --dynamic-batch", _PARALLEL),
    "batch-size": ("use --dynamic-batch", _PARALLEL),
    "num-epochs": "use --epochs",
    "num-workers": "use --workers",
    "lr0 learning-rate": "use --lr",
    "lrf": "use --lr-floor",
    "cfg hyp": "use --recipe, and options for single settings",
    "pretrained weights-backbone": "use --start",
    "data-path dataset": "use --data",
    "output-dir output project name": ("use --out DIR", "use --save-dir DIR"),
    "out": "use --save-dir DIR",
    "cos-lr lr-scheduler": "use --schedule",
    "cache": "`ssd300 data pack` makes reading fast",
    "opt": "use --optimizer",
    "wd": "use --weight-decay",
    "lr-steps lr-step-size": "use --milestones",
    "lr-gamma": "the rate falls to a tenth at each of --milestones: drop it",
    "warmup-epochs": "use --warmup, in steps",
    "print-freq": "use --log-every",
    "start-epoch": "use --resume, which continues where the run stopped",
    "data-augmentation": "use --augment",
    "sync-bn": "use --sync-norm",
    "test-only": "use the verb: ssd300 evaluate",
    "save-period": "the run is saved at every validation: drop it",
    "rect": f"{_STRETCHED}: drop it",
    "plots": ("use --report DIR", "a run always draws its curves: drop it"),
    "retina-masks": "ssd300 finds boxes, not masks: drop it",
    "tracker": "there is one tracker, ByteTrack: drop it",
    "include": "use --format",
    "simplify": "the exported graph is simple already: drop it",
    "task": "the verb says it: ssd300 detect, evaluate, train",
    "verbose": "use --debug, before the verb",
    "world-size dist-url": "start several processes with torchrun",
}
ANSWERS = {name: answer for names, answer in _ANSWERS.items() for name in names.split()}
_STEP = "python benchmarks/train_step.py --{0}, in a clone of ssd300"
FORMER = {  # verb -> former option, without a value or with a former one -> where it is now
    "benchmark": {
        "what=cold-start": "python benchmarks/cold_start.py, in a clone of ssd300",
        "what=train-step": "python benchmarks/train_step.py, in a clone of ssd300",
        "what=loader": "python benchmarks/train_step.py, in a clone of ssd300",
    }
    | {name: _STEP.format(name) for name in ("backbone", "recipe", "batch-size", "workers")}
}


class Verbs(typer.core.TyperGroup):
    """All verbs. A source in the place of the verb is answered; global options may also follow the verb."""

    def main(self, args: Sequence[str] | None = None, *more: Any, **options: Any) -> Any:
        """Run a verb. Patterns are left to it: on Windows typer would take `a[1].jpg` for a1.jpg, a `$` for a variable.

        `~` and `~/` are the home folder there, too; Windows would take `~a.jpg` for a file of a user of that name.
        """
        given = sys.argv[1:] if args is None else args
        if os.name == "nt":
            given = [os.path.expanduser(one) if re.match(r"~([/\\]|$)", one) else one for one in given]
        return super().main(given, *more, **options)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, put_global_first(args))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if not ctx.resilient_parsing and name not in self.commands and ("=" in name or os.path.lexists(name)):
            source = name.removeprefix("source=")
            given = as_argument(source) if os.path.lexists(source) else "PICTURES"
            raise ArgumentError(f"{name}: expected a command first, for example: ssd300 detect {given}")
        return super().resolve_command(ctx, args)


class Command(typer.core.TyperCommand):
    """A verb that refuses an option of one value that is given twice, of which click would take the last silently, and
    an empty path, which is the current folder to Python."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = list(args)  # the parser empties its list
        rest: list[str] = super().parse_args(ctx, args)
        if ctx.resilient_parsing:  # of a completion
            return rest
        values, _, order = self.make_parser(ctx).parse_args(given)
        for one in self.params:
            texts = values.get(one.name or "")
            if one.type.name == "path" and "" in (texts if isinstance(texts, list | tuple) else (texts,)):
                name = one.opts[0] if isinstance(one, typer.core.TyperOption) else one.human_readable_name
                raise ArgumentError(f"{name} is an empty path: check the variable that it comes from")
        for option in (one for one in self.params if isinstance(one, typer.core.TyperOption)):
            names, count = (*option.opts, *option.secondary_opts), order.count(option)
            harmless = option.multiple or (option.is_flag and not option.secondary_opts)
            if count > 1 and not harmless:
                raise ArgumentError(f"{'/'.join(names)} is given {count} times: give it once")
        return rest


class HintedCommand(Command):
    """A verb that recognizes its options by their names in other packages."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        own = {name for parameter in self.params for name in (*parameter.opts, *parameter.secondary_opts)}
        options = [one for one in self.params if isinstance(one, typer.core.TyperOption) and not one.is_flag]
        refuse_former(args, FORMER.get(self.name or "", {}))
        refuse_foreign(args, own, {name for one in options for name in one.opts})
        return super().parse_args(ctx, args)


def put_global_first(arguments: list[str]) -> list[str]:
    """The arguments with the global options in front, wherever they stand before `--`.

    >>> put_global_first(["detect", "a.jpg", "--offline", "--", "--debug"])
    ['--offline', 'detect', 'a.jpg', '--', '--debug']
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    given = [argument for argument in arguments[:end] if argument in GLOBAL]
    return given + [argument for argument in arguments[:end] if argument not in GLOBAL] + arguments[end:]


def refuse_former(arguments: Sequence[str], former: Mapping[str, str]) -> None:
    """Raise ArgumentError for `--batch-size 8`, `--what=loader` and the like that `former` names, with the answer."""
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        if argument == "--":
            return
        option, _, value = argument.removeprefix("--").partition("=")
        option = option.replace("_", "-")
        for name in (option, f"{option}={value or following}"):
            if argument.startswith("--") and name in former:
                raise ArgumentError(f"--{name.replace('=', ' ')} is a script now: {former[name]}")


def refuse_foreign(arguments: Sequence[str], own: set[str], valued: set[str]) -> None:
    """Raise ArgumentError for `--weights x`, `weights=x` and the like, unless the verb has that option itself.

    What exists as a file is one: batch=8.jpg. What follows an option of `valued` is its value: --model int8=a.onnx.
    """
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if argument == "--":
            return
        found = re.fullmatch(r"(--)?([A-Za-z][\w-]*?)(=.*)?", argument, re.DOTALL)
        if not found or not (found[1] or (found[3] and before not in valued)) or os.path.lexists(argument):
            continue
        name = found[2].replace("_", "-").lower()
        option = f"--{name}"
        if option in own:
            if not found[1] and name in (*ANSWERS, "model", "data", "conf", "iou", "epochs", "device", "format"):
                raise ArgumentError(f"{argument}: write {option} {(found[3] or '=')[1:]}")
        elif answer := answer_for(name, own):
            raise ArgumentError(f"{argument.split('=')[0]}: not an option of ssd300: {answer}")


def answer_for(name: str, own: set[str]) -> str | None:
    """What to do instead of an option of other packages, for a verb with the options `own`; None if that is not known.

    >>> answer_for("output-dir", {"--save-dir"}), answer_for("model", {"--start"}), answer_for("model", {"--json"})
    ('use --save-dir DIR', 'use --start NAME or FILE', None)
    """
    answers = ANSWERS.get(name, ())
    able = own | {"--debug"}  # of every verb
    known = [answers] if isinstance(answers, str) else answers
    return next((text for text in known if able.issuperset(re.findall(r"--[a-z][a-z-]*", text))), None)

"""`ssd300 train`: train a detector. The settings come from the one table in `learn/recipe.py`."""

import inspect
from dataclasses import Field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from ssd300.cli.messages import say
from ssd300.errors import needs
from ssd300.learn.recipe import Recipe, describe_limits


def train(
    data: Annotated[list[Path], typer.Option(help="COCO JSON, data.yaml, VOC folder or pack; may be repeated.")],
    val: Annotated[
        Path | None, typer.Option(help="Validation set.  [default: the val split of --data, or a fifth]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the run.  [default: runs/train/<next number>]")
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="published, quick or modern; options below change single settings.")
    ] = "quick",
    backbone: Annotated[str, typer.Option(help="resnet18, resnet34, resnet50, resnet101 or resnet152.")] = "resnet18",
    start: Annotated[
        str | None,
        typer.Option(help="A model name or file, imagenet (downloads), or none.  [default: the bundled default]"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, f32, bf16 or f16.")] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            min=0, help="Processes that read and augment pictures.  [default: 1; on CUDA cores - 1, at most 16]"
        ),
    ] = None,
    validate_every: Annotated[int, typer.Option(min=1, help="Epochs between validations.")] = 1,
    log_every: Annotated[
        int, typer.Option(min=1, help="Steps between reports of the loss; every 10 s without a terminal.")
    ] = 20,
    time_limit: Annotated[
        float | None, typer.Option(metavar="MINUTES", help="Time limit of the run; the schedule is fitted to it.")
    ] = None,
    patience: Annotated[
        int, typer.Option(min=0, help="Stop after this many validations without a better AP; 0: never.")
    ] = 0,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write TensorBoard files.")] = False,
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the network (CUDA).")] = False,
    allow_lost: Annotated[
        bool, typer.Option("--allow-lost", help="Train even if more than a third of the boxes was left out.")
    ] = False,
    **settings: Any,
) -> None:
    """Train a detector on your own pictures.

    The folder of the run gets best.safetensors, curves and sample pictures.

    Under torchrun (torchrun --nproc-per-node 2 -m -- ssd300 train ...) several processes share the work.
    """
    with needs("`ssd300 train`", "train"):
        import torch  # noqa: F401
    from ssd300.learn.device import rank_and_world
    from ssd300.learn.train import train as run

    for name, value in settings.items():
        if isinstance(value, list):
            settings[name] = tuple(value) or None
    try:
        folder = run(
            data, val, out=out, recipe=recipe, backbone=backbone, start=start, resume=resume, device=device,
            precision=precision, workers=workers, validate_every=validate_every, log_every=log_every,
            time_limit=time_limit, patience=patience, tensorboard=tensorboard, compiled=compiled,
            allow_lost=allow_lost, **settings,
        )  # fmt: skip
    except KeyboardInterrupt as stopped:
        words = str(stopped) or "at once, nothing was saved since the last checkpoint"
        say(f"Interrupted: {words}.")
        raise typer.Exit(130) from None
    if rank_and_world()[0] == 0:
        typer.echo(folder / "best.safetensors")


def _setting_option(setting: "Field[Any]") -> inspect.Parameter:
    """The option of one setting of `Recipe`; without it the recipe's value applies."""
    kind: Any = setting.type
    name, effect = setting.name, setting.metadata["effect"]
    if kind is not bool:
        effect = f"{effect}  [{describe_limits(kind, setting.metadata['low'], setting.metadata['high'])}]"
    if get_origin(kind) is Literal:
        kind = str
    if get_origin(kind) is tuple:
        kind = list[int] if get_args(kind)[0] is int else list[float]
    flags = f"--{name.replace('_', '-')}"
    if kind is bool:
        flags = f"{flags}/--no-{name.replace('_', '-')}"
    option = typer.Option(flags, help=effect, rich_help_panel="Settings of the recipe", show_default=False)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


# One option per setting takes the place of **settings.
_own = [p for p in inspect.signature(train).parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
train.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [*(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in _own), *map(_setting_option, fields(Recipe))]
)
train.__annotations__ = {p.name: p.annotation for p in train.__signature__.parameters.values()}  # type: ignore[attr-defined]

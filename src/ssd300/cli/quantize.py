"""`ssd300 quantize`: prepare a model for INT8, if that keeps the accuracy."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd300.cli.messages import ProgressLine, print_failures, say
from ssd300.cli.options import Threads

if TYPE_CHECKING:
    from ssd300.export.quantize import Quantization


def quantize(
    data: Annotated[
        Path, typer.Option(metavar="PATH", help="Pictures to calibrate on: COCO JSON, YOLO, VOC or packed file.")
    ],
    val: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Pictures to measure both models on.  [default: as in `train`]")
    ] = None,
    model: Annotated[str, typer.Option(help="A name that `ssd300 models` lists, or a file with weights.")] = "default",
    subset: Annotated[int, typer.Option(min=1, help="Pictures of --data to calibrate on.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Seed for drawing these pictures, and a fifth for --val.")] = 0,
    max_ap_drop: Annotated[
        float, typer.Option(min=0, max=1, help="Largest loss of AP; layers stay float as needed to meet it.")
    ] = 0.003,
    threads: Threads = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.safetensors", help="[default: the model itself; beside a .pt]")
    ] = None,
) -> None:
    """Prepare a model for INT8, if it stays as accurate.

    INT8 is faster; the model is measured in float and INT8 on --val.
    The ranges for INT8 are stored beside the unchanged float weights, and "auto" precision uses them.

    Of a data set with the splits train and val, --data takes train and --val takes val; without --val both are taken
    from --data, as in `ssd300 train`: its own splits, or a fifth drawn with the seed.

    Exit code: 0 written, 1 written but some pictures of --val could not be read (they count as empty), 2 not written.
    """
    from ssd300.export.quantize import quantize as run

    def print_message(words: str) -> None:
        line.clear()
        say(words)

    with ProgressLine() as line:
        done = run(
            model, data, val, out, subset=subset, seed=seed, max_ap_drop=max_ap_drop, threads=threads,
            say=print_message, progress=line.show,
        )  # fmt: skip
    _print(done)
    print_failures(done.int8.failures.values())
    raise typer.Exit(1 if done.int8.failures else 0)


def _print(done: "Quantization") -> None:
    """Print the 12 metrics side by side and the file to stdout, the rest to stderr."""
    from ssd300.evaluate.coco import STAT_NAMES, STAT_WORDS

    pairs = zip(done.float32.metrics.stats.tolist(), done.int8.metrics.stats.tolist(), strict=True)
    typer.echo(f"{'':<10} {'float':>6} {'INT8':>6} {'lost':>7}")
    for name, words, (exact, rounded) in zip(STAT_NAMES, STAT_WORDS, pairs, strict=True):
        if exact < 0:
            typer.echo(f"{name:<10} {'–':>6} {'–':>6} {'–':>7}   {words}")
        else:
            typer.echo(f"{name:<10} {exact:>6.3f} {rounded:>6.3f} {exact - rounded:>+z7.4f}   {words}")
    typer.echo(f"AP, INT8 minus float, with its 95 % interval: {done.difference.ap}")
    if done.kept_float:
        number = f"{len(done.kept_float)} of {done.convolutions}"
        say(f"{number} layers stay float: {', '.join(done.kept_float)}")
    if done.float32.metrics.ap == 0:
        say("Note: the float model finds nothing on --val, so the comparison means nothing.")
    typer.echo(done.path)

"""`ssd300 quantize`: let a model run in INT8, if that holds the accuracy."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd300.cli.options import Threads
from ssd300.terminal import printable

if TYPE_CHECKING:
    from ssd300.export.quantize import Quantization


def quantize(
    data: Annotated[
        Path, typer.Option(metavar="PATH", help="Pictures to calibrate on: COCO JSON, YOLO, VOC or packed file.")
    ],
    val: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Other pictures, to measure both models on.  [default: as in `train`]"),
    ] = None,
    model: Annotated[str, typer.Option(help="A name that `ssd300 models` lists, or a file with weights.")] = "default",
    subset: Annotated[int, typer.Option(min=1, help="Pictures of --data to calibrate on.")] = 300,
    seed: Annotated[int, typer.Option(help="Of the draw of these pictures, and of a fifth for --val.")] = 0,
    max_ap_drop: Annotated[
        float, typer.Option(min=0, max=1, help="AP that may be lost; layers stay float as needed to hold it.")
    ] = 0.003,
    threads: Threads = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.safetensors", help="[default: the model itself; beside a .pt]")
    ] = None,
) -> None:
    """Let a model run in INT8, if it is as accurate.

    INT8 is faster; the model is measured both ways on --val.

    The file then holds what INT8 needs beside its unchanged float weights, and "auto" precision uses it.

    Of a data set with the splits train and val, --data takes train and --val takes val; without --val they are both
    taken from --data, as `ssd300 train` does it: its own splits, or a fifth drawn with the seed.

    Exit code: 0 written, 1 written but some pictures of --val could not be read (they count as empty), 2 not written.
    """
    from ssd300.cli.progress import ProgressLine
    from ssd300.export.quantize import quantize as run

    if out is not None and out.suffix.lower() == ".xml":
        typer.echo("Note: an .xml holds INT8 alone; soon only `ssd300 export --int8` writes it.", err=True)
    line = ProgressLine()

    def say(words: str) -> None:
        line.clear()
        typer.echo(printable(words), err=True)

    try:
        done = run(
            model, data, val, out, subset=subset, seed=seed, max_ap_drop=max_ap_drop, threads=threads, say=say,
            progress=line.show,
        )  # fmt: skip
    finally:
        line.clear()
    _print(done)
    for failure in done.int8.failures.values():
        typer.echo(f"  {printable(str(failure.error))}", err=True)
    raise typer.Exit(1 if done.int8.failures else 0)


def _print(done: "Quantization") -> None:
    """The 12 numbers side by side and the file on stdout, the rest on stderr."""
    from ssd300.evaluate.coco import STAT_NAMES, STAT_WORDS

    pairs = zip(done.float32.metrics.stats.tolist(), done.int8.metrics.stats.tolist(), strict=True)
    typer.echo(f"{'':<10} {'float':>6} {'INT8':>6} {'lost':>7}")
    for name, words, (exact, rounded) in zip(STAT_NAMES, STAT_WORDS, pairs, strict=True):
        if exact < 0:
            typer.echo(f"{name:<10} {'–':>6} {'–':>6} {'–':>7}   {words}")
        else:
            typer.echo(f"{name:<10} {exact:>6.3f} {rounded:>6.3f} {exact - rounded:>+7.4f}   {words}")
    typer.echo(f"AP, INT8 minus float, with its 95 % interval: {done.difference.ap}")
    if done.kept_float:
        number = f"{len(done.kept_float)} of {done.convolutions}"
        typer.echo(f"In float stay {number} layers: {', '.join(done.kept_float)}", err=True)
    if done.float32.metrics.ap == 0:
        typer.echo("Note: the float model finds nothing on --val, so the comparison says nothing.", err=True)
    typer.echo(done.path)

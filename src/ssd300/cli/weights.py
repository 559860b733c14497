"""`ssd300 weights convert`: the former name of `ssd300 export --out FILE.safetensors`."""

from pathlib import Path
from typing import Annotated

import typer

from ssd300.cli.messages import say
from ssd300.errors import ArgumentError
from ssd300.terminal import as_argument

weights = typer.Typer(no_args_is_help=True, rich_markup_mode=None, hidden=True, help="Now `ssd300 export`.")


@weights.callback()
def group() -> None:
    """Convert model files: now `ssd300 export`."""


@weights.command()
def convert(
    source: Annotated[str, typer.Argument(metavar="A.pt", help="A published checkpoint, or .safetensors, or a name.")],
    out: Annotated[Path, typer.Argument(metavar="B.safetensors", help="The file to write.")],
    half: Annotated[bool, typer.Option("--half", help="float16: half the size. Batch norms stay float32.")] = False,
    classes: Annotated[
        str | None, typer.Option(metavar="NAME,...|FILE", help="Names of the classes, or a file with one per line.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace B.safetensors if it exists.")] = False,
) -> None:
    """Write a checkpoint as safetensors with metadata: now `ssd300 export --model A.pt --out B.safetensors`."""
    from ssd300.export.write import export
    from ssd300.files import sha256_of
    from ssd300.weights.checkpoint import read_metadata

    note = "Note: this is now `ssd300 export --model {} --out {}`; the next version drops the old name."
    say(note.format(as_argument(source), as_argument(out)))
    if out.suffix.lower() != ".safetensors":
        raise ArgumentError(f"{out}: its extension is {out.suffix!r}, expected .safetensors")
    if out.exists() and not force:
        raise ArgumentError(f"{out} exists: choose another name, or pass --force to replace it")
    export(source, out, half=half, classes=classes)
    metadata, size = read_metadata(out), out.stat().st_size / 2**20
    typer.echo(f"{out}: {metadata.backbone}, {len(metadata.classes)} classes, {size:.1f} MiB")
    typer.echo(f"sha256 {sha256_of(out)}")

"""`ssd300 weights`: convert a checkpoint to the model file of ssd300."""

from pathlib import Path
from typing import Annotated

import typer

from ssd300.errors import ArgumentError, ModelError

weights = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Convert model files.")


@weights.callback()
def group() -> None:
    """Convert model files."""


@weights.command()
def convert(
    source: Annotated[str, typer.Argument(metavar="A.pt", help="A published checkpoint, or .safetensors, or a name.")],
    out: Annotated[Path, typer.Argument(metavar="B.safetensors", help="The file to write.")],
    half: Annotated[bool, typer.Option("--half", help="float16: half the size. Batch norms stay float32.")] = False,
    classes: Annotated[
        str | None, typer.Option(metavar="NAME,...|FILE", help="Names of the classes, or a file with one a line.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace B.safetensors if it exists.")] = False,
) -> None:
    """Write a checkpoint as safetensors with metadata.

    The file detects at once and holds no code.

    The published layout needs no torch to be read, and nothing in the file is executed.
    """
    from dataclasses import replace

    from ssd300.labels import ClassList
    from ssd300.weights.catalog import load_state, resolve
    from ssd300.weights.checkpoint import sha256_of, write_checkpoint

    if out.suffix.lower() != ".safetensors":
        raise ArgumentError(f"{out}: its name ends in {out.suffix!r}, expected .safetensors")
    if out.exists() and not force:
        raise ArgumentError(f"{out} exists: choose another name, or pass --force to replace it")
    path = resolve(source)
    state, metadata = load_state(path)
    if classes is not None:
        names = _names(classes)
        if len(names) != len(metadata.classes):
            raise ModelError(
                f"{path}: has {len(metadata.classes)} classes (background not counted), --classes gives {len(names)}"
            )
        metadata = replace(metadata, classes=ClassList.from_names(names))
    metadata = replace(metadata, parent_sha256=sha256_of(path))
    write_checkpoint(out, state, metadata, dtype="float16" if half else "float32")
    size = out.stat().st_size / 2**20
    typer.echo(f"{out}: {metadata.backbone}, {len(metadata.classes)} classes, {size:.1f} MiB")
    typer.echo(f"sha256 {sha256_of(out)}")


def _names(text: str) -> list[str]:
    """Class names of the command line: a file with one a line, or names with commas between."""
    parts = text.split(",")
    if Path(text).is_file():
        try:
            parts = Path(text).read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ArgumentError(f"{text}: cannot be read as a list of class names: {error}") from error
    return [name.strip() for name in parts if name.strip()]

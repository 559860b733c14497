"""`ssd300 data`: check, convert, split, view and pack a data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd300.cli.data_labels import autolabel, rank
from ssd300.cli.data_view import view
from ssd300.cli.messages import ProgressLine, print_json, say
from ssd300.cli.options import DataPath, InputFormat, Split
from ssd300.errors import ArgumentError, DatasetError

if TYPE_CHECKING:
    from ssd300.data.dataset import Dataset

data = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Check, convert, split, view and pack a data set.")

_SHOWN = 10  # lines per kind
_SIDE, _QUALITY = 368, 92  # of packed pictures


@data.command()
def check(
    path: DataPath,
    val: Annotated[Path | None, typer.Option(help="A validation set in another place.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the whole report to stdout as JSON.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings, too.")] = False,
    cases: Annotated[Path | None, typer.Option(metavar="FILE", help="Write every case to this CSV file.")] = None,
    input_format: InputFormat = None,
) -> None:
    """Find errors and suspicious cases in a data set.

    Files, pictures, boxes and classes are checked.

    Exit code: 0 no errors, 1 errors found (with --strict: or warnings), 2 no data set could be found.
    """
    from ssd300.cli.data_report import print_report
    from ssd300.data.check import check_dataset
    from ssd300.files import refuse_special

    if cases is not None:
        refuse_special(cases)
    with ProgressLine() as line:
        report = check_dataset(
            path, val, format=input_format, progress=lambda split, done, total: line.show(done, total)
        )
    try:
        if cases is not None:
            report.write_cases(cases)
    finally:  # also where the cases cannot be written
        if as_json:
            print_json(report.to_dict(), indent=1)
        else:
            print_report(report)
    if cases is not None:
        say(f"Every case: {cases}")
    if report.number("error", "warning") if strict else report.number("error"):
        raise typer.Exit(1)


@data.command()
def convert(
    source: DataPath,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The new folder.")],
    to: Annotated[str, typer.Option("--format", "--to", help="coco, yolo or voc.")],
    split: Split = None,
    link: Annotated[bool, typer.Option("--link", help="Hard-link pictures instead of copying.")] = False,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Also copy pictures outside the data folder.")
    ] = False,
    input_format: InputFormat = None,
) -> None:
    """Write a data set in another format, pictures included.

    The output is read back and compared. All parts are converted, or the one that --split names.
    """
    from ssd300.data.convert import convert_dataset

    splits = _load_splits(source, input_format, split)
    with ProgressLine(sum(len(dataset) for dataset in splits.values())) as line:
        done = convert_dataset(splits, out, to, link=link, allow_outside=allow_outside, progress=line.show)
    for dataset in splits.values():
        say(dataset.summary())
    _print_lines("not converted", done.lost)
    _print_lines("renamed", [f"{old} -> {new}" for old, new in done.renamed])
    say(f"{done.pictures} pictures and {done.boxes} boxes written")
    typer.echo(out)


@data.command()
def split(
    path: DataPath,
    val: Annotated[float, typer.Option(help="Share of the pictures for validation, 0 to 1.")] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same split.")] = 0,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the lists.")] = Path("split"),
    input_format: InputFormat = None,
) -> None:
    """Draw a validation set and write the two lists.

    The split is stratified by class; pictures are not copied, and identical files stay together.

    YOLO: data.yaml, train.txt and val.txt; VOC with its own folder as --out: ImageSets/Main; else COCO: train.json and
    val.json.
    """
    from ssd300.data.load import find_parts, load_dataset, split_files, write_split
    from ssd300.data.parts import splits_of
    from ssd300.data.split import split_dataset

    parts = find_parts(path, input_format)
    if len(names := splits_of(parts)) > 1:
        raise DatasetError(
            f"{path} has the splits {', '.join(names)} already. To draw others, write one of them as a set of its own "
            "(`ssd300 data convert PATH OUT --to FORMAT --split NAME`) and split that"
        )
    part = parts[0]
    split_files(part, ("train", "val"), out)
    train, held_out = split_dataset(load_dataset(path, format=input_format), val, seed)
    paths = write_split(part, {"train": train, "val": held_out}, out)
    for dataset in (train, held_out):
        say(dataset.summary())
    for written in paths:
        typer.echo(written)


data.command()(view)  # here, as its place in the help


@data.command()
def pack(
    path: DataPath,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The packed file, NAME.pack.")],
    max_side: Annotated[int, typer.Option(min=1, help="Shrink larger pictures to this many pixels.")] = _SIDE,
    jpeg_quality: Annotated[int, typer.Option(min=1, max=100, help="Quality of the JPEG pictures inside.")] = _QUALITY,
    raw: Annotated[bool, typer.Option("--raw", help="Pixels instead of JPEG: larger, but no decoding.")] = False,
    original: Annotated[bool, typer.Option("--original", help="Keep the picture files unchanged.")] = False,
    piece_mb: Annotated[
        float | None, typer.Option("--piece-mb", min=0.1, help="Split into pieces of this many megabytes.")
    ] = None,
    split: Split = None,
    input_format: InputFormat = None,
) -> None:
    """Pack pictures and boxes into one file.

    Pieces are easier to copy to another machine.
    """
    from ssd300.data.load import load_dataset
    from ssd300.data.pack import pack_dataset
    from ssd300.files import refuse_special

    refuse_special(out)
    if raw and original:
        raise ArgumentError("--raw and --original exclude each other: give one")
    if original and max_side != _SIDE:
        raise ArgumentError("--original keeps the files unchanged, and --max-side shrinks pictures: give one")
    if (raw or original) and jpeg_quality != _QUALITY:
        raise ArgumentError(
            f"--jpeg-quality is for pictures written as JPEG, and {'--raw' if raw else '--original'} "
            "writes none: give one"
        )
    dataset = load_dataset(path, format=input_format, split=split)
    with ProgressLine(len(dataset)) as line:
        paths = pack_dataset(
            dataset,
            out,
            encoding="raw" if raw else "original" if original else "jpeg",
            max_side=max_side,
            jpeg_quality=jpeg_quality,
            piece_mb=piece_mb,
            progress=line.show,
        )
    size = sum(written.stat().st_size for written in paths) / 1e6
    say(f"{dataset.summary()}; {size:.1f} MB")
    for written in paths:
        typer.echo(written)


data.command()(autolabel)
data.command()(rank)


def _print_lines(what: str, lines: Sequence[str]) -> None:
    """Print the first few lines to stderr, and the number of further ones."""
    for line in lines[:_SHOWN]:
        say(f"{what}: {line}")
    if len(lines) > _SHOWN:
        say(f"{what}: {len(lines) - _SHOWN} more")


def _load_splits(path: Path, format: str | None, split: str | None) -> "dict[str, Dataset]":
    """Every split of a data set by name, or only the requested one; trainval beside others is train."""
    from ssd300.data.load import find_parts, load_parts
    from ssd300.data.parts import choose_parts, splits_of

    chosen = choose_parts(find_parts(path, format), path, split or "all")
    sets = {name: load_parts(several, path, format) for name, several in splits_of(chosen).items()}
    return {"train" if name == "trainval" and len(sets) > 1 else name: one for name, one in sets.items()}

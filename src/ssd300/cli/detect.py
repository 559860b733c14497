"""`ssd300 detect`: find the objects in pictures, write what was found, and draw it."""

import os
import sys
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssd300.errors import ArgumentError, DownloadError, ImageError, SSD300Error

if TYPE_CHECKING:
    from ssd300.cli.results import ResultStream
    from ssd300.cli.saving import OutputFolder
    from ssd300.detections import Detections
    from ssd300.detector import Detector, Failure
    from ssd300.images.source import Source


class Format(StrEnum):
    """What stdout gets."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    coco = "coco"
    yolo = "yolo"


class Decode(StrEnum):
    """How JPEGs are decoded."""

    exact = "exact"
    fast = "fast"


@dataclass
class Tally:
    """What became of the pictures so far."""

    total: int
    pictures: int = 0
    objects: int = 0
    failures: list[str] = field(default_factory=list)
    interrupted: bool = False

    def exit_code(self) -> int:
        if self.interrupted:
            return 130
        if self.failures:
            return 1 if self.pictures else 2
        return 0


def detect(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE", help="Pictures: files, directories, globs, http(s) addresses, - for stdin."),
    ],
    model: Annotated[str, typer.Option(help="A name that `ssd300 models` lists, or a model file.")] = "default",
    precision: Annotated[str, typer.Option(help="auto, f32, bf16 or int8.")] = "auto",
    score_threshold: Annotated[
        float, typer.Option("--score-threshold", "--conf", min=0, max=1, help="Show objects above this score.")
    ] = 0.4,
    iou_threshold: Annotated[
        float, typer.Option("--iou-threshold", "--iou", min=0, max=1, help="Boxes of a class overlap less than this.")
    ] = 0.5,
    max_detections: Annotated[int, typer.Option(min=1, help="Objects a picture at most.")] = 200,
    labels: Annotated[
        list[str] | None, typer.Option(metavar="NAME,...", help="Show these classes only: person,dog")
    ] = None,
    format: Annotated[Format, typer.Option("--format", help="What stdout gets.")] = Format.table,
    save_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="For the drawn pictures.  [default: runs/detect/<next number>]")
    ] = None,
    save: Annotated[bool, typer.Option("--save/--no-save", help="Write drawn pictures, or no file at all.")] = True,
    crops: Annotated[bool, typer.Option("--crops", help="Write every object as a picture of its own, too.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.  [default: all that are allowed]")] = None,
    decode: Annotated[
        Decode, typer.Option(help="fast decodes large JPEGs at reduced scale: quicker, boxes move slightly.")
    ] = Decode.exact,
    offline: Annotated[bool, typer.Option("--offline", help="Forbid any use of the network.")] = False,
) -> None:
    """Find the objects in pictures.

    Results go to stdout, drawn pictures to runs/detect/<n>/.

    Exit code: 0 all done, 1 some pictures failed (listed at the end), 2 nothing could be done, 130 interrupted.
    """
    if not save and (crops or save_dir):
        raise ArgumentError(f"{'--crops' if crops else '--save-dir'} writes files and --no-save forbids it: drop one")
    if offline:
        os.environ["SSD300_OFFLINE"] = "1"
    from ssd300.detector import Detector
    from ssd300.images.source import expand

    detector = Detector.load(model, precision=precision, threads=threads)
    options = {
        "score_threshold": score_threshold,
        "iou_threshold": iou_threshold,
        "max_detections": max_detections,
        "labels": _known_labels(detector, labels),
        "decode": decode.value,
    }
    inputs = [_remembered(source) for source in expand(sources, tell=_say)]
    folder = None
    if save:
        from ssd300.cli.saving import OutputFolder

        folder = OutputFolder(save_dir)
    tally = _run(detector, inputs, options, format, folder, crops)
    raise typer.Exit(tally.exit_code())


def _say(text: str) -> None:
    from ssd300.terminal import printable

    print(f"ssd300: {printable(text)}", file=sys.stderr)


def _known_labels(detector: "Detector", labels: list[str] | None) -> list[str] | None:
    """The names of all --labels; an unknown one is an error now, not after the first picture."""
    if not labels:
        return None
    names = [name.strip() for text in labels for name in text.split(",") if name.strip()]
    detector.classes.positions_of_names(names)
    return names


class _ReadOnce:
    """A stream for what can or should be read only once, stdin and addresses: keeps the bytes for the drawing."""

    def __init__(self, value: Any, name: str) -> None:
        self.value, self.name, self.data = value, name, b""

    def read(self, _size: int = -1) -> bytes:
        if self.data:  # all of it was given at the first call
            return b""
        from ssd300.images.source import read_bytes

        self.data = read_bytes(self.value, self.name)
        return self.data


def _remembered(source: "Source") -> "Source":
    from ssd300.images.source import Source

    once = source.value == "-" or "://" in str(source.value)
    return Source(_ReadOnce(source.value, source.name), source.name) if once else source


def _run(
    detector: "Detector",
    inputs: list["Source"],
    options: dict[str, Any],
    format: Format,
    folder: "OutputFolder | None",
    crops: bool,
) -> Tally:
    """Detect, write and save picture by picture; Ctrl-C ends it early, with valid output of what was done."""
    from ssd300.cli.progress import ProgressLine
    from ssd300.cli.results import ResultStream, layout_of

    bold = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    stream = ResultStream(layout_of(format.value, many=len(inputs) > 1, bold=bold), sys.stdout)
    tally = Tally(len(inputs))
    line = ProgressLine(len(inputs))
    started = time.perf_counter()
    try:
        with closing(_results(detector, inputs, options)) as results:
            line.show(0)
            for source, result in zip(inputs, results, strict=True):
                line.clear()
                _settle(source, result, tally, stream, folder, crops=crops, yolo=format is Format.yolo)
                line.show(tally.pictures + len(tally.failures))
    except KeyboardInterrupt:
        tally.interrupted = True
    except SSD300Error:  # not of one picture: of the model
        stream.end()
        raise
    finally:
        line.clear()
        if folder:
            folder.remove_if_empty()
    stream.end()
    _report(tally, folder, time.perf_counter() - started)
    return tally


def _results(
    detector: "Detector", inputs: list["Source"], options: dict[str, Any]
) -> Generator["Detections | Failure", None, None]:
    """One result per input, in order. A single picture takes the direct path, which starts no threads."""
    from ssd300.detector import Failure

    if len(inputs) > 1:
        yield from detector.detect_many(inputs, on_error="yield", **options)
        return
    try:
        yield detector.detect(inputs[0], **options)
    except (ImageError, DownloadError) as error:
        yield Failure(inputs[0].name, error)


def _settle(
    source: "Source",
    result: "Detections | Failure",
    tally: Tally,
    stream: "ResultStream",
    folder: "OutputFolder | None",
    *,
    crops: bool,
    yolo: bool,
) -> None:
    """Write one result to stdout and its files to the folder; count it."""
    from ssd300.detector import Failure
    from ssd300.images.source import Source

    if isinstance(result, Failure):
        tally.failures.append(str(result.error))
        return
    stream.add(result)
    tally.pictures += 1
    tally.objects += len(result)
    if folder:
        once = source.value
        picture = Source(once.data, once.name) if isinstance(once, _ReadOnce) else source
        try:
            folder.save(result, picture, crops=crops, yolo=yolo)
        except SSD300Error as error:
            tally.failures.append(str(error))
    if isinstance(source.value, _ReadOnce):
        source.value.data = b""


def _report(tally: Tally, folder: "OutputFolder | None", seconds: float) -> None:
    """Words at the end, on stderr: what was done, where the files are, what failed."""
    from ssd300.terminal import printable

    words = []
    if tally.interrupted:
        words.append(f"Interrupted: {tally.pictures} of {tally.total} pictures done.")
    elif tally.pictures > 1:
        rate = f"{tally.pictures / seconds:.1f} pictures/s"
        words.append(f"{tally.pictures} pictures, {tally.objects} objects in {seconds:.1f} s ({rate}).")
    if folder and folder.saved:
        words.append(f"Drawn: {printable(str(folder.last if folder.saved == 1 else folder.path))}")
    if tally.failures and tally.total == 1:
        words.append(f"ssd300: {printable(tally.failures[0])}")
    elif tally.failures:
        words.append(f"{len(tally.failures)} of {tally.total} inputs failed:")
        words += [f"  {printable(failure)}" for failure in tally.failures]
    for line in words:
        print(line, file=sys.stderr)

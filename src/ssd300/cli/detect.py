"""`ssd300 detect`: find the objects in pictures, write what was found, and draw it."""

import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd300.cli.options import (
    Decode,
    Iou,
    JpegDecode,
    Model,
    Overlap,
    Precision,
    Threads,
    TileGrid,
    chosen_labels,
    labels_option,
    max_option,
    save_dir_option,
    score_option,
)
from ssd300.errors import ArgumentError, DownloadError, ImageError, SSD300Error

if TYPE_CHECKING:
    from ssd300.cli.results import ResultStream
    from ssd300.cli.saving import OutputFolder, Rendered
    from ssd300.detections import Detections
    from ssd300.detector import Detector
    from ssd300.flow import Failure
    from ssd300.images.source import Source
    from ssd300.options import DetectOptions


class Format(StrEnum):
    """What stdout gets."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    coco = "coco"
    yolo = "yolo"


@dataclass
class _Tally:
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
        typer.Argument(
            metavar="SOURCE",
            help="Pictures (files, directories, globs, addresses, - for stdin) or videos (files, cameras, streams).",
        ),
    ],
    model: Model = "default",
    precision: Precision = "auto",
    score_threshold: Annotated[float, score_option("Show objects above this score.")] = 0.4,
    iou_threshold: Iou = 0.5,
    max_detections: Annotated[int, max_option("Objects a picture at most.")] = 200,
    labels: Annotated[list[str] | None, labels_option("Show these classes only, by name or id: person,dog")] = None,
    agnostic_nms: Annotated[
        bool, typer.Option("--agnostic-nms", help="Keep one box where boxes of several classes overlap.")
    ] = False,
    clip: Annotated[bool, typer.Option("--clip/--no-clip", help="Cut boxes to the picture.")] = True,
    format: Annotated[Format, typer.Option("--format", help="What stdout gets.")] = Format.table,
    save_dir: Annotated[Path | None, save_dir_option("pictures")] = None,
    save: Annotated[bool, typer.Option("--save/--no-save", help="Write drawn pictures, or no file at all.")] = True,
    crops: Annotated[bool, typer.Option("--crops", help="Write every object as a picture of its own, too.")] = False,
    font: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Font for the names.  [default: one that has their letters]")
    ] = None,
    threads: Threads = None,
    decode: JpegDecode = Decode.exact,
    tiles: TileGrid = None,
    overlap: Overlap = 0.2,
    every: Annotated[int, typer.Option(min=1, help="Videos: look at every so many frames.")] = 1,
    show: Annotated[bool, typer.Option("--show", help="Videos: show the drawn frames in a window.")] = False,
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
    from ssd300.cli.saving import OutputFolder, refuse_filled
    from ssd300.detector import Detector
    from ssd300.images.source import expand
    from ssd300.options import DetectOptions
    from ssd300.tiles import parse_tiles

    refuse_filled(save_dir)
    detector = Detector.load(model, precision=precision, threads=threads)
    options = DetectOptions(
        score_threshold=score_threshold,
        iou_threshold=iou_threshold,
        max_detections=max_detections,
        labels=chosen_labels(labels, detector.classes.names),
        decode=decode.value,
        agnostic_nms=agnostic_nms,
        clip=clip,
        keep_pixels=save,
        tiles=None if tiles is None else parse_tiles(tiles),
        overlap=overlap,
    )
    options.rows(detector.classes)  # an unknown label is an error now, not after the first picture
    if any(may_be_video(source) for source in sources):
        from ssd300.cli.video import VideoTask, run_video, videos_among

        if videos := videos_among(sources):
            if crops:
                raise ArgumentError("--crops cuts objects out of pictures, not out of videos: drop it")
            task = VideoTask(format.value, save, save_dir, every, show)
            raise typer.Exit(run_video(detector, videos, replace(options, keep_pixels=save or show), task))
    if every > 1 or show:
        raise ArgumentError(f"{'--show' if show else '--every'} is for videos, and these are pictures: drop it")
    if save:
        _check_letters(detector.classes.names, font)
    inputs = list(expand(sources, tell=_say))
    tally = _run(detector, inputs, options, format, OutputFolder(save_dir) if save else None, crops, font)
    raise typer.Exit(tally.exit_code())


def may_be_video(source: str) -> bool:
    """Whether a source is a video, or a list that may name some."""
    from ssd300.images.video_open import is_video

    return is_video(source) or source.lower().endswith(".txt")


def _say(text: str) -> None:
    from ssd300.terminal import printable

    print(f"ssd300: {printable(text)}", file=sys.stderr)


def _check_letters(names: tuple[str, ...], font: Path | None) -> None:
    """Say once which letters of the names cannot be drawn; a --font that is none is an error now."""
    import warnings

    from ssd300.lettering import MissingLetters, font_for, missing_letters

    font_for("", 16, font)
    if missing := missing_letters(names, font):
        _say(f"no font was found for {missing[:40]!r}, drawn as empty squares: give one with --font FILE")
        warnings.simplefilter("ignore", MissingLetters)


def _run(
    detector: "Detector",
    inputs: list["Source"],
    options: "DetectOptions",
    format: Format,
    folder: "OutputFolder | None",
    crops: bool,
    font: Path | None,
) -> _Tally:
    """Detect, write and save picture by picture; Ctrl-C ends it early, with valid output of what was done."""
    from ssd300.cli.progress import ProgressLine
    from ssd300.cli.results import ResultStream, result_layout
    from ssd300.cli.saving import Rendered, render

    def drawn(found: "Detections") -> Rendered:
        return render(found, crops=crops, font=font) if folder else Rendered(found)

    bold = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    stream = ResultStream(result_layout(format.value, many=len(inputs) > 1, bold=bold), sys.stdout)
    tally = _Tally(len(inputs))
    line = ProgressLine(len(inputs))
    started = time.perf_counter()
    try:
        with closing(_results(detector, inputs, options, drawn)) as results:
            line.show(0)
            for result in results:
                line.clear()
                _take(result, tally, stream, folder, yolo=format is Format.yolo)
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
    detector: "Detector", inputs: list["Source"], options: "DetectOptions", call: Callable[["Detections"], "Rendered"]
) -> Generator["Rendered | Failure", None, None]:
    """One result per input, in order. A single picture takes the direct path, which starts no threads."""
    from ssd300.flow import Failure

    if len(inputs) > 1:
        yield from detector.map(call, inputs, options, on_error="yield")
        return
    try:
        found = detector.detect(inputs[0], options)
    except (ImageError, DownloadError) as error:
        yield Failure(inputs[0].name, error)
    else:
        yield call(found)


def _take(
    result: "Rendered | Failure", tally: _Tally, stream: "ResultStream", folder: "OutputFolder | None", *, yolo: bool
) -> None:
    """Write one result to stdout and its files to the folder; count it."""
    from ssd300.flow import Failure

    if isinstance(result, Failure):
        tally.failures.append(str(result.error))
        return
    stream.add(result.found)
    tally.pictures += 1
    tally.objects += len(result.found)
    if folder:
        try:
            folder.write(result, yolo=yolo)
        except SSD300Error as error:
            tally.failures.append(str(error))


def _report(tally: _Tally, folder: "OutputFolder | None", seconds: float) -> None:
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

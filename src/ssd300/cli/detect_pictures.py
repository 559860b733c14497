"""`ssd300 detect` for pictures: results to stdout, files to a folder, a summary at the end."""

import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ssd300.cli.messages import ProgressLine, exit_code, print_message, say, show_trace
from ssd300.cli.results import SILENT, ResultStream, result_layout
from ssd300.cli.saving import OutputFolder, Rendered, render
from ssd300.digits import counted
from ssd300.draw import DrawStyle
from ssd300.errors import DownloadError, ImageError, SSD300Error
from ssd300.flow import Failure
from ssd300.images.source import expand
from ssd300.terminal import obeys_escapes

if TYPE_CHECKING:
    from ssd300.detections import Detections
    from ssd300.detector import Detector
    from ssd300.images.source import Source
    from ssd300.options import DetectOptions


@dataclass(frozen=True)
class Output:
    """The outputs of a run: a --format on stdout; with `save` also files: drawn pictures, crops and labels."""

    format: str
    save: bool
    save_dir: Path | None
    style: DrawStyle
    crops: bool = False
    save_txt: bool = False
    quiet: bool = False


@dataclass
class Tally:
    total: int
    pictures: int = 0
    objects: int = 0
    failures: list[str] = field(default_factory=list)
    interrupted: bool = False

    def fail(self, error: Exception) -> None:
        show_trace(error)
        self.failures.append(str(error))


def run_pictures(detector: "Detector", sources: list[str], options: "DetectOptions", output: Output) -> int:
    """Detect, write and save picture by picture; return the exit code.

    After Ctrl-C the output so far is valid.
    """
    inputs = list(expand(sources, tell=(lambda text: None) if output.quiet else print_message))
    folder = OutputFolder(output.save_dir) if output.save else None

    def render_result(found: "Detections") -> Rendered:
        return render(found, crops=output.crops, style=output.style) if folder else Rendered(found)

    stream = _stream(output, len(inputs))
    tally, line = Tally(len(inputs)), ProgressLine(0 if output.quiet else len(inputs))
    labels = {"yolo"} if output.save_txt else set()
    started = time.perf_counter()
    try:
        with closing(_detect_all(detector, inputs, options, render_result)) as results, line:
            line.show(0)
            for done, result in enumerate(results, 1):
                line.clear()
                _write_result(result, tally, stream, folder, labels | {output.format})
                line.show(done)
    except KeyboardInterrupt:
        tally.interrupted = True
    except SSD300Error:  # an error of the model, not of one picture
        stream.end()
        raise
    finally:
        if folder:
            folder.remove_if_empty()
    stream.end()
    _report(tally, folder, time.perf_counter() - started, quiet=output.quiet)
    return exit_code(tally.pictures, len(tally.failures), interrupted=tally.interrupted)


def _stream(output: Output, count: int) -> ResultStream:
    if output.quiet and output.format == "table":
        return ResultStream(SILENT, sys.stdout)
    bold = obeys_escapes(sys.stdout) and not os.environ.get("NO_COLOR")
    return ResultStream(result_layout(output.format, many=count > 1, bold=bold), sys.stdout)


def _detect_all(
    detector: "Detector", inputs: list["Source"], options: "DetectOptions", call: Callable[["Detections"], "Rendered"]
) -> Generator["Rendered | Failure", None, None]:
    """One result per input, in order. A single picture is detected directly, without threads."""
    if len(inputs) > 1:
        yield from detector.map(call, inputs, options, on_error="yield")
        return
    try:
        found = detector.detect(inputs[0], options)
    except (ImageError, DownloadError) as error:
        yield Failure(inputs[0].name, error)
    else:
        yield call(found)


def _write_result(
    result: Rendered | Failure, tally: Tally, stream: ResultStream, folder: OutputFolder | None, labels: set[str]
) -> None:
    """Write one result to stdout and its files to the folder; update the counts."""
    if isinstance(result, Failure):
        tally.fail(result.error)
        return
    stream.add(result.found)
    tally.pictures += 1
    tally.objects += len(result.found)
    if folder:
        try:
            folder.write(result, labels)
        except SSD300Error as error:
            tally.fail(error)


def _report(tally: Tally, folder: OutputFolder | None, seconds: float, *, quiet: bool) -> None:
    """Print the summary to stderr: counts, the folder of the files, failures."""
    words: list[str] = []
    if tally.interrupted:
        words.append(f"Interrupted: {tally.pictures} of {tally.total} pictures done.")
    elif tally.pictures > 1 and not quiet:
        rate = f"{tally.pictures / seconds:.1f} pictures/s"
        words.append(f"{tally.pictures} pictures, {counted(tally.objects, 'object')} in {seconds:.1f} s ({rate}).")
    if folder and folder.saved and not quiet:
        words.append(f"Drawn: {folder.last if folder.saved == 1 else folder.path}")
    if tally.failures and tally.total == 1:
        words.append(f"ssd300: {tally.failures[0]}")
    elif tally.failures:
        words.append(f"{len(tally.failures)} of {tally.total} inputs failed:")
        words += [f"  {failure}" for failure in tally.failures]
    for line in words:
        say(line)

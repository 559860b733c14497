"""Video for `ssd300 detect` and `ssd300 track`: rows on stdout, drawn videos, a status line."""

import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ssd300.cli.counting import parse_line, parse_zone
from ssd300.cli.debug import show_trace
from ssd300.cli.progress import ERASE
from ssd300.cli.saving import OutputFolder
from ssd300.cli.video_rows import RowWriter, row_writer
from ssd300.draw import DrawStyle
from ssd300.errors import SSD300Error
from ssd300.flow import Failure
from ssd300.images.addresses import local_path
from ssd300.images.video_names import is_camera, is_stream, shown_name
from ssd300.images.video_open import require_av
from ssd300.images.video_write import VideoWriter
from ssd300.terminal import as_shown, printable
from ssd300.tracking.bytetrack import LOW_SCORE, Tracker
from ssd300.tracking.counting import Line, Zone
from ssd300.video import FrameDetections

if TYPE_CHECKING:
    from ssd300.cli.window import ResultWindow
    from ssd300.detector import Detector
    from ssd300.options import DetectOptions

_SECONDS_BETWEEN = 0.5  # updates of the status line on stderr


@dataclass(frozen=True)
class VideoTask:
    """What to do with each frame, from the options of the command line."""

    format: str
    save: bool = True  # write drawn videos
    save_dir: Path | None = None
    every: int = 1
    show: bool = False
    style: DrawStyle | None = None
    quiet: bool = False
    tracked: bool = False
    lost_seconds: float = 1.0
    lines: Sequence[str] = ()
    zones: Sequence[str] = ()


@dataclass
class _Stream:
    """One source and its state between frames."""

    name: str
    tracker: Tracker | None
    lines: list[Line]
    zones: list[Zone]
    writer: VideoWriter | None = None
    seen: Counter[str] = field(default_factory=Counter)  # the largest id of each class

    def take(self, answer: FrameDetections) -> FrameDetections:
        """Add track ids to the result of a frame; update lines and zones."""
        if self.tracker is None:
            return answer
        tracks = self.tracker.update(answer.detections, answer.time_s)
        for line in self.lines:
            line.update(tracks)
        for zone in self.zones:
            zone.update(tracks, answer.time_s)
        assert tracks.track_ids is not None
        for name, track_id in zip(tracks.names, tracks.track_ids.tolist(), strict=True):
            self.seen[name] = max(self.seen[name], track_id)
        return replace(answer, detections=tracks)

    def totals(self) -> dict[str, object]:
        return {
            "source": self.name,
            "tracks": dict(sorted(self.seen.items())),
            "lines": [line.totals() for line in self.lines],
            "zones": [zone.totals() for zone in self.zones],
        }


def run_video(detector: "Detector", sources: list[str], options: "DetectOptions", task: VideoTask) -> int:
    """Detect in all frames, write rows, draw; return the exit code. After Ctrl-C all files and rows are complete."""
    threshold = options.score_threshold
    if task.tracked:
        options = replace(options, score_threshold=min(LOW_SCORE, threshold))
    silent = task.quiet and task.format == "table"
    rows = RowWriter(lambda answer: "") if silent else row_writer(task.format, tracked=task.tracked)
    window = None
    if task.show:
        from ssd300.cli.window import ResultWindow

        window = ResultWindow("ssd300")
    require_av()  # before a folder is made
    folder = OutputFolder(task.save_dir) if task.save else None
    streams = [_stream_of(source, task, folder, threshold) for source in sources]
    run = _Run(task, rows, folder, streams, window)
    run.in_turn = not any(is_camera(source) or is_stream(source) for source in sources)
    try:
        answers = detector.detect_video(sources, options, every=task.every, on_error="yield", tell=run.print_message)
        with closing(answers):
            for answer in answers:
                run.take(answer)
    except KeyboardInterrupt:
        run.interrupted = True
    except BaseException:
        run.discard()
        raise
    return run.finish()


def _stream_of(source: str, task: VideoTask, folder: OutputFolder | None, threshold: float) -> _Stream:
    tracker = Tracker(score_threshold=threshold, lost_seconds=task.lost_seconds) if task.tracked else None
    lines, zones = [parse_line(text) for text in task.lines], [parse_zone(text) for text in task.zones]
    stream = _Stream(shown_name(source), tracker, lines, zones)
    if folder is not None:
        path = folder.new_path(stream.name.rstrip("/"), ".mp4")
        silent = is_camera(source) or is_stream(source) or task.every > 1
        sound = None if silent else Path(local_path(source))
        stream.writer = VideoWriter(path, sound_of=sound)
    return stream


class _Run:
    def __init__(
        self,
        task: VideoTask,
        rows: RowWriter,
        folder: OutputFolder | None,
        streams: list[_Stream],
        window: "ResultWindow | None",
    ) -> None:
        self.task, self.rows, self.folder, self.streams, self.window = task, rows, folder, streams, window
        self.frames, self.objects = 0, 0
        self.failures: list[str] = []
        self.interrupted = self.in_turn = False  # in turn: the frames of a source come after all of the one before
        self._started, self._counted = time.perf_counter(), 0.0
        self._counters = sys.stderr.isatty() and not task.quiet
        sys.stdout.write(self.rows.first)

    def take(self, answer: FrameDetections | Failure) -> None:
        """Write one frame's row and picture."""
        if isinstance(answer, Failure):
            show_trace(answer.error)
            self.failures.append(str(answer.error))
            return
        for done in self.streams[: answer.stream] if self.in_turn else ():
            self._close_file(done)
        stream = self.streams[answer.stream]
        answer = stream.take(answer)
        self.frames += 1
        self.objects += len(answer.detections)
        self._clear()
        sys.stdout.write(as_shown(self.rows.row(answer), sys.stdout))
        sys.stdout.flush()
        if stream.writer is not None or self.window is not None:
            self._draw(stream, answer)
        self._count(answer)

    def _draw(self, stream: _Stream, answer: FrameDetections) -> None:
        import numpy as np

        from ssd300.tracking.drawing import draw_frame

        image = draw_frame(answer.detections, stream.lines, stream.zones, self.task.style)
        if stream.writer is not None:
            stream.writer.add(np.asarray(image), answer.time_s)
        if self.window is not None and not self.window.show(image, stream.name):
            raise KeyboardInterrupt  # the user closed the window

    def _count(self, answer: FrameDetections) -> None:
        """Update the status line on stderr: frames per second; for live sources also age and dropped frames."""
        now = time.perf_counter()
        if not self._counters or now - self._counted < _SECONDS_BETWEEN:
            return
        self._counted = now
        words = f"{printable(answer.source)}: frame {answer.frame}, {self.frames / (now - self._started):.1f} frames/s"
        if answer.age_s is not None:
            words += f", age {answer.age_s * 1000:.0f} ms, {answer.dropped} dropped"
        sys.stderr.write(ERASE + words)
        sys.stderr.flush()

    def _clear(self) -> None:
        if self._counters and self._counted and sys.stdout.isatty():
            sys.stderr.write(ERASE)

    def print_message(self, words: str) -> None:
        """Print a message about a source to stderr."""
        erase = ERASE if self._counters else ""
        print(f"{erase}ssd300: {printable(words)}", file=sys.stderr)

    def discard(self) -> None:
        for stream in self.streams:
            if stream.writer is not None:
                stream.writer.discard()
        if self.folder is not None:
            self.folder.remove_if_empty()

    def finish(self) -> int:
        """Close the files, print totals and summary; return the exit code."""
        for stream in self.streams:
            self._close_file(stream)
        if self.folder is not None:
            self.folder.remove_if_empty()
        if self.window is not None:
            self.window.close()
        totals = json.dumps({"totals": [stream.totals() for stream in self.streams]}, ensure_ascii=False)
        if self._counters:
            sys.stderr.write(ERASE)
        if self.task.tracked:
            output = sys.stdout if self.task.format == "jsonl" else sys.stderr
            print(as_shown(totals, output), file=output)
        if not self.task.quiet:
            self._summarize()
        for failure in self.failures:
            self.print_message(failure)
        if self.interrupted:
            return 130
        return 0 if not self.failures else 1 if self.frames else 2

    def _summarize(self) -> None:
        seconds, folder = time.perf_counter() - self._started, self.folder
        rate = self.frames / seconds
        words = f"{self.frames} frames, {self.objects} objects in {seconds:.1f} s ({rate:.1f} frames/s)."
        print(f"Interrupted: {words}" if self.interrupted else words, file=sys.stderr)
        if folder is not None and folder.saved:
            print(f"Drawn: {printable(str(folder.last if folder.saved == 1 else folder.path))}", file=sys.stderr)

    def _close_file(self, stream: _Stream) -> None:
        """Finish the drawn video of a source; nothing if there is none, or no longer."""
        writer, stream.writer = stream.writer, None
        if writer is None or self.folder is None:
            return
        if not writer.frames:  # interrupted in the first one
            writer.discard()
            return
        try:
            writer.close()
        except SSD300Error as error:
            self.failures.append(str(error))
        else:
            self.folder.saved += 1
            self.folder.last = writer.path

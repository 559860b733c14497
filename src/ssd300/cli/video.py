"""Video for `ssd300 detect` and `ssd300 track`: rows on stdout, drawn videos, a window, a status line."""

import json
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ssd300.cli.messages import ERASE, exit_code, say, show_trace
from ssd300.cli.results import SILENT, ResultStream, video_layout
from ssd300.cli.saving import OutputFolder
from ssd300.cli.video_stream import VideoStream, VideoTask, describe_outside, stream_of
from ssd300.digits import counted
from ssd300.errors import ArgumentError, SSD300Error
from ssd300.flow import Failure
from ssd300.images.video_names import is_camera, is_stream
from ssd300.images.video_open import require_av
from ssd300.terminal import as_shown, obeys_escapes, printable
from ssd300.tracking.bytetrack import LOW_SCORE
from ssd300.video import FrameDetections

if TYPE_CHECKING:
    import PIL.Image

    from ssd300.detector import Detector
    from ssd300.options import DetectOptions

_SECONDS_BETWEEN = 0.5  # updates of the status line on stderr


def run_video(detector: "Detector", sources: list[str], options: "DetectOptions", task: VideoTask) -> int:
    """Detect in all frames, write rows, draw; return the exit code. After Ctrl-C all files and rows are complete."""
    threshold = options.score_threshold
    if task.tracked:
        options = replace(options, score_threshold=min(LOW_SCORE, threshold))
    silent = task.quiet and task.format == "table"
    layout = SILENT if silent else video_layout(task.format, tracked=task.tracked)
    window = _Window() if task.show else None
    require_av()  # before a folder is made
    folder = OutputFolder(task.save_dir) if task.save else None
    streams = [stream_of(source, task, folder, threshold) for source in sources]
    in_turn = not any(is_camera(source) or is_stream(source) for source in sources)
    run = _Run(task, ResultStream(layout, sys.stdout), folder, streams, window, in_turn)
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


@dataclass
class _Run:
    task: VideoTask
    rows: ResultStream
    folder: OutputFolder | None
    streams: list[VideoStream]
    window: "_Window | None"
    in_turn: bool  # the frames of a source come after all of the one before
    frames: int = 0
    detections: int = 0  # in all frames: an object has one in each
    failures: list[str] = field(default_factory=list)
    interrupted: bool = False

    def __post_init__(self) -> None:
        self._started, self._counted = time.perf_counter(), 0.0
        self._counters = obeys_escapes(sys.stderr) and not self.task.quiet

    def take(self, answer: FrameDetections | Failure) -> None:
        if isinstance(answer, Failure):
            show_trace(answer.error)
            self.failures.append(str(answer.error))
            return
        for done in self.streams[: answer.stream] if self.in_turn else ():
            self._close_file(done)
        stream = self.streams[answer.stream]
        if stream.size_hw != answer.detections.image_size_hw:
            (high, wide), (height, width) = stream.size_hw, answer.detections.image_size_hw
            stream.size_hw = height, width
            if high:
                self.print_message(
                    f"{stream.name}: from frame {answer.frame} on it has {width}x{height} pixels, before "
                    f"{wide}x{high}: lines and zones stay at their pixels, and a drawn video keeps its first size"
                )
            for words in describe_outside(stream.lines, stream.zones, stream.size_hw):
                self.print_message(words)
        answer = stream.take(answer)
        self.frames, self.detections = self.frames + 1, self.detections + len(answer.detections)
        self._clear()
        self.rows.add(answer)
        if stream.writer is not None or self.window is not None:
            self._draw(stream, answer)
        self._count(answer)

    def _draw(self, stream: VideoStream, answer: FrameDetections) -> None:
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
        of_all = " of all sources" if len(self.streams) > 1 else ""
        rate = f"{self.frames / (now - self._started):.1f} frames/s{of_all}"
        words = f"{printable(answer.source)}: frame {answer.frame}, {rate}"
        if answer.age_s is not None:
            words += f", age {answer.age_s * 1000:.0f} ms, {answer.dropped} dropped"
        sys.stderr.write(ERASE + words)
        sys.stderr.flush()

    def _clear(self) -> None:
        if self._counters and self._counted and sys.stdout.isatty():
            sys.stderr.write(ERASE)

    def print_message(self, words: str) -> None:
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
        nothing = self.failures and not self.frames and not self.interrupted
        if self.task.tracked and not nothing:
            output = sys.stdout if self.task.format == "jsonl" else sys.stderr
            print(as_shown(totals, output), file=output)
        if not (self.task.quiet or nothing):
            self._summarize()
        for failure in self.failures:
            self.print_message(failure)
        return exit_code(self.frames, len(self.failures), interrupted=self.interrupted)

    def _summarize(self) -> None:
        seconds, folder = time.perf_counter() - self._started, self.folder
        rate = f"{self.frames / seconds:.1f} frames/s"
        words = f"{counted(self.frames, 'frame')}, {counted(self.detections, 'detection')} in {seconds:.1f} s ({rate})."
        say(f"Interrupted: {words}" if self.interrupted else words)
        if folder is not None and folder.saved:
            say(f"Drawn: {folder.last if folder.saved == 1 else folder.path}")

    def _close_file(self, stream: VideoStream) -> None:
        """Finish the drawn video of a source; nothing if there is none, or no longer."""
        writer, stream.writer = stream.writer, None
        if writer is None or self.folder is None:
            return
        if not writer.frames:  # interrupted in the first one
            writer.discard()
            return
        try:
            writer.close(complete=not self.interrupted)
        except SSD300Error as error:
            self.failures.append(str(error))
        else:
            self.folder.saved += 1
            self.folder.last = writer.path


class _Window:
    """Shows drawn frames, with tkinter of the standard library. Raises ArgumentError without it or a display."""

    def __init__(self) -> None:
        try:
            import tkinter
        except ImportError as error:
            raise ArgumentError(
                "--show: this Python has no tkinter (Debian: apt install python3-tk); "
                "write a drawn video with --save-dir"
            ) from error
        try:
            self._root = tkinter.Tk()
        except tkinter.TclError as error:
            raise ArgumentError(
                f"--show: there is no display ({error}); write a drawn video with --save-dir"
            ) from error
        self._label = tkinter.Label(self._root)
        self._label.pack()
        self._open = True
        self._root.protocol("WM_DELETE_WINDOW", self._note_closed)

    def _note_closed(self) -> None:
        self._open = False

    def show(self, image: "PIL.Image.Image", title: str) -> bool:
        """Show a picture; return False if the window was closed."""
        from PIL import ImageTk

        self._photo = ImageTk.PhotoImage(image, master=self._root)  # tkinter itself keeps no reference
        self._label.configure(image=self._photo)
        self._root.title(title)
        self._root.update()
        return self._open

    def close(self) -> None:
        self._root.destroy()

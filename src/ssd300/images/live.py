"""Cameras and streams: one thread reads each, and at most one frame is waiting.

A consumer takes the newest frame; older frames are dropped and counted, so that the latency is at most that of the
newest frame plus its processing. If decoding is too slow for a stream, packets are skipped undecoded, so that it never
falls far behind. A broken connection is opened again, after increasing pauses. An http(s) address of a file of
known length is not a live stream: all its frames are given, and it waits for the consumer.
"""

import math
import os
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ssd300.errors import DownloadError, ImageError, SSD300Error
from ssd300.images.live_clock import Delay, Pace
from ssd300.images.source import Tell
from ssd300.images.video_names import is_camera, shown_name
from ssd300.images.video_open import Opened, open_video, require_av
from ssd300.images.video_reader import Frame, FrameReader

if TYPE_CHECKING:
    import av.video.frame

FIRST_TRIES = 3  # to open a stream that never gave a frame; a camera is there or not
RECONNECT_SECONDS = 300.0  # how long a stream or camera that gave frames before is tried again
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0  # between two tries, doubled from try to try
_CLOSE_SECONDS = 1.5  # wait for the thread on closing; FFmpeg may block it for SILENT_SECONDS, then it ends by itself


@dataclass
class LiveCounts:
    """Frame counts of a stream.

    received  decoded, or skipped undecoded; each is given, dropped, passed, waiting, or found damaged when it is taken
    dropped   for a newer frame, or at the end
    passed    not asked for: those between two that `every` wants
    damaged   these, and those that could not be decoded, which are not in `received`
    """

    received: int = 0
    given: int = 0
    dropped: int = 0
    passed: int = 0
    damaged: int = 0
    reconnects: int = 0


@dataclass(frozen=True, eq=False)
class _Waiting:
    index: int
    time_s: float
    arrived: float
    raw: "av.video.frame.VideoFrame"
    reader: FrameReader


class LiveStream:
    """One camera or stream that is read in a thread from `start` on. `ready`, shared by several, is notified."""

    def __init__(self, source: Any, *, every: int = 1, ready: threading.Condition | None = None) -> None:
        """`every`: only each frame whose number is a multiple of it is given. Raises MissingExtraError without PyAV."""
        require_av()
        self.name = shown_name(source)
        self.counts = LiveCounts()
        self.error: SSD300Error | None = None  # why it ended, if not of itself
        self._faults: list[str] | None = None  # of a file of known length that was read to its end
        self.ended = False  # there will be no more frames
        self.live = True
        self._source, self._every, self._pid = source, every, os.getpid()
        self._ready = ready or threading.Condition()
        self._waiting: _Waiting | None = None
        self._stop = threading.Event()
        self._close_by = math.inf  # by `time.monotonic`
        self._opened: Opened | None = None
        self._began: float | None = None  # when the first frame came
        self._thread = threading.Thread(target=self._run, name=f"ssd300 {self.name}", daemon=True)

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def has_frame(self) -> bool:
        """Whether a frame is waiting."""
        return self._waiting is not None

    def take(self) -> tuple[Frame, float] | None:
        """The newest frame that was not taken yet, and when it came (by `time.perf_counter`); None if there is none."""
        with self._ready:
            waiting, self._waiting = self._waiting, None
            self._ready.notify_all()
        if waiting is None:
            return None
        rgb = waiting.reader.rgb(waiting.raw, waiting.index)
        if rgb is None:
            self.counts.damaged += 1
            return None
        self.counts.given += 1
        return Frame(waiting.index, waiting.time_s, rgb), waiting.arrived

    def faults(self) -> list[str]:
        """Messages about damaged frames, and a file that ends early, for the end."""
        if self._faults is not None:
            return self._faults
        return [f"{self.name}: {self.counts.damaged} damaged frames left out"] if self.counts.damaged else []

    def stop(self) -> None:
        """Tell the thread to end, without waiting for it."""
        if os.getpid() != self._pid:  # in a forked child: the connection is the parent's, who goes on reading
            return
        self._close_by = min(self._close_by, time.monotonic() + _CLOSE_SECONDS)
        with self._ready:
            self._stop.set()
            if self._waiting is not None:
                self._waiting = None
                self.counts.dropped += 1
            self._ready.notify_all()
        opened = self._opened
        if opened is not None and opened.file is not None:
            opened.file.hang_up()  # ends a running read

    def close(self) -> None:
        """Stop reading, from any state and within two seconds, which begin with `stop` if that was called before."""
        self.stop()
        # The thread itself comes here if it collects the stream of a consumer that was dropped.
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(max(0.0, self._close_by - time.monotonic()))

    def _run(self) -> None:
        try:
            self._read_until_stopped()
        except SSD300Error as error:
            self.error = None if self._stop.is_set() else error
        except BaseException as error:  # a fault of ours: who takes frames must not see the stream end as if complete
            self.error = ImageError(f"{self.name}: reading it failed: {type(error).__name__}: {error}")
            raise
        finally:
            with self._ready:
                self.ended = True
                self._ready.notify_all()

    def _read_until_stopped(self) -> None:
        """Open and read repeatedly; the pauses are reset after each connection that gave a frame."""
        tries, last_frame = 0, time.monotonic()
        while not self._stop.is_set():
            before = self.counts.received
            failure: SSD300Error = DownloadError(f"{self.name}: the stream ended")
            try:
                if self._read_once():
                    return
            except (ImageError, DownloadError) as error:
                failure = error if self.name in str(error) else DownloadError(f"{self.name}: {error}")
            if self.counts.received > before:
                tries, last_frame = 0, time.monotonic()
            tries += 1
            broken = not self.live and self.counts.received  # a file: from its start its frames would come again
            most = 1 if is_camera(self._source) else FIRST_TRIES
            if broken or (not self.counts.received and tries >= most):
                raise failure
            if time.monotonic() - last_frame > RECONNECT_SECONDS and self.counts.received:
                raise DownloadError(f"{self.name}: no frame for {RECONNECT_SECONDS:g} seconds; last: {failure}")
            self._stop.wait(min(FIRST_PAUSE * 2 ** (tries - 1), LONGEST_PAUSE))
            self.counts.reconnects += 1 if self.counts.received and not self._stop.is_set() else 0

    def _read_once(self) -> bool:
        """Open and read to the end; return whether it was a file of known length."""
        opened = open_video(self._source)
        self._opened, self.live = opened, opened.live
        try:
            if self._stop.is_set():
                return True
            paced = Pace() if opened.live and "hls" in opened.container.format.name else None
            delay = Delay() if opened.live and paced is None else None
            reader = FrameReader(opened, self.name, lambda *packet: delay is not None and self._skips(delay, *packet))
            base, damaged = self.counts.received + self.counts.damaged, self.counts.damaged
            for index, time_s, raw in reader.raw_frames():
                self.counts.damaged = damaged + reader.damage.count
                if paced is not None:
                    self._stop.wait(paced.seconds_until(time_s))
                if self._stop.is_set():
                    return True
                self._offer(base + index, time_s, raw, reader)
            if not opened.live:
                self._faults = reader.faults()
            return not opened.live
        finally:
            self._opened = None
            opened.close()

    def _skips(self, delay: Delay, time_s: float | None, key_frame: bool) -> bool:
        if self._stop.is_set():  # looked at here too: no frame may come for many packets
            raise DownloadError(f"{self.name}: reading was stopped")
        skipped = delay.skips(time_s, key_frame)
        self.counts.received += skipped
        self.counts.dropped += skipped
        return skipped

    def _offer(self, index: int, time_s: float, raw: "av.video.frame.VideoFrame", reader: FrameReader) -> None:
        """Replace the waiting frame."""
        now = time.perf_counter()  # `monotonic` may advance by 16 ms on Windows: two frames would have one time
        if self._began is None:
            self._began = now
        with self._ready:
            self.counts.received += 1
            wanted = index % self._every == 0
            while wanted and not self.live and self._waiting is not None and not self._stop.is_set():
                self._ready.wait()
            if not wanted or self._stop.is_set():
                self.counts.passed += not wanted
                self.counts.dropped += wanted
                return
            if self._waiting is not None:
                self.counts.dropped += 1
            self._waiting = _Waiting(index, now - self._began if self.live else time_s, now, raw, reader)
            self._ready.notify_all()


def stream_frames(source: Any, *, every: int = 1, tell: Tell | None = None) -> Generator[Frame, None, None]:
    """Yield the newest frame of one camera or stream, repeatedly; `video.frames` says more."""
    ready = threading.Condition()
    stream = LiveStream(source, every=every, ready=ready)
    stream.start()
    try:
        while True:
            with ready:
                ready.wait_for(lambda: stream.has_frame() or stream.ended)
            if (taken := stream.take()) is not None:
                yield taken[0]
            elif stream.ended:
                break
        if stream.error is not None:
            raise stream.error
        for words in stream.faults():
            if tell:
                tell(words)
    finally:
        stream.close()

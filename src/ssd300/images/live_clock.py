"""When to show the frames of a live stream: skip packets where decoding is late, wait where they come ahead."""

import math
import time

LONGEST_DELAY = 1.0  # seconds that decoding may fall behind a stream
LONGEST_STEP = 10.0  # seconds between two frames of a playlist; beyond that its times have jumped
_MOST_SKIPPED = 300  # packets in search of a key frame: some streams have one only at their start


class Delay:
    """Decides which packets of a stream to skip, so that decoding stays within LONGEST_DELAY of the stream.

    The delay is the clock minus the time of the packet, relative to its least value so far. If it is too long, packets
    are skipped up to a key frame with half of it. Skipping a backlog is many times faster than real time. Packets that
    arrive no faster were never late: clocks differ, or times jump. Then the least value is measured anew, and twice the
    delay is allowed, because repeated skipping would leave little of such a stream.
    """

    def __init__(self) -> None:
        self._longest = LONGEST_DELAY
        self._least = math.inf  # of the clock minus the time of a packet
        self._skipped = 0  # packets since `_began`
        self._began = (0.0, 0.0)  # the clock, and the time of the packet, when skipping began

    def skips(self, time_s: float | None, key_frame: bool) -> bool:
        """Call it with each packet before it is decoded."""
        now = time.monotonic()
        if time_s is None:
            return False
        self._least = min(self._least, now - time_s)
        behind = now - time_s - self._least
        if not self._skipped:
            self._began = now, time_s
        elapsed, passed = now - self._began[0], time_s - self._began[1]
        if behind > self._longest / 2 and elapsed > LONGEST_DELAY / 5 and passed < 1.5 * elapsed:
            self._least, self._longest, behind = now - time_s, 2 * self._longest, 0
        late = behind > (self._longest / 2 if self._skipped and key_frame else self._longest)
        waits = self._skipped and not key_frame and self._skipped < _MOST_SKIPPED  # for a key frame
        self._skipped = self._skipped + 1 if late or waits else 0
        return self._skipped > 0


class Pace:
    """The schedule of the frames of a playlist, whose pieces arrive at once and have several seconds of video."""

    def __init__(self) -> None:
        self._start: float | None = None

    def seconds_until(self, time_s: float) -> float:
        """Call it with each frame. The schedule begins anew with the first frame, a late one, and where times jump."""
        now = time.monotonic()
        wait = math.inf if self._start is None else self._start + time_s - now
        if not -1 <= wait <= LONGEST_STEP:
            self._start, wait = now - time_s, 0.0
        return max(0.0, wait)

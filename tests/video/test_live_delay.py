import time

import pytest

from ssd300.errors import ImageError
from ssd300.images import live, live_clock
from ssd300.images.live import LiveStream
from ssd300.images.video_reader import FrameReader
from video.clips import write_clip
from video.servers import RtspServer


@pytest.mark.slow
def test_a_stream_that_is_decoded_too_slowly_does_not_fall_behind(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SSD300_ALLOW_PRIVATE_URLS", "1")
    clip = write_clip(tmp_path / "clip.mp4", 50, options={"g": "10", "bf": "0"})
    decoded = FrameReader._decode

    def slowly(self: FrameReader):
        for found in decoded(self):
            if not isinstance(found, str):
                time.sleep(2 / 30)  # twice as long as the stream takes
            yield found

    monkeypatch.setattr(FrameReader, "_decode", slowly)
    monkeypatch.setattr(live_clock, "LONGEST_DELAY", 0.3)
    behind = []
    with RtspServer(clip, rate=30) as server:
        stream = LiveStream(f"rtsp://{server.address}/cam")
        stream.start()
        first, until = None, time.monotonic() + 4
        while time.monotonic() < until:
            if taken := stream.take():
                first = first or (taken[0].index, time.monotonic())
                behind.append(time.monotonic() - first[1] - (taken[0].index - first[0]) / 30)
            time.sleep(0.001)
        stream.close()
    counts = stream.counts
    assert max(behind) < 1  # 2 s at the end without passing over; a key frame comes every 0.33 s
    assert counts.received == counts.given + counts.dropped
    assert counts.dropped > 20
    assert not counts.damaged


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_ours_does_not_look_like_the_end_of_the_stream(tmp_path, monkeypatch) -> None:
    def fails(self: FrameReader):
        raise RuntimeError("not foreseen")
        yield

    monkeypatch.setattr(FrameReader, "raw_frames", fails)
    frames = live.stream_frames(write_clip(tmp_path / "clip.mp4", 3))
    with pytest.raises(ImageError, match=r"clip\.mp4: reading it failed: RuntimeError: not foreseen"):
        next(frames)


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


def watch(monkeypatch, times, *, every: float, work: float, gap: int) -> tuple[list[float], int]:
    """The delays of the decoded packets, and how many were skipped. Packet i comes at i * every and says times[i]."""
    clock = Clock()
    monkeypatch.setattr(live_clock, "time", clock)
    delay, delays, skipped, decodable = live_clock.Delay(), [], 0, True
    for number, time_s in enumerate(times):
        arrives = 100 + number * every
        clock.now = max(clock.now, arrives)
        if delay.skips(time_s, number % gap == 0):
            skipped, decodable = skipped + 1, False
            clock.now += 0.0001
        else:
            decodable = decodable or number % gap == 0
            assert decodable, "decoding goes on at a frame that builds on skipped ones"
            delays.append(clock.now - arrives)
            clock.now += work
    return delays, skipped


def frame_times(seconds: float, rate: float) -> list[float]:
    return [number / rate for number in range(int(seconds * rate))]


@pytest.mark.parametrize("gap", [1, 2, 5, 10, 60, 250])
@pytest.mark.parametrize("work", [0.035, 0.067, 0.3])
def test_no_stream_falls_behind(monkeypatch, gap: int, work: float) -> None:
    delays, skipped = watch(monkeypatch, frame_times(120, 30), every=1 / 30, work=work, gap=gap)
    assert max(delays) <= live_clock.LONGEST_DELAY
    assert skipped > 0
    assert len(delays) > 120 / work / 20  # and it does not skip everything


@pytest.mark.parametrize(
    ("times", "most"),
    [
        ([], 0),
        ([None] * 300, 0),
        (frame_times(60, 30), 0),
        ([time_s - (5 if time_s > 20 else 0) for time_s in frame_times(60, 30)], 70),  # a jump back: once
        ([time_s + (5 if time_s > 20 else 0) for time_s in frame_times(60, 30)], 0),
        ([time_s * 1.001 for time_s in frame_times(60, 30)], 0),  # another clock
    ],
)
def test_a_stream_that_is_decoded_in_time_skips_nothing(monkeypatch, times, most: int) -> None:
    delays, skipped = watch(monkeypatch, times, every=1 / 30, work=0.01, gap=60)
    assert skipped <= most
    assert len(delays) + skipped == len(times)
    assert max(delays, default=0) < 0.01


@pytest.mark.parametrize("gap", [1, 60])
def test_times_of_another_rate_are_no_delay(monkeypatch, gap: int) -> None:
    """10 frames a second whose times say 25: nothing waits, so nearly all are decoded."""
    _, skipped = watch(monkeypatch, [number / 25 for number in range(3000)], every=0.1, work=0.01, gap=gap)
    assert skipped < 3000 / 8


@pytest.mark.parametrize(
    ("times", "waits"),
    [
        ([], []),
        ([7, 7.25, 7.5], [0, 0.25, 0.25]),
        ([7, 3607, 3607.25], [0, 0, 0.25]),  # a jump forward does not stop the stream
        ([3607, 7, 7.25], [0, 0, 0.25]),
        ([0, 9.5, 20], [0, 9.5, 0]),
    ],
)
def test_the_pace_of_a_playlist(monkeypatch, times, waits) -> None:
    clock = Clock()
    monkeypatch.setattr(live_clock, "time", clock)
    pace, found = live_clock.Pace(), []
    for time_s in times:
        found.append(pace.seconds_until(time_s))
        clock.now += found[-1]
    assert found == waits

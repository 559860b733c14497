import time
from itertools import pairwise

from ssd300.images import live
from ssd300.images.live import LiveStream
from ssd300.images.video_reader import FrameReader
from video.clips import write_clip
from video.servers import RtspServer


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
    monkeypatch.setattr(live, "LONGEST_DELAY", 0.3)
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


def test_times_that_do_not_fit_the_clock_are_no_delay(monkeypatch) -> None:
    """A camera of 10 frames a second whose times say 25, or whose times jump: nothing waits."""
    clock = iter(range(10_000))
    monkeypatch.setattr(live.time, "monotonic", lambda: next(clock) / 10)
    delay = live._Delay()
    long = [delay.is_long(number / 25 - (5 if number > 50 else 0), key_frame=True) for number in range(1000)]
    assert 0 < sum(long) < 1000 / 10
    assert not any(one and other for one, other in pairwise(long))

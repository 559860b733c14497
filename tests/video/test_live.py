import socket
import threading
import time
from collections.abc import Callable
from itertools import pairwise

import av
import pytest

from ssd300.errors import DownloadError, ImageError
from ssd300.images import live
from ssd300.images.live import LiveStream
from ssd300.images.video import frames
from ssd300.images.video_open import is_video, open_video, shown_name
from video.clips import number_of, write_clip
from video.servers import RtspServer, http_folder, http_live


@pytest.fixture(autouse=True)
def private_addresses(monkeypatch) -> None:
    monkeypatch.setenv("SSD300_ALLOW_PRIVATE_URLS", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """clip.mp4, clip.ts and an HLS playlist of the same 50 frames."""
    folder = tmp_path_factory.mktemp("streams")
    options = {"g": "10", "bf": "0"}
    write_clip(folder / "clip.mp4", 50, options=options)
    write_clip(folder / "clip.ts", 50, options=options)
    with av.open(str(folder / "clip.mp4")) as source, av.open(
        str(folder / "live.m3u8"), "w", format="hls", options={"hls_time": "0.4", "hls_list_size": "0"}
    ) as output:  # fmt: skip
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    return folder


def watch(stream: LiveStream, enough: Callable[[list[tuple[int, int]]], bool], seconds: float = 20) -> list:
    """(index, number) of every frame taken until it is enough, the stream ends or the time is up; closes it."""
    stream.start()
    taken: list[tuple[int, int]] = []
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until and not enough(taken) and not (stream.ended and not stream.has_frame()):
            if frame := stream.take():
                taken.append((frame[0].index, number_of(frame[0].rgb)))
            time.sleep(0.002)
    finally:
        stream.close()
    return taken


def threads_of(stream: LiveStream) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"ssd300 {stream.name}"]


def check_counts(stream: LiveStream) -> None:
    counts = stream.counts
    assert counts.received == counts.given + counts.dropped


def test_closed_before_the_first_frame() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stream = LiveStream(f"http://127.0.0.1:{silent.getsockname()[1]}/live")
        stream.start()
        time.sleep(0.3)
        began = time.monotonic()
        stream.close()
        assert time.monotonic() - began < 2
        assert stream.counts.given == 0


def test_mpeg_ts_over_http(folder) -> None:
    data = (folder / "clip.ts").read_bytes()
    with http_live(data, rate=len(data) / 2) as (address, _):
        stream = LiveStream(f"{address}/live")
        taken = watch(stream, lambda taken: len(taken) >= 15)
    assert len(taken) >= 15
    indices = [index for index, _ in taken]
    assert indices == sorted(set(indices))
    assert all(number == index % 50 for index, number in taken)
    check_counts(stream)
    assert threads_of(stream) == []


def test_rtsp(folder) -> None:
    with RtspServer(folder / "clip.mp4") as server:
        stream = LiveStream(f"rtsp://user:hunter2@{server.address}/cam")
        taken = watch(stream, lambda taken: len(taken) >= 15)
        requests = "".join(server.requests)
    assert len(taken) >= 15
    assert "hunter2" not in stream.name
    assert "PLAY" in requests
    steps = [(b[0] - a[0], (b[1] - a[1]) % 50) for a, b in pairwise(taken)]
    assert all(index_step == number_step >= 1 for index_step, number_step in steps)
    check_counts(stream)
    assert threads_of(stream) == []


def test_hls(folder) -> None:
    with http_folder(folder) as address:
        found = [number_of(frame.rgb) for frame in frames(f"{address}/live.m3u8")]
    assert found == list(range(50))


def test_a_live_playlist_is_paced_and_goes_on(folder, tmp_path) -> None:
    """A playlist without an end: pieces come all at once, frames at their times."""
    for piece in folder.glob("*.ts"):
        (tmp_path / piece.name).write_bytes(piece.read_bytes())
    text = (folder / "live.m3u8").read_text().replace("#EXT-X-ENDLIST", "")
    (tmp_path / "live.m3u8").write_text(text)
    with http_folder(tmp_path) as address:
        stream = LiveStream(f"{address}/live.m3u8")
        taken = watch(stream, lambda taken: len(taken) >= 12, 15)
    assert len(taken) >= 12
    assert stream.live
    check_counts(stream)


def test_a_file_over_http_gives_every_frame(folder) -> None:
    with http_folder(folder) as address:
        found = [(frame.index, number_of(frame.rgb), frame.time_s) for frame in frames(f"{address}/clip.mp4")]
    assert [(index, number) for index, number, _ in found] == [(i, i) for i in range(50)]
    assert found[-1][2] == pytest.approx(49 / 25, abs=0.002)


def test_a_slow_reader_gets_the_newest_frame_and_drops_are_counted(folder) -> None:
    with RtspServer(folder / "clip.mp4", rate=50) as server:
        stream = LiveStream(f"rtsp://{server.address}/cam")
        stream.start()
        ages = []
        while len(ages) < 8:
            if frame := stream.take():
                time.sleep(0.2)  # the work
                ages.append(time.monotonic() - frame[1])
            time.sleep(0.001)
        stream.close()
    assert max(ages) < 0.2 + 2 / 50 + 0.1
    assert stream.counts.dropped >= 7 * 5
    check_counts(stream)


def test_every_counts_the_frames_between_as_dropped(folder) -> None:
    with RtspServer(folder / "clip.mp4") as server:
        stream = LiveStream(f"rtsp://{server.address}/cam", every=5)
        taken = watch(stream, lambda taken: len(taken) >= 4)
    assert [index % 5 for index, _ in taken] == [0] * len(taken)
    check_counts(stream)


def test_ten_cuts(folder, monkeypatch) -> None:
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.05)
    data = (folder / "clip.ts").read_bytes()
    with http_live(data) as (address, connections):
        stream = LiveStream(f"{address}/live")
        taken = watch(stream, lambda taken: len(connections) > 11)
    assert len(connections) > 10
    assert stream.counts.reconnects >= 10
    indices = [index for index, _ in taken]
    assert indices == sorted(set(indices))
    check_counts(stream)
    assert threads_of(stream) == []


@pytest.mark.slow
def test_ten_cuts_of_rtsp(folder) -> None:
    with RtspServer(folder / "clip.mp4", cut_after=75) as server:
        stream = LiveStream(f"rtsp://{server.address}/cam")
        taken = watch(stream, lambda taken: server.connections > 11, 120)
        assert server.connections > 10
    indices = [index for index, _ in taken]
    assert indices == sorted(set(indices))
    assert len(indices) > 100
    check_counts(stream)
    assert threads_of(stream) == []


def test_a_password_over_http(folder) -> None:
    data = (folder / "clip.ts").read_bytes()
    with http_live(data, password="Basic bWU6aHVudGVyMg==") as (address, _):
        with_password = address.replace("//", "//me:hunter2@")
        opened = open_video(f"{with_password}/live")
        opened.close()
        with pytest.raises(DownloadError, match="401") as error:
            open_video(f"{address.replace('//', '//me:secret1@')}/live")
    assert "secret1" not in str(error.value)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("clip.mp4", "clip.mp4"),
        (0, "camera 0"),
        ("rtsp://a:b@host/x", "rtsp://host/x"),
        ("rtsp://a:b@c@host:554/x", "rtsp://host:554/x"),
        ("rtsp://host/x?user=admin&password=b&channel=1", "rtsp://host/x?user=admin&password=***&channel=1"),
        ("http://a:b@[::1/x", "http://..."),
    ],
)
def test_names_hold_no_password(source, name) -> None:
    assert shown_name(source) == name


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://u:hunter2@127.0.0.1:9/x",
        "http://u:hunter2@127.0.0.1:9/x?token=hunter2",
        "rtmp://u:hunter2@127.0.0.1:9/x",
    ],
)
def test_refused_connections_are_named_without_the_password(source, monkeypatch) -> None:
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.01)
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:9/x") as error:
        list(frames(source))
    chain, now = "", error.value
    while now is not None:
        chain, now = chain + str(now), now.__cause__
    assert "hunter2" not in chain


def test_private_addresses_are_refused_unless_allowed(monkeypatch) -> None:
    monkeypatch.delenv("SSD300_ALLOW_PRIVATE_URLS")
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.01)
    for source in ("rtsp://127.0.0.1:9/x", "http://127.0.0.1:9/x.m3u8"):
        with pytest.raises(DownloadError, match="private network"):
            list(frames(source))


def test_offline_opens_nothing(monkeypatch) -> None:
    monkeypatch.setenv("SSD300_OFFLINE", "1")
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.01)
    for source in ("rtsp://127.0.0.1:9/x", "http://127.0.0.1:9/x.ts"):
        with pytest.raises(DownloadError, match="SSD300_OFFLINE"):
            list(frames(source))


def test_garbage_is_named(monkeypatch) -> None:
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.01)
    with http_live(b"no video " * 5000) as (address, _), pytest.raises(DownloadError, match="not with video"):
        list(frames(f"{address}/live.ts"))


def test_a_playlist_may_not_name_files_of_this_machine(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.01)
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{folder}/live0.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "bad.m3u8").write_text(text)
    with http_folder(tmp_path) as address, pytest.raises((DownloadError, ImageError)):
        list(frames(f"{address}/bad.m3u8"))


@pytest.mark.parametrize("kind", ["deaf", "mute"])
def test_a_stream_that_never_answers_is_refused(folder, monkeypatch, kind) -> None:
    monkeypatch.setattr("ssd300.images.video_open.SILENT_SECONDS", 0.5)
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.01)
    with RtspServer(folder / "clip.mp4", **{kind: True}) as server:
        began = time.monotonic()
        with pytest.raises((DownloadError, ImageError), match=f"rtsp://{server.address}/x"):
            list(frames(f"rtsp://{server.address}/x"))
        assert time.monotonic() - began < 15


def test_closing_while_a_stream_does_not_answer_takes_no_time(folder) -> None:
    with RtspServer(folder / "clip.mp4", deaf=True) as server:
        stream = LiveStream(f"rtsp://{server.address}/x")
        stream.start()
        time.sleep(0.3)
        began = time.monotonic()
        stream.close()
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("source", [97, "98", "/dev/video99"])
def test_a_missing_camera_is_named(source) -> None:
    with pytest.raises(ImageError, match="no such camera"):
        list(frames(source))


def test_a_camera_that_is_taken_is_named(monkeypatch) -> None:
    def busy(*_: object, **__: object) -> None:
        raise av.error.OSError(16, "Device or resource busy", "/dev/null")

    monkeypatch.setattr("av.open", busy)
    monkeypatch.setattr("os.path.exists", lambda path: True)
    monkeypatch.setattr("ssd300.images.video_open.stat.S_ISCHR", lambda mode: True)
    monkeypatch.setattr("ssd300.images.video_open.os.stat", lambda path: type("Status", (), {"st_mode": 0}))
    with pytest.raises(ImageError, match="camera 0: the camera is taken by another program"):
        open_video(0)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", False), ("a.jpg", False), ("a.gif", False), ("a.MP4", True), ("0", True), (0, True), ("rtsp://a/b", True),
        ("http://a/b.jpg", False), ("http://a/b.m3u8?x=1", True), ("http://a/b", False),
        ("-", False), ("/dev/video3", True),
    ],
)  # fmt: skip
def test_what_is_taken_for_a_video(source, expected) -> None:
    assert is_video(source) is expected

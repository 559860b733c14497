"""Live streams: every protocol, slow readers, and cuts."""

import io
import socket
import time
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
from PIL import Image

from ssd300.cli.video_sources import select_videos
from ssd300.errors import ArgumentError, DownloadError, ImageError
from ssd300.images import live, open_source
from ssd300.images.live import LiveStream
from ssd300.images.video import frames
from ssd300.images.video_open import Opened, open_video
from video.clips import number_of, picture
from video.servers import RtspServer, http_folder, http_live
from video.watching import check_counts, threads_of, watch


@pytest.fixture(autouse=True)
def private_addresses(monkeypatch) -> None:
    monkeypatch.setenv("SSD300_ALLOW_PRIVATE_URLS", "1")


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


@pytest.mark.parametrize(
    ("name", "kind", "video"),
    [
        ("stream", "multipart/x-mixed-replace; boundary=frame", True),
        ("?action=stream", "Multipart/X-Mixed-Replace;boundary=frame", True),
        ("live", "video/mp2t", True),
        ("live", "application/vnd.apple.mpegurl", True),
        ("photo", "image/jpeg", False),
        ("photo", "application/octet-stream", False),
        ("photo.jpg", "video/mp2t", False),  # its name tells, and no request is made
        ("clip.mp4", "text/html", True),
    ],
)
def test_addresses_are_videos_by_their_names_or_the_type_that_the_server_names(name, kind, video) -> None:
    with http_live(b"x" * 100, content_type=kind) as (address, connections):
        source = f"{address}/{name}"
        assert select_videos([source, source]) == ([source, source] if video else [])
    assert len(connections) == ("." not in name)


def test_an_address_of_a_video_goes_with_other_videos_and_not_with_pictures() -> None:
    with http_live(b"x" * 100, content_type="video/mp2t") as (address, _):
        camera = f"{address}/stream"
        assert select_videos([camera, "clip.mp4"]) == [camera, "clip.mp4"]
        assert select_videos(["clip.mp4", camera]) == ["clip.mp4", camera]
        with pytest.raises(ArgumentError, match=r"/stream and a\.jpg; give them to two calls"):
            select_videos([camera, "a.jpg"])


def test_an_address_that_does_not_answer_counts_as_a_picture() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert select_videos([f"http://127.0.0.1:{port}/stream"]) == []


def test_a_camera_s_jpegs_are_frames_and_not_a_picture(folder) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (32, 24), "red").save(stream, "JPEG")
    part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(stream.getvalue())
    data = (part + stream.getvalue() + b"\r\n") * 40
    with http_live(data, rate=len(data) / 2, content_type="multipart/x-mixed-replace; boundary=frame") as (address, _):
        taken = next(iter(frames(f"{address}/stream")))
        assert taken.rgb.shape == (24, 32, 3)
        with pytest.raises(DownloadError, match=r"a video \(multipart/x-mixed-replace\), not a picture"):
            open_source(f"{address}/stream")


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


@pytest.mark.parametrize("ranges", [True, False])
def test_a_playlist_may_have_its_pieces_in_one_file(folder, tmp_path, monkeypatch, ranges) -> None:
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.01)
    lines, start, data = [], 0, b""
    for line in (folder / "live.m3u8").read_text().splitlines():
        if line.endswith(".ts"):
            piece = (folder / line).read_bytes()
            lines.append(f"#EXT-X-BYTERANGE:{len(piece)}@{start}")
            start, data, line = start + len(piece), data + piece, "all.ts"
        lines.append(line)
    (tmp_path / "live.m3u8").write_text("\n".join(lines))
    (tmp_path / "all.ts").write_bytes(data)
    with http_folder(tmp_path, ranges=ranges) as address:
        found = frames(f"{address}/live.m3u8")
        if ranges:
            assert [number_of(frame.rgb) for frame in found] == list(range(50))
        else:  # each piece would begin anew with the first
            with pytest.raises(DownloadError, match="sends no parts of files"):
                list(found)


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


def test_a_slow_reader_gets_the_newest_frame_and_drops_are_counted(folder, monkeypatch) -> None:
    offered, offer = [-1], LiveStream._offer
    monkeypatch.setattr(LiveStream, "_offer", lambda *frame: offer(*frame) or offered.append(frame[1]))
    with RtspServer(folder / "clip.mp4", rate=50) as server:
        stream = LiveStream(f"rtsp://{server.address}/cam")
        stream.start()
        behind = []
        while len(behind) < 8:
            newest = offered[-1]
            if taken := stream.take():
                behind.append(newest - taken[0].index)
                time.sleep(0.2)  # the work
            time.sleep(0.001)
        stream.close()
    assert max(behind) <= 0
    assert stream.counts.dropped >= 7 * 5
    check_counts(stream)


def test_the_frames_between_those_that_are_asked_for_are_not_dropped(folder) -> None:
    with RtspServer(folder / "clip.mp4") as server:
        stream = LiveStream(f"rtsp://{server.address}/cam", every=5)
        taken = watch(stream, lambda taken: len(taken) >= 4)
    assert [index % 5 for index, _ in taken] == [0] * len(taken)
    assert stream.counts.passed >= 4 * (len(taken) - 1)
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


def test_a_camera_that_is_gone_for_a_while_is_opened_again(folder, monkeypatch) -> None:
    tries: list[object] = []

    def open_camera(source: object) -> Opened:
        tries.append(source)
        if len(tries) == 2:
            raise ImageError("no such camera")
        return replace(open_video(folder / "clip.ts"), live=True)

    monkeypatch.setattr(live, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(live, "open_video", open_camera)
    stream = LiveStream(0)
    watch(stream, lambda taken: len(tries) > 3)
    assert (len(tries) > 3, stream.error) == (True, None)
    assert stream.counts.reconnects >= 3
    check_counts(stream)


@pytest.mark.parametrize("every", [1, 2])
def test_a_frame_that_comes_while_the_stream_is_closed_is_dropped(every) -> None:
    stream = LiveStream("rtsp://127.0.0.1:9/x", every=every)
    stream.close()
    for index in range(2):
        stream._offer(index, 0.0, None, None)
    assert not stream.has_frame()
    assert (stream.counts.received, stream.counts.dropped, stream.counts.passed) == (2, 2 // every, 2 - 2 // every)


def test_times_grow_also_where_the_clock_of_the_system_is_coarse(monkeypatch) -> None:
    """`time.monotonic` of Windows advances by 16 ms before Python 3.13; frames that waited in a server come at once."""
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    stream = LiveStream("rtsp://127.0.0.1:9/x")
    found = []
    for index in range(3):
        stream._offer(index, 0.0, None, SimpleNamespace(rgb=lambda raw, index: picture(index)))
        found.append(stream.take()[0].time_s)
    assert all(earlier < later for earlier, later in pairwise(found))


def test_a_stream_may_be_closed_by_its_own_thread() -> None:
    """The garbage collector closes that of a dropped consumer in whichever thread it runs."""
    stream = LiveStream("rtsp://127.0.0.1:9/x")
    faults: list[BaseException] = []

    def read() -> None:
        try:
            stream.close()
        except RuntimeError as error:
            faults.append(error)

    stream._read_until_stopped = read  # type: ignore[method-assign]
    stream.start()
    stream._thread.join(20)
    assert (stream.ended, faults) == (True, [])


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

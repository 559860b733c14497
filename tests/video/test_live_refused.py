"""Streams that are refused, silent or secret, and cameras."""

import sys
import time
import traceback
from types import SimpleNamespace

import av
import pytest

from ssd300.errors import DownloadError, ImageError
from ssd300.images import http_stream, live
from ssd300.images.live import LiveStream
from ssd300.images.video import frames
from ssd300.images.video_names import is_video, shown_name
from ssd300.images.video_open import open_video
from video.clips import write_clip
from video.servers import RtspServer, http_folder, http_live


@pytest.fixture(autouse=True)
def private_addresses(monkeypatch) -> None:
    monkeypatch.setenv("SSD300_ALLOW_PRIVATE_URLS", "1")


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
    ("challenge", "remedy"),
    [
        ('Basic realm="camera"', "check the user name and the password"),
        ('Digest realm="camera", nonce="1"', "rtsp:// address"),
        (None, "check the user name and the password"),
    ],
)
def test_a_refused_password_says_what_to_do(challenge, remedy) -> None:
    with (
        http_live(b"", password="x", challenge=challenge) as (address, _),
        pytest.raises(DownloadError, match=f"401 .*{remedy}"),
    ):
        open_video(f"{address.replace('//', '//me:secret1@')}/live")


@pytest.mark.parametrize(
    ("moved_to", "part", "sent"),
    [
        ("", "https://a.example/1.ts", True),
        ("", "https://b.example/1.ts", False),
        ("", "http://a.example/1.ts", False),
        ("https://b.example/live.m3u8", "https://b.example/1.ts", False),
    ],
)
def test_a_password_goes_only_to_the_address_it_was_given_with(monkeypatch, moved_to, part, sent) -> None:
    asked: list[dict[str, str]] = []

    def open_stream(url: str, headers: dict[str, str]):
        asked.append(headers)
        return None, SimpleNamespace(getheader=lambda *_: "", length=None), moved_to or url

    monkeypatch.setattr(http_stream, "open_stream", open_stream)
    http_stream.HttpFile("https://a.example/live.m3u8", {"Authorization": "x"}).part(part)
    assert ["Authorization" in headers for headers in asked] == [True, sent]


def test_a_server_that_sends_the_whole_file_again_is_named(monkeypatch) -> None:
    answer = SimpleNamespace(getheader=lambda name, _="": "bytes", length=9, status=200, close=lambda: None)
    line = SimpleNamespace(close=lambda: None)
    monkeypatch.setattr(http_stream, "open_stream", lambda url, headers: (line, answer, url))
    with pytest.raises(DownloadError, match="sends no parts of files"):
        http_stream.HttpFile("https://a.example/clip.mp4", {}).seek(5)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("clip.mp4", "clip.mp4"),
        (0, "camera 0"),
        ("rtsp://a:b@host/x", "rtsp://host/x"),
        ("rtsp://a:b@c@host:554/x", "rtsp://host:554/x"),
        ("rtsp://host/x?user=admin&password=b&channel=1", "rtsp://host/x?user=admin&password=***&channel=1"),
        ("http://a:b@[::1/x", "http://..."),
        ("rtsp://host/user=a_password=b_c_channel=1.sdp", "rtsp://host/user=a_password=***_channel=1.sdp"),
        ("rtsp://host/user=a&Passwd=b/1?real=user_pwd=b", "rtsp://host/user=a&Passwd=***/1?real=user_pwd%3D***"),
        ("rtsp://host/keynote/1", "rtsp://host/keynote/1"),
        ("rtsp://a:b/c@host/x", "rtsp://host/x"),
        ("rtsp://a@d.example:b#c@host/x", "rtsp://host/x"),
        ("rtsp://a:b?c@host:554/x", "rtsp://host:554/x"),
        ("srt://a:b@host/x", "srt://host/x"),
        ("rtsp://host:554/a@2/x", "rtsp://host:554/a@2/x"),
        ("http://host/videostream.cgi?loginuse=a&loginpas=b", "http://host/videostream.cgi?loginuse=a&loginpas=***"),
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


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
@pytest.mark.parametrize("password", ["hunter/2", "hunter?2", "hunter#2"])
def test_a_password_that_cuts_an_address_is_not_named_but_how_to_write_it(monkeypatch, scheme, password) -> None:
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.01)
    with pytest.raises(DownloadError, match=r"^[a-z]+://127\.0\.0\.1:9/x\.ts: .* write / \? # as %2F %3F %23") as error:
        list(frames(f"{scheme}://u:{password}@127.0.0.1:9/x.ts"))
    assert "hunter" not in "".join(traceback.format_exception(error.value)).split("DownloadError: ", 1)[1]


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


@pytest.mark.parametrize("share", [1, 0.6])
def test_a_file_that_breaks_off_is_no_whole_one(folder, share) -> None:
    data, found = (folder / "clip.ts").read_bytes(), []
    with http_live(data, length=True, cut_after=int(share * len(data))) as (address, connections):
        try:
            found += frames(f"{address}/clip.ts")
            error = ""
        except DownloadError as broken:
            error = str(broken)
    indices = [frame.index for frame in found]
    assert len(connections) == 1  # not from its start again
    assert (share == 1) == (error == "")
    assert error == "" or f"of {len(data):,} bytes" in error
    assert indices == sorted(set(indices))


def test_a_file_that_was_cut_off_before_it_was_sent_says_so(tmp_path) -> None:
    path = write_clip(tmp_path / "clip.mkv", 100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    lines: list[str] = []
    with http_live(path.read_bytes(), length=True) as (address, _):
        assert 10 < len(list(frames(f"{address}/clip.mkv", tell=lines.append))) < 90
    [line] = lines
    assert "clip.mkv: it should last 4 s, and its last frame is at" in line


def test_a_file_with_its_index_at_its_end_needs_a_server_that_sends_parts(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.01)
    path = write_clip(tmp_path / "clip.mov", 100, codec="mjpeg", size=(640, 480))
    assert path.stat().st_size > 2**18
    with http_live(path.read_bytes(), length=True) as (address, _), pytest.raises(ImageError, match="download it"):
        list(frames(f"{address}/clip.mov"))


def test_a_playlist_may_not_name_files_of_this_machine(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.01)
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{folder}/live0.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "bad.m3u8").write_text(text)
    with http_folder(tmp_path) as address, pytest.raises((DownloadError, ImageError)):
        list(frames(f"{address}/bad.m3u8"))


def test_pieces_of_a_playlist_that_are_missing_are_one_failure(tmp_path, monkeypatch, capfd) -> None:
    """PyAV prints the exceptions between the first and the end of FFmpeg's tries."""
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.01)
    pieces = "".join(f"#EXTINF:5,\nmissing{number}.ts\n" for number in range(5))
    (tmp_path / "bad.m3u8").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n{pieces}#EXT-X-ENDLIST\n")
    with http_folder(tmp_path) as address, pytest.raises(DownloadError, match="answers 404"):
        list(frames(f"{address}/bad.m3u8"))
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile clip.ts\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 33\n" + "a=x\n" * 999,
    ],
)
def test_no_answer_makes_ffmpeg_connect_by_itself(text) -> None:
    began = time.monotonic()
    with http_live(text.encode()) as (address, connections):
        with pytest.raises(DownloadError, match=r"/live: (answers, but not with video|cannot be opened)"):
            open_video(f"{address}/live")
        assert len(connections) == 1
    assert time.monotonic() - began < 5


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


@pytest.mark.skipif(sys.platform != "linux", reason="cameras have other names")
@pytest.mark.parametrize("source", [97, "98", "/dev/video99"])
def test_a_missing_camera_is_named(source) -> None:
    with pytest.raises(ImageError, match="no such camera"):
        list(frames(source))


@pytest.mark.posix
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
        ("-", False), ("/dev/video3", True), ("a.vob", True), ("a.mxf", True), ("a.h264", True), ("a.y4m", True),
    ],
)  # fmt: skip
def test_what_is_taken_for_a_video(source, expected) -> None:
    assert is_video(source) is expected

"""Servers that answer oddly or never end, links in the cache, and caches that cannot be written."""

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ssd300.errors import DownloadError, OutputError
from ssd300.weights import cache
from ssd300.weights import download as module
from ssd300.weights.cache import choose_writable
from ssd300.weights.download import download
from weights.downloading import digest_of, files_in


@pytest.mark.parametrize("length", ["-1", "abc", "\xb2", "\u0663", "9" * 5000, "", "1e9", "0x10"])
def test_odd_lengths_end_in_the_file_or_an_error(length, tmp_path, server) -> None:
    server.claims_length = False
    server.headers["Content-Length"] = length.encode("utf-8").decode("latin-1")
    with suppress(DownloadError):
        download(server.url, tmp_path / "m.pt")
        assert (tmp_path / "m.pt").read_bytes() == server.content


@pytest.mark.parametrize(
    "extent",
    ["", "bytes", "bytes */3000000", "bytes 1000000-2999999/\xb2", "bytes 1000000-/" + "9" * 5000, "items 1-2/3"],
)
def test_odd_extents_of_a_part_are_errors(extent, tmp_path, server) -> None:
    server.cut_after = 1_000_000
    with pytest.raises(DownloadError):
        download(server.url, tmp_path / "m.pt")
    server.extent = extent
    with pytest.raises(DownloadError, match="the server sent another part than requested; run it again"):
        download(server.url, tmp_path / "m.pt")
    server.extent = None
    assert download(server.url, tmp_path / "m.pt") == digest_of(server.content)


@pytest.mark.parametrize(
    "location",
    ["http://[::1/", "http://[x]/", "http://" + "x" * 80 + ".example/", "http://a..b/", "http://h:port/", "\xe9://x"],
)
def test_redirects_to_what_is_no_address(location, tmp_path, server, monkeypatch) -> None:
    resolve = socket.getaddrinfo

    def checked(host, *args, **options):
        if host != "127.0.0.1":
            host.encode("idna")  # as the real one does first
            raise socket.gaierror("not known")
        return resolve(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", checked)
    server.status, server.headers = 302, {"Location": location}
    with pytest.raises(DownloadError):
        download(server.url, tmp_path / "m.pt")


@pytest.mark.parametrize("location", ["ftp://example.com/m.pt", "file:///etc/passwd", "data:text/plain,x"])
def test_redirects_to_other_schemes_are_not_followed(location, tmp_path, server) -> None:
    server.status, server.headers = 302, {"Location": location}
    with pytest.raises(DownloadError):
        download(server.url, tmp_path / "m.pt")


@pytest.mark.parametrize("tag", ["\xe9\xff", '"' + "x" * 1000 + '"', '"a\tb"'])
def test_a_tag_that_cannot_be_sent_is_not_remembered(tag, tmp_path, server) -> None:
    server.etag, server.cut_after = tag, 1_000_000
    with pytest.raises(DownloadError):
        download(server.url, tmp_path / "m.pt")
    assert download(server.url, tmp_path / "m.pt") == digest_of(server.content)
    assert server.requests == [None, None]


def test_a_remembered_tag_that_cannot_be_sent_is_not_used(tmp_path, server) -> None:
    (tmp_path / "m.pt.part").write_bytes(b"x" * 100)
    for tag in (b"a\r\nHost: other", b"\xff", b""):
        (tmp_path / "m.pt.part.tag").write_bytes(tag)
        assert download(server.url, tmp_path / "m.pt") == digest_of(server.content)
    assert set(server.requests) == {None}


def raw_server(answer):
    """A loopback server that calls answer(connection) for each connection; its address."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=answer, args=[connection], daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return listening, f"http://127.0.0.1:{listening.getsockname()[1]}/m.pt"


@pytest.mark.parametrize(
    ("scheme", "first", "again"),
    [("http", b"", b"HTTP/1.1 100 Continue\r\n\r\n"), ("https", b"\x16\x03\x03\x40\x00", b"\x02")],
    ids=["100 Continue", "handshake"],
)
def test_an_answer_without_end_ends(scheme, first, again, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.4)

    def go_on(connection) -> None:
        with suppress(OSError), connection:
            connection.sendall(first)
            while True:
                connection.sendall(again)
                time.sleep(0.01)

    listening, url = raw_server(go_on)
    with listening:
        started = time.monotonic()
        with pytest.raises(DownloadError, match=r"the network failed \(no answer in time\)"):
            download(url.replace("http", scheme, 1), tmp_path / "m.pt")
        assert time.monotonic() - started < 3


def test_a_body_that_drips_ends_and_is_continued(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "DOWNLOAD_SECONDS", 0.4)

    def drip(connection) -> None:
        with suppress(OSError), connection:
            connection.sendall(b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 9999\r\n\r\n')
            while True:
                connection.sendall(b"x")
                time.sleep(0.01)

    listening, url = raw_server(drip)
    with listening, pytest.raises(DownloadError, match=r"it took longer than 0 seconds\); run it again, it continues"):
        download(url, tmp_path / "m.pt")


def test_silent_addresses_share_one_deadline(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.2)

    tried = []

    def silent(self, address) -> None:
        tried.append(address)
        time.sleep(self.gettimeout())
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket.socket, "connect", silent)
    twelve = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{i}", 1)) for i in range(1, 13)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: twelve)
    with pytest.raises(DownloadError, match=r"no answer in time|timed out"):
        download("http://models.example/m.pt", tmp_path / "m.pt")
    assert 1 <= len(tried) <= 3  # each may take 0.2 seconds of the 0.5


@pytest.mark.parametrize("name", ["m.pt.part", "m.pt.part.tag"])
def test_a_part_that_is_a_link_is_not_followed(name, tmp_path, server) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / name).symlink_to(precious)
    assert download(server.url, folder / "m.pt") == digest_of(server.content)
    assert precious.read_text() == "mine"
    assert files_in(folder) == {"m.pt"}


# Caches that cannot be written ----------------------------------------------------------------------------------------


def test_a_folder_that_can_be_written_is_used(tmp_path) -> None:
    assert choose_writable(tmp_path / "new" / "m.pt") == tmp_path / "new" / "m.pt"
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("place", ["a file", pytest.param("/dev/null/ssd300", marks=pytest.mark.posix)])
def test_a_cache_that_cannot_be_written_does_not_stop_a_download(place, tmp_path, server) -> None:
    (tmp_path / "a file").write_text("in the way")
    with pytest.warns(
        UserWarning, match=r"cannot be written \(.*\), so m.pt is downloaded for this run only; set SSD300"
    ):
        path = choose_writable(tmp_path / place / "m.pt")
    assert download(server.url, path) == digest_of(server.content)
    assert path.read_bytes() == server.content


@pytest.mark.posix
def test_where_no_folder_can_be_written_it_says_what_to_set(monkeypatch) -> None:
    def refuse(**_) -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(cache, "_folder_of_this_run", cache._folder_of_this_run.__wrapped__)
    monkeypatch.setattr(cache.tempfile, "mkdtemp", refuse)
    with pytest.raises(
        OutputError, match=r"/dev/null: cannot be written \(.*\), nor any .*; set SSD300_CACHE to a folder"
    ):
        choose_writable(Path("/dev/null/m.pt"))


@pytest.mark.posix
@pytest.mark.parametrize("home", [None, "", "relative/home"])
def test_without_a_home_nothing_is_kept(home, tmp_path) -> None:
    code = (
        "import os, pwd\n"
        "def unknown(uid): raise KeyError(uid)\n"
        "pwd.getpwuid = unknown\n"
        "from ssd300.weights.catalog import cache_folder\n"
        "print(cache_folder())\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "SSD300_CACHE", "XDG_CACHE_HOME")}
    environment |= {} if home is None else {"HOME": home}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "/dev/null/ssd300"
    assert list(tmp_path.iterdir()) == []

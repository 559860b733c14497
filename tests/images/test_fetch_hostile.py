"""Servers that answer oddly, slowly or without end."""

import ssl
import threading
import time
from contextlib import suppress

import pytest

from ssd300.errors import DownloadError
from ssd300.images import fetch as fetch_module
from ssd300.images.fetch import fetch


@pytest.mark.parametrize(
    "location",
    [
        "http://[::1/",
        "http://[x]/",
        "//[",
        "http://a..b/",
        "http://\xe9" + "x" * 80 + "/",
        "http://h:port/",
        "gopher://h/",
    ],
)
def test_redirects_to_what_is_no_address(location, site):
    site.pages["/go"] = (302, location)
    with pytest.raises(DownloadError, match=r"/go.*(not an address|cannot be resolved|only http)"):
        fetch(f"{site.address}/go", allow_private=True)


def test_half_a_character_in_an_address():
    with pytest.raises(DownloadError, match="not an address"):
        fetch("http://127.0.0.1:1/\udc80", allow_private=True)


def test_an_endless_100_continue_ends_at_the_deadline(site, monkeypatch):
    monkeypatch.setattr(fetch_module, "TOTAL_SECONDS", 0.4)

    def go_on(handler):
        with suppress(OSError):
            while True:
                handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)
                time.sleep(0.01)

    site.pages["/endless"] = go_on
    started = time.monotonic()
    with pytest.raises(DownloadError, match=r"took longer than 0\.4 seconds"):
        fetch(f"{site.address}/endless", allow_private=True)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_addresses_that_stay_silent_share_one_deadline(scheme, monkeypatch):
    monkeypatch.setattr(fetch_module, "TOTAL_SECONDS", 0.5)
    monkeypatch.setattr(fetch_module, "SOCKET_SECONDS", 0.2)

    tried = []

    def silent(self, address):
        tried.append(address)
        time.sleep(self.gettimeout())
        raise TimeoutError("timed out")

    monkeypatch.setattr(fetch_module.socket.socket, "connect", silent)
    twelve = [(fetch_module.socket.AF_INET, 0, 0, "", (f"93.184.216.{i}", 1)) for i in range(12)]
    monkeypatch.setattr(fetch_module.socket, "getaddrinfo", lambda *_args, **_options: twelve)
    with pytest.raises(DownloadError, match=r"took longer than 0\.5 seconds"):
        fetch(f"{scheme}://pictures.example/a.jpg")
    assert 1 <= len(tried) <= 3  # each may take 0.2 seconds of the 0.5


def test_a_handshake_that_drips_ends_at_the_deadline(monkeypatch):
    monkeypatch.setattr(fetch_module, "TOTAL_SECONDS", 0.4)
    with fetch_module.socket.create_server(("127.0.0.1", 0)) as server:

        def drip():
            line, _ = server.accept()
            with suppress(OSError), line:
                line.sendall(b"\x16\x03\x03\x40\x00")
                while True:
                    line.sendall(b"\x02")
                    time.sleep(0.05)

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        started = time.monotonic()
        with pytest.raises(DownloadError, match=r"took longer than 0\.4 seconds"):
            fetch(f"https://127.0.0.1:{server.getsockname()[1]}/", allow_private=True)
        assert time.monotonic() - started < 3
        thread.join(3)


@pytest.mark.parametrize("length", ["-5", "abc", "1e3", "\xb2", "9" * 5000, "", "0x10"])
def test_odd_lengths_are_errors_or_none(length, site):
    site.pages["/odd"] = lambda handler: handler._send(200, b"found", {"Content-Length": length})
    outcome = b"found"
    with suppress(DownloadError):
        outcome = fetch(f"{site.address}/odd", allow_private=True)
    assert outcome == b"found"


def test_answers_that_are_not_200(site):
    with pytest.raises(DownloadError, match=r"/none: the server answers 404 Not Found; check the address"):
        fetch(f"{site.address}/none", allow_private=True)


def test_an_answer_announced_as_too_large_is_not_read(site, monkeypatch):
    monkeypatch.setattr(fetch_module, "MAX_BYTES", 1000)
    site.pages["/big"] = b"x" * 1001
    with pytest.raises(DownloadError, match=r"/big: 1,001 bytes, more than the 1,000 bytes that are fetched"):
        fetch(f"{site.address}/big", allow_private=True)


def test_an_endless_answer_ends_at_the_limit(site, monkeypatch):
    monkeypatch.setattr(fetch_module, "MAX_BYTES", 100_000)

    def endless(handler):
        handler._send(200, b"", {})
        try:
            while True:
                handler.wfile.write(b"x" * 10_000)
        except OSError:
            return

    site.pages["/endless"] = endless
    with pytest.raises(DownloadError, match="more than the 100,000 bytes that are fetched"):
        fetch(f"{site.address}/endless", allow_private=True)


def test_an_answer_cut_off(site):
    site.pages["/short"] = lambda handler: handler._send(200, b"x" * 10, {"Content-Length": "20"})
    with pytest.raises(DownloadError, match=r"ended after 10 of 20 bytes; try again|IncompleteRead"):
        fetch(f"{site.address}/short", allow_private=True)


@pytest.mark.parametrize("where", ["in the body", "in the headers"])
def test_a_dripping_server_is_cut_off_at_the_deadline(where, site, monkeypatch):
    monkeypatch.setattr(fetch_module, "TOTAL_SECONDS", 0.4)

    def drip(handler):
        if where == "in the body":
            handler._send(200, b"", {})
        try:
            for _ in range(200):
                handler.wfile.write(b"x")
                time.sleep(0.05)
        except OSError:
            return

    site.pages["/slow"] = drip
    started = time.monotonic()
    with pytest.raises(DownloadError, match=r"took longer than 0\.4 seconds; download it and pass its path"):
        fetch(f"{site.address}/slow", allow_private=True)
    assert time.monotonic() - started < 3


def test_a_silent_server_is_given_up(site, monkeypatch):
    monkeypatch.setattr(fetch_module, "SOCKET_SECONDS", 0.2)
    site.pages["/silent"] = lambda handler: time.sleep(1)
    with pytest.raises(DownloadError, match=r"cannot be fetched \(.*timed out\)"):
        fetch(f"{site.address}/silent", allow_private=True)


def test_a_server_that_speaks_no_http(site):
    site.pages["/odd"] = lambda handler: handler.wfile.write(b"\x00\x01\x02\r\n\r\n")
    with pytest.raises(DownloadError, match="cannot be fetched"):
        fetch(f"{site.address}/odd", allow_private=True)


def test_https_to_a_server_without_a_certificate(site):
    with pytest.raises(DownloadError, match=r"cannot be fetched \(.*SSL"):
        fetch(site.address.replace("http:", "https:") + "/a", allow_private=True)
    assert ssl.create_default_context().verify_mode is ssl.CERT_REQUIRED

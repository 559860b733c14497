"""Pictures from addresses: limits, redirects, private networks, offline. The only server is on loopback."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from ssd300.errors import DownloadError, ImageError
from ssd300.images import fetch as fetch_module
from ssd300.images import open_source
from ssd300.images.fetch import fetch, is_public


class Site(BaseHTTPRequestHandler):
    """Answers by path; `pages` maps a path to bytes, a status, or (status, Location)."""

    pages: dict[str, object]
    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(self.path)
        page = self.pages.get(self.path, 404)
        if isinstance(page, bytes):
            self._send(200, page, {"Content-Length": str(len(page))})
        elif isinstance(page, tuple):
            self._send(page[0], b"", {"Location": page[1]})
        elif callable(page):
            page(self)
        else:
            self._send(page, b"", {})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[type[Site]]:
    """A server on loopback; its `address`, `pages` and the paths `seen`."""
    handler = type("OneSite", (Site,), {"pages": {}, "seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield handler
    server.shutdown()
    server.server_close()


def test_a_picture_is_fetched(site, photo, encode):
    site.pages["/a%20b.png?size=1"] = encode(photo, "PNG")
    url = f"{site.address}/a b.png?size=1#part"
    assert np.array_equal(open_source(url, allow_private=True), photo)


def test_the_environment_can_allow_private_addresses(site, photo, encode, monkeypatch):
    site.pages["/a.png"] = encode(photo, "PNG")
    monkeypatch.setenv("SSD300_ALLOW_PRIVATE_URLS", "1")
    assert open_source(f"{site.address}/a.png").shape == (60, 90, 3)
    with pytest.raises(DownloadError, match="refused"):
        open_source(f"{site.address}/a.png", allow_private=False)


def test_what_is_no_picture_is_an_image_error_naming_the_address(site):
    site.pages["/page"] = b"<!DOCTYPE html><html></html>"
    with pytest.raises(ImageError, match=rf"{site.address}/page: an HTML page, not a picture; expected a JPEG, PNG"):
        open_source(f"{site.address}/page", allow_private=True)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(site, status):
    site.pages |= {"/old": (status, "/new"), "/new": b"found"}
    assert fetch(f"{site.address}/old", allow_private=True) == b"found"


def test_too_many_redirects(site):
    site.pages["/round"] = (302, "/round")
    with pytest.raises(DownloadError, match=r"/round: more than 5 redirects; pass the picture's own address"):
        fetch(f"{site.address}/round", allow_private=True)
    assert len(site.seen) == 6


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("file:///etc/passwd", "only http and https addresses"),
        ("ftp://example.com/a.png", "only http and https addresses"),
        ("http://user:secret@example.com/", "with a user name"),
    ],
)
def test_every_hop_is_checked(site, target, message):
    site.pages["/go"] = (302, target)
    with pytest.raises(DownloadError, match=message) as caught:
        fetch(f"{site.address}/go", allow_private=True)
    assert str(caught.value).startswith(f"{site.address}/go (redirected to {target}): ")


def test_a_redirect_into_a_private_network_is_refused(site, monkeypatch):
    site.pages["/go"] = (302, "http://10.0.0.1/secret")
    monkeypatch.setattr(fetch_module, "is_public", lambda address: address == "127.0.0.1")
    with pytest.raises(DownloadError, match=r"10\.0\.0\.1 is 10\.0\.0\.1, an address of this machine or a private"):
        fetch(f"{site.address}/go")
    assert site.seen == ["/go"]


def test_the_address_that_was_checked_is_the_one_connected_to(monkeypatch, site):
    """A name that resolves to another address the second time gains nothing: it is resolved once."""
    port = int(site.address.rsplit(":", 1)[1])
    answers = []

    def resolve(host, port, **options):
        answers.append(host)
        return [(fetch_module.socket.AF_INET, 0, 0, "", ("127.0.0.1", port))]

    monkeypatch.setattr(fetch_module.socket, "getaddrinfo", resolve)
    site.pages["/a"] = b"found"
    assert fetch(f"http://pictures.example:{port}/a", allow_private=True) == b"found"
    assert answers == ["pictures.example"]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "[::1]", "0.0.0.0",
     "100.64.0.1", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]", "[fc00::1]", "224.0.0.1"],
)  # fmt: skip
def test_private_addresses_are_refused_before_any_connection(host):
    with pytest.raises(DownloadError, match=r"which is refused; set SSD300_ALLOW_PRIVATE_URLS=1 or pass allow_private"):
        fetch(f"http://{host}:1/a.jpg")


@pytest.mark.parametrize(
    "address",
    ["::127.0.0.1", "::ffff:0:10.0.0.1", "::ffff:0:8.8.8.8", "fec0::1", "64:ff9b:1::808:808", "64:ff9b::a00:1",
     "100::1", "::", "::1", "4000::1", "8000::1", "ff02::1", "ff0e::1", "2001:db8::1",
     "2001:0:0:0:0:0:f5ff:fffe", "2002:a9fe:a9fe::", "2606:2800::5efe:10.0.0.1", "2606:2800::200:5efe:127.0.0.1",
     "fe80::1%eth0", "5f00::1", "0.0.0.1", "192.0.0.1", "198.18.0.1", "255.255.255.255", "240.0.0.1"],
)  # fmt: skip
def test_addresses_that_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "2606:2800::5efe:93.184.216.34",
        "2002:5db8:d822::",
        "93.184.216.34",
        "2606:2800:220:1::",
        "::ffff:93.184.216.34",
        "64:ff9b::5db8:d822",
    ],
)
def test_public_addresses(address):
    assert is_public(address)


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_offline_forbids_any_socket(value, site, monkeypatch):
    monkeypatch.setenv("SSD300_OFFLINE", value)
    with pytest.raises(
        DownloadError, match=r"not fetched, SSD300_OFFLINE is set; download the picture and pass its path"
    ):
        fetch(f"{site.address}/a.png", allow_private=True)
    assert site.seen == []


def test_offline_zero_is_online(site, monkeypatch):
    monkeypatch.setenv("SSD300_OFFLINE", "0")
    site.pages["/a"] = b"found"
    assert fetch(f"{site.address}/a", allow_private=True) == b"found"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://", "only http and https addresses with a host"),
        ("http:///a.jpg", "only http and https addresses with a host"),
        ("http://127.0.0.1:99999/", "not an address"),
        ("http://[::1/", "not an address"),
        ("http://" + "a" * 70 + ".com/", "not an address"),
        ("http://user@127.0.0.1/", "with a user name is not fetched; download the picture"),
        ("http://127.0.0.1:1/a.jpg", r"cannot be fetched \(.*refused.*\); check the address and the network"),
    ],
)
def test_bad_addresses(url, message):
    with pytest.raises(DownloadError, match=message):
        fetch(url, allow_private=True)


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

    def silent(self, address):
        time.sleep(self.gettimeout())
        raise TimeoutError("timed out")

    monkeypatch.setattr(fetch_module.socket.socket, "connect", silent)
    twelve = [(fetch_module.socket.AF_INET, 0, 0, "", (f"93.184.216.{i}", 1)) for i in range(12)]
    monkeypatch.setattr(fetch_module.socket, "getaddrinfo", lambda *_args, **_options: twelve)
    started = time.monotonic()
    with pytest.raises(DownloadError, match=r"took longer than 0\.5 seconds"):
        fetch(f"{scheme}://pictures.example/a.jpg")
    assert time.monotonic() - started < 1.5


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

"""Download a picture from an http(s) address, with limits on time, size and redirects, not from private networks.

Addresses often come from other people. So every hop is checked: its name is resolved once, every address found must be
public, and the connection goes to the checked address. Proxies are not used, because addresses behind one cannot be
checked.
"""

import http.client
import socket
import time
from urllib.parse import quote, urljoin, urlsplit

from ssd300 import limits
from ssd300.digits import is_set
from ssd300.errors import DownloadError
from ssd300.images.addresses import port_of, shown_address, without_user
from ssd300.images.connect import PlainConnection, Refused, TLSConnection, cut_at, resolve_checked

SOCKET_SECONDS = limits.FETCH_SILENCE
TOTAL_SECONDS = limits.FETCH_SECONDS
MAX_BYTES = limits.FETCHED_BYTES

_REDIRECTS = (301, 302, 303, 307, 308)

_SAFE = "/%:@!$&'()*+,;=~"  # in a path, beside letters and digits


def is_offline() -> bool:
    """Whether SSD300_OFFLINE (or the command line's --offline, which sets it) forbids any socket."""
    return is_set("SSD300_OFFLINE")


def fetch(url: str, *, allow_private: bool | None = None) -> bytes:
    """The body of an http(s) address.

    `allow_private` allows addresses of this machine and of private networks; None asks SSD300_ALLOW_PRIVATE_URLS.
    Raises DownloadError, which names the address without passwords: offline, refused, failed, too slow, too large, or
    not status 200.
    """
    name = shown_address(url)
    if is_offline():
        raise DownloadError(f"{name}: not fetched, SSD300_OFFLINE is set; download the picture and pass its path")
    private = is_set("SSD300_ALLOW_PRIVATE_URLS") if allow_private is None else allow_private
    deadline = time.monotonic() + TOTAL_SECONDS
    target = url
    for _ in range(limits.REDIRECTS + 1):
        try:
            redirect, body = _get(target, private, deadline)
            if redirect is None:
                return body
            target = _next(target, redirect)
        except Refused as error:
            hop = "" if target == url else f" (redirected to {shown_address(target)})"
            raise DownloadError(f"{name}{hop}: {error}") from error
    raise DownloadError(f"{name}: more than {limits.REDIRECTS} redirects; pass the picture's own address")


def open_stream(url: str, headers: dict[str, str]) -> tuple[socket.socket, http.client.HTTPResponse, str]:
    """A connection's socket, its response, which is not read yet, and its address after redirects.

    The rules are those of `fetch`, except for time and size, because a stream has no end. Raises DownloadError without
    the address, which may contain a password.
    """
    if is_offline():
        raise DownloadError("not opened, SSD300_OFFLINE is set")
    target, deadline = url, time.monotonic() + TOTAL_SECONDS
    try:
        for _ in range(limits.REDIRECTS + 1):
            connection, path = _connection(target, is_set("SSD300_ALLOW_PRIVATE_URLS"), deadline)
            try:
                with cut_at(connection, deadline):
                    connection.connect()
                    sock = connection.sock  # the connection drops it when the response has arrived
                    connection.request("GET", path, headers={"User-Agent": "ssd300", **headers})
                    response = connection.getresponse()
            except (OSError, http.client.HTTPException, ValueError) as error:
                connection.close()
                raise DownloadError(f"cannot be opened ({error or type(error).__name__}); check the address") from error
            if response.status in (200, 206):
                return sock, response, target
            response.close()
            connection.close()
            if response.status not in _REDIRECTS or not (location := response.getheader("Location")):
                remedy = _remedy(response)
                raise DownloadError(f"the server answers {response.status} {response.reason}; {remedy}")
            target, headers = _next(target, location), {k: v for k, v in headers.items() if k != "Authorization"}
    except Refused as error:
        raise DownloadError(str(error)) from error
    raise DownloadError(f"more than {limits.REDIRECTS} redirects; pass the stream's own address")


def _remedy(response: http.client.HTTPResponse) -> str:
    """What to do about an answer that is no stream."""
    if response.status != 401:
        return "check the address"
    if "basic" in (response.getheader("WWW-Authenticate") or "basic").lower():
        return "check the user name and the password, which are part of the address"
    return "over http only basic passwords are sent: take the camera's rtsp:// address, or allow them in its settings"


def resolve_host(host: str, port: int) -> str:
    """A numeric address of the host that is allowed. Raises DownloadError by the rules of `fetch`."""
    if is_offline():
        raise DownloadError("not opened, SSD300_OFFLINE is set")
    try:
        return str(resolve_checked(host, port, is_set("SSD300_ALLOW_PRIVATE_URLS"))[0][1][0])
    except Refused as error:
        raise DownloadError(str(error)) from error


def _get(url: str, allow_private: bool, deadline: float) -> tuple[str | None, bytes]:
    """One request: (target of the redirect, b"") or (None, the body)."""
    connection, path = _connection(url, allow_private, deadline)
    headers = {"User-Agent": "ssd300", "Accept": "image/*", "Connection": "close"}
    try:
        with cut_at(connection, deadline):
            connection.request("GET", path, headers=headers)
            with connection.getresponse() as response:
                return _read(response, deadline)
    except (OSError, http.client.HTTPException, ValueError) as error:
        if time.monotonic() >= deadline:
            raise _too_slow() from error
        text = str(error) or type(error).__name__
        raise Refused(f"cannot be fetched ({text}); check the address and the network") from error
    finally:
        connection.close()


def _read(response: http.client.HTTPResponse, deadline: float) -> tuple[str | None, bytes]:
    """(target of the redirect, b"") or (None, the body) of a response."""
    if response.status in _REDIRECTS and (location := response.getheader("Location")):
        return location, b""
    if response.status != 200:
        raise Refused(f"the server answers {response.status} {response.reason}; check the address")
    if is_video_type(kind := response.getheader("Content-Type") or ""):
        raise Refused(f"a video ({kind.partition(';')[0][:40]}), not a picture; open it with Detector.detect_video")
    return None, _body(response, deadline)


def is_video_type(content_type: str) -> bool:
    """Whether a Content-Type is that of a video: of a file, a playlist, or a camera's sequence of JPEGs.

    >>> is_video_type("multipart/x-mixed-replace;boundary=frame"), is_video_type("image/jpeg"), is_video_type("")
    (True, False, False)
    """
    kind = content_type.lower()
    return kind.startswith(("video/", "multipart/x-mixed-replace")) or "mpegurl" in kind


def _body(response: http.client.HTTPResponse, deadline: float) -> bytes:
    declared = response.length
    if declared is not None and declared > MAX_BYTES:
        raise _too_large(f"{declared:,} bytes, ")
    pieces, size = [], 0
    while piece := response.read1(2**16):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BYTES:
            raise _too_large("")
    if time.monotonic() >= deadline:
        raise _too_slow()
    if declared is not None and size < declared:
        raise Refused(f"the connection ended after {size:,} of {declared:,} bytes; try again")
    return b"".join(pieces)


def _too_large(found: str) -> Refused:
    return Refused(f"{found}more than the {MAX_BYTES:,} bytes that are fetched; download it and pass its path")


def _too_slow() -> Refused:
    return Refused(f"took longer than {TOTAL_SECONDS:g} seconds; download it and pass its path")


def _next(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise Refused(f"redirected to {shown_address(location)!r}, which is not an address ({error})") from error


def _connection(url: str, allow_private: bool, deadline: float) -> tuple[PlainConnection, str]:
    """A connection to a checked address, not yet open, and the path to request."""
    if without_user(url) != url:
        raise Refused("an address with a user name is not fetched; download the picture and pass its path")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna").decode(), port_of(parts)
        path, query = quote(parts.path or "/", safe=_SAFE), quote(parts.query, safe=_SAFE + "?[]")
    except ValueError as error:  # an invalid port, bracket or name; a lone surrogate (UnicodeError)
        raise Refused(f"not an address ({error})") from error
    if parts.scheme not in ("http", "https") or not host:
        raise Refused("only http and https addresses with a host are fetched")
    secure = parts.scheme == "https"
    port = port or (443 if secure else 80)
    where = resolve_checked(host, port, allow_private)
    kind = TLSConnection if secure else PlainConnection
    return kind(host, port, where, deadline, SOCKET_SECONDS), f"{path}?{query}" if query else path

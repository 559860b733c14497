"""Download a picture from an http(s) address, with limits on time, size and redirects, not from private networks.

Addresses often come from other people. So every hop is checked: its name is resolved once, every address found must be
public, and the connection goes to the checked address. Proxies are not used, because addresses behind one cannot be
checked.
"""

import http.client
import ipaddress
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from ssd300 import limits
from ssd300.errors import DownloadError

SOCKET_SECONDS = limits.FETCH_SILENCE
TOTAL_SECONDS = limits.FETCH_SECONDS
MAX_REDIRECTS = limits.REDIRECTS
MAX_BYTES = limits.FETCHED_BYTES

_REDIRECTS = (301, 302, 303, 307, 308)

_SAFE = "/%:@!$&'()*+,;=~"  # in a path, beside letters and digits
_GLOBAL = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_ISATAP = 0x00005EFE  # in front of an IPv4 address, with or without the bit for "global"

_Where = Sequence[tuple[int, Any]]  # (family, address) as getaddrinfo gives them


def is_offline() -> bool:
    """Whether SSD300_OFFLINE (or the command line's --offline, which sets it) forbids any socket."""
    return _is_set("SSD300_OFFLINE")


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() not in ("", "0", "false", "no", "off")


def fetch(url: str, *, allow_private: bool | None = None) -> bytes:
    """The body of an http(s) address.

    `allow_private` allows addresses of this machine and of private networks; None asks SSD300_ALLOW_PRIVATE_URLS.
    Raises DownloadError, naming the address given: offline, refused, failed, too slow, too large, or not status 200.
    """
    if is_offline():
        raise DownloadError(f"{url}: not fetched, SSD300_OFFLINE is set; download the picture and pass its path")
    private = _is_set("SSD300_ALLOW_PRIVATE_URLS") if allow_private is None else allow_private
    deadline = time.monotonic() + TOTAL_SECONDS
    target = url
    for _ in range(MAX_REDIRECTS + 1):
        try:
            redirect, body = _get(target, private, deadline)
            if redirect is None:
                return body
            target = _next(target, redirect)
        except _Refused as error:
            hop = "" if target == url else f" (redirected to {target})"
            raise DownloadError(f"{url}{hop}: {error}") from error
    raise DownloadError(f"{url}: more than {MAX_REDIRECTS} redirects; pass the picture's own address")


def open_stream(url: str, headers: dict[str, str]) -> tuple[socket.socket, http.client.HTTPResponse, str]:
    """A connection's socket, its response, which is not read yet, and its address after redirects.

    The rules are those of `fetch`, except for time and size, because a stream has no end. Raises DownloadError without
    the address, which may contain a password.
    """
    if is_offline():
        raise DownloadError("not opened, SSD300_OFFLINE is set")
    target, deadline = url, time.monotonic() + TOTAL_SECONDS
    try:
        for _ in range(MAX_REDIRECTS + 1):
            connection, path = _connection(target, _is_set("SSD300_ALLOW_PRIVATE_URLS"), deadline)
            try:
                with _watch(connection, deadline):
                    connection.connect()
                    line = connection.sock  # the connection drops it when the response has arrived
                    connection.request("GET", path, headers={"User-Agent": "ssd300", **headers})
                    response = connection.getresponse()
            except (OSError, http.client.HTTPException, ValueError) as error:
                connection.close()
                raise DownloadError(f"cannot be opened ({error or type(error).__name__}); check the address") from error
            location = response.getheader("Location")
            if response.status in _REDIRECTS and location:
                _close_all(connection, response)
                target, headers = _next(target, location), {k: v for k, v in headers.items() if k != "Authorization"}
            elif response.status not in (200, 206):
                _close_all(connection, response)
                raise DownloadError(f"the server answers {response.status} {response.reason}; check the address")
            else:
                return line, response, target
    except _Refused as error:
        raise DownloadError(str(error)) from error
    raise DownloadError(f"more than {MAX_REDIRECTS} redirects; pass the stream's own address")


def _close_all(connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
    response.close()
    connection.close()


def resolve_host(host: str, port: int) -> str:
    """A numeric address of the host that is allowed. Raises DownloadError by the rules of `fetch`."""
    if is_offline():
        raise DownloadError("not opened, SSD300_OFFLINE is set")
    try:
        return str(_resolve(host, port, _is_set("SSD300_ALLOW_PRIVATE_URLS"))[0][1][0])
    except _Refused as error:
        raise DownloadError(str(error)) from error


class _Refused(Exception):
    """The reason why one hop failed, without the address."""


def _get(url: str, allow_private: bool, deadline: float) -> tuple[str | None, bytes]:
    """One request: (target of the redirect, b"") or (None, the body)."""
    connection, path = _connection(url, allow_private, deadline)
    headers = {"User-Agent": "ssd300", "Accept": "image/*", "Connection": "close"}
    try:
        with _watch(connection, deadline):
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            if response.status in _REDIRECTS and (location := response.getheader("Location")):
                return location, b""
            if response.status != 200:
                raise _Refused(f"the server answers {response.status} {response.reason}; check the address")
            return None, _body(response, deadline)
    except (OSError, http.client.HTTPException, ValueError) as error:
        if time.monotonic() >= deadline:
            raise _too_slow() from error
        text = str(error) or type(error).__name__
        raise _Refused(f"cannot be fetched ({text}); check the address and the network") from error
    finally:
        connection.close()


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
        raise _Refused(f"the connection ended after {size:,} of {declared:,} bytes; try again")
    return b"".join(pieces)


def _too_large(found: str) -> _Refused:
    return _Refused(f"{found}more than the {MAX_BYTES:,} bytes that are fetched; download it and pass its path")


def _too_slow() -> _Refused:
    return _Refused(f"took longer than {TOTAL_SECONDS:g} seconds; download it and pass its path")


@contextmanager
def _watch(connection: "_Plain | _TLS", deadline: float) -> Iterator[None]:
    """Cut the line at the deadline: a server that drips bytes never runs into the socket's timeout."""

    def hang_up() -> None:
        with suppress(OSError):  # closed already
            if connection.line is not None:
                connection.line.shutdown(socket.SHUT_RDWR)

    watchdog = threading.Timer(max(deadline - time.monotonic(), 0), hang_up)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


def _next(url: str, location: str) -> str:
    """The target of a redirect."""
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise _Refused(f"redirected to {location!r}, which is not an address ({error})") from error


def _connection(url: str, allow_private: bool, deadline: float) -> tuple["_Plain | _TLS", str]:
    """A connection to a checked address, not yet open, and the path to request."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
        path, query = quote(parts.path or "/", safe=_SAFE), quote(parts.query, safe=_SAFE + "?[]")
    except ValueError as error:  # an invalid port, bracket or name; a lone surrogate (UnicodeError)
        raise _Refused(f"not an address ({error})") from error
    if parts.scheme not in ("http", "https") or not host:
        raise _Refused("only http and https addresses with a host are fetched")
    if parts.username is not None:
        raise _Refused("an address with a user name is not fetched; download the picture and pass its path")
    secure = parts.scheme == "https"
    port = port or (443 if secure else 80)
    where = _resolve(host, port, allow_private)
    kind: type[_Plain | _TLS] = _TLS if secure else _Plain
    return kind(host, port, where, deadline), f"{path}?{query}" if query else path


def _resolve(host: str, port: int, allow_private: bool) -> _Where:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise _Refused(f"the name {host!r} cannot be resolved ({error}); check the address and the network") from error
    addresses = [(family, address) for family, _, _, _, address in found]
    for _, address in addresses:
        if not allow_private and not is_public(str(address[0])):
            raise _Refused(
                f"{host} is {address[0]}, an address of this machine or a private network, which is refused; "
                "set SSD300_ALLOW_PRIVATE_URLS=1 or pass allow_private=True to allow it"
            )
    return addresses


def is_public(address: str) -> bool:
    """Whether an IP address is public; an IPv4 address inside an IPv6 one is checked as IPv4.

    >>> is_public("10.0.0.1"), is_public("::ffff:127.0.0.1"), is_public("93.184.216.34")
    (False, False, True)
    """
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = _embedded_ipv4(ip)
        if inner is not None:
            return is_public(str(inner))
        if ip not in _GLOBAL:  # an allow-list: new special ranges are outside of it
            return False
    return ip.is_global and not ip.is_multicast


def _embedded_ipv4(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address to which packets for this IPv6 address are routed."""
    if ip in _NAT64 or (int(ip) >> 32) & 0xFDFFFFFF == _ISATAP:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


class _Plain(http.client.HTTPConnection):
    """HTTP to the first of the given addresses that answers before a deadline."""

    def __init__(self, host: str, port: int, where: _Where, deadline: float) -> None:
        super().__init__(host, port, timeout=SOCKET_SECONDS)
        self.where, self.deadline = where, deadline
        self.line: socket.socket | None = None  # stays when `sock` is given to the answer

    def connect(self) -> None:
        self.line = self.sock = _connect(self.where, self.deadline)


class _TLS(http.client.HTTPSConnection):
    """HTTPS to the first of the given addresses that answers; the certificate must be the host's."""

    def __init__(self, host: str, port: int, where: _Where, deadline: float) -> None:
        self.tls = ssl.create_default_context()
        super().__init__(host, port, timeout=SOCKET_SECONDS, context=self.tls)
        self.where, self.deadline = where, deadline
        self.line: socket.socket | None = None  # stays when `sock` is given to the answer

    def connect(self) -> None:
        line = _connect(self.where, self.deadline)
        secured = self.tls.wrap_socket(line, server_hostname=self.host, do_handshake_on_connect=False)
        self.line = self.sock = secured
        secured.do_handshake()  # now that the watchdog sees the line


def _connect(where: _Where, deadline: float) -> socket.socket:
    failure: OSError = OSError("no address")
    for family, address in where:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        line = socket.socket(family, socket.SOCK_STREAM)
        line.settimeout(min(SOCKET_SECONDS, left))
        try:
            line.connect(address)
        except OSError as error:
            line.close()
            failure = error
        else:
            line.settimeout(SOCKET_SECONDS)
            return line
    raise failure

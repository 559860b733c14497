"""Connections for urllib that are closed at a deadline, even if the server keeps answering slowly."""

import http.client
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import urlsplit

from ssd300.errors import DownloadError
from ssd300.images.connect import connect_first, cut_at


class Lines:
    """The connections of one request and its redirects, and the deadline for the beginning of the response."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.connections: list[http.client.HTTPConnection] = []

    @property
    def connected(self) -> socket.socket | None:
        """The socket of the newest connection, which `cut_at` closes."""
        return self.connections[-1].sock if self.connections else None

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Close the connection at the deadline: a server that repeats "100 Continue" never causes a timeout.

        Raises TimeoutError if it was closed.
        """
        try:
            with cut_at(self, self.deadline):
                yield
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() >= self.deadline:
                raise TimeoutError("no answer in time") from error
            raise

    def connect(self, address: tuple[str, int], timeout: float, source_address: Any = None) -> socket.socket:
        """As socket.create_connection, but all addresses of a name share the remaining time."""
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
        return connect_first([(family, where) for family, _, _, _, where in found], self.deadline, timeout)


class LineHandler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """urllib's handlers of both schemes, with connections of `Lines`; certificates are checked as usual."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self.lines = lines

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_make_connections(self.lines, http.client.HTTPConnection), req)

    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_make_connections(self.lines, _TLSConnection), req)


class _TLSConnection(http.client.HTTPSConnection):
    """HTTPS whose socket is known before the handshake, so that this can be cut, too."""

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)  # and the tunnel through a proxy, if there is one
        host = self._tunnel_host or self.host  # type: ignore[attr-defined]
        self.sock = self._context.wrap_socket(  # type: ignore[attr-defined]
            self.sock, server_hostname=host, do_handshake_on_connect=False
        )
        self.sock.do_handshake()


def _make_connections(lines: Lines, kind: Any) -> Any:
    def make(host: str, **options: Any) -> Any:
        connection = kind(host, **options)
        connection._create_connection = lines.connect  # used by http.client to connect
        lines.connections.append(connection)
        return connection

    return make


class SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to an insecure scheme."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme != "https" and (req.type == "https" or scheme != "http"):
            raise DownloadError(f"{req.full_url}: redirected to {newurl}, which is not https, so it is not fetched")
        return super().redirect_request(req, fp, code, msg, headers, newurl)

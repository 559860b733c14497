"""Connections for urllib that are closed at a deadline, even if the server keeps answering slowly."""

import http.client
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, Any
from urllib.parse import urlsplit

from ssd300.errors import DownloadError
from ssd300.images.connect import connect_first, cut_at


class LineHandler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """urllib's handlers of both schemes, for one request and its redirects; certificates are checked as usual.

    deadline: for the beginning of the response, redirects included.
    """

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self.deadline = deadline
        self.newest: http.client.HTTPConnection | None = None

    @property
    def connected(self) -> socket.socket | None:
        """The socket of the newest connection, which `cut_at` closes."""
        return self.newest.sock if self.newest else None

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

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(partial(self._make, http.client.HTTPConnection), req)

    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(partial(self._make, _TLSConnection), req)

    def _make(self, kind: Any, host: str, **options: Any) -> Any:
        self.newest = connection = kind(host, **options)
        connection._create_connection = self._connect  # used by http.client to connect
        return connection

    def _connect(self, address: tuple[str, int], timeout: float, source_address: Any = None) -> socket.socket:
        """As socket.create_connection, but all addresses of a name share the remaining time."""
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
        return connect_first([(family, where) for family, _, _, _, where in found], self.deadline, timeout)


class _TLSConnection(http.client.HTTPSConnection):
    """HTTPS whose socket is known before the handshake, so that this can be cut, too."""

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)  # and the tunnel through a proxy, if there is one
        host = self._tunnel_host or self.host  # type: ignore[attr-defined]
        self.sock = self._context.wrap_socket(  # type: ignore[attr-defined]
            self.sock, server_hostname=host, do_handshake_on_connect=False
        )
        self.sock.do_handshake()


class SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to an insecure scheme."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme != "https" and (req.type == "https" or scheme != "http"):
            raise DownloadError(f"{req.full_url}: redirected to {newurl}, which is not https, so it is not fetched")
        return super().redirect_request(req, fp, code, msg, headers, newurl)

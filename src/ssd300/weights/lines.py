"""Connections for urllib that are closed at a deadline, even if the server keeps answering slowly."""

import http.client
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class Lines:
    """The connections of one request and its redirects, and the deadline for the beginning of the response."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.is_over = False
        self._opened: list[socket.socket] = []

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Close every connection at the deadline: a server that repeats "100 Continue" never causes a timeout.

        Raises TimeoutError if they were closed.
        """
        watchdog = threading.Timer(max(self.deadline - time.monotonic(), 0), self._cut)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        except (OSError, http.client.HTTPException, ValueError) as error:
            if self.is_over:
                raise TimeoutError("no answer in time") from error
            raise
        finally:
            watchdog.cancel()

    def _cut(self) -> None:
        self.is_over = True
        for line in self._opened:
            with suppress(OSError):  # closed already
                line.shutdown(socket.SHUT_RDWR)

    def connect(self, address: tuple[str, int], timeout: float, source_address: Any = None) -> socket.socket:
        """As socket.create_connection, but all addresses of a name share the remaining time."""
        failure: OSError = OSError("no address")
        for family, kind, protocol, _, where in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no answer in time")
            line = socket.socket(family, kind, protocol)
            try:
                line.settimeout(min(timeout, left))
                line.connect(where)
                line.settimeout(timeout)
            except OSError as error:
                line.close()
                failure = error
            else:
                self._opened.append(line)
                return line
        raise failure


class HTTPHandler(urllib.request.HTTPHandler):
    """urllib's handler, with connections of `Lines`."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self.lines = lines

    def http_open(self, req: urllib.request.Request) -> Any:
        """Send a request and read how its answer begins."""
        return self.do_open(_make_connections(self.lines, http.client.HTTPConnection), req)


class HTTPSHandler(urllib.request.HTTPSHandler):
    """urllib's handler, with connections of `Lines`; certificates are checked as usual."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self.lines = lines

    def https_open(self, req: urllib.request.Request) -> Any:
        """Send a request and read how its answer begins."""
        return self.do_open(_make_connections(self.lines, http.client.HTTPSConnection), req)


def _make_connections(lines: Lines, kind: Any) -> Any:
    def make(host: str, **options: Any) -> Any:
        connection = kind(host, **options)
        connection._create_connection = lines.connect  # used by http.client to connect
        return connection

    return make

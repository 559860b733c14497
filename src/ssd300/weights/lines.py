"""Connections of urllib that are cut at a deadline, however slowly or endlessly the other side answers."""

import http.client
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class Lines:
    """The connections of one request and its redirects, and the time by which the answer must begin."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.is_over = False
        self._opened: list[socket.socket] = []

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Cut every line at the deadline. A server that goes on saying "100 Continue" never runs into a timeout.

        Raises TimeoutError if that was done.
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
        """As socket.create_connection, but all addresses of a name share the time that is left."""
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
    """urllib's, over lines that are watched."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self.lines = lines

    def http_open(self, req: urllib.request.Request) -> Any:
        """Send a request and read how its answer begins."""
        return self.do_open(_over(self.lines, http.client.HTTPConnection), req)


class HTTPSHandler(urllib.request.HTTPSHandler):
    """urllib's, over lines that are watched; certificates are checked as ever."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self.lines = lines

    def https_open(self, req: urllib.request.Request) -> Any:
        """Send a request and read how its answer begins."""
        return self.do_open(_over(self.lines, http.client.HTTPSConnection), req)


def _over(lines: Lines, kind: Any) -> Any:
    def make(host: str, **options: Any) -> Any:
        connection = kind(host, **options)
        connection._create_connection = lines.connect  # what http.client connects by
        return connection

    return make

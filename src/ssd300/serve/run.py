"""The server as a process: bind, answer, log as JSON lines, and on SIGTERM finish running requests and stop."""

import asyncio
import errno
import ipaddress
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from ssd300.errors import ArgumentError
from ssd300.serve.connections import GuardedConnection, accepted_at_once, allow_many_files
from ssd300.serve.guard import LOGGER
from ssd300.terminal import leave_closed_terminal

_WAITING = 2048  # connections that the system keeps until they are accepted
DRAIN_SECONDS = 4  # for running requests; the whole stop takes less than 5


def bind(host: str, port: int) -> socket.socket:
    """A bound socket that is not listening yet. Raises ArgumentError."""
    if not 0 <= port <= 65535:
        raise ArgumentError(f"--port is {port}: expected 0 (any free one) to 65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With an explicit protocol asyncio turns Nagle's algorithm off: otherwise the body of an answer on a persistent
    # connection waits 40 ms for the client's delayed acknowledgment of the head.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # On Windows SO_REUSEADDR would let a second server take the port of a running one.
    option = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
    listener.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        listener.bind((host, port))
    except (OSError, UnicodeError) as error:
        listener.close()
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        remedy = "another program uses it; choose another --port" if taken else "check --host and --port"
        raise ArgumentError(f"cannot listen on {host}:{port}: {error}; {remedy}") from error
    return listener


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can reach a server, by the address that its host's name stands for."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def address_of(listener: socket.socket) -> str:
    """The URL of the page."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def make_server(app: Starlette) -> uvicorn.Server:
    """The server of an app, for any thread; `should_exit = True` drains and ends it."""
    allow_many_files()
    config = uvicorn.Config(
        app,
        http=GuardedConnection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=accepted_at_once(),  # asyncio takes as many before it handles the first
        timeout_keep_alive=5,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        h11_max_incomplete_event_size=16 * 2**10,
    )
    return _Server(config)


def run_server(app: Starlette, listener: socket.socket, started: Callable[[], None] = lambda: None) -> None:
    """Answer requests until SIGTERM or the like; return when running requests are finished, within 5 s."""
    start_logs()
    server = make_server(app)

    def stop(number: int, _frame: FrameType | None) -> None:
        if number == getattr(signal, "SIGHUP", None):
            leave_closed_terminal()
        app.state.draining = server.should_exit = True

    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK"):  # the last two: a closed terminal, Ctrl-Break
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # by nohup
            signal.signal(number, stop)
    listener.listen(_WAITING)  # clients may connect from here on, before the loop has started
    started()
    asyncio.run(server.serve(sockets=[listener]))
    LOGGER.info("stopped")
    _exit_now()


class _Server(uvicorn.Server):
    """uvicorn raises a signal again at the end, which would give the exit code of a crash; `run_server` handles it."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(_WAITING)  # asyncio has set it to the backlog

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _exit_now() -> None:
    """Exit without waiting for threads that still work on pictures of clients that have gone."""
    deadline = time.monotonic() + 0.5
    working = [thread for thread in threading.enumerate() if thread.name.startswith("ssd300-serve")]
    for thread in working:
        thread.join(max(deadline - time.monotonic(), 0))
    if any(thread.is_alive() for thread in working):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


class JsonLines(logging.Formatter):
    """One object per line: time, level, event, and the fields of `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, ensure_ascii=True, default=str)


def start_logs() -> None:
    """Log our lines and the errors of packages to stderr, without their warnings, which any client can cause."""
    root, handler = logging.getLogger(), logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root.handlers[:] = [handler]
    root.setLevel(logging.ERROR)
    logging.getLogger("ssd300").setLevel(logging.INFO)
    # `guard.plain_answer` has logged the error of a request with its id; uvicorn would log it again without.
    logging.getLogger("uvicorn.error").filters[:] = [lambda record: "in ASGI application" not in record.getMessage()]

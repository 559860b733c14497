"""uvicorn's HTTP/1.1 with a deadline for everything that a client must do, so that idle clients are disconnected.

uvicorn waits forever for a first request, for an incomplete head and for a client that does not read, and its
parser needs as much time for a chunk of one byte as for one of 64 KiB.
"""

import asyncio
import math
import sys
from contextlib import suppress
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ssd300 import limits

HEAD_SECONDS = limits.HEAD_SECONDS
READING_SECONDS = limits.READING_SECONDS
PARTING_SECONDS = 1.0  # of a stop, in which an idle connection still takes the request that its client may be sending
SMALL_CHUNK = 256  # bytes; a body may have 1,000 chunks below this, and then one in 16
FREE_CHUNKS = 1000


class _Parser(h11.Connection):
    """h11, but too many tiny chunks are a protocol error."""

    chunks = small = 0

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Request):
            self.chunks = self.small = 0
        elif isinstance(event, h11.Data):
            self.chunks += 1
            self.small += len(event.data) < SMALL_CHUNK
            if self.small > FREE_CHUNKS + self.chunks // 16:
                raise h11.RemoteProtocolError("too many small chunks")
        return event


class GuardedConnection(H11Protocol):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn = _Parser(h11.SERVER, self.config.h11_max_incomplete_event_size or 16 * 2**10)
        self._timers: dict[str, asyncio.TimerHandle] = {}  # of the next "head", of "reading" the answer, of "parting"
        self._since = self.loop.time()

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._since = self.loop.time()
        self._expect_head()
        if len(self.connections) > most_connections():
            oldest = self._oldest_idle()
            oldest._since = math.inf  # it stays in the set for a moment: the next one that is made closes another
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._free and not self.transport.is_closing():
            self._cancel_timer("head")

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, unless an answer has begun: a connection takes one, so the app's is dropped."""
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
            self._expect_head()
        else:
            self.transport.abort()

    def shutdown(self) -> None:
        if self._free:
            self._timers["parting"] = self.loop.call_later(PARTING_SECONDS, super().shutdown)
        else:
            super().shutdown()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._since = self.loop.time()
        if self._free:
            self._expect_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reading(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cancel_timer("reading")

    @property
    def _free(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _expect_head(self) -> None:
        """Set the deadline of the next head; it includes reading and dropping the rest of a refused body.

        Of a connection that closes it is that of taking the rest of the answer.
        """
        self._cancel_timer("head")
        self._timers["head"] = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _watch_reading(self, before: int) -> None:
        self._timers["reading"] = self.loop.call_later(READING_SECONDS, self._check_reading, before)

    def _check_reading(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if before - left < limits.READING_BYTES:
            self.transport.abort()
        else:
            self._watch_reading(left)

    def _cancel_timer(self, name: str) -> None:
        if name in self._timers:
            self._timers.pop(name).cancel()

    def _oldest_idle(self) -> "GuardedConnection":
        """The connection that has been idle longest; this one if none is idle."""
        ours = [one for one in self.connections if isinstance(one, GuardedConnection)]
        return min((one for one in ours if one._free), key=lambda one: one._since, default=self)


def allow_many_files() -> None:
    """Raise this process's limit of open files, which includes connections, to the system's maximum."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for most in (65536, 10240):  # a Mac without a limit may refuse more
        wanted = most if hard == resource.RLIM_INFINITY else min(hard, most)
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            return
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return


def accepted_at_once() -> int:
    """Connections that are accepted in one round of the event loop; others are closed for them a few rounds later."""
    return max(min(most_connections() // 8, 16), 1)


def most_connections() -> int:
    """The limit of connections; beyond it the longest idle one is closed."""
    if sys.platform == "win32":
        return 32768
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 32768 if soft == resource.RLIM_INFINITY else min(max(soft - 128, soft // 2), 32768)

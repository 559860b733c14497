"""Download pictures from URLs of clients: only public ones, few at a time, without blocking the server."""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future

from ssd300 import limits
from ssd300.errors import DownloadError
from ssd300.images.fetch import fetch
from ssd300.serve.body import Body
from ssd300.serve.problem import Problem, busy
from ssd300.serve.settings import Settings

_slots = threading.BoundedSemaphore(limits.FETCHED_AT_ONCE)


async def fetch_all(urls: list[str], body: Body, settings: Settings) -> AsyncIterator[tuple[str, bytes]]:
    """Each URL and its bytes, one after the other, counted in `body`. Raises Problem 413, 422 or 503."""
    for url in urls:
        data = await _fetch(url)
        body.count(len(data), settings.max_body)
        yield url, data


async def _fetch(url: str) -> bytes:
    if not _slots.acquire(blocking=False):
        raise busy(503, f"{limits.FETCHED_AT_ONCE} addresses are being downloaded already; send it again later", 5)
    answer: Future[bytes] = Future()
    answer.set_running_or_notify_cancel()  # it goes on when the client has gone
    # A daemon thread: a slow address must not delay the stop of the server.
    threading.Thread(target=_work, args=(url, answer), daemon=True, name="ssd300-fetch").start()
    return await asyncio.wrap_future(answer)


def _work(url: str, answer: Future[bytes]) -> None:
    try:
        answer.set_result(fetch(url, allow_private=False))
    except DownloadError as error:
        answer.set_exception(Problem(422, str(error)))
    finally:
        _slots.release()

"""Download pictures from URLs of clients: only public ones, few at a time, without blocking the server."""

import asyncio
import threading
from collections.abc import AsyncIterator

from ssd300 import limits
from ssd300.errors import DownloadError
from ssd300.images.fetch import fetch
from ssd300.serve.body import Body
from ssd300.serve.problem import Problem, busy
from ssd300.serve.settings import Settings

_places = threading.BoundedSemaphore(limits.FETCHED_AT_ONCE)


async def fetch_all(urls: list[str], body: Body, settings: Settings) -> AsyncIterator[tuple[str, bytes]]:
    """Each URL and its bytes, one after the other, counted in `body`. Raises Problem 413, 422 or 503."""
    for url in urls:
        data = await _fetch(url)
        body.count(len(data), settings.max_body)
        yield url, data


async def _fetch(url: str) -> bytes:
    if not _places.acquire(blocking=False):
        raise busy(503, f"{limits.FETCHED_AT_ONCE} addresses are being downloaded already; send it again later", 5)
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()
    # A daemon thread: a slow address must not delay the stop of the server.
    threading.Thread(target=_work, args=(url, loop, answer), daemon=True, name="ssd300-fetch").start()
    return await answer


def _work(url: str, loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[bytes]") -> None:
    try:
        data = fetch(url, allow_private=False)
    except DownloadError as error:
        _report(loop, answer, Problem(422, str(error)))
    else:
        _report(loop, answer, data)
    finally:
        _places.release()


def _report(loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[bytes]", result: bytes | Problem) -> None:
    def set_result() -> None:
        if answer.done():
            return
        if isinstance(result, Problem):
            answer.set_exception(result)
        else:
            answer.set_result(result)

    if not loop.is_closed():
        loop.call_soon_threadsafe(set_result)

"""Download pictures from URLs of clients: only public ones, few at a time, without blocking the server."""

import asyncio
import threading

from ssd300 import limits
from ssd300.errors import DownloadError
from ssd300.images.fetch import fetch
from ssd300.serve.problem import Problem, busy
from ssd300.serve.settings import Settings

MOST = limits.FETCHED_AT_ONCE

_places = threading.BoundedSemaphore(MOST)


async def fetch_all(urls: list[str], settings: Settings) -> list[bytes]:
    """The bytes of each URL, one after the other. Raises Problem 413, 422 or 503."""
    return [await _fetch(url, settings) for url in urls]


async def _fetch(url: str, settings: Settings) -> bytes:
    if not _places.acquire(blocking=False):
        raise busy(503, f"{MOST} addresses are being downloaded already; send it again later", 5)
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()
    # A daemon thread: a slow address must not delay the stop of the server.
    threading.Thread(target=_work, args=(url, loop, answer), daemon=True, name="ssd300-fetch").start()
    data = await answer
    if len(data) > settings.max_body:
        raise Problem(413, f"{url}: {len(data):,} bytes, more than the limit of {settings.max_body:,}")
    return data


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

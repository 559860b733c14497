"""Pictures behind addresses that clients name: public ones only, few at a time, never holding the server."""

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
    """The bytes behind each address, one after the other. Raises Problem 413, 422 or 503."""
    return [await _fetch(url, settings) for url in urls]


async def _fetch(url: str, settings: Settings) -> bytes:
    if not _places.acquire(blocking=False):
        raise busy(503, f"{MOST} addresses are being fetched already; send it again later", 5)
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()
    # A daemon: a slow address must not hold a server that is to stop.
    threading.Thread(target=_work, args=(url, loop, answer), daemon=True, name="ssd300-fetch").start()
    data = await answer
    if len(data) > settings.max_body:
        raise Problem(413, f"{url}: {len(data):,} bytes, more than the {settings.max_body:,} that are taken")
    return data


def _work(url: str, loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[bytes]") -> None:
    try:
        data = fetch(url, allow_private=False)
    except DownloadError as error:
        _tell(loop, answer, Problem(422, str(error)))
    else:
        _tell(loop, answer, data)
    finally:
        _places.release()


def _tell(loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[bytes]", result: bytes | Problem) -> None:
    def settle() -> None:
        if answer.done():
            return
        if isinstance(result, Problem):
            answer.set_exception(result)
        else:
            answer.set_result(result)

    if not loop.is_closed():
        loop.call_soon_threadsafe(settle)

"""The flow for many pictures in parallel: several threads, results in order, bounded memory."""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import chain, islice
from typing import TypeVar

from ssd300.images.budget import IN_FLIGHT
from ssd300.runtime.base import check_process

Item = TypeVar("Item")
Result = TypeVar("Result")

_STOP_SECONDS = 1  # after Ctrl-C: a call may wait for a server or a pipe that does not answer


def in_order(
    call: Callable[[Item], Result], items: Iterable[Item], threads: int, *, ahead: int | None = None
) -> Generator[Result, None, None]:
    """Yield `call(item)` for every item, in the order of the items, with up to `threads` calls at a time.

    Each thread takes a picture through the whole flow. Decoding, resizing and the network release the GIL, so pictures
    are read and selected from while others are in the network, without queues between the stages.

    At most `ahead` items (2 * threads if not given) are taken ahead of the next result, so memory stays bounded even if
    the consumer is slow. The items are iterated in the consumer's thread. An exception of `call` is raised when its
    turn comes. When the generator is closed no new call begins and the running ones are waited for; on Ctrl-C for one
    second at most, and not at all in one of their threads or in one that holds pixels. A process that was forked
    meanwhile raises ModelError for its next result.

    In a thread that holds pixels, as during a `call` of another, all happens in that thread; so does what is left when
    the main thread has ended, after which Python takes no calls for other threads.
    """
    if IN_FLIGHT.held_here:  # other threads might wait for these pixels, and this one for them
        yield from map(call, items)
        return
    source: Iterator[Item] = iter(items)
    pid = os.getpid()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ssd300")
    begun: deque[Future[Result]] = deque()

    def begin(count: int) -> None:
        nonlocal source
        for item in islice(source, count):
            try:
                begun.append(pool.submit(call, item))
            except RuntimeError as error:
                if "cannot schedule" not in str(error):  # but that no thread can be started
                    raise
                source = chain([item], source)
                return

    try:
        begin(ahead or 2 * threads)
        while begun:
            check_process(pid, "Python")
            result = begun[0].result()
            begun.popleft()
            begin(1)
            yield result
        yield from map(call, source)
    finally:
        error = sys.exception()
        # Ctrl-C came here, in the consumer, or in a lock of Python, which makes another error of it.
        stopped = any(isinstance(one, KeyboardInterrupt) for one in (error, error and error.__context__))
        # A generator that was dropped is closed in any thread, also in one that its calls wait for, or in their own.
        waits = not IN_FLIGHT.held_here and threading.current_thread() not in pool._threads
        pool.shutdown(wait=waits and not stopped, cancel_futures=True)
        running = [one for one in begun if not one.cancelled()]  # canceled ones are never done
        if waits and not wait(running, _STOP_SECONDS).not_done:
            pool.shutdown()  # its threads end, which have nothing left to do


def chunked(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items; the last may be shorter."""
    while chunk := list(islice(items, size)):
        yield chunk

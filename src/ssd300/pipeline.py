"""The same flow overlapped for many pictures: several threads at once, results in order, memory bounded."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    call: Callable[[Item], Result], items: Iterable[Item], threads: int, *, ahead: int | None = None
) -> Generator[Result, None, None]:
    """`call(item)` of every item, up to `threads` of them at a time, yielded in the order of the items.

    Each thread takes a picture through the whole flow. Decoding, resizing and the network all let other threads run,
    so while some pictures are in the network others are read or selected from: no stage waits for another, and
    nothing is queued between stages.

    At most `ahead` items (2 * threads if not given) are taken ahead of the result that is waited for, so memory stays
    bounded however slow the consumer. The items are iterated in the consumer's thread. An exception of `call` is raised
    in its turn. When the generator is closed, or Ctrl-C arrives, nothing new is begun and the calls under way are
    waited for.
    """
    source = iter(items)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ssd300")
    try:
        begun: deque[Future[Result]] = deque(pool.submit(call, item) for item in islice(source, ahead or 2 * threads))
        while begun:
            result = begun.popleft().result()
            begun.extend(pool.submit(call, item) for item in islice(source, 1))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

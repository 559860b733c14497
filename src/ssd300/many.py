"""Many pictures through the steps of `flow.py`: in parallel on CPUs, in batches on GPUs, with bounded memory."""

from collections.abc import Callable, Generator, Iterable
from contextlib import closing, nullcontext
from dataclasses import replace
from itertools import chain, count
from typing import Any, Literal, TypeVar

import numpy as np

from ssd300.detections import Detections
from ssd300.flow import SOURCE_ERRORS, Failure, Prepared, detect_one, finish, is_read_once, prepare, refer_to
from ssd300.images.budget import IN_FLIGHT
from ssd300.images.source import Source, name_of
from ssd300.limits import WAITING_PIXELS
from ssd300.options import DetectOptions
from ssd300.pipeline import chunked, in_order
from ssd300.runtime.base import Candidates, Runtime

Answer = TypeVar("Answer")
_LEAST_VIEWS = 5  # of a picture in tiles: two by two, and the whole


def detect_each(
    runtime_of: Callable[[int], Runtime],
    sources: Iterable[Any],
    options: DetectOptions,
    call: Callable[[Detections], Answer],
    *,
    on_error: Literal["raise", "yield"] = "raise",
    batch_size: int | None = None,
) -> Generator[Answer | Failure, None, None]:
    """`call(found)` for each of many pictures, in order; memory stays bounded even if the consumer is slow.

    runtime_of: returns the runtime for view number n, from 0; a picture in tiles has several views.
    call: receives each result, on CPUs in the thread that computed it.
    on_error: a source that cannot be read raises when its turn comes, or yields a `Failure` and the others continue.
    batch_size: pictures per call of the network; None takes the runtime's preference, 1 runs calls in parallel.
    """
    runtime = runtime_of(0)
    views = 1 if options.tiles is None else _LEAST_VIEWS
    size = runtime.batch_size if batch_size is None else batch_size
    if size > 1 and options.tiles is None:
        yield from _in_batches(runtime, sources, options, call, on_error, size)
        return

    def detect_item(numbered: tuple[int, Any]) -> Answer | Failure:
        number, source = numbered
        # Pixels that are kept until after the call count against the budget until then.
        with IN_FLIGHT.share() if options.keep_pixels or options.tiles else nullcontext():
            try:
                found = detect_one(runtime_of(number * views), source, options)
            except SOURCE_ERRORS as error:
                if on_error == "raise":
                    raise
                return Failure(name_of(source), error)
            return call(found)

    yield from in_order(detect_item, zip(count(), sources), 2 * runtime.threads)


def _in_batches(
    runtime: Runtime,
    sources: Iterable[Any],
    options: DetectOptions,
    call: Callable[[Detections], Answer],
    on_error: Literal["raise", "yield"],
    size: int,
) -> Generator[Answer | Failure, None, None]:
    """Read pictures in threads, up to two batches ahead; run the network in one thread; select in this one."""

    def read(source: Any) -> Prepared | Failure:
        try:
            with IN_FLIGHT.share():
                return _without_large(prepare(source, options), source, options)
        except SOURCE_ERRORS as error:
            return Failure(name_of(source), error)

    def infer(group: list[Prepared | Failure]) -> list[tuple[Prepared, Candidates] | Failure]:
        pixels = [one.pixels for one in group if isinstance(one, Prepared)]
        found = iter(runtime.infer(np.stack(pixels), options.score_threshold) if pixels else [])
        return [one if isinstance(one, Failure) else (one, next(found)) for one in group]

    with (
        closing(in_order(read, sources, runtime.threads, ahead=2 * size)) as prepared,
        closing(in_order(infer, chunked(prepared, size), 1)) as answered,
    ):
        for one in chain.from_iterable(answered):
            if not isinstance(one, Failure):
                yield call(finish(one[1], one[0], options, runtime.metadata.classes))
            elif on_error == "raise":
                raise one.error
            else:
                yield one


def _without_large(prepared: Prepared, source: Any, options: DetectOptions) -> Prepared:
    """Drop the pixels of a large picture, which is read again later: a batch of them could fill the memory."""
    height, width = prepared.size_hw
    value = source.value if isinstance(source, Source) else source
    if not options.keep_pixels or height * width <= WAITING_PIXELS or is_read_once(value):
        return prepared
    return replace(prepared, picture=refer_to(value, prepared.name, options.color))

"""The three steps that every detection takes. Nothing else makes `Detections` of a picture.

prepare(source, options) -> Prepared   uint8 [300, 300, 3], and what is needed to go back to the original picture
runtime.infer(pixels)    -> candidates boxes in the unit frame and probabilities
finish(candidates, ...)  -> Detections in pixels of the original picture

`detect_one` takes one picture through them, `detect_each` many: side by side on CPUs, in batches on GPUs.
"""

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from typing import Any, Literal, TypeVar

import numpy as np

from ssd300 import boxes
from ssd300.arrays import UInt8
from ssd300.detections import Detections
from ssd300.errors import DatasetError, DownloadError, ImageError, ModelError, SSD300Error
from ssd300.images.arrays import is_tensor
from ssd300.images.budget import IN_FLIGHT
from ssd300.images.decode import DecodeMode
from ssd300.images.resize import load_for_network, resize_to_network
from ssd300.images.source import Source, name_of, read_bytes, read_picture
from ssd300.labels import ClassList
from ssd300.limits import WAITING_PIXELS
from ssd300.options import DetectOptions
from ssd300.pipeline import in_order
from ssd300.postprocess import select
from ssd300.runtime.base import Candidates, Runtime
from ssd300.tiles import Views, Window, cut_sides, merge, tile_windows

Answer = TypeVar("Answer")
SOURCE_ERRORS = (ImageError, DownloadError, DatasetError)  # of one picture: a batch may go on after it
_LEAST_VIEWS = 5  # of a picture in tiles: two by two, and the whole


@dataclass(frozen=True)
class Failure:
    """A source that gave no picture: its name, and the error that says why and what to do."""

    source: str
    error: SSD300Error


@dataclass(frozen=True, eq=False)
class Prepared:
    """One picture as the network sees it.

    pixels   uint8 RGB [300, 300, 3], a new array
    size_hw  (height, width) of the original picture after EXIF orientation
    name     what messages and results call it
    picture  what can be drawn on: the original's pixels, or a source in memory; None where the name is the way back
    """

    pixels: UInt8
    size_hw: tuple[int, int]
    name: str
    picture: Any = None


@dataclass(frozen=True, eq=False)
class _Frame:
    """An array or tensor whose channels are in another order than RGB: a source like any other."""

    value: Any
    name: str
    color: str

    def read_pixels(
        self, *, decode: DecodeMode = "exact", scratch: UInt8 | None = None
    ) -> tuple[UInt8, tuple[int, int]]:
        return read_picture(Source(self.value, self.name), color=self.color, decode=decode, scratch=scratch)


def prepare(source: Any, options: DetectOptions) -> Prepared:
    """Read and resize one picture. Safe in any number of threads.

    `source` is what `Detector.detect` takes. Raises ImageError or DownloadError where it cannot be read, DatasetError
    where a data set's picture has another size than its annotations.
    """
    name = name_of(source)
    value = source.value if isinstance(source, Source) else source
    if not options.keep_pixels:
        pixels, size_hw = load_for_network(Source(value, name), options.color, decode=options.decode)
        return Prepared(pixels, size_hw, name, _in_memory(value, name, options.color))
    if _gives_bytes_once(value):
        value = read_bytes(value, name)
    rgb, size_hw = read_picture(Source(value, name), color=options.color, decode=options.decode)
    # decode="fast" may have read fewer pixels than there are: then the source is the way back.
    whole = rgb.shape[:2] == size_hw
    picture = rgb if whole else _in_memory(value, name, options.color)
    return Prepared(resize_to_network(rgb), size_hw, name, picture)


def finish(candidates: Candidates, prepared: Prepared, options: DetectOptions, classes: ClassList) -> Detections:
    """Select from the candidates of one picture, as `Runtime.infer` gave them, and go back to its original pixels.

    `classes` are the model's. Raises ModelError for outputs that are not finite.
    """
    boxes_xyxy, probabilities = candidates  # [n, 4] in the unit frame, (K, n)
    rows = options.rows(classes)
    boxes_xyxy, labels, scores = select(
        boxes_xyxy,
        probabilities if rows is None else probabilities[rows],
        score_threshold=options.score_threshold,
        iou_threshold=options.iou_threshold,
        max_detections=options.max_detections,
        agnostic=options.agnostic_nms,
    )
    if not np.isfinite(boxes_xyxy).all():
        raise ModelError("the network's boxes are not finite: its weights are damaged or diverged in training")
    height, width = prepared.size_hw
    boxes_xyxy = boxes_xyxy * np.array([width, height, width, height], np.float32)
    return Detections(
        boxes.clip(boxes_xyxy, width, height) if options.clip else boxes_xyxy,
        scores,
        classes.ids_of_labels(labels if rows is None else rows[labels]),
        classes,
        prepared.size_hw,
        prepared.name,
        picture=prepared.picture,
    )


def detect_one(runtime: Runtime, source: Any, options: DetectOptions) -> Detections:
    """The three steps for one picture; with `options.tiles` for each of its tiles."""
    if options.tiles is not None:
        return detect_tiled(lambda _: runtime, source, options, threads=1)
    prepared = prepare(source, options)
    [candidates] = runtime.infer(prepared.pixels[None], options.score_threshold)
    return finish(candidates, prepared, options, runtime.metadata.classes)


def detect_tiled(runtime_of: Callable[[int], Runtime], source: Any, options: DetectOptions, threads: int) -> Detections:
    """One picture in tiles, which `threads` take through the three steps; `tiles.merge` makes one answer of theirs.

    The pixels are decoded once, and tiles are views of them. A picture that one tile holds is looked at as without.
    """
    plain = replace(options, tiles=None)
    value = source.value if isinstance(source, Source) else source
    prepared = prepare(source, replace(plain, keep_pixels=True))
    rgb: UInt8 = prepared.picture
    if not options.keep_pixels:
        prepared = replace(prepared, picture=_in_memory(value, prepared.name, options.color))
    windows = tile_windows(prepared.size_hw, options.tiles, options.overlap) if options.tiles is not None else []

    def look(numbered: tuple[int, Window | None]) -> Detections:
        number, window = numbered
        view = prepared if window is None else _tile(rgb, window, prepared.name)
        runtime = runtime_of(number)
        [candidates] = runtime.infer(view.pixels[None], options.score_threshold)
        return finish(
            candidates, view, plain if window is None else replace(plain, clip=True), runtime.metadata.classes
        )

    with closing(in_order(look, enumerate([None, *windows]), threads)) as found:
        whole, *parts = found
    if not parts:
        return whole
    return _merge_tiles(whole, parts, windows, options)


def _tile(rgb: UInt8, window: Window, name: str) -> Prepared:
    left, top, right, bottom = window
    return Prepared(resize_to_network(rgb[top:bottom, left:right]), (bottom - top, right - left), name)


def _merge_tiles(
    whole: Detections, parts: list[Detections], windows: list[Window], options: DetectOptions
) -> Detections:
    """One answer of those of the whole picture and of its tiles."""
    placed = [
        found.boxes_xyxy + np.array([left, top, left, top], np.float32)
        for found, (left, top, _, _) in zip(parts, windows, strict=True)
    ]
    cut = [cut_sides(found, window, whole.image_size_hw) for found, window in zip(placed, windows, strict=True)]
    boxes_xyxy, scores, class_ids = merge(
        Views(
            np.concatenate([whole.boxes_xyxy, *placed]),
            np.concatenate([whole.scores, *(found.scores for found in parts)]),
            np.concatenate([whole.class_ids, *(found.class_ids for found in parts)]),
            np.concatenate([np.zeros((len(whole), 4), bool), *cut]),
            np.repeat(np.arange(-1, len(parts)), [len(whole), *map(len, parts)]),
        ),
        options.iou_threshold,
        agnostic=options.agnostic_nms,
    )
    best = slice(options.max_detections)
    return replace(whole, boxes_xyxy=boxes_xyxy[best], scores=scores[best], class_ids=class_ids[best])


def detect_each(
    runtime_of: Callable[[int], Runtime],
    sources: Iterable[Any],
    options: DetectOptions,
    call: Callable[[Detections], Answer],
    *,
    on_error: Literal["raise", "yield"] = "raise",
    batch_size: int | None = None,
) -> Generator[Answer | Failure, None, None]:
    """`call(found)` for each of many pictures, in order; memory stays bounded however slow the consumer is.

    runtime_of: the runtime for the view of that number, 0 for the first; tiles make several views of a picture.
    call: is given each answer, on CPUs in the thread that made it.
    on_error: a source that cannot be read raises in its turn, or gives a `Failure` and the rest goes on.
    batch_size: pictures a call of the network; None takes what the runtime prefers, 1 works side by side.
    """
    runtime = runtime_of(0)
    views = 1 if options.tiles is None else _LEAST_VIEWS
    size = runtime.batch_size if batch_size is None else batch_size
    if size > 1 and options.tiles is None:
        yield from _in_batches(runtime, sources, options, call, on_error, size)
        return

    def one(numbered: tuple[int, Any]) -> Answer | Failure:
        number, source = numbered
        # Pixels that are held through the network and the call count as in flight until then.
        with IN_FLIGHT.share() if options.keep_pixels or options.tiles else nullcontext():
            try:
                found = detect_one(runtime_of(number * views), source, options)
            except SOURCE_ERRORS as error:
                if on_error == "raise":
                    raise
                return Failure(name_of(source), error)
            return call(found)

    yield from in_order(one, zip(count(), sources), 2 * runtime.threads)


def _in_batches(
    runtime: Runtime,
    sources: Iterable[Any],
    options: DetectOptions,
    call: Callable[[Detections], Answer],
    on_error: Literal["raise", "yield"],
    size: int,
) -> Generator[Answer | Failure, None, None]:
    """Pictures are read in threads, up to two batches ahead; one thread keeps the network busy; selection is here."""

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
        closing(in_order(infer, _groups(prepared, size), 1)) as answered,
    ):
        for one in chain.from_iterable(answered):
            if not isinstance(one, Failure):
                yield call(finish(one[1], one[0], options, runtime.metadata.classes))
            elif on_error == "raise":
                raise one.error
            else:
                yield one


def drop_pixels(found: Detections) -> Detections:
    """The same answer without its picture, for keeping many answers."""
    return found if found.picture is None else replace(found, picture=None)


def _without_large(prepared: Prepared, source: Any, options: DetectOptions) -> Prepared:
    """Pixels that wait for a batch are small, or read a second time: a batch of large pictures fills any memory."""
    height, width = prepared.size_hw
    value = source.value if isinstance(source, Source) else source
    if not options.keep_pixels or height * width <= WAITING_PIXELS or _gives_bytes_once(value):
        return prepared
    return replace(prepared, picture=_in_memory(value, prepared.name, options.color))


def _groups(items: Iterator[Prepared | Failure], size: int) -> Iterator[list[Prepared | Failure]]:
    """Lists of `size` items; the last may be shorter."""
    while group := list(islice(items, size)):
        yield group


def _gives_bytes_once(value: Any) -> bool:
    """Whether a source can or should be read one time only: standard input, an address, a file object."""
    if isinstance(value, str):
        return value == "-" or "://" in value
    return hasattr(value, "read") and not hasattr(value, "read_pixels") and not isinstance(value, os.PathLike)


def _in_memory(value: Any, name: str, color: str) -> Any:
    """A source that can be read again from memory, or None. No pixels are copied."""
    if isinstance(value, str | os.PathLike) or _gives_bytes_once(value):
        return None
    ordered = color == "rgb" or not (isinstance(value, np.ndarray) or is_tensor(value))
    return value if ordered else _Frame(value, name, color)

"""The three steps of every detection. Nothing else creates `Detections` from a picture.

prepare(source, options) -> Prepared   uint8 [300, 300, 3], and what maps back to the original picture
runtime.infer(pixels)    -> candidates boxes in the unit frame and probabilities
finish(candidates, ...)  -> Detections in pixels of the original picture

`detect_one` takes one picture through them; `detect_each` of `many.py` takes many.
"""

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ssd300 import boxes
from ssd300.arrays import UInt8
from ssd300.detections import Detections
from ssd300.errors import DatasetError, DownloadError, ImageError, ModelError, SSD300Error
from ssd300.images.arrays import is_array_like, is_tensor
from ssd300.images.decode import DecodeMode
from ssd300.images.profiles import with_profile
from ssd300.images.resize import load_for_network, resize_to_network
from ssd300.images.source import Source, name_of, read_bytes, read_picture
from ssd300.labels import ClassList
from ssd300.options import DetectOptions
from ssd300.pipeline import in_order
from ssd300.postprocess import select
from ssd300.runtime.base import Candidates, Runtime
from ssd300.tiles import Views, Window, cut_sides, merge, tile_windows

SOURCE_ERRORS = (ImageError, DownloadError, DatasetError)  # of one picture: others may continue after it


@dataclass(frozen=True)
class Failure:
    """A source that could not be read: its name, and the error with the cause and the remedy."""

    source: str
    error: SSD300Error


@dataclass(frozen=True, eq=False)
class Prepared:
    """One picture, resized for the network.

    pixels   uint8 RGB [300, 300, 3], a new array
    size_hw  (height, width) of the original picture after EXIF orientation
    name     its name in messages and results
    picture  the original's pixels, or a source in memory, to draw on; None where the source is read again by its name
    """

    pixels: UInt8
    size_hw: tuple[int, int]
    name: str
    picture: Any = None


@dataclass(frozen=True, eq=False)
class _Frame:
    """An array or tensor with another channel order than RGB, as a source."""

    value: Any
    name: str
    color: str

    def read_pixels(
        self, *, decode: DecodeMode = "exact", scratch: UInt8 | None = None
    ) -> tuple[UInt8, tuple[int, int]]:
        return read_picture(Source(self.value, self.name), color=self.color, decode=decode, scratch=scratch)


def prepare(source: Any, options: DetectOptions) -> Prepared:
    """Read and resize one picture. Safe in any number of threads.

    `source` is what `Detector.detect` takes. Raises ImageError or DownloadError if it cannot be read, DatasetError
    if a data set's picture has another size than its annotations say.
    """
    name = name_of(source)
    value = source.value if isinstance(source, Source) else source
    if not options.keep_pixels:
        pixels, size_hw = load_for_network(Source(value, name), options.color, decode=options.decode)
        return Prepared(pixels, size_hw, name, refer_to(value, name, options.color))
    data = value
    if isinstance(value, str | os.PathLike) or is_read_once(value):
        data = read_bytes(value, name)
    rgb, size_hw = read_picture(Source(data, name), color=options.color, decode=options.decode)
    # decode="fast" may have decoded at reduced size: then the source is read again for drawing.
    whole = rgb.shape[:2] == size_hw
    again = data if is_read_once(value) else value
    picture = with_profile(rgb, data) if whole else refer_to(again, name, options.color)
    return Prepared(resize_to_network(rgb), size_hw, name, picture)


def finish(candidates: Candidates, prepared: Prepared, options: DetectOptions, classes: ClassList) -> Detections:
    """Select from the candidates of one picture, as returned by `Runtime.infer`, and scale to its original pixels.

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


def detect_one(
    runtime: Runtime, source: Any, options: DetectOptions, between: Callable[[str], None] = lambda _step: None
) -> Detections:
    """The three steps for one picture; with `options.tiles` for each of its tiles.

    `between` is called with "prepare" and with "infer" after these steps of an untiled picture; it may raise to stop.
    """
    if options.tiles is not None:
        return detect_tiled(lambda _: runtime, source, options, threads=1)
    prepared = prepare(source, options)
    between("prepare")
    return _detect_prepared(runtime, prepared, options, between)


def _detect_prepared(
    runtime: Runtime, prepared: Prepared, options: DetectOptions, between: Callable[[str], None] = lambda _step: None
) -> Detections:
    [candidates] = runtime.infer(prepared.pixels[None], options.score_threshold)
    between("infer")
    return finish(candidates, prepared, options, runtime.metadata.classes)


def detect_tiled(runtime_of: Callable[[int], Runtime], source: Any, options: DetectOptions, threads: int) -> Detections:
    """Detect in tiles of one picture, in `threads` threads, and merge the results with `tiles.merge`.

    The pixels are decoded once; tiles are views of them. A picture that fits into one tile is not tiled.
    """
    # A small limit and clipping are for the merged objects: before, they would change which boxes are merged.
    most = max(options.max_detections, DetectOptions.max_detections)
    plain = replace(options, tiles=None, clip=False, max_detections=most)
    value = source.value if isinstance(source, Source) else source
    prepared = prepare(source, replace(plain, keep_pixels=True))
    rgb: UInt8 = prepared.picture
    if not options.keep_pixels:
        prepared = replace(prepared, picture=refer_to(value, prepared.name, options.color))
    windows = tile_windows(prepared.size_hw, options.tiles, options.overlap) if options.tiles is not None else []

    def detect_view(numbered: tuple[int, Window | None]) -> Detections:
        number, window = numbered
        view = prepared if window is None else _tile(rgb, window, prepared.name)
        return _detect_prepared(runtime_of(number), view, plain if window is None else replace(plain, clip=True))

    with closing(in_order(detect_view, enumerate([None, *windows]), threads)) as found:
        whole, *parts = found
    merged = (_merge_tiles(whole, parts, windows, options) if parts else whole)[: options.max_detections]
    return merged.clipped() if options.clip else merged


def _tile(rgb: UInt8, window: Window, name: str) -> Prepared:
    left, top, right, bottom = window
    return Prepared(resize_to_network(rgb[top:bottom, left:right]), (bottom - top, right - left), name)


def _merge_tiles(
    whole: Detections, parts: list[Detections], windows: list[Window], options: DetectOptions
) -> Detections:
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
    return replace(whole, boxes_xyxy=boxes_xyxy, scores=scores, class_ids=class_ids)


def is_read_once(value: Any) -> bool:
    """Whether a source can or should be read only once: standard input, a URL, a file object."""
    if isinstance(value, str):
        return value == "-" or "://" in value
    return hasattr(value, "read") and not hasattr(value, "read_pixels") and not isinstance(value, os.PathLike)


def refer_to(value: Any, name: str, color: str) -> Any:
    """The value, as a source that can be read again from memory, or None. No pixels are copied."""
    if isinstance(value, str | os.PathLike) or is_read_once(value):
        return None
    ordered = color == "rgb" or not (isinstance(value, np.ndarray) or is_tensor(value) or is_array_like(value))
    return value if ordered else _Frame(value, name, color)

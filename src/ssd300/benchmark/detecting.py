"""Latency, throughput and the stages of detection, each through the real flow of `Detector`."""

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from ssd300.arrays import UInt8
from ssd300.benchmark.measure import Budget, Measured, Row, Timing, peak_memory_mib
from ssd300.detector import Detector
from ssd300.errors import ArgumentError
from ssd300.flow import prepare
from ssd300.images.decode import decode_image
from ssd300.images.source import read_bytes
from ssd300.options import DetectOptions
from ssd300.pipeline import in_order
from ssd300.runtime.base import Candidates, Runtime

STAGES = ("read file", "decode", "resize", "network", "selection")
_NETWORK = STAGES.index("network")
_ROUNDS = 5  # of each side of a comparison, in turns, so that a busy moment slows both equally
_PREPARED = 64  # pictures at 300x300 that are kept for measuring the network alone
_SCRATCH_BYTES = 16 * 2**20


def measure_latency(detector: Detector, pictures: Sequence[Path], budget: Budget, score_threshold: float) -> Measured:
    """File path to `Detections`, one picture at a time. Raises ArgumentError without pictures."""
    _require_pictures(pictures)
    for path in islice(cycle(pictures), budget.warmup):
        detector.detect(path, score_threshold=score_threshold)
    seconds, objects = [], 0
    for number in budget.iterate():
        start = time.perf_counter()
        found = detector.detect(pictures[number % len(pictures)], score_threshold=score_threshold)
        seconds.append(time.perf_counter() - start)
        objects += len(found)
    row = Row("file to Detections", Timing(tuple(seconds)))
    return Measured((row,), facts={"objects a picture": objects / len(seconds)}, peak_mib=peak_memory_mib())


def measure_throughput(
    detector: Detector, pictures: Sequence[Path], budget: Budget, score_threshold: float
) -> Measured:
    """`detect_many`, compared with the network alone in the same runtime with as many requests in flight.

    One timing is one round of pictures, as time per picture; `share` is the ratio of the two rates. All
    pictures go through the runtime set up for throughput, as do all but the first of a long list.
    Raises ArgumentError without pictures.
    """
    _require_pictures(pictures)
    runtime = detector.runtime.for_throughput()
    steady = Detector(runtime)
    # uint8 [1, 300, 300, 3] each
    prepared = [prepare(path, DetectOptions()).pixels[None] for path in pictures[:_PREPARED]]

    def run_whole(numbers: Iterable[int]) -> Iterable[Any]:
        files = (pictures[number % len(pictures)] for number in numbers)
        return steady.detect_many(files, score_threshold=score_threshold)

    def run_network(numbers: Iterable[int]) -> Iterable[Any]:
        def infer(number: int) -> list[Candidates]:
            return runtime.infer(prepared[number % len(prepared)], score_threshold)

        return in_order(infer, numbers, 2 * runtime.threads)

    for side in (run_whole, run_network):
        for _ in side(range(budget.warmup)):
            pass
    rounds = [(_round(run_whole, budget), _round(run_network, budget)) for _ in range(_ROUNDS)]
    ours, alone = (Timing(tuple(seconds / count for seconds, count in side)) for side in zip(*rounds, strict=True))
    counts = {"pictures detected in": sum(count for (_, count), _ in rounds)}
    share = ours.rate / alone.rate if ours.rate and alone.rate else None
    rows = (Row("detect_many, files to Detections", ours, share), Row("network alone, requests in flight", alone, 1.0))
    return Measured(rows, "the network alone", counts, peak_memory_mib())


def _round(side: Callable[[Iterable[int]], Iterable[Any]], budget: Budget) -> tuple[float, int]:
    """(wall seconds, pictures) of one round of one side."""
    start = time.perf_counter()
    count = sum(1 for _ in side(budget.iterate(1 / _ROUNDS)))
    return time.perf_counter() - start, count


def measure_stages(detector: Detector, pictures: Sequence[Path], budget: Budget, score_threshold: float) -> Measured:
    """The stages of one picture at a time: wall time, core time and share of each stage.

    Core time is that of this thread; for the network, which has its own threads, that of the process.
    "network" includes the softmax of the few priors that may be selected. Raises ArgumentError without pictures.
    """
    _require_pictures(pictures)
    watched = _Watched(detector.runtime)
    detector, scratch = Detector(watched), np.empty(_SCRATCH_BYTES, np.uint8)
    for path in islice(cycle(pictures), budget.warmup):
        _time_stages(detector, watched, path, score_threshold, scratch)
    marks = np.array(
        [
            _time_stages(detector, watched, pictures[n % len(pictures)], score_threshold, scratch)
            for n in budget.iterate()
        ]
    )  # [n, stages + 1, 3]
    wall, core, process = np.moveaxis(np.diff(marks, axis=1), 2, 0)  # [n, stages] each
    core[:, _NETWORK] = process[:, _NETWORK]
    total = wall.sum()
    rows = [_stage_row(name, wall[:, i], core[:, i], total) for i, name in enumerate(STAGES)]
    rest = [i for i in range(len(STAGES)) if i != _NETWORK]
    rows.append(_stage_row("all but the network", wall[:, rest].sum(1), core[:, rest].sum(1), total))
    rows.append(_stage_row("file to Detections", wall.sum(1), core.sum(1), total, pictures=1))
    return Measured(tuple(rows), "the whole", peak_mib=peak_memory_mib())


def _time_stages(detector: Detector, watched: "_Watched", path: Path, score_threshold: float, scratch: UInt8) -> Any:
    """Run `Detector.detect` for a path stage by stage; return the six time stamps around the five stages."""
    begin = _read_clocks()
    data = read_bytes(path, str(path))
    read = _read_clocks()
    rgb = decode_image(data, name=str(path), scratch=scratch)
    decoded = _read_clocks()
    detector.detect(rgb, score_threshold=score_threshold)
    return begin, read, decoded, watched.entered, watched.left, _read_clocks()


def _stage_row(name: str, wall: Any, core: Any, total: float, *, pictures: int = 0) -> Row:
    """`wall` and `core` [n] in seconds, of a `total` of wall seconds. A part of the flow has no rate of pictures."""
    timing = Timing(tuple(wall.tolist()), pictures)
    return Row(name, timing, float(wall.sum() / total), float(np.median(core)) * 1e3)


def _read_clocks() -> tuple[float, float, float]:
    """Seconds of wall time, of this thread's CPU time and of the whole process's."""
    return time.perf_counter(), time.thread_time(), time.process_time()


class _Watched:
    """A runtime that records when it was entered and left."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.name, self.precision = runtime.name, runtime.precision
        self.metadata, self.threads = runtime.metadata, runtime.threads
        self.reason, self.batch_size = runtime.reason, 1
        self.entered = self.left = _read_clocks()

    def infer(self, pictures: UInt8, score_threshold: float = 0.0) -> list[Candidates]:
        self.entered = _read_clocks()
        found = self._runtime.infer(pictures, score_threshold)
        self.left = _read_clocks()
        return found

    def for_throughput(self) -> Runtime:
        return self


def _require_pictures(pictures: Sequence[Path]) -> None:
    if not pictures:
        raise ArgumentError("there are no pictures to measure with: give at least one")

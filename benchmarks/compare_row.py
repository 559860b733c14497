"""One row of `compare.py`, in its own process: a JPEG file to boxes with one model and one runtime.

The pipeline of the other detectors is the fastest that their users can have: the JPEG decoder that ssd300 uses
(libjpeg-turbo), Pillow's resize to the input size, float32 values from 0 to 1, the network, the 50 best boxes and
suppression among them. ssd300 is not imported for them.

    python benchmarks/compare_row.py RUNTIME MODEL FOLDER_OF_JPEGS [--once]
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import numpy as np

SECONDS = 4.0  # of one picture after the other, and of many at once
BEST = 50
THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
One = Callable[[Path], int]
Many = Callable[[Iterable[Path]], Iterable[int]]


def ours(model: Path, precision: str) -> tuple[One, Callable[[], Many]]:
    from ssd300.detector import Detector

    detector = Detector.load(model, precision=precision)
    threshold = 0.05  # `seeded_model.py` leaves 50 candidates above it

    def many(paths: Iterable[Path]) -> Iterable[int]:
        return map(len, detector.detect_many(list(paths), score_threshold=threshold))

    return lambda path: len(detector.detect(path, score_threshold=threshold)), lambda: many


def prepared(path: Path, side: int) -> np.ndarray:
    """float32 [1, 3, side, side], 0 to 1."""
    import simplejpeg
    from PIL import Image

    rgb = Image.fromarray(simplejpeg.decode_jpeg(path.read_bytes()))
    pixels = np.asarray(rgb.resize((side, side), Image.Resampling.BILINEAR), np.float32) / np.float32(255)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def boxes_of(outputs: list[np.ndarray]) -> int:
    """The number of boxes after suppression; the scores are the output with more values per candidate."""
    arrays = [out[0].T if out.shape[1] < out.shape[2] and out.shape[1] == 84 else out[0] for out in outputs]
    if len(arrays) == 1:  # YOLO's: 4 sides and 80 scores
        scores, sides = arrays[0][:, 4:], arrays[0][:, :4]
    else:
        sides, scores = sorted(arrays[:2], key=lambda array: array.shape[1])
    best = scores.max(1)
    rows = np.argpartition(-best, BEST)[:BEST]
    rows = rows[np.argsort(-best[rows])]
    centers, halves = sides[rows, :2], np.abs(sides[rows, 2:4]) / 2
    low, high = centers - halves, centers + halves
    inter = (np.minimum(high[:, None], high) - np.maximum(low[:, None], low)).clip(0).prod(2)
    areas = (high - low).prod(1)
    overlap = inter / np.maximum(areas[:, None] + areas - inter, 1e-9)
    kept: list[int] = []
    for row in range(len(rows)):
        if not kept or overlap[row, kept].max() < 0.5:
            kept.append(row)
    return len(kept)


def by_onnxruntime(model: Path, side: int) -> tuple[One, Callable[[], Many]]:
    import onnxruntime

    def session(threads: int) -> One:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        loaded = onnxruntime.InferenceSession(str(model), options, ["CPUExecutionProvider"])
        name = loaded.get_inputs()[0].name
        return lambda path: boxes_of(loaded.run(None, {name: prepared(path, side)}))

    return session(THREADS), lambda: in_threads(session(1))


def by_openvino(model: Path, side: int, precision: str) -> tuple[One, Callable[[], Many]]:
    import openvino as ov

    hints = {} if precision == "int8" else {"INFERENCE_PRECISION_HINT": precision}

    def compiled(hint: str) -> One:
        network = ov.Core().compile_model(str(model), "CPU", {"PERFORMANCE_HINT": hint, **hints})

        def one(path: Path) -> int:
            outputs = network.create_infer_request().infer([prepared(path, side)])
            return boxes_of([np.asarray(out) for out in outputs.values()])

        return one

    return compiled("LATENCY"), lambda: in_threads(compiled("THROUGHPUT"))


def in_threads(one: One) -> Many:
    """One thread per core; each handles whole pictures."""

    def many(paths: Iterable[Path]) -> Iterable[int]:
        with ThreadPoolExecutor(THREADS) as pool:
            yield from pool.map(one, paths)

    return many


def pipeline(runtime: str, model: Path) -> tuple[One, Callable[[], Many]]:
    kind, _, precision = runtime.partition(" ")
    if kind == "ssd300":
        return ours(model, precision)
    side = int(model.stem.split("-int8")[0].rpartition("-")[2])
    return by_onnxruntime(model, side) if kind == "onnxruntime" else by_openvino(model, side, precision)


def measured(one: One, throughput: Callable[[], Many], files: list[Path]) -> dict[str, float]:
    turn = cycle(files)
    for _ in range(5):
        one(next(turn))
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < 20 or time.perf_counter() - began < SECONDS:
        start = time.perf_counter()
        one(next(turn))
        times.append(time.perf_counter() - start)
    status = Path("/proc/self/status").read_text()  # ru_maxrss would include the parent's peak
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
    many = throughput()
    count = max(16, round(SECONDS * 1.5 / float(np.median(times))))
    list(many([next(turn) for _ in range(16)]))
    start = time.perf_counter()
    list(many([next(turn) for _ in range(count)]))
    rate = count / (time.perf_counter() - start)
    p50, p95 = np.percentile(np.array(times) * 1e3, (50, 95))
    return {"p50_ms": round(p50, 2), "p95_ms": round(p95, 2), "pictures_s": round(rate, 2), "peak_mib": round(peak)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runtime")
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--once", action="store_true", help="print the number of objects in the first picture")
    options = parser.parse_args()
    files = sorted(options.folder.glob("*.jpg"))
    one, throughput = pipeline(options.runtime, options.model)
    if options.once:
        print(one(files[0]))
    else:
        print(json.dumps(measured(one, throughput, files)))


if __name__ == "__main__":
    main()

"""Tiles: AP on a data set, rate against the network alone, and memory on a very large picture.

python benchmarks/tiles.py ap DATA [TILES]     AP by size with and without tiles; AP_small with a paired 95 % interval
python benchmarks/tiles.py rate [PRECISION]    1800x1200 with tiles=3: share of the network-only rate; resizes
python benchmarks/tiles.py memory              79 megapixels: memory beyond the decoded array
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from beside import shares
from ssd300.benchmark.measure import peak_memory_mib
from ssd300.data.load import load_dataset
from ssd300.detector import Detector
from ssd300.evaluate.coco import STAT_NAMES, coco_metrics
from ssd300.evaluate.run import Evaluation, evaluate
from ssd300.images.resize import resize_to_network
from ssd300.images.source import open_source
from ssd300.tiles import parse_tiles, tile_windows

RESAMPLES = 100


def ap(data: str, tiles: str) -> None:
    """A table of the AP by size."""
    detector, dataset = Detector.load(), load_dataset(data)
    plain = evaluate(detector, dataset)
    tiled = evaluate(detector, dataset, tiles=parse_tiles(tiles))
    print(f"{len(dataset)} pictures, tiles {tiles}; seconds {plain.seconds:.1f} and {tiled.seconds:.1f}")
    print(f"{'':<12}{'without':>9}{'with':>9}{'difference':>12}   95 % interval over pictures")
    differences = np.array(list(resample_differences(plain, tiled)))  # [RESAMPLES, 12]
    for name in ("AP", "AP_small", "AP_medium", "AP_large"):
        place = STAT_NAMES.index(name)
        first, second = (one.metrics.stats[place] for one in (plain, tiled))
        low, high = np.percentile(differences[:, place], [2.5, 97.5])
        print(f"{name:<12}{first:>9.4f}{second:>9.4f}{second - first:>+12.4f}   {low:+.4f} to {high:+.4f}")


def resample_differences(first: Evaluation, second: Evaluation) -> Iterator[np.ndarray]:
    """Differences of the statistics [12]; the same pictures, drawn with replacement, for both."""
    draw = np.random.default_rng(0)
    count = len(first.dataset)
    for _ in range(RESAMPLES):
        rows = draw.integers(0, count, count).tolist()
        part = first.dataset.subset(rows)
        one, two = (coco_metrics(part, [found.results[row] for row in rows]).stats for found in (first, second))
        yield two - one


def rate(precision: str) -> None:
    """Tiled pictures per second times the views of each, against the network's rate on prepared pictures."""
    detector = Detector.load(precision=precision)
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8).repeat(30, 0).repeat(30, 1)
    windows = tile_windows(picture.shape[:2], 3, 0.2)
    views = 1 + len(windows)
    alone, tiled, share = shares(
        detector.runtime.for_throughput(), 20 * views, lambda: deque(detector.detect_many([picture] * 20, tiles=3))
    )
    print(
        f"{detector.runtime.precision}: network alone {alone:.1f} views/s, tiled {tiled:.1f} views/s, share {share:.3f}"
    )
    left, top, right, bottom = windows[0]
    whole, tile = resize_ms(picture), resize_ms(picture[top:bottom, left:right])
    print(f"resizing: {whole:.1f} core-ms for the whole picture, {tile:.1f} for each of {len(windows)} tiles")


def resize_ms(rgb: np.ndarray) -> float:
    """The median CPU time of 30 resizes to the network's size."""
    times = []
    for _ in range(30):
        began = time.thread_time()
        resize_to_network(rgb)
        times.append(time.thread_time() - began)
    return statistics.median(times) * 1e3


def memory() -> None:
    """The peak memory beyond the decoded array, after a first detection that loads the model."""
    side = (8894, 8894)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.jpg"
        # In a process of its own: what making it takes must not count.
        code = (
            f"from PIL import Image; Image.effect_noise((90, 90), 80).convert('RGB').resize({side}).save({str(path)!r})"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
        detector = Detector.load()
        detector.detect(np.zeros((1300, 1300, 3), np.uint8), tiles=2)
        before = peak_mb()
        decoded = open_source(path).nbytes / 1e6
        decoding = peak_mb() - before
        found = detector.detect(path, tiles="auto")
        whole = peak_mb() - before
    print(f"{side[0] * side[1] / 1e6:.0f} megapixels, {len(found)} objects: decoded array {decoded:.0f} MB,")
    print(
        f"peak of decoding alone +{decoding:.0f} MB, with tiles +{whole:.0f} MB: {whole - decoded:.0f} beyond the array"
    )


def peak_mb() -> float:
    """The largest memory of this process so far (Linux)."""
    return peak_memory_mib() * 1.048576


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    one = modes.add_parser("ap")
    one.add_argument("data")
    one.add_argument("tiles", nargs="?", default="2")
    modes.add_parser("rate").add_argument("precision", nargs="?", default="int8")
    modes.add_parser("memory")
    options = parser.parse_args()
    if options.mode == "ap":
        ap(options.data, options.tiles)
    elif options.mode == "rate":
        rate(options.precision)
    else:
        memory()


if __name__ == "__main__":
    main()

"""INT8 speed in one run: the ranges in the model file against another INT8 file, and ONNX in INT8 against float32.

    python benchmarks/int8.py MODEL.safetensors [OTHER.int8.xml ...]

The candidates alternate, so that other load slows all of them. Printed are the lowest and the median time of a
forward pass on one thread.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ssd300.export.onnx import OnnxOptions, build_onnx
from ssd300.runtime.graph import build_graph
from ssd300.runtime.onnx import open_session
from ssd300.runtime.openvino import OpenVINORuntime, read_graph
from ssd300.weights.checkpoint import read_checkpoint, read_int8

ROUNDS = 100
PICTURE = np.random.default_rng(0).integers(0, 256, (1, 300, 300, 3), dtype=np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("other", type=Path, nargs="*")
    options = parser.parse_args()
    state, metadata = read_checkpoint(options.model)
    int8 = read_int8(options.model)
    runtimes = {"ranges": OpenVINORuntime(build_graph(state, metadata, int8), metadata, "f32", threads=1)}
    for other in options.other:
        runtimes[other.name] = OpenVINORuntime(*read_graph(other), "f32", threads=1)
    compare({name: lambda r=runtime: r.infer(PICTURE, 0.3) for name, runtime in runtimes.items()})
    onnx = OnnxOptions(nms=False)
    models = {"onnx int8": build_onnx(state, metadata, onnx, int8), "onnx f32": build_onnx(state, metadata, onnx)}
    sessions = {name: open_session(model.SerializeToString(), 1) for name, model in models.items()}
    compare({name: lambda s=session: s.run(None, {"pictures": PICTURE}) for name, session in sessions.items()})


def compare(candidates: dict[str, Callable[[], Any]]) -> None:
    """Print the times of each candidate and how much faster the first is."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(ROUNDS):
        for name, run in candidates.items():
            start = time.perf_counter()
            run()
            times[name].append(1000 * (time.perf_counter() - start))
    first = next(iter(times.values()))
    for name, ms in times.items():
        speedup = f"{min(ms) / min(first):.2f} {statistics.median(ms) / statistics.median(first):.2f}"
        print(f"{name:<20} min {min(ms):7.2f} ms  median {statistics.median(ms):7.2f} ms  first is faster by {speedup}")


if __name__ == "__main__":
    main()

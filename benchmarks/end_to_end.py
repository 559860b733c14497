"""From a 640x480 JPEG to boxes: ssd300 at each precision against torch, onnxruntime and the published steps.

    python benchmarks/end_to_end.py [--backbone resnet50] [--pictures 60]

Every row has the same weights (`seeded_model.py`) and runs in its own process:
- ssd300: `Detector`; its INT8 graph is made by the function behind `ssd300 quantize`, without the check of AP;
- torch: Pillow decode, resize, eager float32 forward pass, plain and channels-last, the NumPy decoding of ssd300;
- onnxruntime: the same with the .onnx file that ssd300 exports;
- published steps: resize and center crop as the hub helpers do, eager forward pass, per-class decoding in torch.
Columns: one picture from a file, median ms; pictures per second from bytes; the network alone, one picture, median ms,
and pictures per second with several requests in flight; core-ms of everything but the network; boxes in the median
picture. The ratios below the table are the project's goals, which are stated for 500 pictures.
"""

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from forward import alone, compile_graph, median_ms, rate, raw_outputs
from seeded_model import (
    CALIBRATION,
    CANDIDATES,
    SCORE_THRESHOLD,
    candidates_a_picture,
    highest_bias,
    jpegs,
    network_pictures,
    raise_background,
    seeded_model,
)
from ssd300.cpu import default_threads, native_bf16
from ssd300.postprocess import candidates, decode, select

INT8, ONNX = "ssd300 int8", "onnxruntime f32"
PLAIN, CHANNELS_LAST, PUBLISHED = "torch f32", "torch f32 channels-last", "published steps"
ROWS = (INT8, "ssd300 bf16", "ssd300 f32", ONNX, PLAIN, CHANNELS_LAST, PUBLISHED)
DISTINCT = 16  # different pictures, taken in turns


@dataclass(frozen=True)
class Pipeline:
    """The timed steps of one row."""

    one: Callable[[Any], int]  # a path or bytes -> how many boxes
    many: Callable[[list[bytes]], Iterable[int]]
    network: Callable[[], object] | None = None  # the network alone, one picture
    network_rate: Callable[[], float] | None = None  # the same with several requests in flight, pictures per second
    rest: Callable[[Any], object] | None = None  # all but the network


class Remembered:
    """A runtime that replays the network's outputs for pictures that come in a fixed order."""

    name, precision, threads = "remembered", "f32", 1

    def __init__(self, metadata: Any, outputs: Iterator[tuple[Any, Any, Any]]) -> None:
        self.metadata, self._outputs = metadata, outputs

    def infer(self, pictures: Any, score_threshold: float = 0.0) -> list[Any]:
        return [candidates(*next(self._outputs), score_threshold) for _ in pictures]

    def for_throughput(self) -> "Remembered":
        return self


def ours(folder: Path, precision: str) -> Pipeline:
    from ssd300.detector import Detector
    from ssd300.runtime.graph import build_graph
    from ssd300.runtime.openvino import read_graph
    from ssd300.weights.checkpoint import read_checkpoint

    path = folder / ("model.xml" if precision == "int8" else "model.safetensors")
    graph, metadata = read_graph(path) if precision == "int8" else (build_graph(*read_checkpoint(path)), None)
    detector = Detector.load(path, precision=precision)
    outputs = raw_outputs(graph, network_pictures(DISTINCT))
    without_network = Detector(Remembered(metadata or detector.metadata, cycle(outputs)))
    settings = {"score_threshold": SCORE_THRESHOLD}
    return Pipeline(
        lambda source: len(detector.detect(source, **settings)),
        lambda many: map(len, detector.detect_many(many, **settings)),
        alone(compile_graph(graph, precision)),
        lambda: rate(compile_graph(graph, precision, hint="THROUGHPUT"), 5),
        lambda source: without_network.detect(source, **settings),
    )


def picture_by_pillow(source: Any) -> np.ndarray:
    opened = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
    return np.array(opened.convert("RGB").resize((300, 300), Image.Resampling.BILINEAR))


def onnxruntime(folder: Path) -> Pipeline:
    from ssd300.runtime.onnx import load_onnx

    runtime = load_onnx(folder / "model.onnx")

    def one(source: Any) -> int:
        [found] = runtime.infer(picture_by_pillow(source)[None], SCORE_THRESHOLD)
        return len(select(*found, score_threshold=SCORE_THRESHOLD)[1])

    return Pipeline(one, lambda many: map(one, many))


def in_torch(folder: Path, row: str) -> Pipeline:
    import torch

    from published_steps import published_decode
    from ssd300 import hub
    from ssd300.learn.network import SSD300
    from ssd300.runtime.torch import normalize
    from ssd300.weights.checkpoint import read_checkpoint

    torch.set_num_threads(default_threads())
    torch.set_grad_enabled(False)
    state, metadata = read_checkpoint(folder / "model.safetensors")
    layout = torch.channels_last if row == CHANNELS_LAST else torch.contiguous_format
    network = SSD300(metadata.backbone, metadata.num_classes).eval().to(memory_format=layout)
    network.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})

    def prepared_as_published(source: Any) -> torch.Tensor:
        return hub.Processing.prepare_tensor([hub.Processing.prepare_input(source)])

    def plain(source: Any) -> int:
        picture = normalize(torch.from_numpy(picture_by_pillow(source))[None]).contiguous(memory_format=layout)
        locs, logits = network(picture)
        return len(decode(locs[0].numpy(), logits[0].numpy(), score_threshold=SCORE_THRESHOLD)[1])

    def published(source: Any) -> int:
        return len(published_decode(*network(prepared_as_published(source)), criteria=0.5, max_output=20)[0][1])

    if row == PUBLISHED:  # its pictures have other values: as many candidates need another bias
        logits = [network(prepared_as_published(data))[1][0].numpy() for data in jpegs(CALIBRATION)]
        raise_background(state, metadata, float(np.median([highest_bias(one, CANDIDATES) for one in logits])))
        network.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})
    one = published if row == PUBLISHED else plain
    prepared = torch.zeros(1, 3, 300, 300).contiguous(memory_format=layout)
    return Pipeline(one, lambda many: map(one, many), lambda: network(prepared))


def measure(row: str, folder: Path, count: int) -> dict[str, float]:
    if row.startswith("ssd300"):
        pipeline = ours(folder, row.split()[1])
    else:
        pipeline = onnxruntime(folder) if row == ONNX else in_torch(folder, row)
    files = sorted(folder.glob("*.jpg"))
    pictures = [data for data, _ in zip(cycle(jpegs(DISTINCT)), range(count), strict=False)]
    boxes = [pipeline.one(path) for path in files]  # and warm
    turn = cycle(files)
    rounds = max(5, count // 10)
    result = {"boxes": statistics.median(boxes), "ms": median_ms(lambda: pipeline.one(next(turn)), rounds)}
    list(pipeline.many(pictures[:32]))  # what throughput needs is set up
    start = time.perf_counter()
    list(pipeline.many(pictures))
    result["rate"] = len(pictures) / (time.perf_counter() - start)
    if pipeline.network:
        result["network_ms"] = median_ms(pipeline.network, rounds)
    if pipeline.network_rate:
        result["network_rate"] = pipeline.network_rate()
    if pipeline.rest:
        # In this thread alone, so nothing that the network left running counts.
        result["rest_ms"] = median_ms(lambda: pipeline.rest(next(turn)), 5 * DISTINCT, time.thread_time)
    return result


def write_models(folder: Path, backbone: str) -> None:
    """The same weights as .safetensors, INT8 .xml and .onnx, and the pictures as files."""
    from ssd300.export.files import save_graph
    from ssd300.export.nncf_graph import calibrate
    from ssd300.export.onnx import OnnxOptions, build_onnx
    from ssd300.runtime.graph import build_graph
    from ssd300.weights.checkpoint import write_checkpoint

    state, metadata = seeded_model(backbone)
    write_checkpoint(folder / "model.safetensors", state, metadata)
    int8 = calibrate(state, metadata, network_pictures(CALIBRATION))
    save_graph(build_graph(state, metadata, int8), folder / "model.xml")
    (folder / "model.onnx").write_bytes(build_onnx(state, metadata, OnnxOptions(nms=False)).SerializeToString())
    for i, data in enumerate(jpegs(DISTINCT)):
        (folder / f"{i:02}.jpg").write_bytes(data)
    print(f"{backbone}, {default_threads()} threads, 640x480 JPEG; scores above {SCORE_THRESHOLD} in each of ", end="")
    print(f"{CALIBRATION} pictures: {candidates_a_picture(state, metadata)}")


def print_goals(found: dict[str, dict[str, float]]) -> None:
    int8 = found[INT8]
    eager = min(found[PLAIN]["network_ms"], found[CHANNELS_LAST]["network_ms"])
    lines = [
        *(
            (f"1. pictures per second, INT8 / {row}", int8["rate"] / found[row]["rate"], f">= {goal}")
            for row, goal in ((CHANNELS_LAST, 10), (PLAIN, 10), (ONNX, 7), (PUBLISHED, 15))
        ),
        ("2. faster eager torch forward alone / INT8 file to boxes", eager / int8["ms"], ">= 7"),
        ("3. core-ms of all that is not the INT8 network", int8["rest_ms"], "<= 5"),
        ("3. pictures per second, INT8 / its network alone", int8["rate"] / int8["network_rate"], ">= 0.8"),
    ]
    for words, value, goal in lines:
        print(f"{words:64}{value:7.2f}   goal {goal}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--row", nargs=2, metavar=("ROW", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        print(json.dumps(measure(options.row[0], Path(options.row[1]), options.pictures)))
        return
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_models(Path(folder), options.backbone)
        titles = {"ms": "one, ms", "rate": "many, /s", "network_ms": "net, ms", "network_rate": "net, /s"}
        titles |= {"rest_ms": "rest, ms", "boxes": "boxes"}
        print(f"{'':24}" + "".join(f"{title:>10}" for title in titles.values()))
        for row in ROWS:
            if row == "ssd300 bf16" and not native_bf16():
                continue
            command = [sys.executable, __file__, "--row", row, folder, "--pictures", str(options.pictures)]
            found[row] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)
            shown = (f"{found[row][key]:10.1f}" if key in found[row] else f"{'-':>10}" for key in titles)
            print(f"{row:24}" + "".join(shown), flush=True)
    print_goals(found)


if __name__ == "__main__":
    main()

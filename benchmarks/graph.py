"""The end of the graph and its settings: each choice against its alternatives, alternating in one run.

    python benchmarks/graph.py [--backbone resnet18] [--rounds 20]

- heads: from the six maps to the outputs: one or two convolutions per map, and another order of the outputs;
- tails: from the outputs to detections, core-ms inside the graph and in NumPy after it;
- settings: OpenVINO's hints, batches, a dynamic batch size, and its cache of compiled graphs.
Core-ms are CPU time with one thread; medians. INT8 graphs are NNCF's, as the variants have no other. Weights as in
`seeded_model.py`.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset8 as ops

from forward import alone, compile_graph, in_turns, median_ms, rate, raw_outputs
from graph_variants import (
    boxes_and_probabilities,
    detection_output,
    from_maps,
    margin_beside,
    prior_major,
    two_convolutions,
)
from seeded_model import CALIBRATION, SCORE_THRESHOLD, network_pictures, seeded_model
from ssd300.architecture import architecture
from ssd300.cpu import native_bf16
from ssd300.export.nncf_graph import quantize_graph
from ssd300.postprocess import candidates, decode, select
from ssd300.runtime.base import PICTURE_SHAPE
from ssd300.runtime.graph import build_graph


def precisions() -> list[str]:
    return ["f32", *(["bf16"] if native_bf16() else []), "int8"]


def print_heads(model: ov.Model, backbone: str, rounds: int) -> None:
    network = architecture(backbone)
    variants = {
        "one convolution a map": model,
        "two convolutions a map": two_convolutions(model.clone(), network),
        "prior-major outputs": prior_major(model.clone(), network),
    }
    print("\nheads, core-ms")
    for precision in precisions():
        graphs = dict(variants)
        if precision == "int8":
            graphs = {name: quantize_graph(graph, network_pictures(2)) for name, graph in graphs.items()}
        calls = {name: alone(compile_graph(from_maps(graph), precision, threads=1)) for name, graph in graphs.items()}
        for name, ms in in_turns(calls, rounds).items():
            print(f"  {precision:6}{name:28}{ms:8.2f}", flush=True)


def print_tails(model: ov.Model, rounds: int) -> None:
    pictures = network_pictures(CALIBRATION)
    outputs = raw_outputs(model, pictures)
    # The picture with the median number of candidates.
    found = [len(candidates(*one, SCORE_THRESHOLD)[0]) for one in outputs]
    locs, logits, margin = outputs[int(np.argsort(found)[len(found) // 2])]
    values = np.concatenate([locs, logits])[None]
    fixed = model.clone()
    fixed.reshape([1, *PICTURE_SHAPE])
    shape = list(values.shape)
    inside = {
        "a request that computes nothing": _nothing(),
        "margin beside them": margin_beside(fixed),
        "boxes and probabilities": boxes_and_probabilities(shape),
        "DetectionOutput": detection_output(shape, SCORE_THRESHOLD),
    }
    requests = {name: _run_once(graph, values) for name, graph in inside.items()}
    boxes, probabilities = (requests["boxes and probabilities"].get_output_tensor(i).data[0] for i in range(2))
    rows = requests["DetectionOutput"].get_output_tensor(0).data[0, 0]
    after: dict[str, Callable[[], Any]] = {
        "raw outputs": lambda: decode(locs, logits),
        "margin beside them": lambda: select(*candidates(locs, logits, margin, SCORE_THRESHOLD)),
        "boxes and probabilities": lambda: select(boxes.T, probabilities),
        "DetectionOutput": lambda: _sorted(rows),
    }
    graph_ms = in_turns({name: request.infer for name, request in requests.items()}, rounds)
    numpy_ms = in_turns(after, rounds, time.thread_time)
    print("\ntails: core-ms in the graph, core-ms in NumPy after it, detections")
    for name in dict.fromkeys([*graph_ms, *numpy_ms]):
        columns = (f"{column[name]:8.2f}" if name in column else f"{'-':>8}" for column in (graph_ms, numpy_ms))
        found_now = f"{len(after[name]()[1]):6}" if name in after else ""
        print(f"  {name:34}" + "".join(columns) + found_now, flush=True)


def _nothing() -> ov.Model:
    """A graph without work: the cost of a request."""
    value = ops.parameter([1], np.float32)
    return ov.Model([ops.result(ops.relu(value))], [value])


def _run_once(graph: ov.Model, values: np.ndarray) -> ov.InferRequest:
    network = compile_graph(graph, threads=1)
    request = network.create_infer_request()
    if list(network.input(0).shape) == list(values.shape):
        request.set_input_tensor(ov.Tensor(values, shared_memory=True))
    request.infer()
    return request


def _sorted(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """DetectionOutput's [200, 7] -> boxes_xyxy, labels and scores, descending."""
    ends = np.flatnonzero(rows[:, 0] < 0)
    rows = rows[: ends[0]] if len(ends) else rows
    rows = rows[np.argsort(-rows[:, 2], kind="stable")]
    return rows[:, 3:], rows[:, 1], rows[:, 2]


def print_settings(model: ov.Model, rounds: int, seconds: float) -> None:
    graphs = dict.fromkeys(precisions(), model)
    graphs["int8"] = quantize_graph(model, network_pictures(CALIBRATION))
    print("\nhints and batches, pictures per second with several requests in flight, and ms of one alone")
    for precision, graph in graphs.items():
        for name, hint, batch in (
            ("latency", "LATENCY", 1),
            ("throughput", "THROUGHPUT", 1),
            ("batch 4", "THROUGHPUT", 4),
        ):
            network = compile_graph(graph, precision, hint=hint, batch=batch)
            ms = median_ms(alone(network), rounds)
            print(f"  {precision:6}{name:12}{batch * rate(network, seconds):8.1f}/s {ms:8.1f} ms", flush=True)
    print("\nbatch size open or fixed: ms of the first call, and of later ones")
    for precision, graph in graphs.items():
        for name, network in (("open", _open(graph, precision)), ("fixed", compile_graph(graph, precision))):
            first, later = _first_and_later(network, rounds)
            print(f"  {precision:6}{name:8}{first:8.1f}{later:8.1f}", flush=True)
    print("\ncache of compiled graphs: ms to compile without, to load with it; its size")
    for precision, graph in graphs.items():
        with tempfile.TemporaryDirectory() as folder:
            without = median_ms(lambda g=graph, p=precision: compile_graph(g, p), 3)
            loaded = median_ms(lambda g=graph, p=precision, f=folder: compile_graph(g, p, CACHE_DIR=f), 3)
            size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6
        print(f"  {precision:6}{without:8.0f}{loaded:8.0f} ms{size:8.0f} MB", flush=True)


def _open(graph: ov.Model, precision: str) -> ov.CompiledModel:
    hint = "bf16" if precision == "bf16" else "f32"
    return ov.Core().compile_model(graph, "CPU", {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": hint})


def _first_and_later(network: ov.CompiledModel, rounds: int) -> tuple[float, float]:
    request, picture = network.create_infer_request(), np.zeros((1, *PICTURE_SHAPE), np.uint8)
    start = time.perf_counter()
    request.infer([picture])
    first = (time.perf_counter() - start) * 1000
    return first, median_ms(lambda: request.infer([picture]), rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=3, help="for each number of pictures per second")
    options = parser.parse_args()
    model = build_graph(*seeded_model(options.backbone))
    print(options.backbone)
    print_heads(model, options.backbone, options.rounds)
    print_tails(model, options.rounds)
    print_settings(model, options.rounds, options.seconds)


if __name__ == "__main__":
    main()

"""Compiles and times OpenVINO graphs without `ssd300.runtime`; shared by the scripts."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from ssd300.cpu import default_threads
from ssd300.runtime.base import PICTURE_SHAPE
from ssd300.runtime.graph import MARGIN, OUTPUTS


def compile_graph(
    model: ov.Model,
    precision: str = "f32",
    *,
    hint: str = "LATENCY",
    threads: int | None = None,
    batch: int = 1,
    **settings: Any,
) -> ov.CompiledModel:
    """Compile a graph, with `batch` pictures per request if its batch is dynamic. "int8" is f32 with quantizers."""
    if model.is_dynamic():
        model = model.clone()
        model.reshape([batch, *PICTURE_SHAPE])
    return ov.Core().compile_model(
        model,
        "CPU",
        {
            "PERFORMANCE_HINT": hint,
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "INFERENCE_NUM_THREADS": threads or default_threads(),
            **settings,
        },
    )


def zeros_for(model: ov.CompiledModel) -> list[NDArray[Any]]:
    """A zero input for each port; the time of the arithmetic does not depend on the values."""
    return [np.zeros(tuple(port.shape), port.element_type.to_dtype()) for port in model.inputs]


def rate(model: ov.CompiledModel, seconds: float) -> float:
    """Requests per second, with as many requests in flight as OpenVINO chooses."""
    inputs, queue = zeros_for(model), ov.AsyncInferQueue(model)
    for _ in range(2 * len(queue)):
        queue.start_async(inputs, share_inputs=True)
    queue.wait_all()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        queue.start_async(inputs, share_inputs=True)
        count += 1
    queue.wait_all()
    return count / (time.perf_counter() - start)


def alone(model: ov.CompiledModel) -> Callable[[], object]:
    """A function that runs one request."""
    inputs, request = zeros_for(model), model.create_infer_request()
    return lambda: request.infer(inputs, share_inputs=True, share_outputs=True)


def median_ms(call: Callable[[], object], rounds: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """The median time of a call in milliseconds, after one warm-up call."""
    return in_turns({"": call}, rounds, clock)[""]


def in_turns(
    calls: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.process_time
) -> dict[str, float]:
    """The median time of each call in milliseconds, by default CPU time of the process.

    The calls alternate, so that other load slows all of them equally.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            start = clock()
            call()
            times[name].append(clock() - start)
    return {name: statistics.median(taken[1:]) * 1000 for name, taken in times.items()}


def raw_outputs(
    model: ov.Model, pictures: NDArray[np.uint8]
) -> list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]]:
    """For each picture [300, 300, 3]: locs (4, P), logits (K, P) and margin (P,), at f32."""
    request, found = compile_graph(model).create_infer_request(), []
    for picture in pictures:
        request.infer([picture[None]])
        outputs = request.get_tensor(OUTPUTS).data[0].copy()
        found.append((outputs[:4], outputs[4:], request.get_tensor(MARGIN).data[0].copy()))
    return found


def gmac(model: ov.Model) -> float:
    """Multiply-accumulate operations of all convolutions for one picture, in billions."""
    if model.is_dynamic():
        model = model.clone()
        model.reshape([1, *PICTURE_SHAPE])
    convolutions = [node for node in model.get_ordered_ops() if node.get_type_name() == "Convolution"]
    # An output [1, C, H, W] takes kernel [C, C_in, h, w] C_in * h * w multiplications a number.
    return (
        sum(int(np.prod(node.get_output_shape(0))) * int(np.prod(node.get_input_shape(1)[1:])) for node in convolutions)
        / 1e9
    )

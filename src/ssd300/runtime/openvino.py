"""The runtime for CPUs: an OpenVINO graph, from weights or an .xml file, with one request per thread."""

import math
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from ssd300 import limits
from ssd300.arrays import UInt8
from ssd300.cpu import allowed_cpus, default_threads
from ssd300.errors import SHORTAGE, ModelError, is_shortage
from ssd300.images.forks import never_destroy_in_children
from ssd300.postprocess import candidates
from ssd300.priors import NUM_PRIORS
from ssd300.runtime.base import PICTURE_SHAPE, Candidates, check_batch, check_process, claim_threads
from ssd300.runtime.blobs import blob_path, read_blob, source_key, write_blob
from ssd300.runtime.choice import Choice, choose_model_file
from ssd300.runtime.graph import INPUT, MARGIN, OUTPUTS, build_graph
from ssd300.weights.catalog import load_weights
from ssd300.weights.checkpoint import read_int8, read_metadata
from ssd300.weights.foreign import check_regular
from ssd300.weights.graphs import IR_REMEDY, read_ir
from ssd300.weights.metadata import ModelMetadata


class CompileError(ModelError):
    """OpenVINO cannot compile a graph for this CPU."""


def load_openvino(path: Path, *, precision: str = "auto", threads: int | None = None) -> "OpenVINORuntime":
    """The runtime of a model file: .safetensors, .pt or .pth (the graph is built from the weights), or .xml.

    Raises ModelError for a file that cannot be used, ArgumentError for a precision that is not available.
    """
    choice = choose_model_file(path, precision)
    if choice.precision == "int8":
        try:
            return _load_int8(choice, threads)
        except CompileError as error:  # on ARM without dot products
            if precision == "int8" or path.suffix.lower() == ".xml":
                raise
            choice = replace(choose_model_file(path, "f32"), reason=f"no INT8 on this CPU ({error})")
    model, metadata = _load(choice)
    return OpenVINORuntime(model, metadata, choice.precision, threads=threads, reason=choice.reason)


def _load_int8(choice: Choice, threads: int | None) -> "OpenVINORuntime":
    """The weights are read, and the graph is built, only if its compiled form is not cached."""
    metadata, source = read_metadata(choice.path), source_key(choice.path)

    def build() -> ov.Model:
        graph, _ = _load(choice)
        if source_key(choice.path) != source:  # also, the blob of the old file would be that of the new one
            raise ModelError(f"{choice.path}: the file has changed since it was loaded; load it again")
        return graph

    return OpenVINORuntime(build, metadata, "int8", threads=threads, reason=choice.reason, source=source)


def _load(choice: Choice) -> tuple[ov.Model, ModelMetadata]:
    if choice.path.suffix.lower() == ".xml":
        return read_graph(choice.path)
    state, metadata = load_weights(choice.path)
    return build_graph(state, metadata, read_int8(choice.path) if choice.precision == "int8" else None), metadata


def read_graph(path: Path) -> tuple[ov.Model, ModelMetadata]:
    """Read the graph and metadata of an .xml file with its .bin, written from a graph of `build_graph`."""
    metadata, _ = read_ir(path)
    check_regular(path.with_suffix(".bin"), IR_REMEDY, limits.MODEL_BYTES)
    try:
        model = _core().read_model(path)
        check_graph(path, model, metadata.num_classes)
    except RuntimeError as error:
        raise ModelError(
            f"{path}: OpenVINO cannot read it: {_first_line(error)}; is its .bin beside it and complete?"
        ) from error
    return model, metadata


def check_graph(path: Path, model: ov.Model, num_classes: int) -> None:
    """Raise ModelError unless the graph's ports are those of an SSD300 with `num_classes`, and its values bounded."""
    outputs = {name for output in model.outputs for name in output.get_names()}
    if not {OUTPUTS, MARGIN} <= outputs:
        raise ModelError(f"{path}: its outputs are {sorted(outputs)}, expected {OUTPUTS!r} and {MARGIN!r}; {IR_REMEDY}")
    one = model.clone()
    if [port.get_any_name() for port in one.inputs if port.get_names()] != [INPUT] or len(one.inputs) != 1:
        raise ModelError(f"{path}: its inputs are {one.inputs}, expected {INPUT!r} alone; {IR_REMEDY}")
    one.reshape([1, *PICTURE_SHAPE])
    expected = {
        INPUT: ("u8", [1, *PICTURE_SHAPE]),
        OUTPUTS: ("f32", [1, 4 + num_classes, NUM_PRIORS]),
        MARGIN: ("f32", [1, NUM_PRIORS]),
    }
    for name, kind in expected.items():
        port = one.input(0) if name == INPUT else one.output(name)
        found = port.get_element_type().get_type_name(), _lengths(port)
        if found != kind:
            raise ModelError(
                f"{path}: its {name!r} is {found[0]} {found[1]}, expected {kind[0]} {kind[1]} for {num_classes} "
                f"classes with the background; {IR_REMEDY}"
            )
    sizes = [_lengths(port) for node in one.get_ops() for port in node.outputs()]
    if None in sizes or sum(math.prod(lengths) for lengths in sizes if lengths) > limits.ACTIVATIONS:
        raise ModelError(f"{path}: its values are larger than any SSD300 needs; {IR_REMEDY}")


def _lengths(port: Any) -> list[int] | None:
    shape = port.get_partial_shape()
    return list(shape.to_shape()) if shape.is_static else None


class OpenVINORuntime:
    """A graph compiled for this CPU, for one picture at a time on all threads, or for several in parallel.

    Args:
        model: a graph of `build_graph`, or a function that returns it, called only if it must be compiled.
        precision: "f32", "bf16" or "int8"; OpenVINO's own default depends on the CPU, so it is always set.
        threads: CPU threads; None takes those that this process may use.
        throughput: several pictures in parallel, one thread each, instead of one on all threads.
        reason: why this precision.
        source: the hash of the model's files (`blobs.source_key`); its compiled form is then cached.
    """

    name, batch_size = "openvino", 1

    def __init__(
        self,
        model: ov.Model | Callable[[], ov.Model],
        metadata: ModelMetadata,
        precision: str,
        *,
        threads: int | None = None,
        throughput: bool = False,
        reason: str = "as requested",
        source: str = "",
    ) -> None:
        self.metadata, self.precision, self.reason = metadata, precision, reason
        self.threads = default_threads() if threads is None else threads
        self._model, self._throughput, self._pid = model, throughput, os.getpid()
        self._source = source
        claim_threads(self, min(self.threads, allowed_cpus()), throughput)
        never_destroy_in_children(self)
        self._compiled = _compile(model, precision, self.threads, throughput, source)
        self._idle: list[Any] = []  # requests that no thread is using; list.pop and append are atomic
        self._creating = threading.Lock()

    def infer(self, pictures: UInt8, score_threshold: float = 0.0) -> list[Candidates]:
        """See `Runtime.infer`. Each thread uses its own request; the results share no memory with it."""
        check_process(self._pid, "OpenVINO")
        check_batch(pictures)
        with self._request() as request:
            return [self._infer_one(request, picture, score_threshold) for picture in pictures]

    def _infer_one(self, request: Any, picture: UInt8, score_threshold: float) -> Candidates:
        pixels = np.ascontiguousarray(picture)[None]  # the request only references them: they must outlive infer()
        request.set_tensor(INPUT, ov.Tensor(pixels, shared_memory=True))
        request.infer()
        outputs = request.get_tensor(OUTPUTS).data[0]  # [4 + K, P], a view of the request's memory
        return candidates(outputs[:4], outputs[4:], request.get_tensor(MARGIN).data[0], score_threshold)

    @contextmanager
    def _request(self) -> Iterator[Any]:
        """Borrow a request that no other thread uses. A CompiledModel called by several threads mixes up results."""
        try:
            request = self._idle.pop()
        except IndexError:
            with self._creating:
                request = self._compiled.create_infer_request()
        try:
            yield request
        finally:
            self._idle.append(request)

    def for_throughput(self) -> "OpenVINORuntime":
        """The same model for many pictures in parallel. It is compiled again, which takes a fraction of a second."""
        if self._throughput or self.threads == 1:
            return self
        return OpenVINORuntime(
            self._model,
            self.metadata,
            self.precision,
            threads=self.threads,
            throughput=True,
            reason=self.reason,
            source=self._source,
        )


def _compile(
    model: ov.Model | Callable[[], ov.Model], precision: str, threads: int, throughput: bool, source: str
) -> Any:
    """Compile for one picture per request: parallel requests of a fixed shape are faster than batches on CPUs.

    Float graphs compile as fast as their exports load, which are several times larger, and are not cached.
    """
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "THROUGHPUT" if throughput else "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": threads,
        # OpenVINO pins its threads to the first cores of the affinity mask, which are the same in every process: two
        # processes with one thread each shared a core while another was idle. So threads are pinned only if one
        # picture uses all cores.
        "ENABLE_CPU_PINNING": not throughput and threads >= allowed_cpus(),
    }
    place = blob_path(source, settings, _core().get_property("CPU", "FULL_DEVICE_NAME")) if source else None
    if place and (exported := read_blob(place)):
        with suppress(RuntimeError):  # from another build of OpenVINO: compile again
            # As a tensor: bytes would go through a stream, which copies them.
            return _core().import_model(ov.Tensor(np.frombuffer(exported, np.uint8)), "CPU", settings)
    graph = model().clone() if callable(model) else model.clone()
    graph.reshape([1, *PICTURE_SHAPE])
    try:
        compiled = _core().compile_model(graph, "CPU", settings)
        if place:
            write_blob(place, compiled.export_model().getvalue())
    except RuntimeError as error:
        if is_shortage(error):  # not that this CPU lacks a precision
            raise ModelError(f"OpenVINO cannot compile the model: {SHORTAGE} ({_first_line(error)})") from error
        raise CompileError(f"OpenVINO cannot compile the model in {precision}: {_first_line(error)}") from error
    return compiled


@cache
def _core() -> ov.Core:
    core = ov.Core()
    never_destroy_in_children(core)  # it has the threads of models that were dropped
    # A .bin that is overwritten would change the models read from it, or end the process with a bus error.
    core.set_property({"ENABLE_MMAP": False})
    return core


def _first_line(error: Exception) -> str:
    """The first line of OpenVINO's message, which has pages of source positions."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next(
        (line for line in lines if not line.startswith(("Exception from", "Check"))), lines[0] if lines else "?"
    )

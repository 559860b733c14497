"""The runtime for ONNX files written by `ssd300 export`, with or without NMS inside, with onnxruntime.

It uses the raw heads `locs` and `logits` and drops the rest of the graph, so the thresholds of a call apply
regardless of those in the file, and the results are those of the other runtimes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ssd300.arrays import UInt8
from ssd300.cpu import default_threads
from ssd300.errors import ArgumentError, ModelError, needs, unknown_name
from ssd300.postprocess import candidates
from ssd300.priors import NUM_PRIORS
from ssd300.runtime.base import Candidates, check_batch, check_process
from ssd300.weights.graphs import HEADS, read_heads
from ssd300.weights.metadata import ModelMetadata

_REMEDY = "give a file written by `ssd300 export --format onnx`"


def load_onnx(path: Path, *, precision: str = "auto", threads: int | None = None) -> "OnnxRuntime":
    """The runtime of an .onnx file. Raises ModelError, ArgumentError, MissingExtraError."""
    if precision not in ("auto", "f32", "bf16", "int8"):
        raise unknown_name("precision", precision, ("auto", "f32", "int8"))
    model, metadata, int8 = read_heads(path)
    own = "int8" if int8 else "f32"
    if precision not in ("auto", own):
        raise ArgumentError(
            f"precision {precision}: this ONNX file runs in {'INT8' if int8 else 'float32'}; use auto or {own}"
        )
    return OnnxRuntime(model, metadata, precision=own, threads=threads)


class OnnxRuntime:
    """An onnxruntime session on the CPU.

    Args:
        model: an ONNX model whose outputs are `locs` [1, 4, P] and `logits` [1, K, P].
        precision: "f32" or "int8", that of the file.
        threads: CPU threads; None takes those that this process may use.
        throughput: each calling thread computes its own picture, instead of all threads computing one.
    """

    name, batch_size, reason = "onnx", 1, "as the file was written"

    def __init__(
        self,
        model: bytes,
        metadata: ModelMetadata,
        *,
        precision: str = "f32",
        threads: int | None = None,
        throughput: bool = False,
    ) -> None:
        self.metadata, self.precision = metadata, precision
        self.threads = default_threads() if threads is None else threads
        self._model, self._throughput, self._pid = model, throughput, os.getpid()
        self._session = open_session(model, 1 if throughput else self.threads)
        taken = self._session.get_inputs()
        if len(taken) != 1 or taken[0].type not in ("tensor(uint8)", "tensor(float)"):
            raise ModelError(f"the ONNX model's inputs are {[(i.name, i.type) for i in taken]}; {_REMEDY}")
        self._input, self._uint8 = taken[0].name, taken[0].type == "tensor(uint8)"

    def infer(self, pictures: UInt8, score_threshold: float = 0.0) -> list[Candidates]:
        """See `Runtime.infer`. A session may be called by any number of threads."""
        check_process(self._pid, "onnxruntime")
        check_batch(pictures)
        return [self._infer_one(picture[None], score_threshold) for picture in pictures]

    def _infer_one(self, pictures: UInt8, score_threshold: float) -> Candidates:
        fed = pictures if self._uint8 else pictures.transpose(0, 3, 1, 2) / np.float32(255)
        with _explain_errors("onnxruntime cannot run the model"):
            locs, logits = self._session.run(HEADS, {self._input: np.ascontiguousarray(fed)})
        expected = [(1, 4, NUM_PRIORS), (1, self.metadata.num_classes, NUM_PRIORS)]
        if [locs.shape, logits.shape] != expected:
            raise ModelError(f"the ONNX model's heads are {locs.shape}, {logits.shape}, expected {expected}; {_REMEDY}")
        with np.errstate(invalid="ignore"):  # inf - inf is NaN, which `candidates` refuses
            margin = logits[0, 1:].max(0) - logits[0, 0]
        return candidates(locs[0], logits[0], margin, score_threshold)

    def for_throughput(self) -> "OnnxRuntime":
        """The same model, for parallel calls from several threads."""
        if self._throughput or self.threads == 1:
            return self
        return OnnxRuntime(self._model, self.metadata, precision=self.precision, threads=self.threads, throughput=True)


def open_session(model: bytes, threads: int) -> Any:
    """An onnxruntime session on the CPU; 0 threads: onnxruntime's default. Raises ModelError, MissingExtraError."""
    with needs("running an ONNX model", "onnx"):
        import onnxruntime
    onnxruntime.disable_telemetry_events()  # of builds for Windows
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 4  # its errors are also raised; stderr is for the user
    with _explain_errors("onnxruntime cannot load the model"):
        return onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])


@contextmanager
def _explain_errors(what: str) -> Iterator[None]:
    """Convert onnxruntime's exceptions, which have no common base class, to ModelError."""
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    kinds = (
        *("EPFail", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "ModelLoaded", "NoModel"),
        *("NoSuchFile", "NotImplemented", "RuntimeException"),
    )
    # Its messages may quote names that are not UTF-8, which raises UnicodeDecodeError.
    faults = (RuntimeError, UnicodeError, *(getattr(states, kind) for kind in kinds))
    try:
        yield
    except faults as error:
        words = str(error).splitlines() or [type(error).__name__]
        raise ModelError(f"{what}: {words[0][:300]}; {_REMEDY}") from error

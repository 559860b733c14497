"""The protocol of all runtimes: uint8 pictures in, candidates out."""

import os
import weakref
from typing import Any, Protocol

import numpy as np

from ssd300.arrays import Float32, UInt8
from ssd300.errors import ArgumentError, ModelError
from ssd300.weights.metadata import ModelMetadata

PICTURE_SHAPE = (300, 300, 3)
_SPAWN = 'or start processes with multiprocessing.get_context("spawn")'
_idle: list[tuple[int, int, bool]] = []  # process, threads and throughput of models that were dropped
Candidates = tuple[Float32, Float32]  # boxes_xyxy [n, 4] in the unit frame, probabilities (K, n), row 0 background


class Runtime(Protocol):
    """A loaded model. Any number of threads may call it at the same time."""

    name: str
    precision: str  # of the convolutions: "f32", "bf16", "f16" or "int8"
    metadata: ModelMetadata
    threads: int  # CPU threads that it uses
    reason: str  # why it has this precision, as text
    batch_size: int  # preferred pictures per call of `infer`: 1 on CPUs, where calls run in parallel

    def infer(self, pictures: UInt8, score_threshold: float = 0.0) -> list[Candidates]:
        """RGB uint8 [B, 300, 300, 3] -> the candidates of each picture, as new arrays.

        They include at least every prior with a probability above `score_threshold`, in the order of the priors; with 0
        all P of them. `postprocess.select` selects detections from them. Raises ArgumentError for other arrays,
        ModelError if the outputs contain NaN.
        """
        ...

    def for_throughput(self) -> "Runtime":
        """The same model, set up for parallel calls from several threads; the results are equal at f32."""
        ...


def check_batch(pictures: Any) -> None:
    """Raise ArgumentError unless these are uint8 [B, 300, 300, 3]."""
    if not isinstance(pictures, np.ndarray) or pictures.dtype != np.uint8 or pictures.shape[1:] != PICTURE_SHAPE:
        found = f"{pictures.dtype} {list(pictures.shape)}" if isinstance(pictures, np.ndarray) else type(pictures)
        raise ArgumentError(f"expected pictures uint8 [B, 300, 300, 3], got {found}")


def check_process(loaded_by: int, library: str) -> None:
    """Raise ModelError in a process that was forked after process `loaded_by` loaded the model."""
    if os.getpid() != loaded_by:
        raise ModelError(
            f"this model was loaded before the process was forked, and {library}'s threads do not survive that: "
            f"load it in the child, {_SPAWN}"
        )


def claim_threads(model: object, threads: int, throughput: bool) -> None:
    """Call it before OpenVINO compiles a model, which takes over the idle threads of a dropped model with equal ones.

    Raises ModelError where these could be threads of the process that forked this one: it would wait for them for ever.
    """
    own = (os.getpid(), threads, throughput)
    if any(idle[0] != own[0] and idle[1:] == own[1:] for idle in _idle):
        raise ModelError(
            f"a model with {threads} threads was loaded before the process was forked and dropped, and OpenVINO would "
            f"wait for its threads, which do not survive that: keep that model, load with other threads, {_SPAWN}"
        )
    if own in _idle:
        _idle.remove(own)
    weakref.finalize(model, _idle.append, own).atexit = False

"""What every runtime is to the rest of the package: uint8 pictures in, candidates out."""

import os
from typing import Any, Protocol

import numpy as np

from ssd300.arrays import Float32, UInt8
from ssd300.errors import ArgumentError, ModelError
from ssd300.weights.metadata import ModelMetadata

PICTURE_SHAPE = (300, 300, 3)
Candidates = tuple[Float32, Float32]  # boxes_xyxy [n, 4] in the unit frame, probabilities (K, n), row 0 background


class Runtime(Protocol):
    """A model that is loaded and ready. Any number of threads may call it at once."""

    name: str
    precision: str  # "f32", "bf16", "f16" or "int8": what the convolutions are computed in
    metadata: ModelMetadata
    threads: int  # CPU threads that it keeps busy
    reason: str  # why this precision, in words
    batch_size: int  # pictures that one call of `infer` takes best: 1 on CPUs, where calls run side by side

    def infer(self, pictures: UInt8, score_threshold: float = 0.0) -> list[Candidates]:
        """RGB uint8 [B, 300, 300, 3] -> for each picture its candidates, as new arrays.

        They hold at least every prior with a probability above `score_threshold`, in the order of the priors; with 0
        all P of them. `postprocess.select` makes detections of them. Raises ArgumentError for other arrays, ModelError
        if the outputs hold NaN.
        """
        ...

    def for_throughput(self) -> "Runtime":
        """The same model set up for several threads that call at once; the answers are the same at f32."""
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
            'load it in the child, or start processes with multiprocessing.get_context("spawn")'
        )

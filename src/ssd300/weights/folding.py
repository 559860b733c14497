"""Fold batch norms into the convolutions before them, for every builder of an inference graph."""

import numpy as np

from ssd300.architecture import BATCH_NORM_EPS, Conv
from ssd300.arrays import Float64
from ssd300.weights.state import State


def fold_batch_norm(conv: Conv, state: State) -> tuple[Float64, Float64]:
    """Kernel [out, in, k, k] and bias [out] of a convolution with its batch norm, in float64: rounding happens once."""
    kernel = state[f"{conv.key}.weight"].astype(np.float64)
    if conv.norm_key is None:
        return kernel, state[f"{conv.key}.bias"].astype(np.float64)
    leaves = ("weight", "bias", "running_mean", "running_var")
    gain, shift, mean, variance = (state[f"{conv.norm_key}.{leaf}"].astype(np.float64) for leaf in leaves)
    scale = gain / np.sqrt(variance + BATCH_NORM_EPS)
    return kernel * scale[:, None, None, None], shift - mean * scale

"""Numbers as text: the shortest decimals that read back as the same float32, so that files are small and exact."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ssd300.arrays import Float64


def round_shortest(
    values: Float64, reads_back: Callable[[Float64], NDArray[np.bool_]], digits: tuple[int, ...]
) -> Float64:
    """Rows [M, D] rounded to the first number of `digits` after the point at which `reads_back` says True for a row.

    `reads_back` takes candidates [M, D] and returns for each row whether a reader gets the original values from it. A
    row that no number of digits satisfies is not rounded.
    """
    best, open_rows = values.copy(), np.ones(len(values), bool)
    for count in digits:
        candidate = np.round(values, count)
        good = open_rows & reads_back(candidate)
        best[good] = candidate[good]
        open_rows &= ~good
    return best

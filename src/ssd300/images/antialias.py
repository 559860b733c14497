"""The resize of the published hub helpers: equal, up to rounding, to scikit-image's `resize` with its defaults."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

GAUSSIAN_REACH = 4.0  # standard deviations, the cut of the filter


def resample(
    picture: NDArray[np.floating[Any]], size_hw: tuple[int, int], window: Sequence[slice] = (slice(None), slice(None))
) -> NDArray[np.floating[Any]]:
    """Resize a picture [H, W, ...]; with a window, compute only those rows and columns of the result.

    A Gaussian against aliasing where a side shrinks, then linear interpolation: equal, up to rounding, to
    scikit-image's `resize` with its defaults, as in the published helpers. Both are linear and separable, so each axis
    takes one weighted sum.
    """
    rows_done = _resample_rows(picture, size_hw[0], window[0])
    columns_done = _resample_rows(rows_done.swapaxes(0, 1), size_hw[1], window[1])
    return np.ascontiguousarray(columns_done.swapaxes(0, 1), picture.dtype)


def _resample_rows(picture: NDArray[np.floating[Any]], new_size: int, window: slice) -> NDArray[np.float64]:
    """[H, ...] -> the window of [new_size, ...]."""
    pixels, weights = _filter_weights(picture.shape[0], new_size, window)
    flat = picture.reshape(len(picture), -1)
    resized = np.empty((len(pixels), flat.shape[1]))
    for row, (used, shares) in enumerate(zip(pixels, weights, strict=True)):
        first = used.min()
        # Mirroring can use a pixel more than once; bincount adds up its weights.
        resized[row] = np.bincount(used - first, shares) @ flat[first : used.max() + 1]
    return resized.reshape(len(resized), *picture.shape[1:])


def _filter_weights(size: int, new_size: int, window: slice) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each new position of the window: the source positions [M, T] and their weights [M, T]."""
    factor = size / new_size
    centers = (np.arange(new_size)[window] + 0.5) * factor - 0.5
    low = np.floor(centers).astype(np.int64)
    sigma = max(0.0, (factor - 1) / 2)
    reach = int(GAUSSIAN_REACH * sigma + 0.5)
    offsets = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2) if reach else np.ones(1)
    kernel /= kernel.sum()
    pixels, weights = [], []
    for neighbor, share in ((low, low + 1 - centers), (low + 1, centers - low)):
        # Mirrored twice, as published: positions that interpolation reads beyond the border, then the Gaussian's.
        pixels.append(_mirror_indices(_mirror_indices(neighbor, size)[:, None] + offsets, size))
        weights.append(share[:, None] * kernel)
    return np.concatenate(pixels, 1), np.concatenate(weights, 1)


def _mirror_indices(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Indices beyond 0..size-1 reflected about the centers of the border pixels: d c b | a b c d | c b a."""
    if size == 1:
        return np.zeros_like(index)
    index = np.abs(index) % (2 * (size - 1))
    return np.minimum(index, 2 * (size - 1) - index)

"""Torch files, and weights read from them."""

import numpy as np
import torch


def save(value, path, zipped=True) -> None:
    torch.save(value, path, _use_new_zipfile_serialization=zipped)


def assert_same(state, expected) -> None:
    assert list(state) == list(expected)
    for key, tensor in expected.items():
        value = tensor.float().numpy() if tensor.is_floating_point() else tensor.numpy()
        assert state[key].dtype == value.dtype
        np.testing.assert_array_equal(state[key], value)

"""A data set small enough to train on within a test."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from learn.short_runs import TINY
from narrow import narrow_network
from ssd300.data.dataset import Annotations, Dataset, Picture
from ssd300.labels import ClassList


@pytest.fixture
def squares(tmp_path) -> Dataset:
    """Eight pictures with a bright square of class 4, or (the first) without boxes; a test may change the files."""
    return make_squares(tmp_path)


@pytest.fixture(scope="session")
def same_squares(tmp_path_factory) -> Dataset:
    """The same pictures for all tests, not to be changed."""
    return make_squares(tmp_path_factory.mktemp("squares"))


@pytest.fixture(scope="session")
def one_epoch(same_squares, tmp_path_factory) -> Path:
    """The folder of a run of one epoch on `same_squares` by a narrow network, not to be changed."""
    from ssd300.learn.train import train

    with narrow_network():
        return train(same_squares, out=tmp_path_factory.mktemp("one epoch") / "run", epochs=1, **TINY)


def make_squares(folder: Path) -> Dataset:
    pictures = []
    for i in range(8):
        rng = np.random.default_rng(i)
        rgb = rng.integers(0, 80, (96, 128, 3), dtype=np.uint8)
        x, y, side = 10 + 8 * i, 8 + 4 * i, 30 + 2 * i
        truth = Annotations.empty()
        if i:
            rgb[y : y + side, x : x + side] = (250, 200, 40)
            truth = Annotations.of([[x, y, x + side, y + side]], np.array([4]))
        path = folder / f"square{i}.png"
        Image.fromarray(rgb).save(path)
        pictures.append(Picture(path, i, 128, 96, truth, path.name))
    return Dataset("squares", ClassList(("circle", "square"), (2, 4)), tuple(pictures))

from pathlib import Path

import numpy as np
import pytest

from ssd300.architecture import architecture
from ssd300.labels import ClassList
from ssd300.weights.checkpoint import ModelMetadata, write_checkpoint

CELLS = ClassList(("red", "white", "platelet"), (7, 9, 11))


def random_state(backbone="resnet18", num_classes=4, seed=0):
    """A state that is an SSD300's in keys, shapes and kinds of number."""
    draw = np.random.default_rng(seed)
    shapes = architecture(backbone, num_classes).state_shapes()
    return {
        key: np.array(seed + 3) if key.endswith("num_batches_tracked") else draw.random(shape, dtype=np.float32)
        for key, shape in shapes.items()
    }


@pytest.fixture(scope="session")
def state():
    """resnet18 with 4 classes; not to be changed."""
    return random_state()


@pytest.fixture(scope="session")
def metadata() -> ModelMetadata:
    return ModelMetadata(
        "resnet18",
        CELLS,
        name="cells",
        licence="MIT",
        training={"data": "bccd", "pictures_seen": 100, "recipe": {"lr": 0.01}},
        metric={"AP": 0.5, "AP50": 0.9, "interval": [0.4, 0.6], "dataset": "bccd val", "pictures": 70},
        parent_sha256="ab" * 32,
    )


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory, state, metadata) -> Path:
    """A file of `state` and `metadata`; not to be changed."""
    path = tmp_path_factory.mktemp("checkpoint") / "cells.safetensors"
    write_checkpoint(path, state, metadata)
    return path

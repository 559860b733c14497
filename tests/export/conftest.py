"""Small seeded models, and the module that makes the reference's weights and raw heads."""

import importlib.util
from pathlib import Path

import pytest

from ssd300.architecture import architecture
from ssd300.labels import ClassList
from ssd300.weights.metadata import ModelMetadata

CLASSES = ClassList(("person", "dog", "traffic light", "Größe"), (1, 18, 10, 900))


@pytest.fixture(scope="session")
def seeded():
    source = Path(__file__).parents[1] / "parity" / "data" / "seeded.py"
    spec = importlib.util.spec_from_file_location("seeded", source)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def seeded_model(seeded):
    """(backbone, objects=True) -> state and metadata; without objects nothing scores above 0.05."""

    def make(backbone, objects=True):
        network = architecture(backbone, len(CLASSES) + 1)
        state = {key: seeded.weight(key, shape) for key, shape in network.state_shapes().items()}
        for head in network.class_heads:
            state[f"{head.key}.bias"][: head.out_channels // network.num_classes] += 8 if objects else 30
        return state, ModelMetadata(
            backbone, CLASSES, name="seeded", licence="CC0-1.0", metric={"AP": 0.25, "dataset": "none"}
        )

    return make

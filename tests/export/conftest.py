"""Small seeded models, and a narrow one in INT8."""

import shutil
from functools import lru_cache

import pytest

from narrow import narrow_network
from ssd300.architecture import architecture
from ssd300.data.load import load_dataset
from ssd300.export.quantize import quantize
from ssd300.labels import ClassList
from ssd300.weights.metadata import ModelMetadata

CLASSES = ClassList(("person", "dog", "traffic light", "Größe"), (1, 18, 10, 900))


@pytest.fixture(scope="session")
def seeded_model(seeded):
    """(backbone, objects=True) -> state and metadata; without objects nothing scores above 0.05."""

    def make(backbone, objects=True):
        return fill(architecture(backbone, len(CLASSES) + 1), objects)

    @lru_cache(maxsize=3)
    def fill(network, objects):
        state = {key: seeded.weight(key, shape) for key, shape in network.state_shapes().items()}
        for head in network.class_heads:
            state[f"{head.key}.bias"][: head.out_channels // network.num_classes] += 8 if objects else 30
        return state, ModelMetadata(
            network.backbone, CLASSES, name="seeded", licence="CC0-1.0", metric={"AP": 0.25, "dataset": "none"}
        )

    return make


@pytest.fixture(scope="session")
def train(narrow_found_again):
    return load_dataset(narrow_found_again / "train.json")


@pytest.fixture(scope="session")
def val(narrow_found_again):
    return load_dataset(narrow_found_again / "val.json")


@pytest.fixture(scope="session")
def model(narrow_checkpoint, tmp_path_factory):
    return shutil.copy(narrow_checkpoint, tmp_path_factory.mktemp("int8") / "m.safetensors")


@pytest.fixture(scope="session")
def done(model, train, val):
    with narrow_network():
        return quantize(model, train, val, max_ap_drop=0.2, threads=1)

"""Models with seeded random weights that find some dozens of objects in any picture, and pictures to measure them on.

The boxes are meaningless, but the steps after the network cost as much as with a trained model: the logit of the
background is raised until the median picture has CANDIDATES probabilities above the threshold.
"""

import importlib.util
import io
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from forward import raw_outputs
from pictures import make_picture
from ssd300.architecture import architecture
from ssd300.images import load_for_network
from ssd300.labels import COCO
from ssd300.postprocess import candidates
from ssd300.runtime.graph import build_graph
from ssd300.weights.metadata import ModelMetadata
from ssd300.weights.state import State

SEEDED = Path(__file__).parents[1] / "tests" / "parity" / "data" / "seeded.py"
CANDIDATES = 50
SCORE_THRESHOLD = 0.05  # as published
CALIBRATION = 8  # pictures that set the bias, and that show NNCF the ranges


def load_seeded() -> ModuleType:
    """The module that recreates the reference's inputs bit for bit."""
    spec = importlib.util.spec_from_file_location("seeded", SEEDED)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def jpegs(count: int) -> list[bytes]:
    """Different 640x480 JPEGs with as much detail as photographs."""
    out = []
    for seed in range(count):
        buffer = io.BytesIO()
        make_picture(640, 480, seed).save(buffer, "JPEG", quality=90)
        out.append(buffer.getvalue())
    return out


def network_pictures(count: int) -> NDArray[np.uint8]:
    """The same pictures as inputs of the network, [count, 300, 300, 3]."""
    return np.stack([load_for_network(data)[0] for data in jpegs(count)])


def seeded_model(backbone: str) -> tuple[State, ModelMetadata]:
    """The 81-class network of a backbone: the same on every machine, except for the rounding of the bias."""
    seeded, network, metadata = load_seeded(), architecture(backbone, len(COCO) + 1), ModelMetadata(backbone, COCO)
    state = {key: seeded.weight(key, shape) for key, shape in network.state_shapes().items()}
    outputs = raw_outputs(build_graph(state, metadata), network_pictures(CALIBRATION))
    bias = np.median([highest_bias(logits, CANDIDATES) for _, logits, _ in outputs])
    raise_background(state, metadata, float(bias))
    return state, metadata


def raise_background(state: State, metadata: ModelMetadata, bias: float) -> None:
    """Add to the background's logit of every default box, in place."""
    for head in architecture(metadata.backbone, metadata.num_classes).class_heads:
        state[f"{head.key}.bias"][: head.out_channels // metadata.num_classes] += np.float32(bias)


def highest_bias(logits: NDArray[np.float32], count: int) -> float:
    """The largest rise of the background logit that leaves `count` probabilities above the threshold t.

    exp(l) / (exp(background + bias) + S) > t, with S the sum over the objects, holds up to
    bias = log(exp(l) / t - S) - background. logits (K, P), row 0 background.
    """
    best = logits[1:].max(0)
    objects = np.exp(logits[1:] - best)
    room = objects / SCORE_THRESHOLD - objects.sum(0)
    limits = np.log(np.where(room > 0, room, 1e-30)) + best - logits[0]
    return float(np.sort(limits, axis=None)[-count])


def candidates_a_picture(state: State, metadata: ModelMetadata) -> list[int]:
    """How many probabilities pass the threshold in each calibration picture, ascending."""
    outputs = raw_outputs(build_graph(state, metadata), network_pictures(CALIBRATION))
    found = (candidates(*one, SCORE_THRESHOLD)[1] for one in outputs)
    return sorted(int((probabilities[1:] > SCORE_THRESHOLD).sum()) for probabilities in found)

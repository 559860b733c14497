"""The bundled model sees nothing in pictures that show nothing."""

from collections.abc import Iterator

import numpy as np
import pytest

from ssd300.detector import Detector

SHAPE = (300, 400)


def blanks() -> Iterator[tuple[str, np.ndarray]]:
    """Plain colors, gradients and noise, by name."""
    plain = {"black": 0, "white": 255, "gray": 128, "red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
    plain |= {"yellow": (255, 255, 0), "sky": (110, 170, 230), "skin": (224, 172, 105), "dark": (12, 10, 14)}
    for name, color in plain.items():
        yield name, np.broadcast_to(np.array(color, np.uint8), (*SHAPE, 3)).copy()
    y, x = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]] / np.array(SHAPE).reshape(2, 1, 1)
    ramps = {"to the right": x, "downwards": y, "diagonal": (x + y) / 2, "round": np.hypot(x - 0.5, y - 0.5)}
    for name, ramp in ramps.items():
        yield name, np.repeat((ramp * 255).astype(np.uint8)[..., None], 3, axis=2)
    draw = np.random.default_rng(0)
    for name, high in (("faint noise", 16), ("noise", 256)):
        yield name, draw.integers(0, high, (*SHAPE, 3), np.uint8)
    yield "gray noise", np.repeat(draw.integers(0, 256, (*SHAPE, 1), np.uint8), 3, axis=2)
    yield "bright noise", draw.normal(128, 30, (*SHAPE, 3)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_the_bundled_model_finds_nothing_in_blank_pictures(precision):
    detector = Detector.load("default", precision=precision, threads=1)
    found = {name: detector.detect(picture, score_threshold=0.3).names for name, picture in blanks()}
    assert {name: names for name, names in found.items() if len(names)} == {}

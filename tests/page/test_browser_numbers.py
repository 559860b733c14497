"""The numbers of the page's detector without a browser: Node runs browser.js around a canvas that a test fills."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssd300.images.resize import resize_to_network
from ssd300.postprocess import select

SCRIPT = Path(__file__).parents[2] / "src" / "ssd300" / "page" / "browser.js"
CANVAS = """
const given = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const pen = { fillRect() {}, drawImage() {}, getImageData: () => ({ data: Uint8ClampedArray.from(given.rgba) }) };
globalThis.document = { createElement: () => ({ getContext: () => pen }) };
require(given.script);
"""

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")


def run(script: str, **given: Any) -> Any:
    text = json.dumps({"script": str(SCRIPT), "rgba": [], **given})
    done = subprocess.run(["node", "-e", CANVAS + script], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def picture_of(rgba: np.ndarray) -> Any:
    """The network's picture of what a canvas holds, or the message of the error."""
    height, width = rgba.shape[:2]
    return run(
        """try { console.log(JSON.stringify([...ssd300Browser.pixelsOf(given)])); }
        catch (error) { console.log(JSON.stringify(error.message)); }""",
        width=width,
        height=height,
        rgba=rgba.ravel().tolist(),
    )


@pytest.mark.parametrize("size_hw", [(1, 1), (2, 310), (301, 299), (640, 190), (480, 641)])
def test_the_resize_is_the_package_s(size_hw) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (*size_hw, 4), np.uint8)
    rgba[..., 3] = 255
    assert picture_of(rgba) == resize_to_network(np.ascontiguousarray(rgba[..., :3])).ravel().tolist()


def test_a_canvas_that_the_browser_cannot_hold_is_an_error() -> None:
    """Safari's, above 16 megapixels on a phone, stays transparent and black without an error."""
    assert "cannot take 30 × 20 pixels: make" in picture_of(np.zeros((20, 30, 4), np.uint8))


@pytest.mark.parametrize("agnostic", [False, True])
@pytest.mark.parametrize("priors", [0, 1, 60, 400])
def test_the_selection_is_the_package_s(priors, agnostic) -> None:
    draw = np.random.default_rng(priors)
    low = draw.uniform(0, 0.8, (priors, 2))
    boxes = np.concatenate([low, low + draw.uniform(0, 0.5, (priors, 2))], 1).astype(np.float32)
    scores = (draw.integers(0, 32, (5, priors)) / 64).astype(np.float32)  # many equal ones
    found = run(
        """const values = (rows) => Float32Array.from(rows.flat());
        console.log(JSON.stringify(ssd300Browser.select(values(given.boxes), values(given.scores), given.options)));""",
        boxes=boxes.tolist(),
        scores=scores.tolist(),
        options={"scoreThreshold": 0.3, "iouThreshold": 0.45, "maxDetections": 50, "agnostic": agnostic},
    )
    options = {"score_threshold": 0.3, "iou_threshold": 0.45, "max_detections": 50, "agnostic": agnostic}
    expected_boxes, labels, expected = select(boxes, scores, **options)
    assert [(one["label"], one["score"]) for one in found] == list(zip(labels.tolist(), expected.tolist(), strict=True))
    assert np.array_equal(boxes[[one["prior"] for one in found]].reshape(-1, 4), expected_boxes)

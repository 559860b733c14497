"""The network in the browser, from one file and from the server, against the package."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving import serving
from ssd300.cli.serve import _private
from ssd300.detector import Detector
from ssd300.export.files import load_source
from ssd300.export.html import export_html, read_web_runtime
from ssd300.images.decode import decode_image
from ssd300.images.resize import resize_to_network
from ssd300.postprocess import select
from ssd300.serve.models import Models
from ssd300.serve.settings import Settings
from ssd300.weights.catalog import resolve

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
PICTURES = sorted((ROOT / "examples" / "images").glob("*.jpg"))
FOUND = """() => !document.getElementById("save-json").disabled
    && !document.getElementById("status").textContent.startsWith("Looking")"""


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load("default", precision="f32", threads=2)


@pytest.fixture
def script(opened, server):
    """The page's script in a browser, without a network."""
    return opened(f"http://127.0.0.1:{server.port}").page


@pytest.mark.parametrize(
    "size",
    [(1, 1), (7, 5), (300, 300), (301, 299), (640, 480), (1033, 77), (299, 1200), (400, 500), (400, 501), (3000, 2000)],
)
def test_the_resize_is_the_package_s_to_the_bit(script, size) -> None:
    draw = np.random.default_rng(size[0])
    rgb = draw.integers(0, 256, (size[1], size[0], 3), np.uint8)
    assert np.array_equal(pixels_of(script, rgb), resize_to_network(rgb))


@pytest.mark.parametrize(("alpha", "color"), [(0, 0), (0, 90), (8, 90), (9, 255), (255, 255)])
def test_where_alpha_hides_the_whole_picture_the_colors_count(script, alpha, color) -> None:
    rgba = np.random.default_rng(1).integers(color, 256, (40, 70, 4), np.uint8)
    rgba[..., 3] = alpha
    stream = io.BytesIO()
    Image.fromarray(rgba).save(stream, "PNG")
    expected = resize_to_network(decode_image(stream.getvalue(), name="x"))
    assert np.array_equal(pixels_of(script, rgba), expected)


@pytest.mark.parametrize("orientation", range(1, 10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_turned_as_its_exif_says(script, kind, orientation) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    rgb = np.random.default_rng(0).integers(0, 256, (37, 52, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, kind, exif=exif, lossless=True, quality=100, subsampling=0)
    expected = resize_to_network(decode_image(stream.getvalue(), name="x")).astype(int)
    assert np.abs(network_picture(script, stream.getvalue()) - expected).max() <= 2  # decoders of JPEG differ


def test_a_webp_with_damaged_exif_is_read(script) -> None:
    stream = io.BytesIO()
    rgb = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    Image.fromarray(rgb).save(stream, "WEBP", exif=b"II*\0\xff\xff\xff\0", lossless=True)
    assert np.array_equal(network_picture(script, stream.getvalue()), rgb)


def pixels_of(script, pixels: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return network_picture(script, stream.getvalue())


def network_picture(script, data: bytes) -> np.ndarray:
    """What the script gives to the network for the bytes of a file."""
    found = script.evaluate(
        """async (text) => {
            const file = new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))]);
            const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
            return [...ssd300Browser.pixelsOf(await ssd300Browser.read(file, options))];
        }""",
        base64.b64encode(data).decode(),
    )
    return np.array(found, np.uint8).reshape(300, 300, 3)


@pytest.mark.parametrize("agnostic", [False, True])
@pytest.mark.parametrize("priors", [0, 1, 60, 400])
def test_the_selection_is_the_package_s(script, priors, agnostic) -> None:
    draw = np.random.default_rng(priors)
    low = draw.uniform(0, 0.8, (priors, 2))
    boxes = np.concatenate([low, low + draw.uniform(0, 0.5, (priors, 2))], 1).astype(np.float32)
    boxes = boxes[draw.integers(0, max(priors // 3, 1), priors)] if priors else boxes  # many that overlap wholly
    scores = (draw.integers(0, 32, (5, priors)) / 64).astype(np.float32)  # many equal scores
    thresholds = {"score_threshold": 0.3, "iou_threshold": 0.45, "max_detections": 50}
    _, labels, expected = select(boxes, scores, agnostic=agnostic, **thresholds)
    found = script.evaluate(
        """([boxes, scores, agnostic]) => ssd300Browser.select(Float32Array.from(boxes), Float32Array.from(scores),
            { scoreThreshold: 0.3, iouThreshold: 0.45, maxDetections: 50, agnostic })""",
        [boxes.ravel().tolist(), scores.ravel().tolist(), agnostic],
    )
    assert [(one["label"], one["score"]) for one in found] == list(zip(labels.tolist(), expected.tolist(), strict=True))


@pytest.mark.parametrize(("half", "tolerance"), [(False, 1e-4), (True, 0.02)])
def test_one_file_opened_from_the_disk_answers_as_the_package(
    opened, detector, web_runtime, tmp_path, half, tolerance
) -> None:
    path = tmp_path / "page.html"
    export_html(*load_source(resolve("default")), path, read_web_runtime(web_runtime), half=half)
    watched = opened(path.as_uri())
    for picture in PICTURES:
        page = watched.page
        page.evaluate("document.getElementById('save-json').disabled = true")
        page.set_input_files("#file", picture)
        page.wait_for_function(FOUND, timeout=120_000)
        page.fill("#threshold", "0.3")
        with page.expect_download() as saved:
            page.click("#save-json")
        compare(json.loads(Path(saved.value.path()).read_text()), detector, picture, tolerance)
    (tmp_path / "notes.jpg").write_text("words")
    page.set_input_files("#file", tmp_path / "notes.jpg")
    page.wait_for_selector("#fault:has-text('notes.jpg: this browser cannot read it')")
    assert watched.outside(path.as_uri()) == []
    assert watched.faults == []


def test_the_server_s_private_switch_sends_no_picture(opened, detector, web_runtime) -> None:
    private = _private(str(web_runtime), {"default": "default"})
    with serving(Models.load({"default": "default"}, threads=2), Settings(private=private, timeout=60)) as server:
        own = f"http://127.0.0.1:{server.port}"
        watched = opened(own)
        page = watched.page
        page.route("**/v1/models", lambda route: None, times=1)  # the page's list of models does not arrive: the first
        page.reload()
        page.check("#private")
        page.set_input_files("#file", PICTURES[-1])
        page.wait_for_function(FOUND, timeout=120_000)
        page.fill("#threshold", "0.3")
        with page.expect_download() as saved:
            page.click("#save-json")
        compare(json.loads(Path(saved.value.path()).read_text()), detector, PICTURES[-1], 0.02)
        assert not [url for url in watched.asked if "/v1/detect" in url]
        assert (watched.outside(own), watched.faults) == ([], [])


def compare(answer: dict, detector: Detector, picture: Path, tolerance: float) -> None:
    """The same objects in the same order; those within the tolerance of the threshold may be missing or more."""
    found = detector.detect(picture, score_threshold=0.3, clip=True)
    assert (answer["height"], answer["width"]) == found.image_size_hw
    sure = [one for one in answer["detections"] if one["score"] > 0.3 + tolerance]
    expected = [one for one in found if one.score > 0.3 + tolerance]
    assert [one["name"] for one in sure] == [one.name for one in expected]
    assert [one["score"] for one in sure] == pytest.approx([one.score for one in expected], abs=tolerance)
    for ours, theirs in zip(expected, sure, strict=True):
        assert theirs["box_xyxy"] == pytest.approx(ours.box_xyxy, abs=max(found.image_size_hw) * tolerance * 5)

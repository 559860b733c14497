"""The helpers of the published hub interface: what they keep, and where they are deliberately better."""

import http.server
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssd300.errors import ArgumentError, ImageError
from ssd300.hub import Processing, nvidia_ssd_processing_utils
from ssd300.labels import COCO_NAMES

ROOT = Path(__file__).parents[1]
HELPERS = [
    "load_image", "rescale", "crop_center", "normalize", "prepare_input", "prepare_tensor", "decode_results",
    "pick_best", "get_coco_object_dictionary",
]  # fmt: skip


@pytest.fixture
def helpers():
    return nvidia_ssd_processing_utils()


@pytest.fixture
def picture():
    return np.random.default_rng(1).random((40, 60, 3))


def test_every_published_helper_is_there(helpers):
    assert [name for name in vars(Processing) if not name.startswith("_")] == HELPERS
    assert all(callable(getattr(helpers, name)) for name in HELPERS)


@pytest.mark.parametrize(
    ("size_hw", "wanted_hw", "expected_hw"),
    [
        ((300, 300), (300, 300), (300, 300)),
        ((1, 1), (300, 300), (300, 300)),
        ((480, 640), (300, 300), (300, 400)),
        ((640, 480), (300, 300), (400, 300)),
        ((333, 500), (300, 300), (300, 450)),
        ((200, 301), (300, 300), (300, 451)),  # 451.5: the long side is truncated
        ((480, 640), (150, 200), (150, 200)),  # not swapped, unlike published
        ((640, 480), (150, 90), (150, 112)),
        ((480, 640), (300, 900), (675, 900)),
    ],
)
def test_rescale_keeps_the_aspect(helpers, size_hw, wanted_hw, expected_hw):
    assert helpers.rescale(np.zeros((*size_hw, 3)), *wanted_hw).shape == (*expected_hw, 3)


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 7), (2, 31), (7, 9), (300, 301), (480, 640), (900, 310)])
def test_rescale_equals_scipy(helpers, size_hw):
    """The steps of scikit-image's resize, done by scipy."""
    ndimage = pytest.importorskip("scipy.ndimage")
    picture = np.random.default_rng(0).random((*size_hw, 3))
    resized = helpers.rescale(picture, 300, 300)
    factors = np.divide(picture.shape, resized.shape)
    smooth = ndimage.gaussian_filter(picture, np.maximum(0, (factors - 1) / 2), mode="mirror")
    expected = ndimage.zoom(smooth, 1 / factors, order=1, mode="mirror", grid_mode=True)
    np.testing.assert_allclose(resized, expected, atol=1e-12)


def test_rescale_of_a_constant_is_constant_in_every_dtype(helpers):
    for value, expected in ((np.uint8(51), 0.2), (np.uint16(13107), 0.2), (np.float32(0.2), 0.2)):
        resized = helpers.rescale(np.full((500, 400, 3), value), 300, 300)
        assert resized.dtype == (np.float32 if value.dtype == np.float32 else np.float64)
        np.testing.assert_allclose(resized, expected, atol=1e-7)


def test_crop_center_takes_columns_then_rows(helpers):
    picture = np.arange(7 * 10).reshape(7, 10, 1)
    np.testing.assert_array_equal(helpers.crop_center(picture, 4, 3), picture[2:5, 3:7])
    assert helpers.crop_center(picture, 10, 7).shape == (7, 10, 1)
    for cropx, cropy in ((11, 7), (10, 8), (-2, 7), (10, 0)):
        with pytest.raises(ArgumentError, match=f"cannot cut {cropx}x{cropy} out of 10x7 pixels: rescale first"):
            helpers.crop_center(picture, cropx, cropy)


def test_normalize(helpers):
    np.testing.assert_allclose(helpers.normalize(np.array([0, 0.5, 1])), [-1, 0, 1])
    np.testing.assert_allclose(helpers.normalize(np.array([0.5]), mean=0, std=2), [64])


def test_prepare_tensor(helpers):
    torch = pytest.importorskip("torch")
    assert helpers.prepare_tensor([]).shape == (0, 3, 300, 300)
    pictures = list(np.random.default_rng(0).random((2, 300, 300, 3)))
    tensor = helpers.prepare_tensor(pictures)
    assert tensor.is_cuda == torch.cuda.is_available()
    assert tensor.is_contiguous()
    np.testing.assert_array_equal(tensor[1, 2].cpu(), pictures[1][..., 2].astype(np.float32))
    assert helpers.prepare_tensor(pictures, fp16=True).dtype == torch.float16


@pytest.mark.parametrize(
    ("inputs", "shape"),
    [
        (np.zeros((300, 300, 3)), r"\[300, 3\]"),  # a picture without a list around it
        ([np.zeros((1, 1, 3))], r"\[1, 1, 3\]"),
        ([np.zeros((300, 300))], r"\[300, 300\]"),
        ([np.zeros((3, 300, 300))], r"\[3, 300, 300\]"),
        (["coffee.jpg"], r"\[\]"),
    ],
)
def test_prepare_tensor_repeats_no_pixels(helpers, inputs, shape):
    pytest.importorskip("torch")
    with pytest.raises(ArgumentError, match=rf"a list of pictures \[300, 300, 3\].*; got one of shape {shape}"):
        helpers.prepare_tensor(inputs)


def test_decode_results_of_nothing_keep_shapes_and_dtypes(helpers):
    assert helpers.decode_results((np.zeros((0, 4, 8732)), np.zeros((0, 81, 8732)))) == []
    ((boxes, labels, scores),) = helpers.decode_results((np.zeros((1, 4, 8732)), np.zeros((1, 81, 8732))))
    assert [(a.shape, a.dtype) for a in (boxes, labels, scores)] == [
        ((0, 4), np.float32), ((0,), np.int64), ((0,), np.float32),
    ]  # fmt: skip
    assert [len(a) for a in helpers.pick_best([boxes, labels, scores])] == [0, 0, 0]


def test_decode_results_are_ascending_and_at_most_20(helpers):
    logits = np.zeros((1, 3, 8732), np.float32)
    logits[:, 0] = 9
    places = np.arange(0, 5776, 120)  # far apart, so none suppresses another
    logits[0, 2, places] = 9 + np.linspace(0, 4, len(places))
    ((boxes, labels, scores),) = helpers.decode_results((np.zeros((1, 4, 8732)), logits))
    assert boxes.shape == (20, 4)
    assert set(labels) == {2}
    assert (np.diff(scores) > 0).all()


def test_pick_best_is_strict_and_keeps_the_order(helpers):
    detections = [np.arange(16.0).reshape(4, 4), np.array([4, 3, 2, 1]), np.array([0.1, 0.3, 0.4, 0.9])]
    boxes, labels, scores = helpers.pick_best(detections)
    assert labels.tolist() == [2, 1]
    assert scores.tolist() == [0.4, 0.9]
    np.testing.assert_array_equal(boxes, detections[0][2:])
    assert helpers.pick_best(detections, 0.05)[1].tolist() == [4, 3, 2, 1]


def test_class_names(helpers):
    names = helpers.get_coco_object_dictionary()
    assert tuple(names) == COCO_NAMES
    names.clear()
    assert len(helpers.get_coco_object_dictionary()) == 80


def test_no_helper_changes_its_input(helpers, picture):
    torch = pytest.importorskip("torch")
    locs, logits = torch.ones(1, 4, 8732), torch.zeros(1, 81, 8732)
    logits[0, 5, :9] = 9
    prepared = np.zeros((300, 300, 3))
    detections = [np.zeros((2, 4)), np.array([1, 2]), np.array([0.2, 0.5])]
    for inputs, call in (
        ([picture], lambda: helpers.rescale(picture, 30, 30)),
        ([picture], lambda: helpers.crop_center(picture, 20, 20)),
        ([picture], lambda: helpers.normalize(picture)),
        ([prepared], lambda: helpers.prepare_tensor([prepared]).add_(1)),
        ([locs, logits], lambda: helpers.decode_results((locs, logits))),
        (detections, lambda: helpers.pick_best(detections)),
    ):
        before = [np.asarray(value).copy() for value in inputs]
        call()
        for value, copy in zip(inputs, before, strict=True):
            np.testing.assert_array_equal(np.asarray(value), copy)


@pytest.fixture
def red_left(tmp_path):
    """Writes a 40x20 picture, left half red, in a mode and format; returns its path."""

    def write(mode, ending, **options):
        rgb = Image.new("RGB", (40, 20), "white")
        rgb.paste((255, 0, 0), (0, 0, 20, 20))
        path = tmp_path / f"{mode}{ending}"
        rgb.convert(mode).save(path, **options)
        return path

    return write


@pytest.mark.parametrize(("mode", "ending"), [("RGB", ".png"), ("RGBA", ".png"), ("P", ".png"), ("CMYK", ".tif")])
def test_modes_give_the_same_three_channels(helpers, red_left, mode, ending):
    picture = helpers.load_image(str(red_left(mode, ending)))
    assert picture.shape == (20, 40, 3)
    assert picture.dtype == np.float64
    np.testing.assert_allclose(picture[10, [5, 35]], [[1, 0, 0], [1, 1, 1]], atol=0.02)


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grey_has_three_equal_channels_and_is_not_transposed(helpers, red_left, mode):
    picture = helpers.load_image(red_left(mode, ".png"))
    assert picture.shape == (20, 40, 3)
    assert (picture[..., 0] == picture[..., 2]).all()
    assert picture[10, 5, 0] < picture[10, 35, 0] or mode == "1"


def test_exif_orientation_is_applied(helpers, red_left):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise: the left becomes the top
    picture = helpers.load_image(red_left("RGB", ".png", exif=exif))
    assert picture.shape == (40, 20, 3)
    np.testing.assert_allclose(picture[5, 10], [1, 0, 0])


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (4000, 1)])
def test_prepare_input_takes_any_shape(helpers, size):
    assert helpers.prepare_input(Image.new("RGB", size, "white")).shape == (300, 300, 3)


def test_a_bad_picture_says_so(helpers, tmp_path):
    for path in (tmp_path / "none.jpg", tmp_path):
        with pytest.raises(ImageError, match=path.name):
            helpers.prepare_input(path)


def test_an_address_is_fetched(helpers, red_left, monkeypatch):
    monkeypatch.setenv("SSD300_ALLOW_PRIVATE_URLS", "1")
    path = red_left("RGB", ".png")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=path.parent)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            picture = helpers.prepare_input(f"http://127.0.0.1:{server.server_port}/{path.name}")
        finally:
            server.shutdown()
    np.testing.assert_array_equal(picture, helpers.prepare_input(path))


def test_pictures_are_prepared_without_torch(red_left):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from ssd300.errors import MissingExtraError\nfrom ssd300.hub import nvidia_ssd, nvidia_ssd_processing_utils\n"
        f"assert nvidia_ssd_processing_utils().prepare_input({str(red_left('RGB', '.png'))!r}).shape == (300, 300, 3)\n"
        "try:\n    nvidia_ssd(pretrained=False)\nexcept MissingExtraError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (
        done.stdout.strip()
        == 'nvidia_ssd needs packages that are not installed: pip install ".[train]" in a clone of ssd300'
    ), done

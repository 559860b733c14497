"""Both ways to prepare a picture equal the published code: the hub helpers' and the evaluation's."""

import numpy as np
import pytest
from PIL import Image

from ssd300.architecture import MEAN, STD
from ssd300.hub import Processing
from ssd300.images.resize import load_for_network

PICTURES = ["astronaut_tall", "chelsea_wide", "coffee_wide"]


@pytest.fixture
def path_of(request):
    folder = request.path.parent / "data" / "pictures"
    return lambda name: folder / f"{name}.png"


def test_every_reference_picture_is_listed(reference_json):
    assert {name for name in reference_json("prepare") if not name.startswith("_")} == set(PICTURES)


@pytest.mark.parametrize("name", PICTURES)
def test_prepare_input(name, path_of, reference_npz):
    prepared = Processing.prepare_input(path_of(name))
    assert prepared.shape == (300, 300, 3)
    assert prepared.dtype == np.float64
    np.testing.assert_allclose(prepared, reference_npz("prepare")[f"{name}.prepare_input"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", PICTURES)
def test_the_helpers_in_a_row_are_prepare_input(name, path_of):
    picture = Processing.load_image(str(path_of(name)))
    cut = Processing.crop_center(Processing.rescale(picture, 300, 300), 300, 300)
    np.testing.assert_array_equal(Processing.normalize(cut), Processing.prepare_input(path_of(name)))


@pytest.mark.parametrize("name", PICTURES)
def test_evaluation_picture(name, path_of, reference_json, reference_npz):
    picture, (height, width) = load_for_network(path_of(name))
    case, arrays = reference_json("prepare")[name], reference_npz("prepare")
    assert (height, width) == (case["height"], case["width"])
    np.testing.assert_array_equal(picture, arrays[f"{name}.eval_resized"])
    normalized = ((picture / np.float32(255) - np.float32(MEAN)) / np.float32(STD)).transpose(2, 0, 1)
    np.testing.assert_allclose(
        normalized.flatten()[arrays[f"{name}.eval_index"]], arrays[f"{name}.eval_chw"], atol=1e-5, rtol=0
    )


def test_prepare_tensor(path_of, reference_json):
    pytest.importorskip("torch")
    inputs = [Processing.prepare_input(path_of(name)) for name in reference_json("prepare")["_batch"]["order"]]
    expected = reference_json("prepare")["_batch"]
    for fp16, dtype in ((False, expected["dtype"]), (True, expected["fp16_dtype"])):
        tensor = Processing.prepare_tensor(inputs, fp16)
        assert list(tensor.shape) == expected["shape"]
        assert str(tensor.dtype) == dtype
        np.testing.assert_allclose(tensor[1].cpu().numpy().transpose(1, 2, 0), inputs[1], atol=1e-3 if fp16 else 1e-7)


def test_grey_is_upright_unlike_published(path_of, reference_json):
    """The published loader transposes gray pictures (json: `loaded_shape`); this one does not."""
    published = reference_json("prepare")["_grey"]
    picture = Processing.load_image(path_of("grey"))
    assert picture.shape == (published["height"], published["width"], 3)
    with Image.open(path_of("grey")) as gray:
        np.testing.assert_allclose(picture[..., 0], np.asarray(gray) / 255, atol=1e-12)

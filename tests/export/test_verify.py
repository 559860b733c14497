"""What `verify` accepts and refuses, and that a refused export leaves the old file alone."""

from functools import partial

import numpy as np
import pytest

from ssd300.errors import ModelError
from ssd300.export import files
from ssd300.export.onnx import OnnxOptions
from ssd300.export.verify import count_equal, make_comparison_pictures, verify, verify_tail
from ssd300.postprocess import decode

PICTURES = np.zeros((2, 300, 300, 3), np.uint8)
NOTHING = np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32)

pytestmark = pytest.mark.usefixtures("narrow")


def answers(shift=0.0, priors=5):
    boxes_xyxy = np.tile(np.float32([0.1, 0.1, 0.3, 0.3]), (priors, 1)) + np.arange(priors)[:, None] * np.float32(0.15)
    probabilities = np.tile(np.float32([[0.1], [0.9]]), (1, priors)) + np.float32(shift)
    return lambda pictures: [(boxes_xyxy, probabilities)] * len(pictures)


@pytest.mark.parametrize(("a", "b", "equal"), [(0, 0, 0), (0, 2, 0), (2, 0, 0), (2, 2, 2), (3, 2, 2)])
def test_count_equal_pairs_each_detection_once(a, b, equal):
    def detections(n):
        return np.zeros((n, 4), np.float32), np.ones(n, np.int64), np.full(n, 0.5, np.float32)

    assert count_equal(detections(a), detections(b), 1e-4) == equal


def test_the_same_answers_pass():
    result = verify(answers(), answers(5e-5), PICTURES, against="itself", tolerance=1e-4)
    assert (result.pictures, result.boxes, result.equal, result.detections) == (2, 0.0, 10, 10)
    assert 4e-5 < result.probabilities < 6e-5


@pytest.mark.parametrize("shift", [0.01, float("nan")])
def test_other_answers_are_refused_with_the_figures(shift):
    if np.isnan(shift):
        boxes_xyxy, _ = answers()(PICTURES)[0]
        strange = lambda pictures: [(boxes_xyxy * np.float32("nan"), answers()(pictures)[0][1])] * len(pictures)  # noqa: E731
    else:
        strange = answers(shift)
    with pytest.raises(ModelError, match=r"gives other results.*boxes differ by at most.*the tolerance is 1e-04"):
        verify(answers(), strange, PICTURES, against="itself", tolerance=1e-4)


def test_another_number_of_boxes_is_refused():
    with pytest.raises(ModelError, match="inf"):
        verify(answers(), answers(priors=4), PICTURES, against="itself", tolerance=1e-4)


def test_a_selection_that_differs_is_refused():
    with pytest.raises(ModelError, match="0 of 10"):
        verify(answers(), answers(), PICTURES, against="itself", tolerance=1e-4, detect=lambda picture: NOTHING)


def test_tail_of_our_own_rule_passes_and_a_wrong_rule_does_not():
    verify_tail(decode, 4)
    with pytest.raises(ModelError, match="equal detections"):
        verify_tail(lambda locs, logits: decode(locs, logits, iou_threshold=0.7), 4)


def test_check_pictures_are_repeatable(tmp_path):
    from PIL import Image

    Image.new("RGB", (40, 30), "red").save(tmp_path / "red.png")
    first, second = make_comparison_pictures(), make_comparison_pictures([tmp_path / "red.png"])
    for same in (tmp_path / "red.png", str(tmp_path / "red.png"), tmp_path):
        assert np.array_equal(make_comparison_pictures(same), second)
    assert first.dtype == np.uint8
    assert first.shape[1:] == (300, 300, 3)
    np.testing.assert_array_equal(first, second[:-1])
    assert (second[-1] == [255, 0, 0]).all()


@pytest.mark.parametrize("name", ["model.onnx", "model.xml", "model.safetensors"])
def test_a_refused_export_leaves_nothing(name, seeded_model, tmp_path, monkeypatch):
    state, metadata = seeded_model("resnet18")
    path = tmp_path / name
    path.write_text("what was there")
    others = dict(state)
    others["loc.0.bias"] = state["loc.0.bias"] + 1
    ours = files.make_reference(others, metadata)
    good = files.make_reference
    calls = iter([ours])  # the first runtime made is the reference
    monkeypatch.setattr(files, "make_reference", lambda *given: next(calls, None) or good(*given))
    onnx = partial(files.export_onnx, options=OnnxOptions())
    export = {"onnx": onnx, "xml": files.export_openvino, "safetensors": files.export_safetensors}
    with pytest.raises(ModelError, match="gives other results"):
        export[name.rpartition(".")[2]](state, metadata, path)
    assert path.read_text() == "what was there"
    assert [entry.name for entry in tmp_path.iterdir()] == [name]

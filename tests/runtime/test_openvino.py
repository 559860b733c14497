import numpy as np
import openvino as ov
import pytest

from narrow import narrow_network
from ssd300.cpu import native_bf16
from ssd300.errors import ArgumentError, ModelError
from ssd300.priors import NUM_PRIORS
from ssd300.runtime.graph import build_graph
from ssd300.runtime.openvino import load_openvino
from ssd300.weights.catalog import load_weights

pytestmark = pytest.mark.usefixtures("narrow")
PICTURES = np.random.default_rng(0).integers(0, 256, (3, 6, 6, 3), dtype=np.uint8).repeat(50, 1).repeat(50, 2)


@pytest.fixture(scope="module")
def runtime(narrow_checkpoint):
    with narrow_network():
        return load_openvino(narrow_checkpoint, precision="f32")


@pytest.fixture(scope="module")
def graph_file(narrow_checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "model.xml"
    with narrow_network():
        ov.save_model(build_graph(*load_weights(narrow_checkpoint)), path, compress_to_fp16=False)
    return path


def assert_equal(ours, expected):
    assert len(ours) == len(expected)
    for a, b in zip(ours, expected, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])


def test_no_pictures(runtime):
    assert runtime.infer(PICTURES[:0]) == []


def test_all_priors_at_threshold_zero(runtime):
    for boxes_xyxy, probabilities in runtime.infer(PICTURES):
        assert (boxes_xyxy.shape, probabilities.shape) == ((NUM_PRIORS, 4), (5, NUM_PRIORS))
        assert (boxes_xyxy.dtype, probabilities.dtype) == (np.float32, np.float32)
        np.testing.assert_allclose(probabilities.sum(0), 1, atol=1e-5)


@pytest.mark.parametrize("threshold", [0.05, 0.4, 0.9])
def test_no_prior_above_the_threshold_is_left_out(threshold, runtime):
    for (few_boxes, few), (boxes, probabilities) in zip(
        runtime.infer(PICTURES, threshold), runtime.infer(PICTURES), strict=True
    ):
        wanted = (probabilities[1:] > threshold).any(0)
        kept = (few[1:] > threshold).any(0)
        assert few.shape[1] < NUM_PRIORS / 4
        np.testing.assert_allclose(few[:, kept], probabilities[:, wanted], atol=1e-6)
        np.testing.assert_array_equal(few_boxes[kept], boxes[wanted])


def test_one_by_one_side_by_side_and_on_one_thread_give_the_same_bits(runtime, narrow_checkpoint):
    expected = runtime.infer(PICTURES)
    assert_equal([runtime.infer(picture[None])[0] for picture in PICTURES], expected)
    assert_equal(runtime.for_throughput().infer(PICTURES), expected)
    assert_equal(load_openvino(narrow_checkpoint, precision="f32", threads=1).infer(PICTURES), expected)


def test_answers_are_not_overwritten_by_the_next_call(runtime):
    [(boxes_xyxy, probabilities)] = runtime.infer(PICTURES[:1])
    copies = boxes_xyxy.copy(), probabilities.copy()
    runtime.infer(PICTURES[1:])
    assert_equal([(boxes_xyxy, probabilities)], [copies])


def test_pictures_may_be_views_and_are_not_changed(runtime):
    wide = np.repeat(PICTURES, 2, axis=2)
    wide.setflags(write=False)
    assert_equal(runtime.infer(wide[:, :, ::2]), runtime.infer(PICTURES))


@pytest.mark.parametrize(
    ("pictures", "found"),
    [
        (PICTURES.astype(np.float32), r"float32 \[3, 300, 300, 3\]"),
        (PICTURES[0], r"uint8 \[300, 300, 3\]"),
        (PICTURES.transpose(0, 3, 1, 2), r"uint8 \[3, 3, 300, 300\]"),
        (PICTURES.tolist(), "list"),
    ],
)
def test_other_arrays_are_refused(pictures, found, runtime):
    with pytest.raises(ArgumentError, match=rf"expected pictures uint8 \[B, 300, 300, 3\], got .*{found}"):
        runtime.infer(pictures)


@pytest.mark.skipif(not native_bf16(), reason="this CPU does not compute bf16 natively")
def test_bf16_stays_near(runtime, narrow_checkpoint):
    rough = load_openvino(narrow_checkpoint, precision="bf16")
    assert rough.precision == "bf16"
    for (_, a), (_, b) in zip(rough.infer(PICTURES), runtime.infer(PICTURES), strict=True):
        assert np.sqrt(np.mean((a - b) ** 2)) < 0.01
        assert not np.array_equal(a, b)


def test_the_same_weights_give_the_same_file(graph_file, narrow_checkpoint, tmp_path):
    again = tmp_path / "again.xml"
    model = build_graph(*load_weights(narrow_checkpoint))
    ov.save_model(model, again, compress_to_fp16=False)
    assert again.read_bytes() == graph_file.read_bytes()
    assert again.with_suffix(".bin").read_bytes() == graph_file.with_suffix(".bin").read_bytes()
    names = [node.get_friendly_name() for node in model.get_ops()]
    assert len(set(names)) == len(names)


def test_a_graph_file_answers_like_its_weights(graph_file, runtime):
    from_file = load_openvino(graph_file, precision="f32")
    assert from_file.metadata == runtime.metadata
    assert_equal(from_file.infer(PICTURES), runtime.infer(PICTURES))


def test_a_graph_file_without_its_weights(graph_file, tmp_path):
    alone = tmp_path / "alone.xml"
    alone.write_bytes(graph_file.read_bytes())
    with pytest.raises(
        ModelError, match=r"alone\.xml: OpenVINO cannot read it: .* is its \.bin beside it and complete\?"
    ):
        load_openvino(alone)


@pytest.mark.parametrize("size", [0, None], ids=["cut", "other numbers"])
def test_a_loaded_graph_does_not_change_with_its_file(size, graph_file, runtime, tmp_path):
    for file in (graph_file, graph_file.with_suffix(".bin")):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    loaded = load_openvino(tmp_path / graph_file.name, precision="f32", threads=2)
    numbers = tmp_path / graph_file.with_suffix(".bin").name
    numbers.write_bytes(bytes(numbers.stat().st_size if size is None else size))  # in place, as `cp` does
    assert_equal(loaded.infer(PICTURES), runtime.infer(PICTURES))
    assert_equal(loaded.for_throughput().infer(PICTURES), runtime.infer(PICTURES))


def test_numbers_beyond_the_limit_are_not_read(graph_file, tmp_path):
    (tmp_path / "m.xml").write_bytes(graph_file.read_bytes())
    with (tmp_path / "m.bin").open("wb") as file:
        file.truncate(2**30 + 1)
    with pytest.raises(ModelError, match=r"m\.bin: larger than 1,073,741,824 bytes, which no SSD300 is"):
        load_openvino(tmp_path / "m.xml")


def test_a_graph_of_other_outputs(graph_file, tmp_path):
    model = ov.Core().read_model(graph_file)
    model.output("margin").set_names({"scores"})
    ov.save_model(model, tmp_path / "other.xml", compress_to_fp16=False)
    with pytest.raises(ModelError, match=r"its outputs are \['outputs', 'scores'\], expected 'outputs' and 'margin'"):
        load_openvino(tmp_path / "other.xml")

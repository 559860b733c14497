"""`Detector.load("x.onnx")`: the same detections as from the weights, whatever kind of ONNX file it is."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest

from narrow import narrow_network
from ssd300 import ArgumentError, Detector, ModelError
from ssd300.export.onnx import OnnxOptions, build_onnx
from ssd300.runtime.onnx import load_onnx
from ssd300.weights.checkpoint import read_checkpoint

pytestmark = pytest.mark.usefixtures("narrow")
NOISE = np.random.default_rng(3).integers(0, 256, (3, 300, 300, 3), dtype=np.uint8)
BLOCKS = np.random.default_rng(4).integers(0, 256, (4, 6, 3), dtype=np.uint8).repeat(60, 0).repeat(70, 1)


@pytest.fixture(scope="module")
def written(narrow_checkpoint, tmp_path_factory):
    """options -> an .onnx file of the seeded model."""
    folder = tmp_path_factory.mktemp("onnx")
    with narrow_network():
        state, metadata = read_checkpoint(narrow_checkpoint)

    def write(**options):
        path = folder / f"{len(list(folder.iterdir()))}.onnx"
        with narrow_network():
            path.write_bytes(build_onnx(state, metadata, OnnxOptions(**options)).SerializeToString())
        return path

    return write


@pytest.fixture(scope="module")
def plain(written):
    return written()


@pytest.mark.parametrize(
    "options",
    [{}, {"nms": False}, {"dynamic_batch": True, "input": "float", "opset": 21}, {"score_threshold": 0.9}],
    ids=str,
)
def test_detections_equal_those_from_the_weights(options, written, narrow_checkpoint):
    ours = Detector.load(narrow_checkpoint, precision="f32", threads=1)
    theirs = Detector.load(written(**options), threads=1)
    assert (theirs.runtime.name, theirs.runtime.precision) == ("onnx", "f32")
    assert theirs.classes == ours.classes
    for thresholds in ({}, {"score_threshold": 0.2, "iou_threshold": 0.3, "max_detections": 20}):
        expected, found = ours.detect(BLOCKS, **thresholds), theirs.detect(BLOCKS, **thresholds)
        assert len(found) == len(expected) > 3
        # Scores as close as the rounding of two libraries may change places.
        order = [np.lexsort((d.boxes_xyxy[:, 0].round(2), d.class_ids)) for d in (found, expected)]
        np.testing.assert_array_equal(found.class_ids[order[0]], expected.class_ids[order[1]])
        np.testing.assert_allclose(found.boxes_xyxy[order[0]], expected.boxes_xyxy[order[1]], atol=0.02)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)


def test_no_pictures_and_nothing_found(plain):
    runtime = load_onnx(plain, threads=1)
    assert runtime.infer(NOISE[:0]) == []
    found = Detector(runtime).detect(BLOCKS, score_threshold=1.0)
    assert found.boxes_xyxy.shape == (0, 4)


def test_threads_and_throughput_give_the_same(plain):
    runtime = load_onnx(plain, threads=2)
    expected = runtime.infer(NOISE, 0.3)
    for one in (runtime, runtime.for_throughput()):
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda i, one=one: one.infer(NOISE[i % 3][None], 0.3)[0], range(6)))
        for i, answer in enumerate(answers):
            for got, wanted in zip(answer, expected[i % 3], strict=True):
                np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_it_pickles_as_its_arguments(plain):
    again = pickle.loads(pickle.dumps(Detector.load(plain, threads=1)))
    assert again.runtime.name == "onnx"


@pytest.mark.parametrize(
    "pictures",
    [NOISE.astype(np.float32), NOISE[0], NOISE[:, :200], NOISE.tolist()[0][:1]],
    ids=["float", "3d", "size", "list"],
)
def test_other_arrays_are_refused(plain, pictures):
    with pytest.raises(ArgumentError, match="uint8"):
        load_onnx(plain, threads=1).infer(pictures)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precision": "int8"}, "float32"),
        ({"precision": "f33"}, "did you mean 'f32'"),
        ({"runtime": "torch"}, "onnx"),
        ({"device": "cuda"}, "CPU"),
    ],
)
def test_what_cannot_be_had_is_said(plain, options, words):
    with pytest.raises(ArgumentError, match=words):
        Detector.load(plain, **options)


def _without_metadata(model):
    del model.metadata_props[:]


def _renamed(model):
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = ["x" if name == "locs" else name for name in names]


def _external(model):
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL


def _broken(model):
    model.graph.node[2].op_type = "NoSuchOperator"


def _other_classes(model):
    for entry in model.metadata_props:
        entry.value = entry.value.replace('"num_classes": 5', '"num_classes": 4').replace(
            '{"id": 18, "name": "dog"}, ', ""
        )


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_without_metadata, "no ssd300 metadata"),
        (_renamed, "locs and logits are missing"),
        (_external, "other files"),
        (_broken, "cannot load"),
    ],
)
def test_foreign_and_damaged_files_are_refused(damage, words, plain, tmp_path):
    model = onnx.load(plain)
    damage(model)
    (tmp_path / "bad.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=words):
        Detector.load(tmp_path / "bad.onnx")


def test_heads_that_do_not_fit_the_metadata_are_refused(plain, tmp_path):
    model = onnx.load(plain)
    _other_classes(model)
    (tmp_path / "bad.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"heads are .*expected"):
        load_onnx(tmp_path / "bad.onnx", threads=1).infer(NOISE[:1])


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x08" * 1000])
def test_files_that_are_no_models_are_refused(content, tmp_path):
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(ModelError):
        Detector.load(tmp_path / "bad.onnx")

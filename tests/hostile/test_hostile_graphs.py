"""OpenVINO and ONNX files from strangers: a graph is a program, so only SSD300's own operators and sizes are run."""

import os
from itertools import pairwise

import numpy as np
import onnx
import openvino as ov
import pytest
from onnx import TensorProto, helper

from ssd300.errors import ModelError
from ssd300.export.onnx import OnnxOptions, build_onnx
from ssd300.runtime.graph import build_graph
from ssd300.runtime.onnx import load_onnx
from ssd300.runtime.openvino import load_openvino
from ssd300.weights.catalog import resolve
from ssd300.weights.checkpoint import read_checkpoint, read_metadata
from ssd300.weights.published import read_published


@pytest.fixture(scope="module")
def plain(seeded_checkpoint):
    """A whole ONNX model as bytes."""
    return build_onnx(*read_checkpoint(seeded_checkpoint), OnnxOptions(nms=False)).SerializeToString()


def _loop(model):
    """2**62 trips between the network and the heads."""
    body = helper.make_graph(
        [helper.make_node("Identity", [n], [m]) for n, m in (("c", "d"), ("x", "y"))],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("d", TensorProto.BOOL, []),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
        ],
    )
    model.graph.initializer.append(helper.make_tensor("trips", TensorProto.INT64, [], [2**62]))
    _between(model, helper.make_node("Loop", ["trips", "", "raw"], ["locs"], body=body))


def _expand(model):
    model.graph.initializer.append(helper.make_tensor("wide", TensorProto.INT64, [1], [2**32]))
    _between(model, helper.make_node("Expand", ["raw", "wide"], ["locs"]))


def _between(model, *nodes):
    """What was `locs` is now `raw`; the nodes make `locs` of it."""
    for node in model.graph.node:
        node.output[:] = ["raw" if name == "locs" else name for name in node.output]
    model.graph.node.extend(nodes)


def _external_in_a_branch(model):
    secret = helper.make_tensor("secret", TensorProto.FLOAT, [1], [0.0])
    secret.data_location = TensorProto.EXTERNAL
    secret.external_data.add(key="location", value="/etc/passwd")
    out = helper.make_tensor_value_info("secret", TensorProto.FLOAT, [1])
    branch = helper.make_graph([], "branch", [], [out], [secret])
    model.graph.initializer.append(helper.make_tensor("yes", TensorProto.BOOL, [], [True]))
    _between(model, helper.make_node("If", ["yes"], ["locs"], then_branch=branch, else_branch=branch))


def _external_constant(model):
    secret = helper.make_tensor("secret", TensorProto.FLOAT, [1], [0.0])
    secret.data_location = TensorProto.EXTERNAL
    _between(
        model, helper.make_node("Constant", [], ["s"], value=secret), helper.make_node("Add", ["raw", "s"], ["locs"])
    )


def _doubling(model):
    """Twenty times twice as long: small in the file, 2**20 times the memory."""
    names = ["raw", *(f"x{i}" for i in range(19)), "locs"]
    nodes = [helper.make_node("Concat", [a, a], [b], axis=0) for a, b in pairwise(names)]
    _between(model, *nodes)


def _other_domain(model):
    model.graph.node[3].domain = "com.example"


def _claimed(model):
    model.graph.initializer[0].dims[:] = [2**40]


def _sparse(model):
    model.graph.sparse_initializer.add()


def _function(model):
    model.functions.add(name="f", domain="d")


def _not_text(model):
    return model.SerializeToString().replace(b"traffic light", b"traffic\xfflight").replace(b"person", b"perso\xff")


def _no_kernel(model):
    """An operator that onnxruntime has not for integers of 16 bits, of a name that is not UTF-8: so is its message."""
    small, wide = TensorProto.INT16, TensorProto.FLOAT
    nodes = [
        helper.make_node("Cast", ["raw"], ["short"], to=small),
        helper.make_node("Relu", ["short"], ["less"], name="not UTF-8: Z"),
        helper.make_node("Cast", ["less"], ["locs"], to=wide),
    ]
    _between(model, *nodes)
    return model.SerializeToString().replace(b"not UTF-8: Z", b"not UTF-8: \xff")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_loop, "Loop has a program inside"),
        (_expand, r"operators that SSD300 does not need \(Expand\)"),
        (_external_in_a_branch, "If has a program inside"),
        (_external_constant, "its weights are in other files"),
        (_doubling, "its values hold [0-9,]+ numbers, at most"),
        (_other_domain, "com.example"),
        (_claimed, "claims more numbers than the file holds"),
        (_sparse, "sparse"),
        (_function, "functions"),
        (_not_text, "its ssd300 metadata is not JSON"),
        (_no_kernel, "onnxruntime cannot load the model: .*utf-8"),
    ],
)
def test_onnx_programs_are_refused(damage, words, plain, tmp_path):
    model = onnx.load_model_from_string(plain)
    content = damage(model) or model.SerializeToString()
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=words):
        load_onnx(tmp_path / "bad.onnx")


def test_what_detection_does_not_need_is_not_run(plain, tmp_path):
    """A hostile tail beside the heads is cut off."""
    model = onnx.load_model_from_string(plain)
    model.graph.initializer.append(helper.make_tensor("wide", TensorProto.INT64, [1], [2**32]))
    model.graph.node.append(helper.make_node("Expand", ["boxes", "wide"], ["bomb"]))
    model.graph.output.append(helper.make_tensor_value_info("bomb", TensorProto.FLOAT, None))
    (tmp_path / "bomb.onnx").write_bytes(model.SerializeToString())
    [(boxes, _)] = load_onnx(tmp_path / "bomb.onnx", threads=1).infer(np.zeros((1, 300, 300, 3), np.uint8))
    assert boxes.shape == (8732, 4)


@pytest.mark.posix
@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".safetensors", ".pt"])
@pytest.mark.parametrize("kind", ["FIFO", "link to a device"])
def test_files_that_are_no_files_are_refused_at_once(suffix, kind, tmp_path):
    path = tmp_path / f"m{suffix}"
    os.mkfifo(path) if kind == "FIFO" else path.symlink_to("/dev/zero")
    with pytest.raises(ModelError, match="not a regular file"):
        read_published(path) if suffix == ".pt" else read_metadata(path)
    with pytest.raises(ModelError):  # by the name of a model, as every verb takes it
        resolve(path)


@pytest.mark.posix
@pytest.mark.parametrize("kind", ["FIFO", "link to a device"])
def test_numbers_beside_a_graph_that_are_no_file(kind, graph_text, tmp_path):
    (tmp_path / "m.xml").write_text(graph_text[0], "utf-8")
    path = tmp_path / "m.bin"
    os.mkfifo(path) if kind == "FIFO" else path.symlink_to("/dev/zero")
    with pytest.raises(ModelError, match=r"m\.bin: cannot be read: not a regular file"):
        load_openvino(tmp_path / "m.xml")


@pytest.fixture(scope="module")
def graph_text(seeded_checkpoint, tmp_path_factory):
    """An OpenVINO model: the text of its .xml, the bytes of its .bin."""
    path = tmp_path_factory.mktemp("graph") / "m.xml"
    ov.save_model(build_graph(*read_checkpoint(seeded_checkpoint)), path, compress_to_fp16=False)
    return path.read_text("utf-8"), path.with_suffix(".bin").read_bytes()


def _other_class_count(text):
    assert "&quot;num_classes&quot;: 5" in text
    return text.replace("&quot;num_classes&quot;: 5", "&quot;num_classes&quot;: 4").replace(
        "{&quot;id&quot;: 18, &quot;name&quot;: &quot;dog&quot;}, ", ""
    )


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_other_class_count, r"its 'outputs' is f32 \[1, 9, 8732\], expected f32 \[1, 8, 8732\] for 4 classes"),
        (
            lambda text: text.replace('type="ReLU"', 'type="TensorIterator"', 1),
            "'TensorIterator' is not one of SSD300's",
        ),
        (lambda text: text.replace('element_type="u8"', 'element_type="i8"'), "'pictures' is i8"),
        (lambda text: text.replace('names="pictures"', 'names="photos"'), "expected 'pictures' alone"),
        (lambda text: text.replace("utf-8", "no-such-code", 1) if "utf-8" in text[:60] else "<?xml?>", "not an OpenV"),
    ],
)
def test_openvino_graphs_that_do_not_fit_are_refused(damage, words, graph_text, tmp_path):
    text, numbers = graph_text
    changed = damage(text)
    assert changed != text
    (tmp_path / "m.xml").write_text(changed, "utf-8")
    (tmp_path / "m.bin").write_bytes(numbers)
    with pytest.raises(ModelError, match=words):
        load_openvino(tmp_path / "m.xml")


def test_a_long_attribute_is_read_in_linear_time(tmp_path):
    (tmp_path / "m.xml").write_text(f'<net a="{"x" * 2**24}"/>')
    with pytest.raises(ModelError, match="no ssd300 metadata"):
        read_metadata(tmp_path / "m.xml")

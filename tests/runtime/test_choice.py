from dataclasses import replace
from types import SimpleNamespace
from xml.sax.saxutils import quoteattr

import pytest

from ssd300.architecture import architecture
from ssd300.detector import Detector
from ssd300.errors import ArgumentError, ModelError
from ssd300.files import sha256_of
from ssd300.runtime import choice, openvino
from ssd300.runtime.choice import choose_model_file, int8_siblings
from ssd300.weights.checkpoint import read_metadata, write_int8
from ssd300.weights.int8 import Int8, activation_names


@pytest.fixture
def model(seeded_checkpoint, tmp_path, monkeypatch):
    """A model file of its own folder, on a CPU that has bf16 and is not capped."""
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.setattr(choice, "native_bf16", lambda: True)
    path = tmp_path / "model.safetensors"
    path.write_bytes(seeded_checkpoint.read_bytes())
    return path


def int8_sibling(model):
    """The OpenVINO graph that earlier versions wrote."""
    return int8_siblings(model)[-1]


def write_graph(path, metadata, element_type="i8"):
    """What the choice reads of an OpenVINO file: the kind of its constants and the metadata."""
    path.write_text(
        f'<net><layers><layer><data element_type="{element_type}" size="9"/></layer></layers>'
        f"<rt_info><ssd300><meta value={quoteattr(metadata.to_json())}/></ssd300></rt_info></net>",
        encoding="utf-8",
    )


def write_sibling(model, *, passed=True, parent=None, element_type="i8"):
    metadata = replace(
        read_metadata(model), parent_sha256=parent or sha256_of(model), training={"quantization": {"passed": passed}}
    )
    write_graph(int8_sibling(model), metadata, element_type)


def test_auto_takes_bf16_where_the_cpu_has_it(model, monkeypatch):
    assert choose_model_file(model, "auto").precision == "bf16"
    monkeypatch.setattr(choice, "native_bf16", lambda: False)
    found = choose_model_file(model, "auto")
    assert (found.path, found.precision) == (model, "f32")
    assert "does not compute bf16 natively" in found.reason


def test_auto_takes_f32_where_the_instruction_set_is_capped(model, monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert choose_model_file(model, "auto").precision == "f32"
    with pytest.raises(ArgumentError, match="precision bf16: ONEDNN_MAX_CPU_ISA=AVX2 caps the instruction set"):
        choose_model_file(model, "bf16")


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_float_as_asked_for_even_beside_an_int8_file(precision, model):
    write_sibling(model)
    assert choose_model_file(model, precision) == choice.Choice(model, precision, "as requested")


@pytest.mark.parametrize("precision", ["auto", "int8"])
def test_an_int8_sibling_that_passed_is_taken(precision, model):
    write_sibling(model)
    found = choose_model_file(model, precision)
    assert (found.path, found.precision) == (int8_sibling(model), "int8")


@pytest.fixture
def ranges(model):
    """INT8 ranges that fit the model."""
    network = architecture(read_metadata(model).backbone, 5)
    return Int8(dict.fromkeys(activation_names(network), (-1.0, 1.0)))


@pytest.mark.parametrize(
    ("passed", "precision", "words"),
    [
        (True, "int8", "model.safetensors holds INT8 ranges that passed"),
        (False, "bf16", "the INT8 ranges in model.safetensors did not pass"),
        (None, "bf16", "the INT8 ranges in model.safetensors did not pass"),
    ],
)
def test_ranges_in_the_model_itself(passed, precision, words, model, ranges):
    training = None if passed is None else {"quantization": {"passed": passed}}
    write_int8(model, model, replace(read_metadata(model), training=training), ranges)
    found = choose_model_file(model, "auto")
    assert (found.path, found.precision) == (model, precision)
    assert words in found.reason


def test_the_models_own_ranges_come_before_a_sibling(model, ranges):
    write_int8(model, model, replace(read_metadata(model), training={"quantization": {"passed": True}}), ranges)
    write_sibling(model)
    assert choose_model_file(model, "auto").path == model


def test_a_damaged_entry_is_an_error(model, ranges):
    ranges.ranges.pop("pictures.centered")
    write_int8(model, model, read_metadata(model), ranges)
    with pytest.raises(ModelError, match=r"bad INT8 entry: its ranges are not those .*; quantize the model again"):
        choose_model_file(model, "auto")
    assert choose_model_file(model, "f32").precision == "f32"


@pytest.mark.parametrize(
    ("sibling", "fault"),
    [
        (None, "model.safetensors holds no INT8 ranges"),
        ({"passed": False}, "model.int8.xml did not pass its accuracy check"),
        ({"parent": "0" * 64}, "model.int8.xml was made from another file than model.safetensors"),
        ({"element_type": "f32"}, "model.int8.xml is a float model"),
    ],
)
def test_another_sibling_is_left_alone(sibling, fault, model):
    if sibling is not None:
        write_sibling(model, **sibling)
    found = choose_model_file(model, "auto")
    assert found.precision == "bf16"
    assert fault in found.reason
    with pytest.raises(ArgumentError, match=rf"precision int8: {fault}; make it with `ssd300 quantize"):
        choose_model_file(model, "int8")


def test_a_damaged_sibling_is_left_alone(model):
    int8_sibling(model).write_text("<net>")
    assert "not an OpenVINO model" in choose_model_file(model, "auto").reason


@pytest.mark.parametrize(
    ("element_type", "precision", "expected"),
    [("i8", "auto", "int8"), ("i8", "int8", "int8"), ("f32", "auto", "bf16"), ("f32", "f32", "f32")],
)
def test_graph_files(element_type, precision, expected, model, tmp_path):
    write_graph(tmp_path / "graph.xml", read_metadata(model), element_type)
    assert choose_model_file(tmp_path / "graph.xml", precision).precision == expected


@pytest.mark.parametrize(
    ("element_type", "precision", "message"),
    [
        ("i8", "f32", "precision f32: graph.xml is an INT8 graph; use auto or int8"),
        ("f32", "int8", "precision int8: graph.xml is a float graph; make an INT8 one"),
        ("f32", "fp32", "unknown precision 'fp32': did you mean 'f32'?"),
    ],
)
def test_what_a_graph_file_cannot_do(element_type, precision, message, model, tmp_path):
    write_graph(tmp_path / "graph.xml", read_metadata(model), element_type)
    with pytest.raises(ArgumentError, match=message.replace("?", r"\?")):
        choose_model_file(tmp_path / "graph.xml", precision)


def test_where_int8_cannot_be_compiled_auto_takes_float_and_says_why(monkeypatch) -> None:
    compile_really = openvino._compile

    def compile_float(model, precision, *rest):
        if precision == "int8":
            raise openvino.CompileError("OpenVINO cannot compile the model in int8: object is not initialized")
        return compile_really(model, precision, *rest)

    monkeypatch.setattr(openvino, "_compile", compile_float)
    runtime = Detector.load("default").runtime
    assert runtime.precision == "f32"
    assert runtime.reason == (
        "no INT8 on this CPU (OpenVINO cannot compile the model in int8: object is not initialized)"
    )
    with pytest.raises(ModelError, match="cannot compile the model in int8"):
        Detector.load("default", precision="int8")


def test_where_memory_runs_out_auto_takes_no_other_precision(monkeypatch) -> None:
    def run_out(*_):
        raise RuntimeError("Exception from src/a.cpp:1:\nstd::bad_alloc\n")

    core = SimpleNamespace(get_property=openvino._core().get_property, compile_model=run_out, import_model=run_out)
    monkeypatch.setattr(openvino, "_core", lambda: core)
    with pytest.raises(ModelError, match=r"no more memory or threads.* \(std::bad_alloc\)"):
        Detector.load("default")

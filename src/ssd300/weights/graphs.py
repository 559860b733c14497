"""Model files that are graphs, untrusted: OpenVINO's .xml and .onnx, parsed and checked before anything runs.

A graph is a program: each kind has an allow-list. An ONNX file is reduced to the part for detection; onnxruntime gets
only the part from the pictures to the raw heads: no subgraphs, weights only inside the file, and every value of a
known, bounded size.
"""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from ssd300 import limits
from ssd300.errors import ModelError, needs
from ssd300.weights.foreign import check_regular
from ssd300.weights.metadata import ModelMetadata

if TYPE_CHECKING:
    import onnx

RT_INFO_PATH = ("ssd300", "meta")  # of the JSON text in an OpenVINO model, as Model.set_rt_info takes it
LAYERS = {  # those of `build_graph`, NNCF and storage as float16
    *("Parameter", "Result", "Const", "Convert", "Transpose", "Subtract", "Multiply", "Add", "Convolution", "ReLU"),
    *("MaxPool", "FakeQuantize", "Reshape", "Concat", "VariadicSplit", "ReduceMax", "Squeeze"),
}
_XML_PATH = ["net", "rt_info", *RT_INFO_PATH]
IR_REMEDY = "give a file written by `ssd300 export`"
ONNX_KEY = "ssd300"  # of the JSON text in an ONNX model's metadata_props
HEADS = ("locs", "logits")
INT8_OPERATORS = {"QuantizeLinear", "DequantizeLinear"}
OPERATORS = {
    *("Add", "Cast", "Clip", "Concat", "Constant", "Conv", "Div", "Identity", "MaxPool", "Mul", "Pad", "Relu"),
    *("Greater", "Reshape", "Squeeze", "Sub", "Transpose", "Unsqueeze", "Where"),
    *INT8_OPERATORS,
}
_REMEDY = "give a file written by `ssd300 export --format onnx`"


def read_ir(path: str | Path) -> tuple[ModelMetadata, dict[str, int]]:
    """The metadata of an OpenVINO .xml, and the bytes of its constants by element type ("i8", "f16").

    OpenVINO is not loaded. Raises ModelError.
    """
    open_tags: list[str] = []
    texts: list[str] = []
    constants: Counter[str] = Counter()

    def start(tag: str, attributes: dict[str, str]) -> None:
        open_tags.append(tag)
        if open_tags == _XML_PATH:
            texts.append(attributes.get("value", ""))
        if tag == "layer" and attributes.get("type", "ReLU") not in LAYERS:
            raise ModelError(f"{path}: its layer {attributes['type'][:50]!r} is not one of SSD300's; {IR_REMEDY}")
        size = attributes.get("size", "")
        if tag == "data" and size.isdecimal() and len(size) < 16 and "element_type" in attributes:
            constants[attributes["element_type"]] += int(size)

    def refuse_doctype(*_: object) -> None:  # nested entities need a document type, which IR does not have
        raise ModelError(f"{path}: an XML document with a DOCTYPE is not an OpenVINO model; {IR_REMEDY}")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: open_tags.pop()
    parser.StartDoctypeDeclHandler = refuse_doctype
    try:
        # In one call: in pieces, expat takes quadratic time for a long attribute.
        parser.Parse(_read(Path(path), limits.IR_BYTES, IR_REMEDY), True)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}; check the path") from error
    except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two: encodings
        raise ModelError(f"{path}: not an OpenVINO model: {error}; {IR_REMEDY}") from error
    if not texts:
        raise ModelError(f"{path}: no ssd300 metadata in it, so its classes are unknown; {IR_REMEDY}")
    return ModelMetadata.from_json(texts[0], source=str(path)), dict(constants)


def read_onnx(path: str | Path) -> tuple["onnx.ModelProto", ModelMetadata]:
    """An ONNX file as a message, without loading external files, and its metadata.

    Raises ModelError for any fault; MissingExtraError without the onnx package.
    """
    path = Path(path)
    with needs(f"reading {path}", "onnx"):
        import onnx
    with _convert_errors(path):
        content = _read(path, limits.MODEL_BYTES, _REMEDY)
        model = onnx.load_model_from_string(content)
        _check_parts(path, model, len(content))
        for entry in model.metadata_props:
            if entry.key == ONNX_KEY:
                return model, ModelMetadata.from_json(entry.value, source=str(path))
    raise ModelError(f"{path}: no ssd300 metadata in it, so its classes are unknown; {_REMEDY}")


def read_heads(path: str | Path) -> tuple[bytes, ModelMetadata, bool]:
    """An ONNX file reduced to the raw heads `locs` and `logits`, its metadata, and whether it is INT8.

    The result takes one picture at a time. Raises ModelError: heads missing, an operator that is not on the list, a
    value of unknown or excessive size; MissingExtraError without the onnx package.
    """
    path = Path(path)
    model, metadata = read_onnx(path)
    with _convert_errors(path):
        graph = model.graph
        _keep_heads(path, graph)
        kinds = {node.op_type for node in graph.node}
        used = {(node.domain, node.op_type) for node in graph.node}
        if foreign := sorted(name for name in used if name[1] not in OPERATORS or name[0] not in ("", "ai.onnx")):
            shown = ", ".join(".".join(filter(None, name))[:50] for name in foreign[:3])
            raise ModelError(
                f"{path}: cannot load it: it uses operators that SSD300 does not need ({shown}); {_REMEDY}"
            )
        _check_sizes(path, model)
        return model.SerializeToString(), metadata, bool(kinds & INT8_OPERATORS)


@contextmanager
def _convert_errors(path: Path) -> Iterator[None]:
    """Convert the exceptions of protobuf and onnx on damaged input to ModelError."""
    import onnx
    from google.protobuf.message import DecodeError, EncodeError  # type: ignore[import-untyped]

    faults = (DecodeError, EncodeError, onnx.shape_inference.InferenceError, onnx.checker.ValidationError)
    try:
        yield
    except ModelError:
        raise
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}; check the path") from error
    except (*faults, UnicodeError, ValueError, TypeError, RuntimeError, KeyError, IndexError) as error:
        words = str(error).splitlines() or [type(error).__name__]
        raise ModelError(f"{path}: not an ONNX model: {words[0][:200]}; {_REMEDY}") from error


def _check_parts(path: Path, model: Any, size: int) -> None:
    """Raise ModelError for functions, subgraphs, too many nodes, and weights in other files or missing."""
    import onnx

    graph = model.graph
    if len(graph.node) > limits.ONNX_NODES:
        raise ModelError(f"{path}: {len(graph.node):,} operators, at most {limits.ONNX_NODES:,} are read; {_REMEDY}")
    tensors = list(graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                raise ModelError(f"{path}: its operator {node.op_type[:50]} has a program inside; {_REMEDY}")
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                raise ModelError(f"{path}: it holds sparse tensors; {_REMEDY}")
            tensors += [*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors]
    if model.functions or model.training_info or graph.sparse_initializer:
        raise ModelError(f"{path}: it holds functions, training or sparse tensors; {_REMEDY}")
    for tensor in tensors:
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise ModelError(f"{path}: its weights are in other files, expected all in one; {_REMEDY}")
        if any(length < 0 for length in tensor.dims) or math.prod(tensor.dims) > size:
            raise ModelError(f"{path}: {tensor.name[:50]!r} claims more numbers than the file holds; {_REMEDY}")


def _keep_heads(path: Path, graph: Any) -> None:
    """Remove every node and constant that the raw heads do not need, and make the heads the only outputs."""
    import onnx

    maker = {name: node for node in graph.node for name in node.output}
    if not set(HEADS) <= maker.keys():
        raise ModelError(f"{path}: the values {' and '.join(HEADS)} are missing, another tool changed it; {_REMEDY}")
    needed: set[str] = set()
    waiting = list(HEADS)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += maker[name].input if name in maker else []
    nodes = [node for node in graph.node if needed.intersection(node.output)]
    numbers = [tensor for tensor in graph.initializer if tensor.name in needed]
    for field, kept in ((graph.node, nodes), (graph.initializer, numbers)):
        copies = [type(entry).FromString(entry.SerializeToString()) for entry in kept]
        del field[:]
        field.extend(copies)
    del graph.value_info[:]
    del graph.output[:]
    for name in HEADS:
        graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))


def _check_sizes(path: Path, model: Any) -> None:
    """Raise ModelError unless every value has a known size within the limit, for one picture."""
    import onnx

    for taken in model.graph.input:
        shape = taken.type.tensor_type.shape
        if len(shape.dim) and not shape.dim[0].dim_value:
            shape.dim[0].dim_value = 1
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    known = {value.name: value.type.tensor_type.shape for value in (*inferred.graph.value_info, *inferred.graph.output)}
    total = 0
    for node in inferred.graph.node:
        for name in filter(None, node.output):
            lengths = [d.dim_value for d in known[name].dim] if name in known else [0]
            if not all(length > 0 for length in lengths):
                raise ModelError(f"{path}: the size of its value {name[:50]!r} is not known; {_REMEDY}")
            total += math.prod(lengths)
    if total > limits.ACTIVATIONS:
        raise ModelError(f"{path}: its values hold {total:,} numbers, at most {limits.ACTIVATIONS:,}; {_REMEDY}")


def _read(path: Path, limit: int, remedy: str) -> bytes:
    """The bytes of a file. Raises ModelError if it is not regular or has more than `limit` bytes; OSError."""
    check_regular(path, remedy, limit)
    with path.open("rb") as file:
        return file.read(limit)

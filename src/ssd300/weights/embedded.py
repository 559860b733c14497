"""OpenVINO model files (.xml): their metadata and element types, read without loading OpenVINO."""

from collections import Counter
from pathlib import Path
from xml.parsers import expat

from ssd300 import limits
from ssd300.errors import ModelError
from ssd300.files import read_regular
from ssd300.weights.metadata import ModelMetadata

RT_INFO_PATH = ("ssd300", "meta")  # of the JSON text in an OpenVINO model, as Model.set_rt_info takes it
LAYERS = {  # an allow-list, because a graph is a program: those of `build_graph`, NNCF and storage as float16
    *("Parameter", "Result", "Const", "Convert", "Transpose", "Subtract", "Multiply", "Add", "Convolution", "ReLU"),
    *("MaxPool", "FakeQuantize", "Reshape", "Concat", "VariadicSplit", "ReduceMax", "Squeeze"),
}
_XML_PATH = ["net", "rt_info", *RT_INFO_PATH]
_REMEDY = "give a file written by `ssd300 export` or `ssd300 quantize`"


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
            raise ModelError(f"{path}: its layer {attributes['type'][:50]!r} is not one of SSD300's; {_REMEDY}")
        size = attributes.get("size", "")
        if tag == "data" and size.isdecimal() and len(size) < 16 and "element_type" in attributes:
            constants[attributes["element_type"]] += int(size)

    def refuse_doctype(*_: object) -> None:  # nested entities need a document type, which IR does not have
        raise ModelError(f"{path}: an XML document with a DOCTYPE is not an OpenVINO model; {_REMEDY}")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: open_tags.pop()
    parser.StartDoctypeDeclHandler = refuse_doctype
    try:
        # In one call: in pieces, expat takes quadratic time for a long attribute.
        parser.Parse(read_regular(Path(path), limits.IR_BYTES, _REMEDY), True)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}; check the path") from error
    except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two: encodings
        raise ModelError(f"{path}: not an OpenVINO model: {error}; {_REMEDY}") from error
    if not texts:
        raise ModelError(f"{path}: no ssd300 metadata in it, so its classes are unknown; {_REMEDY}")
    return ModelMetadata.from_json(texts[0], source=str(path)), dict(constants)

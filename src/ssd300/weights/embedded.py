"""The metadata inside the exported kinds of model file: OpenVINO IR (.xml) and ONNX."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING
from xml.parsers import expat

from ssd300.errors import MissingExtraError, ModelError
from ssd300.weights.metadata import ModelMetadata

if TYPE_CHECKING:
    import onnx

RT_INFO_PATH = ("ssd300", "meta")  # of the JSON text in an OpenVINO model, as Model.set_rt_info takes it
ONNX_KEY = "ssd300"  # of the JSON text in an ONNX model's metadata_props
_XML_PATH = ["net", "rt_info", *RT_INFO_PATH]
_REMEDY = "give a file that `ssd300 export` or `ssd300 quantize` wrote"


def read_ir_metadata(path: str | Path) -> ModelMetadata:
    """The metadata of an OpenVINO .xml, found without loading OpenVINO. Raises ModelError."""
    return read_ir(path)[0]


def read_ir(path: str | Path) -> tuple[ModelMetadata, dict[str, int]]:
    """The metadata of an OpenVINO .xml, and how many bytes of its constants are of each element type ("i8", "f16").

    Raises ModelError.
    """
    open_tags: list[str] = []
    texts: list[str] = []
    constants: Counter[str] = Counter()

    def start(tag: str, attributes: dict[str, str]) -> None:
        open_tags.append(tag)
        if open_tags == _XML_PATH:
            texts.append(attributes.get("value", ""))
        size = attributes.get("size", "")
        if tag == "data" and size.isdecimal() and len(size) < 16 and "element_type" in attributes:
            constants[attributes["element_type"]] += int(size)

    def refuse_doctype(*_: object) -> None:  # entities that multiply come from a document type, which IR has none of
        raise ModelError(f"{path}: an XML document with a DOCTYPE is not an OpenVINO model; {_REMEDY}")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: open_tags.pop()
    parser.StartDoctypeDeclHandler = refuse_doctype
    try:
        with Path(path).open("rb") as file:
            parser.ParseFile(file)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}; check the path") from error
    except expat.ExpatError as error:
        raise ModelError(f"{path}: not an OpenVINO model: {error}; {_REMEDY}") from error
    if not texts:
        raise ModelError(f"{path}: no ssd300 metadata in it, so its classes are unknown; {_REMEDY}")
    return ModelMetadata.from_json(texts[0], source=str(path)), dict(constants)


def read_onnx_metadata(path: str | Path) -> ModelMetadata:
    """The metadata of an ONNX file. Raises ModelError; MissingExtraError without the onnx package."""
    return read_onnx(path)[1]


def read_onnx(path: str | Path) -> tuple["onnx.ModelProto", ModelMetadata]:
    """An ONNX file as a message, without following it to other files, and its metadata. Raises as above."""
    try:
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtraError(f"reading {path}", "onnx") from error
    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}; check the path") from error
    except DecodeError as error:
        raise ModelError(f"{path}: not an ONNX model: {error}; {_REMEDY}") from error
    for entry in model.metadata_props:
        if entry.key == ONNX_KEY:
            return model, ModelMetadata.from_json(entry.value, source=str(path))
    raise ModelError(f"{path}: no ssd300 metadata in it, so its classes are unknown; {_REMEDY}")

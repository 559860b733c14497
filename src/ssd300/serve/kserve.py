"""The Open Inference Protocol (KServe v2) over HTTP: one picture per request.

Input "image": BYTES [1], a picture file, in JSON as base64, or UINT8 [H, W, 3] RGB pixels. Both may be binary data
after the JSON (that half of the protocol's binary extension; outputs are JSON). Options are the request's parameters.
"""

import base64
import binascii
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from reprlib import repr as short_repr
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ssd300 import __version__, limits
from ssd300.detections import Detections
from ssd300.digits import whole_number
from ssd300.errors import unknown_name
from ssd300.images.source import Source
from ssd300.labels import parse_labels
from ssd300.options import DetectOptions
from ssd300.serve.answers import HeldResponse
from ssd300.serve.body import Body, read_body
from ssd300.serve.detecting import Detecting
from ssd300.serve.models import Served
from ssd300.serve.problem import Problem, busy
from ssd300.serve.request import OPTIONS, parse_json

_INPUT = "image"
RESULT_TENSORS = {
    "boxes": ("FP32", [-1, 4]),
    "scores": ("FP32", [-1]),
    "class_ids": ("INT64", [-1]),
    "names": ("BYTES", [-1]),
}
HEADER = "inference-header-content-length"
VERSION = "1"
MODEL_PATHS = ("/v2/models/{name}", f"/v2/models/{{name}}/versions/{VERSION}")


def kserve_routes(detecting: Detecting) -> list[Route]:
    async def server(_: Request) -> Response:
        return JSONResponse({"name": "ssd300", "version": __version__, "extensions": []})

    async def live(_: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(request: Request) -> Response:
        if request.app.state.draining:
            raise busy(503, "this server is stopping; ask another one")
        return JSONResponse({"ready": True})

    async def model_ready(request: Request) -> Response:
        served = detecting.models.get(request.path_params["name"])
        return JSONResponse({"name": served.name, "ready": True})

    async def model(request: Request) -> Response:
        return JSONResponse(_metadata(detecting.models.get(request.path_params["name"])))

    async def infer(request: Request) -> Response:
        served = detecting.models.get(request.path_params["name"])
        if request.query_params:
            raise Problem(400, 'this address takes no options: send them in the JSON, as {"parameters": {...}}')
        body = Body(detecting.held)
        try:
            await read_body(request, body, detecting.settings)
            asked = _read(body.take(), request.headers.get(HEADER), served)
            [(found, _)] = await detecting.answer_all(request, served, [asked.source], asked.options)
            answer = {"model_name": served.name, "model_version": VERSION, "outputs": _outputs(found, asked.outputs)}
            text = JSONResponse(answer | ({} if asked.identity is None else {"id": asked.identity})).body
            return HeldResponse(bytes(text), "application/json", body)
        except BaseException:
            body.release()
            raise

    return [
        Route("/v2", server),
        Route("/v2/health/live", live),
        Route("/v2/health/ready", ready),
        *(Route(path, model) for path in MODEL_PATHS),
        *(Route(f"{path}/ready", model_ready) for path in MODEL_PATHS),
        *(Route(f"{path}/infer", infer, methods=["POST"]) for path in MODEL_PATHS),
    ]


def _metadata(served: Served) -> dict[str, Any]:
    return {
        "name": served.name,
        "versions": [VERSION],
        "platform": f"ssd300_{served.alone.name}",
        "inputs": [{"name": _INPUT, "datatype": "BYTES", "shape": [1]}],
        "outputs": [{"name": name, "datatype": kind, "shape": shape} for name, (kind, shape) in RESULT_TENSORS.items()],
    }


@dataclass(frozen=True)
class _Asked:
    """What is kept of a request while it waits: all of its JSON may take many times the memory of its body."""

    source: Source
    options: DetectOptions
    outputs: list[str]
    identity: str | None


def _read(data: bytes, length: str | None, served: Served) -> _Asked:
    head, binary = _split(data, length)
    given = parse_json(head, 400)
    if not isinstance(given, dict):
        raise Problem(400, 'the request is not a JSON object: expected {"inputs": [...]}')
    if misplaced := given.keys() & OPTIONS.keys():
        raise Problem(400, f'{min(misplaced)} is not where options belong: expected {{"parameters": {{...}}}}')
    identity = given.get("id")
    if identity is not None and not (isinstance(identity, str) and identity.isprintable()):
        raise Problem(400, f"id is {short_repr(identity)}: expected a string that can be printed")
    return _Asked(
        _picture(given.get("inputs"), binary),
        served.options(_options(given.get("parameters", {}), served.alone.metadata.classes.names)),
        _select_outputs(given.get("outputs")),
        identity,
    )


def _split(data: bytes, length: str | None) -> tuple[bytes, memoryview]:
    """The JSON and the binary data after it."""
    if length is None:
        return data, memoryview(b"")
    size = whole_number(length)
    if size is None or size > len(data):
        raise Problem(400, f"{HEADER} is {length[:40]!r}: expected at most the body's {len(data)} bytes")
    return data[:size], memoryview(data)[size:]


def _options(parameters: Any, known: Sequence[str]) -> dict[str, Any]:
    """Parameters that are options of the detector. Others are the protocol's: ignored, unless misspelled."""
    if not isinstance(parameters, dict):
        raise Problem(400, "parameters must be a JSON object")
    for name in [name for name in parameters if name not in OPTIONS][:20]:
        if get_close_matches(name[: limits.CLASS_NAME], OPTIONS, n=1, cutoff=0.8):
            raise Problem(400, str(unknown_name("parameter", name[:80], OPTIONS)))
    options = {name: value for name, value in parameters.items() if name in OPTIONS}
    if isinstance(options.get("labels"), str):
        options["labels"] = parse_labels([options["labels"]], known)
    for name, value in options.items():
        if name != "labels" and not isinstance(value, int | float) and not _is_short(value):
            raise Problem(400, f"{name} is {short_repr(value)}: expected {OPTIONS[name][1]}")
    labels = options.get("labels", [""])
    if not isinstance(labels, list) or not labels or not all(map(_is_short, labels)):
        raise Problem(400, "labels must be class names: a list of strings, or comma-separated names")
    if "labels" in options:
        options["labels"] = list(dict.fromkeys(labels))
    return options


def _is_short(text: Any) -> bool:
    return isinstance(text, str) and len(text) <= limits.CLASS_NAME


def _picture(inputs: Any, binary: memoryview) -> Source:
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise Problem(400, f'expected one input: {{"inputs": [{{"name": "{_INPUT}", ...}}]}}')
    tensor = inputs[0]
    kind, parameters = tensor.get("datatype"), tensor.get("parameters", {})
    shape: Any = tensor.get("shape")
    if tensor.get("name") != _INPUT or kind not in ("BYTES", "UINT8") or not _is_shape(shape):
        raise Problem(400, f"the input must be {_INPUT!r}: BYTES [1], a picture file, or UINT8 [H, W, 3], RGB pixels")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if (size is not None or binary) and size != len(binary):
        raise Problem(400, f"binary_data_size is {short_repr(size)}, but {len(binary)} bytes follow the JSON")
    if kind == "BYTES":
        if math.prod(shape) != 1:
            raise Problem(400, f"the shape is {shape}: one picture per request, send [1]")
        data = _decode_element(binary) if size is not None else _decode_base64(tensor.get("data"))
        return Source(data, f"<{len(data)} bytes>")
    return _pixels(shape, binary if size is not None else tensor.get("data"))


def _is_shape(shape: Any) -> bool:
    whole = isinstance(shape, list) and all(type(side) is int and 0 < side < 2**31 for side in shape)
    return whole and 1 <= len(shape) <= 4


def _decode_element(binary: memoryview) -> bytes:
    """Decode one element of a BYTES tensor: its length in four bytes, little endian, and its data."""
    if len(binary) < 4 or struct.unpack("<I", binary[:4])[0] != len(binary) - 4:
        raise Problem(400, "the binary data is not one element with its length in four bytes before it")
    return bytes(binary[4:])


def _decode_base64(data: Any) -> bytes:
    if not isinstance(data, list) or len(data) != 1 or not isinstance(data[0], str):
        raise Problem(400, "data must hold one string: the picture file in base64")
    try:
        return base64.b64decode(data[0], validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(400, f"data is not base64: {error}") from error


def _pixels(shape: list[int], data: Any) -> Source:
    shape = shape[1:] if len(shape) == 4 and shape[0] == 1 else shape
    if len(shape) != 3 or shape[2] != 3:
        raise Problem(400, f"the shape is {shape}: expected [H, W, 3] or [1, H, W, 3]")
    flat = data if isinstance(data, memoryview) else _numbers(data)
    if flat is None or len(flat) != math.prod(shape):
        found = "others" if flat is None else f"{len(flat)} values"
        raise Problem(400, f"data must be {math.prod(shape)} whole numbers from 0 to 255, got {found}")
    return Source(np.frombuffer(flat, np.uint8).reshape(shape), f"<array {shape[0]}x{shape[1]}>")


def _numbers(data: Any) -> bytes | None:
    """The whole numbers from 0 to 255 in lists of any depth; None if there are others."""
    # As objects: numpy would make every string of a list as long as the longest.
    values = np.asarray(data, object).ravel().tolist()
    try:
        return bytes(values) if set(map(type, values)) == {int} else None
    except ValueError:  # out of range
        return None


def _select_outputs(asked: Any) -> list[str]:
    """All outputs, or the requested ones in their order."""
    if asked in (None, []):
        return list(RESULT_TENSORS)
    given = [one.get("name") if isinstance(one, dict) else None for one in asked] if isinstance(asked, list) else []
    names = [name for name in given if isinstance(name, str) and name in RESULT_TENSORS]
    if not given or len(set(names)) < len(given):
        raise Problem(400, f"outputs must be objects with names of {', '.join(RESULT_TENSORS)}, each once at most")
    return names


def _outputs(found: Detections, names: list[str]) -> list[dict[str, Any]]:
    rows = found.to_dict()["detections"]
    keys = {"boxes": "box_xyxy", "scores": "score", "class_ids": "class_id", "names": "name"}
    outputs = []
    for name in names:
        values = [row[keys[name]] for row in rows]
        shape = [len(rows), 4] if name == "boxes" else [len(rows)]
        flat = [side for box in values for side in box] if name == "boxes" else values
        outputs.append({"name": name, "datatype": RESULT_TENSORS[name][0], "shape": shape, "data": flat})
    return outputs

"""The API as an OpenAPI 3.1 document: ours, and the Open Inference Protocol."""

from typing import Any

from ssd300 import __version__
from ssd300.serve.answers import MEDIA, PICTURE_MEDIA
from ssd300.serve.guard import GUARDED
from ssd300.serve.kserve import MODEL_PATHS, RESULT_TENSORS
from ssd300.serve.settings import Settings

_TEXT: dict[str, Any] = {"type": "string"}
_WHOLE: dict[str, Any] = {"type": "integer"}
_NUMBER: dict[str, Any] = {"type": "number"}
_PART = {"type": "number", "minimum": 0, "maximum": 1}
_FILE = {"type": "string", "format": "binary"}
_OBJECT = {"type": "object"}
_SHAPE = {"type": "array", "items": {"type": "integer", "minimum": 0}}

QUERY: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("model", _TEXT, "A name that /v1/models lists. Default: its first."),
    ("score_threshold", _PART | {"default": 0.4}, "Only objects that score above it."),
    ("iou_threshold", _PART | {"default": 0.5}, "NMS threshold within a class."),
    ("max_detections", _WHOLE | {"minimum": 1, "default": 200}, "At most this many detections, best first."),
    (
        "labels",
        _TEXT | {"minLength": 1},
        "Only these classes: comma-separated names or ids; may be repeated, as for a name with a comma.",
    ),
    ("decode", _TEXT | {"enum": ["exact", "fast"], "default": "exact"}, "fast reads large JPEGs at reduced scale."),
    ("agnostic_nms", {"type": "boolean", "default": False}, "NMS across classes."),
    ("clip", {"type": "boolean", "default": True}, "Clip boxes to the picture."),
    ("source", _TEXT, "Name of a picture sent as the body; files of a form have names."),
)
REFUSALS = {
    "401": "No key, or a wrong one.",
    "403": "Addresses are not allowed on this server.",
    "404": "No model of this name.",
    "406": "The response is not available in the type of Accept.",
    "408": "The body did not arrive in time.",
    "413": "The body or the picture is too large.",
    "415": "Unsupported type of the body.",
    "421": "This server does not answer to this name of it.",
    "422": "Not a picture, or an invalid option; the detail says which and what was expected.",
    "429": "The queue is full; try again after Retry-After seconds.",
    "503": "No answer in time, or the server is stopping; try again after Retry-After seconds.",
}
_MALFORMED = "Not a request of the protocol, or an invalid parameter; the error says what was expected."
_INFER = (
    'Input "image": BYTES [1], the picture file in base64, or UINT8 [H, W, 3]; or as binary data after the JSON. '
    "Outputs: boxes, scores, class_ids, names. Parameters are the options of /v1/detect."
)
_SHARED = ("404", "408", "413", "415", "422", "429", "503")  # refusals of /v1/detect that the protocol's have, too


def document(settings: Settings) -> dict[str, Any]:
    paths: dict[str, Any] = {
        "/v1/detect": {"post": _detect()},
        "/v1/models": {"get": _operation("The models of this server", _schema("Models"))},
        "/healthz": {"get": _operation("Liveness", _OBJECT)},
        "/readyz": {"get": _operation("Readiness", _OBJECT)},
        "/metrics": {"get": _operation("Metrics for Prometheus", _TEXT, media="text/plain")},
        "/openapi.json": {"get": _operation("This document", _OBJECT)},
        "/docs": {"get": _operation("This document as HTML", _TEXT, media="text/html")},
        "/": {"get": _operation("The web page", _TEXT, media="text/html")},
        **_kserve_paths(),
    }
    paths["/readyz"]["get"]["responses"] |= _problems("503")
    components: dict[str, Any] = {"schemas": _schemas() | _kserve_schemas()}
    result: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "ssd300",
            "version": __version__,
            "description": f"Finds objects in pictures. A request may have {settings.max_body:,} bytes and "
            f"{settings.max_pictures} pictures of up to {settings.max_pixels:,} pixels.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": components,
    }
    if settings.keys:
        components["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        result["security"] = [{"bearer": []}, {"header": []}]
        for path, operations in paths.items():
            if not path.startswith(GUARDED):
                operations["get"]["security"] = []
                continue
            for operation in operations.values():
                operation["responses"].setdefault("401", {"description": REFUSALS["401"]})
    if settings.hosts is not None:
        for operation in (operation for operations in paths.values() for operation in operations.values()):
            operation["responses"].setdefault("421", {"description": REFUSALS["421"]})
    return result


def _operation(
    words: str, schema: dict[str, Any], refusals: dict[str, str] | None = None, *, media: str = "application/json"
) -> dict[str, Any]:
    """An operation; its refusals (status -> words) are those of the Open Inference Protocol."""
    answers: dict[str, Any] = {"200": {"description": words, "content": {media: {"schema": schema}}}}
    refused = {"application/json": {"schema": _schema("InferenceError")}}
    answers |= {status: {"description": text, "content": refused} for status, text in (refusals or {}).items()}
    return {"summary": words, "responses": answers}


def _detect() -> dict[str, Any]:
    answers: dict[str, Any] = {
        media: {"schema": _FILE if media in PICTURE_MEDIA else _TEXT} for media in MEDIA if media != "application/json"
    }
    answers["application/json"] = {"schema": {"oneOf": [_schema("Found"), _list(_schema("Found"))]}}
    form = {"type": "object", "properties": {"picture": _list(_FILE)}}
    urls = {"type": "object", "properties": {"url": _TEXT, "urls": _list(_TEXT)}}
    return {
        "summary": "Find the objects in one picture or several",
        "description": "The picture is the body, or files of a form; a form gives a list. JSON is as from "
        "ssd300 detect --format jsonl; Accept selects CSV, COCO rows, or the picture with its boxes.",
        "parameters": [
            {"name": name, "in": "query", "schema": schema, "description": words} for name, schema, words in QUERY
        ],
        "requestBody": {
            "required": True,
            "content": {
                "image/*": {"schema": _FILE},
                "application/octet-stream": {"schema": _FILE},
                "multipart/form-data": {"schema": form},
                "application/json": {"schema": urls},
            },
        },
        "responses": {"200": {"description": "The detections", "content": answers}} | _problems(*REFUSALS),
    }


def _problems(*statuses: str) -> dict[str, Any]:
    """The responses that refuse, with problem details."""
    content = {"application/problem+json": {"schema": _schema("Problem")}}
    return {status: {"description": REFUSALS[status], "content": content} for status in statuses}


def _schemas() -> dict[str, Any]:
    box = {"type": "array", "items": _NUMBER, "minItems": 4, "maxItems": 4}
    one = {"name": _TEXT, "class_id": _WHOLE, "score": _NUMBER, "box_xyxy": box}
    found = {
        "source": {"type": ["string", "null"]},
        "width": _WHOLE,
        "height": _WHOLE,
        "detections": _list(_object(one)),
    }
    model = {"name": _TEXT, "backbone": _TEXT, "precision": _TEXT, "runtime": _TEXT, "licence": _TEXT}
    model["classes"] = _list(_object({"class_id": _WHOLE, "name": _TEXT}))
    problem = {"type": _TEXT, "title": _TEXT, "status": _WHOLE, "detail": _TEXT, "request_id": _TEXT}
    return {"Found": _object(found), "Models": _object({"models": _list(_object(model))}), "Problem": _object(problem)}


def _kserve_paths() -> dict[str, Any]:
    kind = "Open Inference Protocol"
    name = {"name": "name", "in": "path", "required": True, "schema": _TEXT}
    stopping, unknown = {"503": REFUSALS["503"]}, {"404": REFUSALS["404"]}
    refusals = {"400": _MALFORMED} | {status: REFUSALS[status] for status in _SHARED}
    body = {"required": True, "content": {"application/json": {"schema": _schema("InferenceRequest")}}}
    paths: dict[str, Any] = {
        "/v2": {"get": _operation(f"{kind}: the server", _OBJECT)},
        "/v2/health/live": {"get": _operation(f"{kind}: alive", _OBJECT)},
        "/v2/health/ready": {"get": _operation(f"{kind}: ready", _OBJECT, stopping)},
    }
    for path in MODEL_PATHS:
        for place, words in ((path, "a model"), (f"{path}/ready", "ready")):
            paths[place] = {"get": _operation(f"{kind}: {words}", _OBJECT, unknown) | {"parameters": [name]}}
        infer = _operation(f"{kind}: detect in one picture", _schema("InferenceResponse"), refusals)
        infer |= {"parameters": [name], "description": _INFER, "requestBody": body}
        paths[f"{path}/infer"] = {"post": infer}
    return paths


def _kserve_schemas() -> dict[str, Any]:
    data = {
        "description": "Of BYTES one string, a picture file in base64; of UINT8 numbers from 0 to 255, in any depth."
    }
    tensor = {
        "name": {"const": "image"},
        "datatype": {"enum": ["BYTES", "UINT8"]},
        "shape": _SHAPE | {"minItems": 1, "maxItems": 4, "description": "[1] of BYTES, [H, W, 3] of UINT8."},
        "data": {"type": "array"} | data,
        "parameters": {"type": "object", "description": "binary_data_size: the bytes that follow the JSON."},
    }
    one = {"type": "object", "required": ["name", "datatype", "shape"], "properties": tensor}
    inputs = {"type": "array", "minItems": 1, "maxItems": 1, "items": one}
    result_name = {"enum": list(RESULT_TENSORS)}
    request = {
        "id": _TEXT,
        "parameters": {"type": "object", "description": "The options of /v1/detect."},
        "inputs": inputs,
        "outputs": _list(_object({"name": result_name})),
    }
    output = {"name": result_name, "datatype": _TEXT, "shape": _SHAPE, "data": {"type": "array"}}
    answer = {"model_name": _TEXT, "model_version": _TEXT, "id": _TEXT, "outputs": _list(_object(output))}
    return {
        "InferenceRequest": {"type": "object", "required": ["inputs"], "properties": request},
        "InferenceResponse": {"type": "object", "required": ["model_name", "outputs"], "properties": answer},
        "InferenceError": _object({"error": _TEXT}),
    }


def _schema(name: str) -> dict[str, Any]:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object that must have all these properties."""
    return {"type": "object", "required": list(properties), "properties": properties}

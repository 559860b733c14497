"""The Open Inference Protocol's part of the OpenAPI document."""

from typing import Any

from ssd300.serve.kserve import MODEL_PATHS, RESULT_TENSORS

_TEXT: dict[str, Any] = {"type": "string"}
_SHAPE = {"type": "array", "items": {"type": "integer", "minimum": 0}}
_NAME = {"name": "name", "in": "path", "required": True, "schema": _TEXT}
_MALFORMED = "Not a request of the protocol, or an invalid parameter; the error says what was expected."
_SHARED = ("404", "408", "413", "415", "422", "429", "503")  # refusals that /v1/detect has, too


def kserve_paths(refusals: dict[str, str]) -> dict[str, Any]:
    """Path -> operations. `refusals`: status -> words, those of /v1/detect."""
    unknown = {"404": refusals["404"]}
    paths: dict[str, Any] = {
        "/v2": {"get": _get("the server")},
        "/v2/health/live": {"get": _get("alive")},
        "/v2/health/ready": {"get": _get("ready", {"503": refusals["503"]})},
    }
    for path in MODEL_PATHS:
        for place, words in ((path, "a model"), (f"{path}/ready", "ready")):
            paths[place] = {"get": _get(words, unknown) | {"parameters": [_NAME]}}
        paths[f"{path}/infer"] = {
            "post": _infer({"400": _MALFORMED} | {status: refusals[status] for status in _SHARED})
        }
    return paths


def kserve_schemas() -> dict[str, Any]:
    """Name -> schema of what the operations refer to."""
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
        "outputs": {"type": "array", "items": object_with({"name": result_name})},
    }
    output = {"name": result_name, "datatype": _TEXT, "shape": _SHAPE, "data": {"type": "array"}}
    answer = {
        "model_name": _TEXT,
        "model_version": _TEXT,
        "id": _TEXT,
        "outputs": {"type": "array", "items": object_with(output)},
    }
    return {
        "InferenceRequest": {"type": "object", "required": ["inputs"], "properties": request},
        "InferenceResponse": {"type": "object", "required": ["model_name", "outputs"], "properties": answer},
        "InferenceError": object_with({"error": _TEXT}),
    }


def _get(words: str, refusals: dict[str, str] | None = None) -> dict[str, Any]:
    return _operation(words, {"type": "object"}, refusals or {})


def _infer(refusals: dict[str, str]) -> dict[str, Any]:
    operation = _operation("detect in one picture", schema_of("InferenceResponse"), refusals)
    operation["parameters"] = [_NAME]
    operation["description"] = (
        'Input "image": BYTES [1], the picture file in base64, or UINT8 [H, W, 3]; or as binary data after the JSON. '
        "Outputs: boxes, scores, class_ids, names. Parameters are the options of /v1/detect."
    )
    content = {"application/json": {"schema": schema_of("InferenceRequest")}}
    operation["requestBody"] = {"required": True, "content": content}
    return operation


def _operation(words: str, schema: dict[str, Any], refusals: dict[str, str]) -> dict[str, Any]:
    words = f"Open Inference Protocol: {words}"
    refused = {"application/json": {"schema": schema_of("InferenceError")}}
    answers: dict[str, Any] = {"200": {"description": words, "content": {"application/json": {"schema": schema}}}}
    answers |= {status: {"description": text, "content": refused} for status, text in refusals.items()}
    return {"summary": words, "responses": answers}


def schema_of(name: str) -> dict[str, Any]:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def object_with(properties: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object that must have all these properties."""
    return {"type": "object", "required": list(properties), "properties": properties}

"""The API as an OpenAPI 3.1 document, and as an HTML page."""

import re
from html import escape
from typing import Any

from ssd300 import __version__
from ssd300.serve.answers import MEDIA, PICTURE_MEDIA
from ssd300.serve.guard import GUARDED
from ssd300.serve.openapi_kserve import kserve_paths, kserve_schemas, object_with, schema_of
from ssd300.serve.settings import Settings

_TEXT: dict[str, Any] = {"type": "string"}
_WHOLE: dict[str, Any] = {"type": "integer"}
_NUMBER: dict[str, Any] = {"type": "number"}
_PART = {"type": "number", "minimum": 0, "maximum": 1}
_FILE = {"type": "string", "format": "binary"}

QUERY: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("model", _TEXT, "A name that /v1/models lists. Default: its first."),
    ("score_threshold", _PART | {"default": 0.4}, "Only objects that score above it."),
    ("iou_threshold", _PART | {"default": 0.5}, "NMS threshold within a class."),
    ("max_detections", _WHOLE | {"minimum": 1, "default": 200}, "At most this many detections, best first."),
    ("labels", _TEXT | {"minLength": 1}, "Only these classes: comma-separated names; may be repeated."),
    ("decode", _TEXT | {"enum": ["exact", "fast"]}, "fast reads large JPEGs at reduced scale."),
    ("agnostic_nms", {"type": "boolean"}, "NMS across classes."),
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
    "422": "Not a picture, or an invalid option; the detail says which and what was expected.",
    "429": "The queue is full; try again after Retry-After seconds.",
    "503": "No answer in time, or the server is stopping; try again after Retry-After seconds.",
}


def document(settings: Settings) -> dict[str, Any]:
    """The OpenAPI document of a server with these settings."""
    paths: dict[str, Any] = {
        "/v1/detect": {"post": _detect()},
        "/v1/models": {"get": _get("The models of this server", schema_of("Models"))},
        "/healthz": {"get": _get("Liveness", {"type": "object"})},
        "/readyz": {"get": _get("Readiness", {"type": "object"})},
        "/metrics": {"get": _get("Metrics for Prometheus", _TEXT, media="text/plain")},
        "/openapi.json": {"get": _get("This document", {"type": "object"})},
        "/docs": {"get": _get("This document as HTML", _TEXT, media="text/html")},
        "/": {"get": _get("The web page", _TEXT, media="text/html")},
        **kserve_paths(REFUSALS),
    }
    components: dict[str, Any] = {"schemas": _schemas() | kserve_schemas()}
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
    return result


def _get(words: str, schema: dict[str, Any], *, media: str = "application/json") -> dict[str, Any]:
    answer = {"description": words, "content": {media: {"schema": schema}}}
    return {"summary": words, "responses": {"200": answer}}


def _refusals() -> dict[str, Any]:
    content = {"application/problem+json": {"schema": schema_of("Problem")}}
    return {status: {"description": words, "content": content} for status, words in REFUSALS.items()}


def _detect() -> dict[str, Any]:
    answers: dict[str, Any] = {
        media: {"schema": _FILE if media in PICTURE_MEDIA else _TEXT} for media in MEDIA if media != "application/json"
    }
    answers["application/json"] = {
        "schema": {"oneOf": [schema_of("Found"), {"type": "array", "items": schema_of("Found")}]}
    }
    form = {"type": "object", "properties": {"picture": {"type": "array", "items": _FILE}}}
    urls = {"type": "object", "properties": {"url": _TEXT, "urls": {"type": "array", "items": _TEXT}}}
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
        "responses": {"200": {"description": "The detections", "content": answers}, **_refusals()},
    }


def _schemas() -> dict[str, Any]:
    box = {"type": "array", "items": _NUMBER, "minItems": 4, "maxItems": 4}
    one = {"name": _TEXT, "class_id": _WHOLE, "score": _NUMBER, "box_xyxy": box}
    found = {
        "source": {"type": ["string", "null"]},
        "width": _WHOLE,
        "height": _WHOLE,
        "detections": {"type": "array", "items": object_with(one)},
    }
    model = {"name": _TEXT, "backbone": _TEXT, "precision": _TEXT, "runtime": _TEXT, "licence": _TEXT}
    model["classes"] = {"type": "array", "items": object_with({"class_id": _WHOLE, "name": _TEXT})}
    problem = {"type": _TEXT, "title": _TEXT, "status": _WHOLE, "detail": _TEXT, "request_id": _TEXT}
    return {
        "Found": object_with(found),
        "Models": object_with({"models": {"type": "array", "items": object_with(model)}}),
        "Problem": object_with(problem),
    }


def render_html(described: dict[str, Any], scheme: str, host: str) -> str:
    """The document as HTML without scripts; `host` is what the client calls this server, for the example."""
    address = f"{scheme}://{host}" if re.fullmatch(r"[\w.:\[\]-]+", host) else "http://127.0.0.1:8000"
    key = " -H 'X-API-Key: KEY'" if "security" in described else ""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>ssd300: API</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="icon.svg"><link rel="stylesheet" href="page.css"></head><body><main class="docs">'
        f"<h1>API</h1><p>{escape(described['info']['description'])} "
        'For programs: <a href="openapi.json">openapi.json</a>. <a href="./">Web page</a></p>'
        f"<pre tabindex=0>curl --data-binary @picture.jpg{key} '{escape(address)}/v1/detect?score_threshold=0.5'</pre>"
    ]
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            parts.append(f"<section><h2><code>{method.upper()} {escape(path)}</code></h2>")
            parts.append(f"<p>{escape(operation['summary'])}. {escape(operation.get('description', ''))}</p>")
            options = [one for one in operation.get("parameters", []) if one["in"] == "query"]
            parts.append(_table("Option", [(one["name"], one.get("description", "")) for one in options]))
            answers = operation["responses"].items()
            parts.append(_table("Answer", [(status, answer["description"]) for status, answer in answers]))
            parts.append("</section>")
    return "".join([*parts, "</main></body></html>"])


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    cells = "".join(
        f'<tr><th scope="row"><code>{escape(name)}</code></th><td>{escape(words)}</td></tr>' for name, words in rows
    )
    head = f'<thead><tr><th scope="col">{title}</th><th scope="col">Meaning</th></tr></thead>'
    return f'<div class="scroll"><table>{head}<tbody>{cells}</tbody></table></div>'

"""The web page: files of the package, with a policy that forbids the browser other connections; the page of the API."""

import json
import re
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ssd300.serve.answers import PiecewiseResponse
from ssd300.serve.models import Models
from ssd300.serve.problem import Problem
from ssd300.serve.settings import Settings

FOLDER = Path(__file__).parents[1] / "page"
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; script-src 'self'{script}; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def page_routes(models: Models, settings: Settings) -> list[Route]:
    """`/` and its files."""
    policy = POLICY.format(script=" 'wasm-unsafe-eval'" if settings.private else "")
    headers = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
    }

    def file_route(path: str, name: str) -> Route:
        content = (FOLDER / name).read_bytes()
        if name == "index.html" and settings.private:
            content = re.sub(rb'data-private="no"', b'data-private="yes"', content)
        kind = _KINDS[Path(name).suffix]

        async def send(_: Request) -> Response:
            return PiecewiseResponse(content, media_type=kind, headers={**headers, "Cache-Control": "no-cache"})

        return Route(path, send)

    found = settings.private
    contents = (found.script, found.wasm, *found.models.values()) if found else ()
    tags = {content: f'"{sha256(content).hexdigest()}"' for content in contents}

    async def private(request: Request) -> Response:
        """The runtime for everyone, a model only with a valid key.

        A browser keeps them, and asks each time whether they still hold: one name may get another model.
        """
        name = request.path_params["name"]
        kinds = {
            "runtime.mjs": "text/javascript",
            "runtime.wasm": "application/wasm",
            "model.onnx": "application/octet-stream",
        }
        if found is None or name not in kinds:
            raise Problem(404, "this server has no files for detection in the browser (--web-runtime is not set)")
        content = {"runtime.mjs": found.script, "runtime.wasm": found.wasm}.get(name)
        if content is None:
            content = found.models[models.get(request.query_params.get("model")).name]
        kept = {**headers, "Cache-Control": "private, no-cache", "ETag": tags[content]}
        if tags[content] in request.headers.get("If-None-Match", ""):
            return Response(status_code=304, headers=kept)
        return PiecewiseResponse(content, media_type=kinds[name], headers=kept)

    names = sorted(path.name for path in FOLDER.iterdir() if path.suffix in _KINDS)
    return [
        file_route("/", "index.html"),
        *(file_route(f"/{name}", name) for name in names if name != "index.html"),
        Route("/private/{name}", private),
    ]


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
            parts.append(_table("Option", [(one["name"], _meaning(one)) for one in options]))
            answers = operation["responses"].items()
            parts.append(_table("Answer", [(status, answer["description"]) for status, answer in answers]))
            parts.append("</section>")
    return "".join([*parts, "</main></body></html>"])


def _meaning(option: dict[str, Any]) -> str:
    """The description of an option, with its default."""
    default = f" Default: {json.dumps(option['schema']['default'])}." if "default" in option["schema"] else ""
    return f"{option['description']}{default}"


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    cells = "".join(
        f'<tr><th scope="row"><code>{escape(name)}</code></th><td>{escape(words)}</td></tr>' for name, words in rows
    )
    head = f'<thead><tr><th scope="col">{title}</th><th scope="col">Meaning</th></tr></thead>'
    return f'<div class="scroll"><table>{head}<tbody>{cells}</tbody></table></div>'

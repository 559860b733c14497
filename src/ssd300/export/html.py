"""A page that detects in the browser: weights, runtime and script inside, usable from a file without network."""

import base64
import gzip
import hashlib
import json
import re
import tempfile
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from ssd300.export.files import export_onnx
from ssd300.export.onnx import OnnxOptions
from ssd300.export.verify import Verification
from ssd300.export.web_runtime import LICENCE, WebRuntime
from ssd300.files import write_whole
from ssd300.weights.metadata import ModelMetadata
from ssd300.weights.state import State

PAGE = Path(__file__).parents[1] / "page"


def make_browser_model(
    state: State, metadata: ModelMetadata, *, half: bool, pictures: Iterable[Any] = ()
) -> tuple[bytes, Verification]:
    """The ONNX file for the page's script, compared with the original; its outputs are all default boxes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        verification = export_onnx(state, metadata, path, OnnxOptions(nms=False, half=half), pictures=pictures)
        return path.read_bytes(), verification


def export_html(
    state: State,
    metadata: ModelMetadata,
    path: Path,
    runtime: WebRuntime,
    *,
    half: bool = False,
    pictures: Iterable[Any] = (),
) -> Verification:
    """Write the page. half: weights stored as float16, which makes it smaller. Raises ModelError, MissingExtraError."""
    model, verification = make_browser_model(state, metadata, half=half, pictures=pictures)
    write_whole(path, make_page(model, metadata, runtime).encode())
    return verification


def make_page(model: bytes, metadata: ModelMetadata, runtime: WebRuntime) -> str:
    """The page with an ONNX file without NMS. Its policy allows its scripts by hash and no addresses."""
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    style = (PAGE / "page.css").read_text(encoding="utf-8")
    icon = base64.b64encode((PAGE / "icon.svg").read_bytes()).decode()
    scripts = [(PAGE / name).read_text(encoding="utf-8") for name in ("browser.js", "page.js")]
    pairs = zip(metadata.classes.ids, metadata.classes.names, strict=True)
    facts = {"classes": [{"class_id": class_id, "name": name} for class_id, name in pairs]}
    data = [
        _data("ssd300-embedded", json.dumps(facts).replace("<", "\\u003c"), kind="application/json"),
        *(
            _data(name, base64.b64encode(gzip.compress(content, mtime=0)).decode())
            for name, content in (
                ("ssd300-runtime", runtime.script),
                ("ssd300-wasm", runtime.wasm),
                ("ssd300-model", model),
            )
        ),
    ]
    inline = [f"<script>{script}</script>" for script in scripts]
    html = re.sub(r"<script src=[^>]*></script>\n?", "", html)
    html = html.replace('<link rel="stylesheet" href="page.css">', f"<style>{style}</style>")
    html = html.replace('href="icon.svg"', f'href="data:image/svg+xml;base64,{icon}"')
    html = html.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n{_policy(scripts)}', 1)
    html = html.replace("<title>", f"{_notice(metadata)}\n<title>", 1)
    return html.replace("</body>", "\n".join([*data, *inline, "</body>"]))


def _policy(scripts: list[str]) -> str:
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    policy = (
        f"default-src 'none'; script-src {hashes} blob: 'wasm-unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src blob: data:; media-src blob:; base-uri 'none'; form-action 'none'"
    )
    return f'<meta http-equiv="Content-Security-Policy" content="{policy}">'


def _notice(metadata: ModelMetadata) -> str:
    about = f"Model: {metadata.name or metadata.backbone}. Licence of the weights: {metadata.licence or 'not said'}."
    about = escape(about).replace("--", "- -")
    return f"<!--\n{about}\nThe page and its scripts are ssd300's, Apache-2.0.\n{LICENCE}\n-->"


def _data(name: str, text: str, kind: str = "text/plain") -> str:
    return f'<script type="{kind}" id="{name}">{text}</script>'

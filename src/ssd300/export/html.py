"""A page that detects in the browser: weights, runtime and script inside, usable from a file without network.

The runtime is onnxruntime-web, an npm package that is downloaded only on request.
"""

import base64
import gzip
import hashlib
import json
import re
import tarfile
import tempfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from ssd300.errors import ArgumentError, DownloadError
from ssd300.export.files import export_onnx
from ssd300.export.onnx import OnnxOptions
from ssd300.export.verify import Verification
from ssd300.files import write_whole
from ssd300.images.fetch import is_offline
from ssd300.weights.catalog import cache_folder
from ssd300.weights.download import download, show_progress
from ssd300.weights.metadata import ModelMetadata
from ssd300.weights.state import State

PAGE = Path(__file__).parents[1] / "page"
_VERSION = "1.30.0"
ADDRESS = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{_VERSION}.tgz"
SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
FETCH = "fetch"  # instead of a path

SCRIPT, WASM = "dist/ort.wasm.bundle.min.mjs", "dist/ort-wasm-simd-threaded.wasm"
LICENCE = """onnxruntime-web is under the MIT License. Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""
_MOST = 64 * 2**20  # bytes of one file of the package


@dataclass(frozen=True)
class WebRuntime:
    """The JavaScript module that a page imports, and its WebAssembly program."""

    script: bytes
    wasm: bytes


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
    about = f"Model: {metadata.name or metadata.backbone}. License of the weights: {metadata.licence or 'not stated'}."
    about = escape(about).replace("--", "- -")
    return f"<!--\n{about}\nThe page and its scripts are ssd300's, Apache-2.0.\n{LICENCE}\n-->"


def _data(name: str, text: str, kind: str = "text/plain") -> str:
    return f'<script type="{kind}" id="{name}">{text}</script>'


def read_web_runtime(given: str | Path | None) -> WebRuntime:
    """The runtime from `given`: the output of `npm pack onnxruntime-web`, a folder of the package, or "fetch".

    "fetch" downloads it to the cache, once. None uses the cache and downloads nothing. Raises ArgumentError,
    DownloadError.
    """
    if given is None or str(given) == FETCH:
        path = cache_folder() / "web" / f"onnxruntime-web-{_VERSION}.tgz"
        if not path.exists():
            if given is None:
                raise ArgumentError(
                    "the page needs onnxruntime-web: --web-runtime fetch downloads it once (33 MB); "
                    f"or run `npm pack onnxruntime-web@{_VERSION}` and pass --web-runtime FILE.tgz"
                )
            _fetch(path)
        return _read_package(path)
    path = Path(given)
    if path.is_dir():
        return WebRuntime(*(_read_folder(path, name) for name in (SCRIPT, WASM)))
    return _read_package(path)


def _fetch(path: Path) -> None:
    if is_offline():
        raise DownloadError(f"{ADDRESS}: not downloaded, SSD300_OFFLINE is set; pass --web-runtime FILE.tgz instead")
    with show_progress(path.name) as progress:
        download(ADDRESS, path, sha256_prefix=SHA256, progress=progress)


def _read_folder(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise ArgumentError(f"{folder}: no {name} in it; expected the folder of npm's onnxruntime-web") from error


def _read_package(path: Path) -> WebRuntime:
    try:
        with tarfile.open(path) as package:
            return WebRuntime(*(_read_member(package, f"package/{name}") for name in (SCRIPT, WASM)))
    except (OSError, tarfile.TarError, zlib.error, KeyError, EOFError) as error:
        raise ArgumentError(
            f"{path}: cannot be read ({error}); expected the output of `npm pack onnxruntime-web@{_VERSION}`"
        ) from error


def _read_member(package: tarfile.TarFile, name: str) -> bytes:
    member = package.getmember(name)
    stream = package.extractfile(member) if member.isfile() and member.size <= _MOST else None
    if stream is None:
        raise KeyError(f"{name} is not a file of at most {_MOST:,} bytes")
    with stream:
        return stream.read()

"""onnxruntime-web, which runs the network in a browser: an npm package that is downloaded only on request."""

import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from ssd300.errors import ArgumentError, DownloadError
from ssd300.images.fetch import is_offline
from ssd300.weights.catalog import cache_folder
from ssd300.weights.download import download, show_progress

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

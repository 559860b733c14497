"""The page that detects by itself, and where its runtime comes from. tests/page opens it in a browser."""

import base64
import gzip
import hashlib
import io
import re
import tarfile
import zlib

import pytest

from ssd300.errors import ArgumentError, DownloadError
from ssd300.export import html as web_runtime
from ssd300.export.html import SCRIPT, WASM, WebRuntime, make_page, read_web_runtime
from ssd300.labels import ClassList
from ssd300.weights.metadata import ModelMetadata

RUNTIME = WebRuntime(b"export const script = 1;", b"\0asm")
METADATA = ModelMetadata("resnet18", ClassList(("</script>", "dog"), (1, 5)), name="a --> b")


def package(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def damaged() -> bytes:
    """A package that ends in a block of a type that zlib does not know, inside the script."""
    packer = zlib.compressobj(wbits=31)
    whole = gzip.decompress(package({SCRIPT: bytes(50_000), WASM: b""}))
    return packer.compress(whole[:40_000]) + packer.flush(zlib.Z_FULL_FLUSH) + b"\x07"


def test_the_page_has_everything_and_names_no_address() -> None:
    html = make_page(b"model", METADATA, RUNTIME)
    for name, content in (("model", b"model"), ("runtime", RUNTIME.script), ("wasm", RUNTIME.wasm)):
        [text] = re.findall(rf'<script type="text/plain" id="ssd300-{name}">([^<]*)</script>', html)
        assert gzip.decompress(base64.b64decode(text)) == content
    assert not re.findall(r"""(?:src|href)=["']?(?!data:)(?!#)[a-z]+[.:/]""", html)
    assert "Microsoft" in html


def test_the_policy_allows_exactly_the_page_s_scripts() -> None:
    html = make_page(b"model", METADATA, RUNTIME)
    scripts = re.findall(r"<script>(.*?)</script>", html, re.S)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    assert re.findall(r"'sha256-([^']*)'", policy) == hashes
    assert len(hashes) == 2
    assert "connect-src" not in policy
    assert "default-src 'none'" in policy


def test_names_cannot_leave_their_place() -> None:
    html = make_page(b"model", METADATA, RUNTIME)
    assert "\\u003c/script>" in html
    assert html.count("-->") == 1


def test_the_runtime_from_a_package_and_a_folder(tmp_path) -> None:
    files = {SCRIPT: RUNTIME.script, WASM: RUNTIME.wasm}
    (tmp_path / "a.tgz").write_bytes(package(files))
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert read_web_runtime(tmp_path / "a.tgz") == read_web_runtime(str(tmp_path)) == RUNTIME


@pytest.mark.parametrize(
    "content",
    [b"", b"rubbish", package({}), package({SCRIPT: b""}), damaged()],
    ids=["empty", "rubbish", "empty package", "empty script", "damaged"],
)
def test_a_file_that_is_not_the_package(tmp_path, content) -> None:
    (tmp_path / "a.tgz").write_bytes(content)
    with pytest.raises(ArgumentError, match="npm pack onnxruntime-web@"):
        read_web_runtime(tmp_path / "a.tgz")


def test_a_folder_and_a_path_without_it(tmp_path) -> None:
    with pytest.raises(ArgumentError, match="no dist/ort"):
        read_web_runtime(tmp_path)
    with pytest.raises(ArgumentError, match="cannot be read"):
        read_web_runtime(tmp_path / "nothing.tgz")


def test_nothing_is_fetched_unless_asked(monkeypatch) -> None:
    with pytest.raises(ArgumentError, match="--web-runtime fetch downloads it once"):
        read_web_runtime(None)
    monkeypatch.setenv("SSD300_OFFLINE", "1")
    with pytest.raises(DownloadError, match="SSD300_OFFLINE is set"):
        read_web_runtime("fetch")


def test_it_is_fetched_once_and_checked(monkeypatch) -> None:
    content = package({SCRIPT: RUNTIME.script, WASM: RUNTIME.wasm})
    asked = []

    def download(url, path, *, sha256_prefix, progress):
        asked.append((url, sha256_prefix))
        path.parent.mkdir(parents=True)
        path.write_bytes(content)

    monkeypatch.setattr(web_runtime, "download", download)
    assert read_web_runtime("fetch") == read_web_runtime("fetch") == read_web_runtime(None) == RUNTIME
    assert asked == [(web_runtime.ADDRESS, web_runtime.SHA256)]
    assert len(web_runtime.SHA256) == 64

"""The files with which the page detects in the browser."""

import pytest

from serving import serving
from ssd300.serve.settings import Private, Settings

MODEL, RUNTIME = "/private/model.onnx?model=seeded", "/private/runtime.mjs"


@pytest.mark.parametrize(("path", "now"), [(RUNTIME, b"script"), (MODEL, b"new")])
@pytest.mark.parametrize("kept", [None, '"another"', b"old", b"now"])
def test_a_browser_never_uses_the_file_of_an_earlier_server(models, path, now, kept) -> None:
    """A server that is started again may have another model under the same name."""

    def ask(model: bytes, tag: str | None):
        private = Private(b"script" if model == b"new" else b"older", b"", dict.fromkeys(models.by_name, model))
        with serving(models, Settings(private=private)) as client:
            return client.ask("GET", path, headers={} if tag is None else {"If-None-Match": tag})

    tag = ask(b"old" if kept == b"old" else b"new", None).headers["ETag"] if isinstance(kept, bytes) else kept
    answer = ask(b"new", tag)
    expected = (304, b"") if kept == b"now" else (200, now)
    assert (answer.status, answer.data) == expected
    assert "no-cache" in answer.headers["Cache-Control"]

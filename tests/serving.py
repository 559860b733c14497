"""A server on a free port of this machine, in a thread of the test, and how to ask it."""

import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from PIL import Image

from ssd300.serve.app import create_app
from ssd300.serve.models import Models
from ssd300.serve.run import bind, make_server
from ssd300.serve.settings import Settings


class Answer:
    """A response that has been read."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.data = response.status, response.headers, response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.data)

    @property
    def detail(self) -> str:
        return str(self.json["detail"])


class Client:
    """A server and how to ask it."""

    def __init__(self, app: Any, server: Any, listener: socket.socket) -> None:
        self.app, self.server, self.listener, self.port = app, server, listener, listener.getsockname()[1]

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            chunked = "Transfer-Encoding" in (headers or {})
            with suppress(BrokenPipeError, ConnectionResetError):  # an answer may come before the whole body is sent
                connection.request(method, path, body, headers or {}, encode_chunked=chunked)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def detect(self, body: Any, query: str = "", **headers: str) -> Answer:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", f"/v1/detect{query}", body, {"Content-Type": "image/png", **names})

    def line(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


@contextmanager
def serving(models: Models, settings: Settings) -> Iterator[Client]:
    app = create_app(models, settings)
    server = make_server(app)
    with bind("127.0.0.1", 0) as line:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [line]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        try:
            yield Client(app, server, line)
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


def picture_file(kind: str, size: tuple[int, int] = (120, 90), seed: int = 0) -> bytes:
    """A small picture with a little structure."""
    draw = np.random.default_rng(seed)
    small = Image.fromarray(draw.integers(0, 255, (9, 12, 3), np.uint8))
    stream = io.BytesIO()
    small.resize(size).save(stream, kind)
    return stream.getvalue()


def form(*files: tuple[str, bytes], field: str = "picture") -> tuple[bytes, str]:
    """A multipart form and its Content-Type."""
    body = b""
    for name, data in files:
        head = f'--cut\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
        body += head.encode() + data + b"\r\n"
    return body + b"--cut--\r\n", "multipart/form-data; boundary=cut"


def until(condition: Callable[[], object]) -> None:
    """Wait for what must come, for a minute at most."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)

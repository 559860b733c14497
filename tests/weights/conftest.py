import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from narrow import narrow_network
from ssd300.architecture import architecture
from ssd300.labels import ClassList
from ssd300.weights.checkpoint import ModelMetadata, write_checkpoint

CELLS = ClassList(("red", "white", "platelet"), (7, 9, 11))


def random_state(backbone="resnet18", num_classes=4, seed=0):
    """A state that is an SSD300's in keys, shapes and kinds of number."""
    draw = np.random.default_rng(seed)
    shapes = architecture(backbone, num_classes).state_shapes()
    return {
        key: np.array(seed + 3) if key.endswith("num_batches_tracked") else draw.random(shape, dtype=np.float32)
        for key, shape in shapes.items()
    }


@pytest.fixture(autouse=True)
def all_are_narrow(narrow) -> None:
    """What holds for a file holds for a small one."""


@pytest.fixture(scope="session")
def state():
    """resnet18 with 4 classes; not to be changed."""
    with narrow_network():
        return random_state()


@pytest.fixture(scope="session")
def metadata() -> ModelMetadata:
    return ModelMetadata(
        "resnet18",
        CELLS,
        name="cells",
        licence="MIT",
        training={"data": "bccd", "pictures_seen": 100, "recipe": {"lr": 0.01}},
        metric={"AP": 0.5, "AP50": 0.9, "interval": [0.4, 0.6], "dataset": "bccd val", "pictures": 70},
        parent_sha256="ab" * 32,
    )


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory, state, metadata) -> Path:
    """A file of `state` and `metadata`; not to be changed."""
    path = tmp_path_factory.mktemp("checkpoint") / "cells.safetensors"
    with narrow_network():
        write_checkpoint(path, state, metadata)
    return path


@pytest.fixture(scope="session")
def network():
    """resnet18 with 4 classes in torch."""
    import torch

    from ssd300.learn.network import SSD300

    torch.manual_seed(0)
    with narrow_network():
        network = SSD300("resnet18", 4)
    for buffer in network.buffers():
        if buffer.ndim == 0:
            buffer.fill_(1234567)
    return network.to(memory_format=torch.channels_last)  # strides that are not contiguous


class FileServer:
    """A loopback server of one file, that can be told to misbehave."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.etag: str | None = '"1"'
        self.headers: dict[str, str] = {}
        self.status = 200
        self.ranges = True
        self.cut_after: int | None = None  # bytes sent before the line is cut, once
        self.claims_length = True
        self.extent: str | None = None  # instead of the right Content-Range
        self.pause = 0.0  # seconds between two halves
        self.requests: list[str | None] = []  # the Range of each
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.answer(self)

            def log_message(self, *_args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/model.pt"

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        asked = request.headers["Range"]
        self.requests.append(asked)
        start = 0
        if asked and self.ranges and request.headers["If-Range"] in (None, self.etag):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start > len(self.content):
            request.send_error(416)
            return
        request.send_response(206 if start else self.status)
        if start:
            extent = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
            request.send_header("Content-Range", extent if self.extent is None else self.extent)
        if self.claims_length:
            request.send_header("Content-Length", str(len(self.content) - start))
        if self.etag:
            request.send_header("ETag", self.etag)
        for name, value in self.headers.items():
            request.send_header(name, value)
        request.end_headers()
        body = self.content[start:] if self.cut_after is None else self.content[start : self.cut_after]
        self.cut_after = None
        with suppress(ConnectionError):  # whoever asked has had enough
            request.wfile.write(body[: len(body) // 2])
            time.sleep(self.pause)
            request.wfile.write(body[len(body) // 2 :])


@pytest.fixture
def server() -> Iterator[FileServer]:
    server = FileServer(np.random.default_rng(0).bytes(3_000_000))
    thread = threading.Thread(target=server.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.server.shutdown()
    server.server.server_close()
    thread.join()

"""Small picture files, made in memory, and a web server."""

import io
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from PIL import Image

from images.sites import Site

Encode = Callable[..., bytes]


@pytest.fixture(scope="session")
def encode() -> Encode:
    """encode(PIL picture or array, "PNG", **options) -> the bytes of a file."""

    def encode(picture: Any, kind: str, **options: Any) -> bytes:
        stream = io.BytesIO()
        if isinstance(picture, np.ndarray):
            picture = Image.fromarray(picture)
        picture.save(stream, kind, **options)
        return stream.getvalue()

    return encode


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A smooth RGB uint8 picture [60, 90, 3] with no symmetry."""
    y, x = np.mgrid[0:60, 0:90].astype(np.float32)
    channels = [x * 255 / 89, y * 255 / 59, 127 + 120 * np.sin(x / 9 + y / 5)]
    return np.stack(channels, axis=2).astype(np.uint8)


@pytest.fixture
def site() -> Iterator[type[Site]]:
    """A server on loopback; its `address`, `pages` and the paths `seen`."""
    handler = type("OneSite", (Site,), {"pages": {}, "seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield handler
    server.shutdown()
    server.server_close()

"""A server with the small seeded model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving import Client, picture_file, serving
from ssd300.serve.models import Models
from ssd300.serve.settings import Settings


@pytest.fixture(scope="module")
def client(seeded_checkpoint: Path) -> Iterator[Client]:
    with serving(Models.load({"seeded": str(seeded_checkpoint)}, threads=1), Settings()) as one:
        yield one


@pytest.fixture
def png() -> bytes:
    return picture_file("PNG")

"""A server with the small seeded model, and the log of its requests."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from narrow import narrow_network
from serving import Client, picture_file, serving
from ssd300.serve.models import Models
from ssd300.serve.run import JsonLines
from ssd300.serve.settings import Settings


@pytest.fixture(scope="session")
def models(narrow_checkpoint: Path) -> Models:
    paths = {"seeded": str(narrow_checkpoint), "again": str(narrow_checkpoint)}
    with narrow_network():
        return Models.load(paths, precision="f32", threads=2)


@pytest.fixture(scope="module")
def client(models: Models) -> Iterator[Client]:
    with serving(models, Settings(max_body=2**20, max_pixels=1_000_000, max_pictures=4, timeout=5)) as one:
        yield one


@pytest.fixture(scope="session")
def png() -> bytes:
    return picture_file("PNG")


@pytest.fixture
def log_lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[dict[str, Any]]]:
    """Each line of the log, as it comes."""
    lines: list[dict[str, Any]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(JsonLines().format(record)))

    logger, keep = logging.getLogger("ssd300.serve"), Keep()
    level = logger.level
    logger.addHandler(keep)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(keep)
    logger.setLevel(level)

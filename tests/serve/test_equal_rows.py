"""The bundled model at its default precision: rows over HTTP, under load, are the command line's."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving import picture_file, serving
from ssd300.serve.models import Models
from ssd300.serve.settings import Settings

EXAMPLES = Path(__file__).parents[2] / "examples" / "images"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_hundred_pictures_byte_for_byte(tmp_path) -> None:
    for number, path in enumerate(sorted(EXAMPLES.glob("*.jpg"))):
        (tmp_path / f"{number:03d}.jpg").write_bytes(path.read_bytes())
    for number in range(3, 200):
        kind = ("PNG", "JPEG", "WEBP")[number % 3]
        data = picture_file(kind, (200 + 7 * number % 500, 100 + 11 * number % 400), seed=number)
        (tmp_path / f"{number:03d}.{kind.lower()}").write_bytes(data)
    names = sorted(path.name for path in tmp_path.iterdir())
    command = [sys.executable, "-m", "ssd300", "detect", *names, "--format", "jsonl", "--no-save", "--conf", "0.1"]
    told = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout
    with serving(Models.load({"default": "default"}), Settings(timeout=120)) as client:

        def ask(name: str) -> bytes:
            return client.detect((tmp_path / name).read_bytes(), f"?score_threshold=0.1&source={name}").data

        with ThreadPoolExecutor(8) as pool:
            rows = list(pool.map(ask, names))
    assert len(rows) == 200
    assert b"".join(rows) == told
    assert told.count(b'"score"') > 20

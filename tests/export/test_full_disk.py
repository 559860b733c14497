"""A disk that takes no more: each kind of export says so, of the name that was asked for, and what was there stays."""

from pathlib import Path

import pytest

import ssd300
from full_disk import files_of_at_most
from ssd300.errors import OutputError


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("name", "format", "at_most"),
    [
        ("m.onnx", None, 200_000),
        ("m.xml", None, 200_000),
        ("m.xml", None, 10_000_000),  # OpenVINO removes what it wrote, so there is space again
        ("m.safetensors", None, 200_000),
        ("repository", "triton", 200_000),
        ("x" * 243 + ".xml", None, 200_000),
    ],
)
def test_it_is_said_and_what_was_there_stays(name, format, at_most, seeded_checkpoint, tmp_path):
    out = tmp_path / name
    if format is None:
        out.write_bytes(b"old")
    if out.suffix == ".xml":
        out.with_suffix(".bin").write_bytes(b"numbers of the old")
    before = contents(tmp_path)
    with files_of_at_most(at_most), pytest.raises(OutputError) as raised:
        ssd300.export(seeded_checkpoint, out, format=format)
    assert str(raised.value) == f"{out}: cannot be written: File too large; choose another folder"
    assert contents(tmp_path) == before

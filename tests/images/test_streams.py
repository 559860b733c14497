"""Sources that give their bytes piece by piece are read until their end."""

import io
import os
import socket
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ssd300.errors import ImageError
from ssd300.images import expand, open_source, streams


@pytest.fixture
def data(photo, encode) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    return encode(noise, "PNG")  # larger than what a pipe holds


def written_slowly(write, data: bytes) -> threading.Thread:
    """Writes the bytes in four pieces from a thread of its own."""

    def run() -> None:
        quarter = len(data) // 4 + 1
        for start in range(0, len(data), quarter):
            write(data[start : start + quarter])
            time.sleep(0.02)
        write(b"")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


class InPieces:
    """A binary file object that gives at most so many bytes a call; no more than what the protocol asks for."""

    def __init__(self, data: bytes, most: int) -> None:
        self.stream, self.most = io.BytesIO(data), most

    def read(self, size: int = -1) -> bytes:
        return self.stream.read(min(size, self.most) if size >= 0 else self.most)


class WithoutSize:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self) -> bytes:
        return self.data


def test_an_unbuffered_pipe(data):
    reading, writing = os.pipe()
    thread = written_slowly(lambda piece: os.write(writing, piece) if piece else os.close(writing), data)
    with open(reading, "rb", buffering=0) as stream:
        assert np.array_equal(open_source(stream), open_source(data))
    thread.join()


def test_a_pipe_that_does_not_block(data):
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    thread = written_slowly(lambda piece: os.write(writing, piece) if piece else os.close(writing), data)
    with open(reading, "rb", buffering=0) as stream:
        assert np.array_equal(open_source(stream), open_source(data))
    thread.join()


@pytest.mark.parametrize("what", ["socket", "buffered file", "raw file"])
def test_sockets(what, data):
    ours, theirs = socket.socketpair()
    thread = written_slowly(lambda piece: theirs.sendall(piece) if piece else theirs.close(), data)
    with ours:
        options = {"buffered file": {}, "raw file": {"buffering": 0}}
        stream = ours if what == "socket" else ours.makefile("rb", **options[what])
        assert np.array_equal(open_source(stream), open_source(data))
        stream.close()
    thread.join()


@pytest.mark.posix
def test_a_fifo_by_its_path(data, tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    thread = threading.Thread(target=path.write_bytes, args=[data], daemon=True)
    thread.start()
    assert np.array_equal(open_source(path), open_source(data))
    thread.join()


@pytest.mark.posix
def test_a_shells_substitution(data, tmp_path):
    (tmp_path / "a.png").write_bytes(data)
    code = "import sys; from ssd300.images import open_source; print(open_source(sys.argv[1]).shape)"
    command = f'"{sys.executable}" -c "{code}" <(cat "{tmp_path}/a.png")'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(300, 400, 3)"


def test_standard_input_that_comes_in_pieces(data):
    code = "from ssd300.images import open_source; print(open_source('-').shape)"
    process = subprocess.Popen([sys.executable, "-u", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    for start in range(0, len(data), 100_000):
        process.stdin.write(data[start : start + 100_000])
        process.stdin.flush()
        time.sleep(0.01)
    assert process.communicate()[0].strip() == b"(300, 400, 3)"


def test_standard_input_that_is_closed(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ImageError, match="<stdin>: standard input is closed; pass a path"):
        open_source("-")


@pytest.mark.parametrize("most", [1000, 4096, 2**20])
def test_reads_that_give_less_than_asked_for(most, data):
    assert np.array_equal(open_source(InPieces(data, most)), open_source(data))


def test_a_read_without_arguments(data):
    assert np.array_equal(open_source(WithoutSize(data)), open_source(data))


def test_reads_that_give_bytearrays(data):
    stream = InPieces(data, 5000)
    whole = stream.read
    stream.read = lambda size=-1: bytearray(whole(size))
    assert np.array_equal(open_source(stream), open_source(data))


def test_a_member_of_an_archive(data, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", data)
        with pytest.raises(ImageError), archive.open("b.png", "w") as writing:
            open_source(writing)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive, archive.open("a.png") as member:
        assert np.array_equal(open_source(member), open_source(data))


def test_a_stream_without_end_is_cut_off(monkeypatch):
    monkeypatch.setattr(streams, "MAX_FILE_BYTES", 10_000)

    class Endless:
        def read(self, size: int = -1) -> bytes:
            return b"x" * 3000

    with pytest.raises(ImageError, match="larger than 10,000 bytes, the limit; check"):
        open_source(Endless())


# Addresses of files, arrays and generators of paths -------------------------------------------------------------------


def test_file_addresses(data, tmp_path):
    path = tmp_path / "a b.png"
    path.write_bytes(data)
    for address in (path.as_uri(), f"file://localhost{path.as_uri()[7:]}", path.as_uri().replace("file", "FILE", 1)):
        assert np.array_equal(open_source(address), open_source(path))
    assert [source.name for source in expand(tmp_path.as_uri())] == [str(path)]


def test_arrays_and_generators_of_paths(data, tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        path.write_bytes(data)
    texts = [str(path) for path in paths]
    for many in (np.array(texts), np.array(paths, object), (p for p in paths), map(str, paths), tmp_path.glob("*.png")):
        assert sorted(source.name for source in expand(many)) == texts
    assert open_source(np.array(texts[0])).shape == open_source(np.array(texts[:1])).shape == (300, 400, 3)
    assert [s.name for s in expand(np.array(["/none.jpg"]))] == ["/none.jpg"]
    assert list(expand(np.array([], object))) == []


def test_a_bad_address_is_one_failure_among_others(tmp_path, data):
    (tmp_path / "a.png").write_bytes(data)
    sources = list(expand(["file://server/a.png", Path("s3://bucket/a.png"), tmp_path / "a.png"]))
    assert len(sources) == 3
    for source in sources[:2]:
        with pytest.raises(ImageError):
            open_source(source)

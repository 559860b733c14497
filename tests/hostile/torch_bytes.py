"""Bytes of torch files that are wrong in one place, and what a reader must do with such a file."""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile

import pytest

from ssd300.errors import ModelError
from ssd300.weights.published import read_published
from ssd300.weights.torch_file import PROTOCOL, TORCH_MAGIC, open_torch_file

SMALL = 4 * 2**20  # bytes that a small bad file may make us take
WITNESS = "executed.txt"  # what code in a pickle would create


def archive(pickled: bytes, *, method=zipfile.ZIP_STORED, prefix="x", **entries: bytes) -> bytes:
    """A torch file in the zip layout around any pickle."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as file:
        file.writestr(f"{prefix}/data.pkl", pickled)
        for name, content in entries.items():
            file.writestr(f"{prefix}/{name.replace('__', '/')}", content)
    return data.getvalue()


def stream(pickled: bytes, keys=(), data=b"", *, magic=TORCH_MAGIC, protocol=PROTOCOL, system=None) -> bytes:
    """A torch file in the older layout around any pickle."""
    system = {"protocol_version": PROTOCOL, "little_endian": True} if system is None else system
    head = b"".join(pickle.dumps(value, 2) for value in (magic, protocol, system))
    return head + pickled + pickle.dumps(list(keys), 2) + data


def op(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + b"."


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    size = (value.bit_length() + 8) // 8
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def tensor(offset=0, shape=(4,), strides=(1,), numel=4, kind="FloatStorage", key="0", module="torch") -> bytes:
    """The opcodes of one tensor."""
    storage = b"((" + text("storage") + f"c{module}\n{kind}\n".encode() + text(key) + text("cpu") + number(numel)
    sizes = b"(" + b"".join(map(number, shape)) + b"t" + b"(" + b"".join(map(number, strides)) + b"t"
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + storage + b"tQ" + number(offset) + sizes + b"\x89)tR"


def state(*tensors: bytes) -> bytes:
    """A pickle of {"k0": tensor, "k1": tensor, ...}."""
    return op(b"}(", *(text(f"k{i}") + t for i, t in enumerate(tensors)), b"u")


class Code:
    """Pickled by the standard library, it runs a shell command when it is unpickled."""

    def __reduce__(self):
        return os.system, (f"touch {WITNESS}",)


CALL = b"cos\nsystem\n" + text(f"touch {WITNESS}") + b"\x85R"


def refused(path, read=read_published) -> str:
    """What the reader says; its memory is measured, and the file must be left alone with nothing beside it."""
    before = sorted(path.parent.iterdir())
    tracemalloc.start()
    try:
        with pytest.raises(ModelError) as caught:
            read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < SMALL + 200 * path.stat().st_size
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 1500
    assert sorted(path.parent.iterdir()) == before
    return str(caught.value)


def patched(data: bytes, find: bytes, at: int, value: bytes, *, last: bool = False) -> bytes:
    """Some bytes of a record replaced, the record found by its signature."""
    start = (data.rindex(find) if last else data.index(find)) + at
    return data[:start] + value + data[start + len(value) :]


GOOD = archive(state(tensor()), data__0=bytes(16), byteorder=b"little")


def read_first_tensor(path):
    with open_torch_file(path) as file:
        return file.array(next(iter(file.tree.values())))

"""Torch files around a pickle, zip archives and older streams, with a fault each: all end in a ModelError."""

import pickle
import struct
import zipfile

import numpy as np
import pytest

from hostile.torch_bytes import GOOD, Code, archive, op, patched, read_first_tensor, refused, state, stream, tensor
from ssd300.errors import ModelError
from ssd300.weights.catalog import load_weights

CENTRAL, END = b"PK\x01\x02", b"PK\x05\x06"


HOSTILE_ARCHIVES = {
    "compressed": (
        archive(state(tensor()), method=zipfile.ZIP_DEFLATED, data__0=bytes(16)),
        "is compressed or encrypted",
    ),
    "a zip bomb": (archive(op(b"N" * 2**24), method=zipfile.ZIP_DEFLATED), "is compressed or encrypted"),
    "compressed by bzip2": (archive(state(tensor()), method=zipfile.ZIP_BZIP2), "is compressed or encrypted"),
    "compressed by lzma": (archive(state(tensor()), method=zipfile.ZIP_LZMA), "is compressed or encrypted"),
    "encrypted": (patched(GOOD, CENTRAL, 8, b"\x01\x00"), "is compressed or encrypted"),
    "compressed only in the local header": (
        patched(GOOD, b"PK\x03\x04", 8, b"\x08\x00"),
        "not where the directory says",
    ),
    "another size than packed size": (patched(GOOD, CENTRAL, 24, b"\x01"), "is compressed or encrypted"),
    "an offset at its end": (patched(GOOD, CENTRAL, 42, struct.pack("<I", len(GOOD))), "bytes are expected at"),
    "an offset of 4 GB": (patched(GOOD, CENTRAL, 42, b"\xff\xff\xff\xff"), "bytes are expected at"),
    "an offset elsewhere": (patched(GOOD, CENTRAL, 42, struct.pack("<I", 7)), "not where the|are expected at"),
    "an entry at another's place": (
        patched(GOOD, CENTRAL, 42, struct.pack("<I", 0), last=True),
        "not where the directory",
    ),
    "an entry over the next": (
        patched(patched(GOOD, CENTRAL, 20, struct.pack("<I", 400)), CENTRAL, 24, struct.pack("<I", 400)),
        "overlaps",
    ),
    "an entry of 4 GB": (
        patched(patched(GOOD, CENTRAL, 20, b"\xff" * 4, last=True), CENTRAL, 24, b"\xff" * 4, last=True),
        "overlaps 'the directory'",
    ),
    "a directory beyond the file": (patched(GOOD, END, 16, b"\xff\xff\xff\x7f"), "does not fit in"),
    "a directory of 4 GB": (patched(GOOD, END, 12, b"\xff\xff\xff\xff"), "does not fit in"),
    "more entries than are there": (patched(GOOD, END, 8, struct.pack("<HH", 60000, 60000)), "directory is cut off"),
    "fewer entries than are there": (patched(GOOD, END, 8, struct.pack("<HH", 1, 1)), "holds more than its entries"),
    "on several disks": (patched(GOOD, END, 4, b"\x01"), "the directory at its end is missing"),
    "something behind it": (GOOD + b"x", "the directory at its end is missing"),
    "cut off": (GOOD[:-30], "the directory at its end is missing"),
    "without entries": (b"PK\x03\x04" + END + bytes(18), "0 entries NAME/data.pkl in the archive, expected 1"),
    "four bytes": (b"PK\x03\x04", "4 bytes are not a zip archive"),
    "a flipped bit in the numbers": (GOOD.replace(bytes(16), b"\x01" + bytes(15), 1), "not an SSD300 model"),
    "a flipped bit in the pickle": (GOOD.replace(b"k0", b"k1"), "the checksum of its entry 'x/data.pkl' is wrong"),
    "no pickle": (archive(b"").replace(b"data.pkl", b"data.txt"), "0 entries NAME/data.pkl in the archive, expected 1"),
    "two pickles": (
        archive(state(), data__x=b"").replace(b"x/data/x", b"data.pkl"),
        "not an SSD300 model|0 entries|no w",
    ),
    "a pickle in a folder below": (archive(state(tensor()), prefix="x/y"), "0 entries NAME/data.pkl"),
    "a pickle above": (archive(state(tensor()), prefix="../x"), "0 entries NAME/data.pkl"),
    "TorchScript with a program": (archive(state(), code__x=b"x"), "a TorchScript program, not weights"),
    "TorchScript": (archive(state(), **{"constants.pkl": op(b")")}), "a TorchScript program, not weights"),
    "big-endian": (archive(state(tensor()), data__0=bytes(16), byteorder=b"big"), "not written in little-endian"),
    "a byte order of a megabyte": (
        archive(state(tensor()), byteorder=b"little" * 2**17),
        "not written in little-endian",
    ),
}


@pytest.mark.parametrize(("data", "words"), HOSTILE_ARCHIVES.values(), ids=HOSTILE_ARCHIVES)
def test_hostile_archives(tmp_path, data, words) -> None:
    path = tmp_path / "bad.pt"
    path.write_bytes(data)
    message = refused(path)
    assert any(word in message for word in words.split("|"))


def test_an_entry_that_is_there_twice_is_refused(tmp_path) -> None:
    data = archive(state(tensor()), data__0=bytes(16), data__1=bytes(16)).replace(b"x/data/1", b"x/data/0")
    (tmp_path / "bad.pt").write_bytes(data)
    assert "its entry 'x/data/0' is a duplicate" in refused(tmp_path / "bad.pt")


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({}, "the numbers '0' are missing, expected 16 bytes"),
        ({"data__0": bytes(12)}, "the numbers '0' are 12 bytes, expected 16 bytes"),
        ({"data__0": bytes(20)}, "the numbers '0' are 20 bytes, expected 16 bytes"),
    ],
)
def test_numbers_that_are_missing_in_an_archive(tmp_path, entries, words) -> None:
    (tmp_path / "bad.pt").write_bytes(archive(state(tensor()), **entries))
    assert words in refused(tmp_path / "bad.pt", read_first_tensor)


def test_numbers_that_changed_in_an_archive(tmp_path) -> None:
    (tmp_path / "bad.pt").write_bytes(archive(state(tensor()), data__0=b"A" * 16).replace(b"AAAA", b"AABA"))
    assert "the checksum of its entry 'x/data/0' is wrong" in refused(tmp_path / "bad.pt", read_first_tensor)


COUNT = struct.pack("<q", 4)
ONE = state(tensor())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty"),
        (b"\x80", "damaged or truncated"),
        (b"<!DOCTYPE html><html>", "it is a web page"),
        (b"\n<HTML>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "it is a Git LFS pointer"),
        (b"\x89HDF\r\n\x1a\n", "it is a Keras or HDF5 file"),
        (b"GGUF\x03\0\0\0", "it is a GGUF file"),
        (b"\x1f\x8b\x08", "it is an archive: unpack it"),
        (b'p\xa0\0\0\0\0\0\0{"__metadata__', "it begins as a safetensors file: name it .safetensors"),
        (b"\x89PNG\r\n\x1a\n", r"it begins with b'\x89PNG"),
        (pickle.dumps({"model": 1}, 2), "a pickle, but not one of torch.save"),
        (pickle.dumps(Code(), 2), "refers to 'posix.system'"),
        (stream(ONE, magic=1), "a pickle, but not one of torch.save"),
        (stream(ONE, protocol=1002), "an unknown version"),
        (stream(ONE, system={"little_endian": False}), "not written in little-endian byte order"),
        (stream(ONE, system=[]), "not written in little-endian byte order"),
        (stream(ONE, system=Code()), "refers to 'posix.system'"),
        (stream(ONE), "its list of stored numbers does not fit its tensors"),
        (stream(ONE, ["1"]), "its list of stored numbers does not fit its tensors"),
        (stream(ONE, ["0", "0"]), "its list of stored numbers does not fit its tensors"),
        (stream(ONE, [0]), "its list of stored numbers does not fit its tensors"),
        (stream(ONE, [["0"]]), "its list of stored numbers does not fit its tensors"),
        (stream(ONE, ["0"]), "the numbers '0' are missing, 4 are expected"),
        (stream(ONE, ["0"], struct.pack("<q", -1) + bytes(16)), "the numbers '0' are missing"),
        (stream(ONE, ["0"], struct.pack("<q", 2**60) + bytes(16)), "the numbers '0' are missing"),
        (stream(ONE, ["0"], COUNT + bytes(15)), "bytes, expected"),
        (stream(ONE, ["0"], COUNT + bytes(17)), "bytes, expected"),
        (stream(state(tensor(numel=2**39)), ["0"], struct.pack("<q", 2**39)), "bytes, expected"),
    ],
)
def test_hostile_streams(tmp_path, data, words) -> None:
    (tmp_path / "bad.pt").write_bytes(data)
    assert words in refused(tmp_path / "bad.pt")


def test_the_helpers_build_files_that_are_right_otherwise(tmp_path) -> None:
    for data in (GOOD, stream(ONE, ["0"], COUNT + bytes(16))):
        (tmp_path / "x.pt").write_bytes(data)
        np.testing.assert_array_equal(read_first_tensor(tmp_path / "x.pt"), np.zeros(4, np.float32))


@pytest.mark.parametrize("name", ["missing.pt", "missing.pth", "missing.safetensors"])
def test_a_missing_file(tmp_path, name) -> None:
    with pytest.raises(ModelError, match="neither a file nor a known model"):
        load_weights(tmp_path / name)


@pytest.mark.parametrize("name", ["x.pkl", "x.bin", "x.ckpt", "x.h5", "x"])
def test_other_suffixes_are_refused_unread(tmp_path, name) -> None:
    (tmp_path / name).write_bytes(pickle.dumps(Code()))
    with pytest.raises(ModelError, match=r"expected weights: \.safetensors, \.pt, \.pth"):
        load_weights(tmp_path / name)

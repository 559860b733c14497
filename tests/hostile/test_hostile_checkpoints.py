"""Files that want to be executed, to fill the memory or to be believed: each ends in a ModelError, soon and small."""

import io
import os
import pickle
import random
import struct
import tracemalloc
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from ssd300.architecture import architecture
from ssd300.errors import ModelError, SSD300Error
from ssd300.labels import ClassList
from ssd300.weights.catalog import load_state
from ssd300.weights.checkpoint import ModelMetadata, read_checkpoint, read_specs, read_tensors, write_checkpoint
from ssd300.weights.pickled import StoredTensor
from ssd300.weights.published import is_backbone_file, read_backbone, read_published
from ssd300.weights.torch_file import MAGIC, PROTOCOL, open_torch_file

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


def stream(pickled: bytes, keys=(), data=b"", *, magic=MAGIC, protocol=PROTOCOL, system=None) -> bytes:
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
NESTED_KEY = b"".join(b"q%c" % i + b"h%c" % i + b"\x86" for i in range(100))  # hashing it takes 2**100 steps

HOSTILE_PICKLES = {
    "empty": (b"", "damaged or cut off"),
    "no stop": (b"\x80\x02}", "damaged or cut off|does not end in one value"),
    "nothing on the stack": (op(), "does not end in one value"),
    "two values": (op(b"NN"), "does not end in one value"),
    "a name alone": (op(b"ctorch\nFloatStorage\n"), "does not end in one value"),
    "pops an empty stack": (op(b"a"), "damaged or cut off"),
    "reaches through the mark": (op(b"](a"), "takes a mark for a value"),
    "os.system by GLOBAL and REDUCE": (op(CALL), "asks for 'os.system'"),
    "os.system beside tensors": (op(b"}", text("k"), CALL, b"s"), "asks for 'os.system'"),
    "by the standard library": (pickle.dumps({"model": Code()}, 2), "asks for 'posix.system'"),
    "by STACK_GLOBAL": (op(text("os"), text("system"), b"\x93", text("true"), b"\x85R"), "the opcode STACK_GLOBAL"),
    "by protocol 4": (pickle.dumps({"model": Code()}, 4), "the opcode"),
    "by INST": (op(b"(" + text("true") + b"ios\nsystem\n"), "the opcode INST"),
    "by OBJ": (op(b"(cos\nsystem\n" + text("true") + b"o"), "asks for 'os.system'"),
    "by NEWOBJ": (op(b"ccollections\nOrderedDict\n)\x81"), "the opcode NEWOBJ"),
    "by EXT1": (op(b"\x82\x01"), "the opcode EXT1"),
    "builtins.eval": (op(b"cbuiltins\neval\n", text("1"), b"\x85R"), "asks for 'builtins.eval'"),
    "a name with dots": (op(b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n"), "asks for"),
    "a name with a space": (op(b"ctorch\n_utils _rebuild_tensor_v2\n"), "asks for"),
    "a storage is called": (op(b"ctorch\nFloatStorage\n)R"), "calls a torch.FloatStorage"),
    "a text is called": (op(text("os"), b")R"), "calls a str"),
    "arguments are no tuple": (op(b"ccollections\nOrderedDict\n]R"), "calls a collections.OrderedDict"),
    "OrderedDict of a list": (op(b"ccollections\nOrderedDict\n](K\x01K\x02ee\x85R"), "damaged or cut off"),
    "attributes of a list": (op(b"]}b"), "attributes are set on a list"),
    "attributes of a name": (op(b"ccollections\nOrderedDict\n}", text("__init__"), text("x"), b"sb"), "set on a"),
    "attributes of a tensor": (op(tensor(), b"}b"), "attributes are set on a StoredTensor"),
    "items of a tuple": (op(b")K\x01K\x02s"), "are set in a tuple"),
    "an odd number of items": (op(b"}(K\x01u"), "1 keys and values"),
    "append to a dict": (op(b"}K\x01a"), "items are appended to a dict"),
    "a key that hashes forever": (op(b"}K\x01" + NESTED_KEY + b"K\x01s"), "a tuple is used as a key"),
    "a list as a key": (op(b"}]Ns"), "a list is used as a key"),
    "a key of 100 bits": (op(b"}", number(2**100), b"Ns"), "a int is used as a key"),
    "a number of 255 bytes": (op(b"\x8a\xff" + b"\x7f" * 255), "more than 128 bits"),
    "a number of a megabyte": (op(b"\x8b" + struct.pack("<i", 2**20) + b"\x7f" * 2**20), "more than 128 bits"),
    "LONG4 of minus one byte": (op(b"\x8b" + struct.pack("<i", -1)), "damaged or cut off"),
    "a decimal of a megabyte": (op(b"L" + b"9" * 2**20 + b"L\n"), "the opcode LONG,"),
    "memo bomb LONG_BINPUT": (op(b"Nr\xff\xff\xff\x7f"), "no weights in it"),
    "memo bomb, 1000 of them": (op(b"N", *(b"r" + struct.pack("<I", 2**31 - i) for i in range(1000))), "no weights"),
    "memo never stored": (op(b"h\x05"), "memo entry 5 is fetched and was never stored"),
    "a text of 2 GB": (b"\x80\x02X\xff\xff\xff\x7f", "damaged or cut off"),
    "a text of 2**63 bytes": (b"\x80\x02\x8d" + b"\xff" * 7 + b"\x7f", "the opcode BINUNICODE8"),
    "a text that is not UTF-8": (op(b"X\x01\x00\x00\x00\xff"), "damaged or cut off"),
    "a text without its end": (op(b"cos"), "damaged or cut off"),
    "bytes of 2 GB": (b"\x80\x02B\xff\xff\xff\x7f", "the opcode BINBYTES"),
    "a frame of 2**60 bytes": (b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"N.", "the opcode FRAME"),
    "a text with escapes": (op(b"S'\\q'\n"), "the opcode STRING"),
    "a name with escapes": (op(b"cos\\q\nsys\\x41\n"), r"asks for 'os\\q.sys\\x41'"),
    "an unknown opcode": (op(b"\xfe"), "the opcode b'\\xfe'"),
    "100,000 nested lists": (b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".", "found a list"),
    "100,000 nested tuples": (b"\x80\x02)" + b"\x85" * 100_000 + b".", "found a tuple"),
    "a list in itself": (op(b"]q\x00h\x00a"), "found a list"),
    "doubling lists": (op(b"]", *(b"q\x00]h\x00ah\x00a" for _ in range(200))), "does not end in one value"),
    "persistent id of another kind": (op(text("module"), b"Q"), "refers to numbers in an unusual way"),
    "persistent id of a name": (op(b"ctorch\nFloatStorage\nQ"), "refers to numbers in an unusual way"),
    "a storage that is no storage": (state(tensor(kind="device")), "refers to numbers in an unusual way"),
    "a storage of another module": (state(tensor(module="numpy")), "asks for 'numpy.FloatStorage'"),
    "a storage of minus one": (state(tensor(numel=-1)), "refers to numbers in an unusual way"),
    "a storage of 2**62": (state(tensor(numel=2**62)), "refers to numbers in an unusual way"),
    "one storage, two sizes": (state(tensor(), tensor(numel=5)), "refers to numbers in an unusual way"),
    "a view of a storage": (
        op(b"((" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x04K\x01tQ"),
        "refers to numbers in an unusual way",
    ),
    "a negative offset": (state(tensor(offset=-1)), "a wrong shape, stride or offset"),
    "an offset beyond": (state(tensor(offset=1)), "reaches beyond its 4 stored numbers"),
    "an offset of 2**62": (state(tensor(offset=2**62)), "a wrong shape, stride or offset"),
    "a negative stride": (state(tensor(strides=(-1,))), "a wrong shape, stride or offset"),
    "a stride beyond": (state(tensor(strides=(2,))), "reaches beyond its 4 stored numbers"),
    "a stride of 0": (state(tensor(shape=(2**30, 2**9), strides=(0, 0))), "reaches beyond its 4 stored numbers"),
    "a negative size": (state(tensor(shape=(-4,))), "a wrong shape, stride or offset"),
    "a size of 2**40": (state(tensor(shape=(2**39, 2**39), strides=(1, 1))), "reaches beyond its 4 stored numbers"),
    "sizes without strides": (state(tensor(strides=())), "a wrong shape, stride or offset"),
    "thirty dimensions": (state(tensor(shape=(1,) * 30, strides=(1,) * 30)), "a wrong shape, stride or offset"),
    "a tensor of three parts": (op(b"ctorch._utils\n_rebuild_tensor_v2\nNNN\x87R"), "3 unusual arguments"),
    "a parameter of code": (op(b"ctorch._utils\n_rebuild_parameter\n", CALL, b"\x85R"), "asks for 'os.system'"),
    "a parameter of text": (op(b"ctorch._utils\n_rebuild_parameter\n", text("x"), b"\x85R"), "1 unusual arguments"),
}


@pytest.fixture(autouse=True)
def nothing_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / WITNESS).exists()


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


def test_the_witness_works(tmp_path) -> None:
    """The real unpickler does run the code: the table above would notice."""
    pickle.loads(pickle.dumps(Code(), 2))
    assert (tmp_path / WITNESS).exists()
    (tmp_path / WITNESS).unlink()


@pytest.mark.parametrize("layout", [archive, stream])
@pytest.mark.parametrize(("pickled", "words"), HOSTILE_PICKLES.values(), ids=HOSTILE_PICKLES)
def test_hostile_pickles(tmp_path, layout, pickled, words) -> None:
    path = tmp_path / "bad.pt"
    path.write_bytes(layout(pickled))
    message = refused(path)
    words += "|its list of stored numbers does not fit" if layout is stream else ""
    assert any(word in message for word in words.split("|"))


@pytest.mark.parametrize("count", [999_000, 1_100_000])
def test_a_pickle_of_very_many_opcodes_ends(tmp_path, count) -> None:
    path = tmp_path / "bad.pt"
    path.write_bytes(archive(op(b"]" + b"Na" * (count // 2))))
    words = "found a list" if count < 1_000_000 else "longer than 1,000,000 opcodes"
    assert words in refused(path)


def test_a_pickle_larger_than_any_real_one_is_not_read(tmp_path) -> None:
    path = tmp_path / "bad.pt"
    path.write_bytes(archive(b"N" * (64 * 2**20 + 1)))
    assert "at most 67,108,864 are read" in refused(path)


def test_attributes_of_an_ordered_dict_are_dropped(tmp_path) -> None:
    """torch's own files set `_metadata`; a hostile one may set anything."""
    tricks = b"}(" + b"".join(text(name) + text("x") for name in ("__class__", "__getitem__", "items", "keys")) + b"u"
    path = tmp_path / "x.pt"
    path.write_bytes(
        archive(op(b"ccollections\nOrderedDict\n)R", text("k"), tensor(), b"s", tricks, b"b"), data__0=bytes(16))
    )
    with open_torch_file(path) as file:
        assert type(file.tree) is dict
        assert list(file.tree) == ["k"]
        np.testing.assert_array_equal(file.array(file.tree["k"]), np.zeros(4, np.float32))
    assert "found 1 tensors ('k')" in refused(path)


def patched(data: bytes, find: bytes, at: int, value: bytes, *, last: bool = False) -> bytes:
    """Some bytes of a record replaced, the record found by its signature."""
    start = (data.rindex(find) if last else data.index(find)) + at
    return data[:start] + value + data[start + len(value) :]


GOOD = archive(state(tensor()), data__0=bytes(16), byteorder=b"little")
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
    "four bytes": (b"PK\x03\x04", "4 bytes are no zip archive"),
    "a flipped bit in the numbers": (GOOD.replace(bytes(16), b"\x01" + bytes(15), 1), "not an SSD300 model"),
    "a flipped bit in the pickle": (GOOD.replace(b"k0", b"k1"), "the checksum of its entry 'x/data.pkl' is wrong"),
    "no pickle": (archive(b"").replace(b"data.pkl", b"data.txt"), "0 entries NAME/data.pkl in the archive, expected 1"),
    "two pickles": (
        archive(state(), data__x=b"").replace(b"x/data/x", b"data.pkl"),
        "not an SSD300 model|0 entries|no w",
    ),
    "a pickle in a folder below": (archive(state(tensor()), prefix="x/y"), "0 entries NAME/data.pkl"),
    "a pickle above": (archive(state(tensor()), prefix="../x"), "0 entries NAME/data.pkl"),
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
    assert "its entry 'x/data/0' is there twice" in refused(tmp_path / "bad.pt")


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


def read_first_tensor(path):
    with open_torch_file(path) as file:
        return file.array(next(iter(file.tree.values())))


COUNT = struct.pack("<q", 4)
ONE = state(tensor())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty"),
        (b"\x80", "damaged or cut off"),
        (b"<!DOCTYPE html><html>", "it is a web page"),
        (b"\n<HTML>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "it is a Git LFS pointer"),
        (b"\x89PNG\r\n\x1a\n", r"it begins with b'\x89PNG"),
        (pickle.dumps({"model": 1}, 2), "a pickle, but not one of torch.save"),
        (pickle.dumps(Code(), 2), "asks for 'posix.system'"),
        (stream(ONE, magic=1), "a pickle, but not one of torch.save"),
        (stream(ONE, protocol=1002), "an unknown version"),
        (stream(ONE, system={"little_endian": False}), "not written in little-endian byte order"),
        (stream(ONE, system=[]), "not written in little-endian byte order"),
        (stream(ONE, system=Code()), "asks for 'posix.system'"),
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
        load_state(tmp_path / name)


@pytest.mark.parametrize("name", ["x.pkl", "x.bin", "x.ckpt", "x.h5", "x"])
def test_other_suffixes_are_refused_unread(tmp_path, name) -> None:
    (tmp_path / name).write_bytes(pickle.dumps(Code()))
    with pytest.raises(ModelError, match=r"expected weights: \.safetensors, \.pt, \.pth"):
        load_state(tmp_path / name)


# Mutations: any damage ends in a state or an SSD300Error.


def small_files(folder) -> list[bytes]:
    """Small files of every kind that is read: both torch layouts and safetensors."""
    values = OrderedDict((f"layer{i}.weight", torch.full((2, 3), float(i))) for i in range(6))
    values |= {"half": torch.ones(4).half(), "brain": torch.ones(2, 2).bfloat16(), "count": torch.tensor(3)}
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1, momentum=0.9)
    checkpoint = {"model": values, "optimizer": optimizer.state_dict(), "epoch": 3, "label_map": {0: "a", 1: "b"}}
    files = []
    for zipped in (True, False):
        for value in (values, checkpoint):
            torch.save(value, folder / "x.pt", _use_new_zipfile_serialization=zipped)
            files.append((folder / "x.pt").read_bytes())
    arrays = {f"t{i}": np.full((2, 3), i, np.float32) for i in range(5)} | {"n": np.array(3)}
    header = {"ssd300": ModelMetadata("resnet18", ClassList(("cat",), (1,))).to_json()}
    for metadata in (None, header):
        save_file(arrays, folder / "x.safetensors", metadata=metadata)
        files.append((folder / "x.safetensors").read_bytes())
    return files


def damaged(data: bytes, draw: random.Random) -> bytes:
    """One to four kinds of damage: flipped bits, new bytes, runs lost, doubled, moved or zeroed, the end cut off."""
    data = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at, length = draw.randrange(len(data) + 1), draw.choice([1, 2, 4, 8, 100])
        kind = draw.randrange(8)
        if kind < 3 and at < len(data):
            data[at] = draw.choice([data[at] ^ (1 << draw.randrange(8)), draw.randrange(256), 0, 0x7F, 0xFF])
        elif kind == 3:
            del data[at : at + length]
        elif kind == 4:
            data[at:at] = data[at : at + length] or bytes(length)
        elif kind == 5:
            data[at:at] = draw.randbytes(length)
        elif kind == 6:
            data[at : at + length] = bytes(min(length, len(data) - at))
        elif draw.random() < 0.3:
            del data[at:]
    return bytes(data)


def read_all(path) -> None:
    """Everything that can be read of a file of weights."""
    readers = [load_state, is_backbone_file, read_backbone]
    if path.suffix == ".safetensors":
        readers += [read_checkpoint, lambda p: read_tensors(p, read_specs(p))]
    else:
        readers += [read_every_tensor]
    for read in readers:
        try:
            read(path)
        except SSD300Error:
            continue


def read_every_tensor(path) -> None:
    with open_torch_file(path) as file:
        trees = [file.tree, file.tree.get("model") if isinstance(file.tree, dict) else None]
        for tree in trees:
            for value in tree.values() if isinstance(tree, dict) else ():
                if isinstance(value, StoredTensor):
                    assert file.array(value).shape == value.shape


def fuzz(folder, seeds) -> int:
    """Read that many damaged small files; the most memory that one took."""
    files = small_files(folder)
    peak = 0
    for seed in seeds:
        draw = random.Random(seed)
        kind = draw.randrange(len(files))
        path = folder / ("bad.safetensors" if kind >= 4 else "bad.pt")
        path.write_bytes(damaged(files[kind], draw))
        tracemalloc.start()
        read_all(path)
        peak = max(peak, tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return peak


def test_200_damaged_files_end_in_a_state_or_an_error(tmp_path) -> None:
    assert fuzz(tmp_path, range(200)) < SMALL


@pytest.mark.slow
def test_2000_damaged_files_end_in_a_state_or_an_error(tmp_path) -> None:
    assert fuzz(tmp_path, range(200, 2200)) < SMALL


def full_files(folder) -> list:
    """A whole resnet18 of 2 classes in every kind of file."""
    draw = np.random.default_rng(0)
    shapes = architecture("resnet18", 2).state_shapes()
    arrays = {k: draw.random(s, np.float32) if s else np.array(1) for k, s in shapes.items()}
    write_checkpoint(folder / "a.safetensors", arrays, ModelMetadata("resnet18", ClassList(("cat",), (1,))))
    tensors = {key: torch.from_numpy(value) for key, value in arrays.items()}
    torch.save({"model": tensors}, folder / "a.pt")
    torch.save(tensors, folder / "b.pt", _use_new_zipfile_serialization=False)
    return [folder / "a.safetensors", folder / "a.pt", folder / "b.pt"]


def fuzz_full(folder, seeds) -> None:
    files = full_files(folder)
    for path in files:
        load_state(path)
    for seed in seeds:
        draw = random.Random(seed)
        source = draw.choice(files)
        data = source.read_bytes()
        start = len(data) if source.suffix == ".pt" and source.stem == "a" else 40_000  # where the structure lies
        at = draw.choice([draw.randrange(start), draw.randrange(len(data))])
        window = slice(max(0, at - 50), at + 50)
        bad = folder / f"bad{source.suffix}"
        bad.write_bytes(data[: window.start] + damaged(data[window], draw) + data[window.stop :])
        try:
            load_state(bad)
        except SSD300Error:
            continue


def test_a_few_damaged_full_files(tmp_path) -> None:
    fuzz_full(tmp_path, range(6))


@pytest.mark.slow
def test_many_damaged_full_files(tmp_path) -> None:
    fuzz_full(tmp_path, range(6, 206))

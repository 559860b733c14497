"""Pickles that want to be executed, to fill the memory or to be believed: each ends in a ModelError, soon and small."""

import pickle
import struct

import numpy as np
import pytest

from hostile.torch_bytes import (
    CALL,
    WITNESS,
    Code,
    archive,
    number,
    op,
    refused,
    state,
    stream,
    tensor,
    text,
)
from ssd300.weights import pickled
from ssd300.weights.torch_file import open_torch_file

NESTED_KEY = b"".join(b"q%c" % i + b"h%c" % i + b"\x86" for i in range(100))  # hashing it takes 2**100 steps


def nested_lists(levels: int) -> bytes:
    return op(b"]" * levels + b"a" * (levels - 1))


def nested_tuples(levels: int) -> bytes:
    return op(b")" + b"\x85" * levels)


HOSTILE_PICKLES = {
    "empty": (b"", "damaged or truncated"),
    "no stop": (b"\x80\x02}", "damaged or truncated|does not end in one value"),
    "nothing on the stack": (op(), "does not end in one value"),
    "two values": (op(b"NN"), "does not end in one value"),
    "a name alone": (op(b"ctorch\nFloatStorage\n"), "does not end in one value"),
    "pops an empty stack": (op(b"a"), "damaged or truncated"),
    "reaches through the mark": (op(b"](a"), "uses a mark as a value"),
    "os.system by GLOBAL and REDUCE": (op(CALL), "refers to 'os.system'"),
    "os.system beside tensors": (op(b"}", text("k"), CALL, b"s"), "refers to 'os.system'"),
    "a YOLO model": (op(b"cultralytics.nn.tasks\nDetectionModel\n"), "DetectionModel' (a YOLO model, not an SSD300)"),
    "by the standard library": (pickle.dumps({"model": Code()}, 2), "refers to 'posix.system'"),
    "by STACK_GLOBAL": (op(text("os"), text("system"), b"\x93", text("true"), b"\x85R"), "the opcode STACK_GLOBAL"),
    "by protocol 4": (pickle.dumps({"model": Code()}, 4), "protocol 4 instead of torch's own, 2"),
    "by INST": (op(b"(" + text("true") + b"ios\nsystem\n"), "the opcode INST"),
    "by OBJ": (op(b"(cos\nsystem\n" + text("true") + b"o"), "refers to 'os.system'"),
    "by NEWOBJ": (op(b"ccollections\nOrderedDict\n)\x81"), "the opcode NEWOBJ"),
    "by EXT1": (op(b"\x82\x01"), "the opcode EXT1"),
    "builtins.eval": (op(b"cbuiltins\neval\n", text("1"), b"\x85R"), "refers to 'builtins.eval'"),
    "a name with dots": (op(b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n"), "refers to 'torch"),
    "a name with a space": (op(b"ctorch\n_utils _rebuild_tensor_v2\n"), "refers to 'torch"),
    "a storage is called": (op(b"ctorch\nFloatStorage\n)R"), "calls a torch.FloatStorage"),
    "a text is called": (op(text("os"), b")R"), "calls a str"),
    "arguments are no tuple": (op(b"ccollections\nOrderedDict\n]R"), "calls a collections.OrderedDict"),
    "OrderedDict of a list": (op(b"ccollections\nOrderedDict\n](K\x01K\x02ee\x85R"), "damaged or truncated"),
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
    "LONG4 of minus one byte": (op(b"\x8b" + struct.pack("<i", -1)), "damaged or truncated"),
    "a decimal of a megabyte": (op(b"L" + b"9" * 2**20 + b"L\n"), "the opcode LONG,"),
    "memo bomb LONG_BINPUT": (op(b"Nr\xff\xff\xff\x7f"), "no weights in it"),
    "memo bomb, 1000 of them": (op(b"N", *(b"r" + struct.pack("<I", 2**31 - i) for i in range(1000))), "no weights"),
    "memo never stored": (op(b"h\x05"), "memo entry 5 is read but was never stored"),
    "a text of 2 GB": (b"\x80\x02X\xff\xff\xff\x7f", "damaged or truncated"),
    "a text of 2**63 bytes": (b"\x80\x02\x8d" + b"\xff" * 7 + b"\x7f", "the opcode BINUNICODE8"),
    "a text that is not UTF-8": (op(b"X\x01\x00\x00\x00\xff"), "damaged or truncated"),
    "a text without its end": (op(b"cos"), "damaged or truncated"),
    "bytes of 2 GB": (b"\x80\x02B\xff\xff\xff\x7f", "the opcode BINBYTES"),
    "a frame of 2**60 bytes": (b"\x80\x02\x95" + struct.pack("<Q", 2**60) + b"N.", "the opcode FRAME"),
    "a text with escapes": (op(b"S'\\q'\n"), "the opcode STRING"),
    "a name with escapes": (op(b"cos\\q\nsys\\x41\n"), r"refers to 'os\\q.sys\\x41'"),
    "an unknown opcode": (op(b"\xfe"), "the opcode b'\\xfe'"),
    "nested lists": (nested_lists(20_000), "found a list"),
    "nested tuples": (nested_tuples(20_000), "found a tuple"),
    "a list in itself": (op(b"]q\x00h\x00a"), "found a list"),
    "doubling lists": (op(b"]", *(b"q\x00]h\x00ah\x00a" for _ in range(200))), "does not end in one value"),
    "persistent id of another kind": (op(text("module"), b"Q"), "refers to numbers in an unusual way"),
    "persistent id of a name": (op(b"ctorch\nFloatStorage\nQ"), "refers to numbers in an unusual way"),
    "a storage that is no storage": (state(tensor(kind="device")), "refers to numbers in an unusual way"),
    "a storage of another module": (state(tensor(module="numpy")), "refers to 'numpy.FloatStorage'"),
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
    "a parameter of code": (op(b"ctorch._utils\n_rebuild_parameter\n", CALL, b"\x85R"), "refers to 'os.system'"),
    "a parameter of text": (op(b"ctorch._utils\n_rebuild_parameter\n", text("x"), b"\x85R"), "1 unusual arguments"),
}


def test_the_witness_works(tmp_path) -> None:
    """The real unpickler does run the code: the table above would notice."""
    pickle.loads(pickle.dumps(Code(), 2))
    assert (tmp_path / WITNESS).exists()
    (tmp_path / WITNESS).unlink()


@pytest.mark.parametrize("layout", [archive, stream])
@pytest.mark.parametrize(("content", "words"), HOSTILE_PICKLES.values(), ids=HOSTILE_PICKLES)
def test_hostile_pickles(tmp_path, layout, content, words) -> None:
    path = tmp_path / "bad.pt"
    path.write_bytes(layout(content))
    message = refused(path)
    assert any(word in message for word in words.split("|"))


@pytest.mark.slow
@pytest.mark.parametrize("layout", [archive, stream])
@pytest.mark.parametrize(("nested", "words"), [(nested_lists, "found a list"), (nested_tuples, "found a tuple")])
def test_100_000_levels(tmp_path, layout, nested, words) -> None:
    path = tmp_path / "bad.pt"
    path.write_bytes(layout(nested(100_000)))
    assert words in refused(path)


@pytest.mark.parametrize("most", [10_000, pytest.param(pickled.MAX_OPCODES, marks=pytest.mark.slow)])
@pytest.mark.parametrize("share", [0.99, 1.1])
def test_a_pickle_of_very_many_opcodes_ends(tmp_path, monkeypatch, most, share) -> None:
    monkeypatch.setattr(pickled, "MAX_OPCODES", most)
    path = tmp_path / "bad.pt"
    path.write_bytes(archive(op(b"]" + b"Na" * int(share * most / 2))))
    assert ("found a list" if share < 1 else f"longer than {most:,} opcodes") in refused(path)


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

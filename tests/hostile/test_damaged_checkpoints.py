"""Files of weights with random damage: each ends in a state or an SSD300Error, and takes little memory."""

import random
import tracemalloc
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from hostile.torch_bytes import SMALL
from ssd300.architecture import architecture
from ssd300.errors import SSD300Error
from ssd300.labels import ClassList
from ssd300.weights.archive import StoredTensor
from ssd300.weights.catalog import load_weights
from ssd300.weights.checkpoint import ModelMetadata, read_checkpoint, read_specs, read_tensors, write_checkpoint
from ssd300.weights.published import is_backbone_file, read_backbone
from ssd300.weights.torch_file import open_torch_file


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
    readers = [load_weights, is_backbone_file, read_backbone]
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


def test_40_damaged_files_end_in_a_state_or_an_error(tmp_path) -> None:
    assert fuzz(tmp_path, range(40)) < SMALL


@pytest.mark.slow
def test_2000_damaged_files_end_in_a_state_or_an_error(tmp_path) -> None:
    assert fuzz(tmp_path, range(40, 2040)) < SMALL


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
        load_weights(path)
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
            load_weights(bad)
        except SSD300Error:
            continue


def test_a_few_damaged_full_files(tmp_path) -> None:
    fuzz_full(tmp_path, range(6))


@pytest.mark.slow
def test_many_damaged_full_files(tmp_path) -> None:
    fuzz_full(tmp_path, range(6, 206))

"""Read files of torch.save, in both layouts, without torch: a tree of plain values, and tensors on demand.

Zip layout: <name>/data.pkl is the tree, <name>/data/<key> the numbers of each storage.
Older stream: five pickles (magic number, protocol, system, tree, storage keys), then for each key an int64 count and
its numbers.
"""

import io
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ssd300 import limits
from ssd300.errors import ModelError
from ssd300.weights.archive import TORCHSCRIPT, Storage, StoredTensor, damaged, read_directory, read_entry
from ssd300.weights.foreign import check_regular, describe_start
from ssd300.weights.pickled import read_pickle

TORCH_MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
SEAL = b"ssd300 sha256 "  # before the checksum that ends the state of one of our training runs
_PICKLE_NAME = re.compile(r"([^/]*)/data\.pkl")


@dataclass
class TorchFile:
    """An open torch file. `tree` has dicts, lists, tuples, plain values, and StoredTensor for tensors."""

    source: str
    tree: Any
    _read: Callable[[Storage], bytes]
    _last: tuple[Storage, bytes] | None = None  # tensors that share one storage often come in a row

    def array(self, tensor: StoredTensor) -> NDArray[Any]:
        """The values of a tensor, as a new array; bfloat16 becomes float32. Raises ModelError."""
        storage = tensor.storage
        if self._last is None or self._last[0] != storage:
            self._last = storage, self._read(storage)
        numbers = np.frombuffer(self._last[1], storage.numbers)[tensor.offset :]
        steps = [stride * numbers.itemsize for stride in tensor.strides]
        # pickled.py has checked that every element is inside the storage.
        view = np.lib.stride_tricks.as_strided(numbers, tensor.shape, steps, writeable=False)
        if storage.dtype == "bfloat16":  # the upper half of a float32
            return np.asarray((view.astype(np.uint32, order="C") << 16).view(np.float32))
        return np.array(view, view.dtype.newbyteorder("="), order="C")


@contextmanager
def open_torch_file(path: str | Path) -> Iterator[TorchFile]:
    """Open a file written by torch.save, without torch and without executing anything in it.

    Only the requested tensors are in memory, at most the size of the file. Raises ModelError for a file that is not
    from torch, damaged, truncated, or has anything but plain values and tensors.
    """
    source = str(path)
    try:
        check_regular(Path(path), "check the path")
        with Path(path).open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            start = file.read(4)
            if start == b"PK\x03\x04":
                tree, read = _open_zip(file, size, source)
            elif start[:1] == b"\x80":
                tree, read = _open_stream(file, size, source)
            else:
                file.seek(0)
                start = file.read(64)
                found = f"it begins with {start[:12]!r}" if size else "it is empty"
                what = describe_start(start) or f"{found}; download or copy it again"
                raise ModelError(f"{source}: not a torch file: {what}")
            yield TorchFile(source, tree, read)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}; check the path") from error


def _open_zip(file: BinaryIO, size: int, source: str) -> tuple[Any, Callable[[Storage], bytes]]:
    """The tree, and what reads the numbers of a storage."""
    file.seek(max(0, size - len(SEAL) - 64))
    if file.read(len(SEAL)) == SEAL:
        raise ModelError(
            f"{source}: the state of a training run, for `ssd300 train --resume`: "
            "as a model, use best.safetensors in the same folder"
        )
    entries = read_directory(file, size, source)
    prefixes = [match[1] for name in entries if (match := _PICKLE_NAME.fullmatch(name))]
    if len(prefixes) != 1:
        raise damaged(source, f"{len(prefixes)} entries NAME/data.pkl in the archive, expected 1")
    prefix = prefixes[0]
    if f"{prefix}/constants.pkl" in entries:
        raise ModelError(f"{source}: {TORCHSCRIPT}")
    order = entries.get(f"{prefix}/byteorder")
    if order is not None and (order.size > 16 or read_entry(file, order, source) != b"little"):
        raise ModelError(f"{source}: not written in little-endian byte order; save it again on a usual machine")
    entry = entries[f"{prefix}/data.pkl"]
    if entry.size > limits.PICKLE_BYTES:
        raise damaged(source, f"its pickle has {entry.size:,} bytes, at most {limits.PICKLE_BYTES:,} are read")

    def read(storage: Storage) -> bytes:
        entry = entries.get(f"{prefix}/data/{storage.key}")
        if entry is None or entry.size != storage.nbytes:
            found = "missing" if entry is None else f"{entry.size:,} bytes"
            expected = f"expected {storage.nbytes:,} bytes"
            raise damaged(source, f"the numbers {storage.key[:50]!r} are {found}, {expected}")
        return read_entry(file, entry, source)

    return read_pickle(io.BytesIO(read_entry(file, entry, source)), source), read


def _open_stream(file: BinaryIO, size: int, source: str) -> tuple[Any, Callable[[Storage], bytes]]:
    """As `_open_zip`."""
    file.seek(0)
    head = io.BytesIO(file.read(min(size, limits.PICKLE_BYTES)))
    if read_pickle(head, source) != TORCH_MAGIC:
        raise ModelError(f"{source}: a pickle, but not one of torch.save; save the weights with torch.save")
    if read_pickle(head, source) != PROTOCOL:
        raise ModelError(f"{source}: an unknown version of torch's older layout; save it again with a newer torch")
    system = read_pickle(head, source)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ModelError(f"{source}: not written in little-endian byte order; save it again on a usual machine")
    storages: dict[str, Storage] = {}
    tree = read_pickle(head, source, storages)
    keys = read_pickle(head, source)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or sorted(keys) != sorted(storages):
        raise damaged(source, "its list of stored numbers does not fit its tensors")
    starts: dict[str, tuple[int, Storage]] = {}
    position = head.tell()
    for key in keys:
        file.seek(position)
        count = file.read(8)
        storage = storages[key]
        if len(count) != 8 or struct.unpack("<q", count)[0] != storage.numel:
            raise damaged(source, f"the numbers {key[:50]!r} are missing, {storage.numel:,} are expected")
        starts[key] = (position + 8, storage)
        position += 8 + storage.nbytes
    if position != size:
        raise damaged(source, f"{size:,} bytes, expected {position:,}")

    def read(storage: Storage) -> bytes:
        start, known = starts.get(storage.key, (0, None))
        if known != storage:
            raise damaged(source, f"the numbers {storage.key[:50]!r} are missing or of another kind")
        file.seek(start)
        return file.read(storage.nbytes)

    return tree, read

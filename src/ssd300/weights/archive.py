"""Where the numbers of a torch file are: entries of its zip archive; storages, and tensors as views of them.

The archive is read directly, not by zipfile, which trusts the directory of a hostile file and would decompress. Here
every entry must be inside the file, must not overlap others, and must have its declared size.
"""

import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np

from ssd300 import limits
from ssd300.errors import ModelError

_END = struct.Struct("<4s4H2LH")  # end of central directory
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_ENCRYPTED = 0x1
TORCHSCRIPT = "a TorchScript program, not weights; save the model's state_dict with torch.save"
ELEMENTS = {  # storage class in torch -> data type
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "DoubleStorage": "float64",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


@dataclass(frozen=True)
class Storage:
    """A storage in the file: `numel` elements of a data type, under a key."""

    key: str
    dtype: str  # one of ELEMENTS.values()
    numel: int

    @property
    def numbers(self) -> np.dtype[Any]:
        """The type of the stored numbers; numpy reads a bfloat16 as 16 bits."""
        return np.dtype("uint16" if self.dtype == "bfloat16" else self.dtype).newbyteorder("<")

    @property
    def nbytes(self) -> int:
        return self.numel * self.numbers.itemsize


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of a torch file, not read yet; strides and offset count elements and are inside the storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """Bytes start..start + size of the file, and their CRC-32."""

    name: str
    start: int
    size: int
    crc: int


def read_directory(file: BinaryIO, file_size: int, source: str) -> dict[str, Entry]:
    """Name -> entry of a zip archive whose entries are all stored. Raises ModelError."""
    if file_size < _END.size:
        raise damaged(source, f"{file_size} bytes are not a zip archive")
    end = _END.unpack(_read(file, file_size - _END.size, _END.size, source))
    signature, disk, first_disk, here, total, size, start, comment = end
    if signature != b"PK\x05\x06" or comment or disk or first_disk or here != total:
        raise damaged(source, "the directory at its end is missing")
    if size > limits.ZIP_DIRECTORY or start + size > file_size - _END.size:
        raise damaged(source, f"its directory of {size:,} bytes at {start:,} does not fit in {file_size:,} bytes")
    directory = _read(file, start, size, source)
    entries: dict[str, Entry] = {}
    used: list[tuple[int, int, str]] = []
    position = 0
    for _ in range(total):
        entry, header_start, position = _entry(file, directory, position, source)
        if entry.name in entries:
            raise damaged(source, f"its entry {entry.name!r} is a duplicate")
        entries[entry.name] = entry
        used.append((header_start, entry.start + entry.size, entry.name))
    if position != size:
        raise damaged(source, "its directory holds more than its entries")
    used.sort()
    for (_, entry_end, name), (next_start, _, next_name) in pairwise([*used, (start, 0, "")]):
        if entry_end > next_start:
            raise damaged(source, f"its entry {name!r} overlaps {next_name or 'the directory'!r}")
    return entries


def read_entry(file: BinaryIO, entry: Entry, source: str) -> bytes:
    """The bytes of an entry. Raises ModelError if they are not those that were written."""
    data = _read(file, entry.start, entry.size, source)
    if zlib.crc32(data) != entry.crc:
        raise damaged(source, f"the checksum of its entry {entry.name!r} is wrong")
    return data


def _entry(file: BinaryIO, directory: bytes, position: int, source: str) -> tuple[Entry, int, int]:
    """The entry described at `position`, where its local header starts, and the position of the next one."""
    if position + _CENTRAL.size > len(directory):
        raise damaged(source, "its directory is cut off")
    fields = _CENTRAL.unpack_from(directory, position)
    signature, _, _, flags, method, _, _, crc, packed, size, name_size, extra_size, comment_size, *_, offset = fields
    name_start = position + _CENTRAL.size
    raw_name = directory[name_start : name_start + name_size]
    name = raw_name.decode("utf-8", "backslashreplace")[:200]
    if signature != b"PK\x01\x02":
        raise damaged(source, "its directory is damaged")
    if "/code/" in name:
        raise ModelError(f"{source}: {TORCHSCRIPT}")
    if method != 0 or flags & _ENCRYPTED or packed != size:
        raise damaged(source, f"its entry {name!r} is compressed or encrypted, but torch stores entries uncompressed")
    local = _read(file, offset, _LOCAL.size, source)
    local_signature, _, _, local_method, *_, local_name_size, local_extra_size = _LOCAL.unpack(local)
    local_name = _read(file, offset + _LOCAL.size, local_name_size, source)
    if local_signature != b"PK\x03\x04" or local_method != 0 or local_name != raw_name:
        raise damaged(source, f"its entry {name!r} is not where the directory says")
    start = offset + _LOCAL.size + local_name_size + local_extra_size
    return Entry(name, start, size, crc), offset, name_start + name_size + extra_size + comment_size


def _read(file: BinaryIO, start: int, size: int, source: str) -> bytes:
    file.seek(start)
    data = file.read(size)
    if len(data) != size:
        raise damaged(source, f"{size:,} bytes are expected at {start:,}, found {len(data):,}")
    return data


def damaged(source: str, found: str) -> ModelError:
    """The error for a torch file that is not complete."""
    return ModelError(f"{source}: not a complete torch file: {found}; copy or download it again")

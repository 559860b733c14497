"""The directories of a TIFF file: select the full picture, and write files with new directories for the decoder."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ssd300 import limits

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}

# Tags
NEW_SUBFILE, SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
FILL_ORDER, STRIP_OFFSETS, ORIENTATION, SAMPLES_PER_PIXEL = 266, 273, 274, 277
COLOR_MAP, XMP = 320, 700
ROWS_PER_STRIP, STRIP_COUNTS, PLANAR = 278, 279, 284
PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, SUB_DIRECTORIES = 317, 322, 323, 324, 325, 330
EXTRA_SAMPLES, SAMPLE_FORMAT, SUBSAMPLING, DNG_VERSION = 338, 339, 530, 50706
_KEPT = (
    WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, STRIP_OFFSETS, ORIENTATION, SAMPLES_PER_PIXEL,
    ROWS_PER_STRIP, STRIP_COUNTS, PLANAR, PREDICTOR, COLOR_MAP, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS,
    EXTRA_SAMPLES, SAMPLE_FORMAT, 292, 293, 347, 530, 531, 532, XMP,
)  # fmt: skip

_RAW_PHOTOMETRIC = (32803, 34892)  # a color filter array, or linear raw
_RAW_COMPRESSION = (32767, 32769, 32770, 34713, 34892, 52546, 65535)


class BrokenTIFFError(ValueError):
    """The directories cannot be followed."""


@dataclass(frozen=True)
class Directory:
    """One picture of a TIFF file: its offset, and its tags as (type, number of values, offset)."""

    data: bytes
    order: str  # "<" or ">"
    position: int
    entries: dict[int, tuple[int, int, int]]

    def numbers(self, tag: int) -> tuple[int, ...]:
        """The integers of a tag; empty if it is missing or has another type. Raises BrokenTIFFError."""
        kind, count, where = self.entries.get(tag, (0, 0, 0))
        if kind not in _INTEGERS:
            return ()
        if count > limits.TIFF_VALUES or where + count * _SIZES[kind] > len(self.data):
            raise BrokenTIFFError(f"the values of tag {tag} lie beyond the end")
        layout = _INTEGERS[kind]
        return tuple(np.frombuffer(self.data, self.order + layout, count, where).tolist())

    def number(self, tag: int, default: int = 0) -> int:
        """The first value of a tag."""
        values = self.numbers(tag)
        return values[0] if values else default

    def raw(self, tag: int) -> tuple[int, int, bytes]:
        """(type, number of values, their bytes) of a tag. Raises BrokenTIFFError."""
        kind, count, where = self.entries[tag]
        if count > len(self.data):
            raise BrokenTIFFError(f"the values of tag {tag} lie beyond the end")
        return kind, count, self.data[where : where + count * _SIZES.get(kind, 1)]

    @property
    def is_reduced(self) -> bool:
        """Whether it is marked as a thumbnail, or a mask of another."""
        return bool(self.number(NEW_SUBFILE) & 0b101) or self.number(SUBFILE) == 2

    @property
    def is_camera_raw(self) -> bool:
        """Whether it has raw sensor data, which only raw converters turn into a picture."""
        raw = self.number(PHOTOMETRIC) in _RAW_PHOTOMETRIC or self.number(COMPRESSION) in _RAW_COMPRESSION
        return raw or DNG_VERSION in self.entries


def directories(data: bytes) -> list[Directory]:
    """All pictures of a file: those of the chain, each followed by its sub-directories. Raises BrokenTIFFError."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    try:
        (first,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
        return list(_chain(data, order, big, first, set()))
    except (struct.error, OverflowError) as error:
        raise BrokenTIFFError("a directory lies beyond the end") from error


def _chain(data: bytes, order: str, big: bool, position: int, seen: set[int]) -> Iterator[Directory]:
    entry, head, link = (20, "Q", "Q") if big else (12, "H", "I")
    while position and position not in seen and len(seen) < limits.TIFF_DIRECTORIES:
        seen.add(position)
        (count,) = struct.unpack_from(order + head, data, position)
        start = position + struct.calcsize(head)
        if count > 4096 or start + count * entry > len(data):
            raise BrokenTIFFError("a directory lies beyond the end")
        entries: dict[int, tuple[int, int, int]] = {}
        for at in range(start, start + count * entry, entry):
            tag, kind, number = struct.unpack_from(order + "HH" + link, data, at)
            value = at + 4 + struct.calcsize(link)
            if number * _SIZES.get(kind, 1) > struct.calcsize(link):
                (value,) = struct.unpack_from(order + link, data, value)
            entries.setdefault(tag, (kind, number, value))  # of a tag that is there twice, the first counts
        found = Directory(data, order, position, entries)
        yield found
        for below in found.numbers(SUB_DIRECTORIES)[: limits.TIFF_DIRECTORIES]:
            yield from _chain(data, order, big, below, seen)
        end = start + count * entry
        (position,) = struct.unpack_from(order + link, data, end) if end + struct.calcsize(link) <= len(data) else (0,)


def full_picture(data: bytes) -> Directory:
    """The first picture that is not a thumbnail; else the largest. Raises BrokenTIFFError."""
    found = [one for one in directories(data) if one.number(WIDTH) > 0 and one.number(HEIGHT) > 0]
    if not found:
        raise BrokenTIFFError("no directory with a size")
    full = next((one for one in found if not one.is_reduced), None)
    return full or max(found, key=lambda one: one.number(WIDTH) * one.number(HEIGHT))


def is_camera_raw(data: bytes) -> bool:
    """Whether a file's full picture is a camera's raw data: DNG, NEF, ARW, CR2 and similar."""
    if data[8:10] == b"CR":
        return True
    try:
        found = directories(data)
        return full_picture(data).is_camera_raw or any(one.is_camera_raw for one in found[1:] if found[0].is_reduced)
    except BrokenTIFFError:
        return False


def move_to_front(directory: Directory) -> bytes:
    """The file as a classic TIFF with this directory first; the file itself if it is first already."""
    data = directory.data
    if data[2:4] in (b"*\0", b"\0*"):
        if struct.unpack_from(directory.order + "I", data, 4) == (directory.position,):
            return data
        return data[:4] + struct.pack(directory.order + "I", directory.position) + data[8:]
    kept = ((tag, *directory.raw(tag)) for tag in sorted(_KEPT) if tag in directory.entries)
    return append_directory(data, directory.order, kept)


def append_directory(data: bytes, order: str, entries: Iterable[tuple[int, int, int, bytes]]) -> bytes:
    """The file as a classic TIFF with one directory, appended: (tag, type, number of values, bytes), sorted."""
    behind, listed = bytearray(len(data) % 2), []
    for tag, kind, count, values in entries:
        if kind in (16, 18):  # of BigTIFF
            kind, values = 4, np.frombuffer(values, order + "u8").astype(order + "u4").tobytes()
        if len(values) > 4:
            where = len(data) + len(behind)
            behind += values + bytes(len(values) % 2)
            values = struct.pack(order + "I", where)
        listed.append(struct.pack(order + "HHI", tag, kind, count) + values.ljust(4, b"\0"))
    directory = struct.pack(order + "H", len(listed)) + b"".join(listed) + bytes(4)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", len(data) + len(behind))
    return b"".join((head, data[8:], behind, directory))

"""BMP files of kinds that Pillow refuses or garbles: written anew as a kind that it reads, or named in the error."""

import struct
from typing import Any

import numpy as np

from ssd300 import limits
from ssd300.arrays import UInt8

_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes; 64 is of OS/2, which may leave out the end
_RLE, _BITFIELDS = (1, 2), (3, 6)  # compressions; 6 has a mask of alpha, too
_COMPRESSIONS = {4: "JPEG", 5: "PNG", 11: "CMYK", 12: "CMYK RLE8", 13: "CMYK RLE4"}
_OF_OS2 = {3: "Huffman", 4: "RLE24"}
_BGRA = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)  # masks of red, green, blue, alpha
_ROWS = 256  # converted at a time, to bound the memory
_CODES = 2**20  # of run-length coding, beside runs: some five seconds


def readable(data: bytes) -> bytes:
    """The file with a whole header, at most the colors that can be used, and no run-length coding.

    Pillow refuses the first two, and moves or refuses what run lengths leave out.
    """
    size = _header_bytes(data)
    if 16 <= size < 64 and size not in _HEADERS:
        header = struct.pack("<I", 64) + data[18 : 14 + size] + bytes(64 - size)
        data = data[:10] + struct.pack("<I", _start(data) + 64 - size) + header + data[14 + size :]
    if len(data) < 54 or _header_bytes(data) == 12:
        return data
    depth, compression = struct.unpack_from("<HI", data, 28)
    if depth <= 8 and struct.unpack_from("<I", data, 46)[0] > 2**depth:  # more colors than can be used
        data = data[:46] + struct.pack("<I", 2**depth) + data[50:]
    return _expand_runs(data) if compression in _RLE else data


def unpack_fields(data: bytes) -> bytes | None:
    """A file with any bits as colors (BI_BITFIELDS), written with a byte for each; None for other and damaged files."""
    if len(data) < 70 or _header_bytes(data) not in (40, 52, 56, 108, 124):
        return None
    width, height, _, depth, compression = struct.unpack_from("<iiHHI", data, 18)
    rows, stride, start = abs(height), (width * depth + 31) // 32 * 4, _start(data)
    masks = _masks(data)
    if compression not in _BITFIELDS or depth not in (16, 32) or not all(map(_is_one_run, masks)):
        return None
    if not 0 < width * rows <= limits.PIXELS or start + stride * rows > len(data):
        return None
    fields = np.frombuffer(data, f"<u{depth // 8}", stride * rows * 8 // depth, start).reshape(rows, -1)[:, :width]
    pixels = np.zeros((rows, width, 4), np.uint8)
    for top in range(0, rows, _ROWS):
        part = fields[top : top + _ROWS].astype(np.uint32)
        for channel, mask in zip((2, 1, 0, 3), masks, strict=True):
            if mask:
                pixels[top : top + _ROWS, :, channel] = _to_bytes((part & mask) >> _shift(mask), mask >> _shift(mask))
    header = struct.pack("<IiiHHI20x4I", 56, width, height, 1, 32, 3, *_BGRA[:3], _BGRA[3] if masks[3] else 0)
    return b"".join((data[:10], struct.pack("<I", 14 + len(header)), header, pixels.data))  # one copy


def unread_kind(data: bytes) -> str | None:
    """The name of the kind of a valid BMP that is not supported; None for the usual ones."""
    if len(data) < 54 or _header_bytes(data) not in _HEADERS[1:] or struct.unpack_from("<i", data, 18)[0] < 1:
        return None
    depth, compression = struct.unpack_from("<HI", data, 28)
    packed = (_OF_OS2 if _header_bytes(data) == 64 else _COMPRESSIONS).get(compression)
    if packed:
        return f"a BMP in {packed} compression"
    if compression in _BITFIELDS and len(data) >= 70 and not all(map(_is_one_run, _masks(data))):
        return f"a BMP of {depth} bits with colors in scattered bits"
    return f"a BMP of {depth} bits" if depth in (2, 64) else None


def _expand_runs(data: bytes) -> bytes:
    """The file with a byte for each pixel; pixels that are left out have color 0. The file itself if it is cut off."""
    width, height, _, depth, compression = struct.unpack_from("<iiHHI", data, 18)
    colors = struct.unpack_from("<I", data, 46)[0] or 2**depth % 2**16
    start = _start(data)
    if start == 14 + _header_bytes(data):  # of the palette, as Pillow has it
        start += 4 * colors
    if not 0 < width * abs(height) <= limits.PIXELS or depth not in (4, 8) or start < 54:
        return data
    pixels = _decode_runs(data, start, (abs(height), width), nibbles=compression == 2)
    if pixels is None:
        return data
    header = data[14:28] + struct.pack("<HII8xI", 8, 0, len(pixels), colors) + data[50:start]
    return b"".join((data[:14], header, pixels))


def _decode_runs(data: bytes, at: int, size_hw: tuple[int, int], *, nibbles: bool) -> bytes | None:
    """Rows of bytes, padded to four; None if the runs end too early. Raises ValueError if they would take seconds."""
    height, width = size_hw
    pixels = np.zeros((height, -(-width // 4) * 4), np.uint8)
    coded = data[at:]
    pairs = np.frombuffer(coded, np.uint8, len(coded) // 2 * 2).reshape(-1, 2)  # [R, 2] length, color
    codes = np.append(np.flatnonzero(pairs[:, 0] == 0), len(pairs))  # pairs that are no runs; some are stored pixels
    x = y = here = 0
    for _ in range(_CODES):
        code = int(codes[np.searchsorted(codes, here)])
        if code > here:
            run, length = _unroll(pairs[here:code], width - x, nibbles=nibbles)
            pixels[y, x : x + len(run)] = run
            x += length
        if code >= len(pairs):
            return pixels.tobytes() if y == height - 1 and x >= width else None
        value, here = int(pairs[code, 1]), code + 1
        if value == 0:  # end of a row
            x, y = 0, y + 1
        elif value == 1:  # end of the picture
            return pixels.tobytes()
        elif value == 2:  # a move
            move = pairs[here : here + 1].sum(0)
            x, y, here = x + int(move[0]), y + int(move[1]), min(here + 1, len(pairs))
        else:
            stored = pairs[here:].reshape(-1)[: -(-value // 2) if nibbles else value]
            run = np.stack([stored >> 4, stored & 15], 1).reshape(-1)[:value] if nibbles else stored
            kept = run[: max(width - x, 0)]
            pixels[y, x : x + len(kept)] = kept
            x, here = x + len(run), here + -(-len(stored) // 2)
        if y >= height:
            return pixels.tobytes()
    raise ValueError(f"its run-length coding has more than {_CODES:,} codes")


def _unroll(runs: UInt8, room: int, *, nibbles: bool) -> tuple[UInt8, int]:
    """The first `room` pixels of runs [R, 2], and the number of all their pixels."""
    ends = runs[:, 0].cumsum(dtype=np.int64)
    used = runs[: np.searchsorted(ends, max(room, 0)) + 1]
    colors = np.repeat(used[:, 1], used[:, 0])
    if nibbles:
        first = np.repeat(np.append(0, ends)[: len(used)], used[:, 0])
        odd = (np.arange(len(colors)) - first) % 2 == 1
        colors = np.where(odd, colors & 15, colors >> 4)
    return colors[: max(room, 0)], int(ends[-1])


def _masks(data: bytes) -> tuple[int, ...]:
    """The masks of red, green, blue and alpha; that of alpha is 0 if there is none."""
    masks = struct.unpack_from("<4I", data, 54)
    has_alpha = _header_bytes(data) >= 56 or struct.unpack_from("<I", data, 30)[0] == 6
    return masks if has_alpha else (*masks[:3], 0)


def _header_bytes(data: bytes) -> int:
    return int.from_bytes(data[14:18], "little")


def _start(data: bytes) -> int:
    return int.from_bytes(data[10:14], "little")


def _shift(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def _is_one_run(mask: int) -> bool:
    """Whether its bits are adjacent; 0 counts."""
    most = mask >> _shift(mask) if mask else 0
    return most & (most + 1) == 0


def _to_bytes(values: np.ndarray[Any, Any], most: int) -> UInt8:
    """0..most -> 0..255, as for other depths: the high bits of many, few stretched."""
    bits = most.bit_length()
    return (values >> (bits - 8) if bits > 8 else values * 255 // most).astype(np.uint8)

"""TIFF files of any layout, written by hand: Pillow writes few of them."""

import struct
import zlib
from collections.abc import Sequence

import numpy as np

COMPRESSIONS = {"none": 1, "deflate": 8, "packbits": 32773}
Picture = tuple[np.ndarray, dict]


def tiff(*pictures: Picture, order: str = "<", big: bool = False, sub: Sequence[Picture] = ()) -> bytes:
    """A file of some pictures (array [H, W] or [H, W, C], options of `_directory`); `sub` lie below the first."""
    head = 16 if big else 8
    body = bytearray()

    def put(content: bytes) -> int:
        body.extend(bytes(-len(body) % 8))
        body.extend(content)
        return head + len(body) - len(content)

    below = [put_directory(put, order, big, 0, *one) for one in sub]
    following = 0
    for number, (array, options) in reversed(list(enumerate(pictures))):
        extra = {330: below} if below and number == 0 else {}
        following = put_directory(
            put, order, big, following, array, {**options, "tags": {**options.get("tags", {}), **extra}}
        )
    mark = b"II" if order == "<" else b"MM"
    start = struct.pack(order + "HHHQ", 43, 8, 0, following) if big else struct.pack(order + "HI", 42, following)
    return mark + start + bytes(body)


def put_directory(put, order, big, following, array, options) -> int:
    entries = dict(sorted(_directory(put, order, array, **options).items()))
    link, entry = ("Q", 8) if big else ("I", 4)
    rows = b""
    for tag, values in entries.items():
        most = 0 if isinstance(values, bytes) else max(values)
        kind, letter = (16, "Q") if big and most > 65535 else (4, "I") if most > 65535 else (3, "H")
        if isinstance(values, bytes):
            kind, packed = 7, values
        else:
            packed = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(packed) > entry:
            packed = struct.pack(order + link, put(packed))
        rows += struct.pack(order + "HH" + link, tag, kind, len(values)) + packed.ljust(entry, b"\0")
    return put(struct.pack(order + ("Q" if big else "H"), len(entries)) + rows + struct.pack(order + link, following))


def _directory(
    put, order, array, *, photometric=None, planar=False, tile=None, rows=17, compression="none", predictor=1,
    bits=None, extra=(), tags=None,
) -> dict[int, list[int]]:  # fmt: skip
    """The tags of one picture whose pixels are put into the file."""
    if array.ndim == 2:
        array = array[..., None]
    height, width, channels = array.shape
    pieces = []
    for planes in [array[..., c : c + 1] for c in range(channels)] if planar else [array]:
        high, wide = (tile[1], tile[0]) if tile else (rows, width)
        for top in range(0, height, high):
            for left in range(0, width, wide):
                piece = planes[top : top + high, left : left + wide]
                if tile:
                    missing = (high - piece.shape[0], wide - piece.shape[1])
                    piece = np.pad(piece, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
                pieces.append(_packed(_encoded(piece, order, predictor, bits), compression))
    depth = bits or array.dtype.itemsize * 8
    kind = {"u": 1, "i": 2, "f": 3}[array.dtype.kind]
    places = [put(piece) for piece in pieces]
    sizes = [len(piece) for piece in pieces]
    found = {
        256: [width], 257: [height], 258: [depth] * channels, 259: [COMPRESSIONS[compression]],
        262: [(2 if channels > 2 else 1) if photometric is None else photometric], 277: [channels],
        284: [2 if planar else 1], 339: [kind] * channels,
    }  # fmt: skip
    found |= (
        {322: [tile[0]], 323: [tile[1]], 324: places, 325: sizes} if tile else {273: places, 278: [rows], 279: sizes}
    )
    found |= {317: [predictor]} if predictor > 1 else {}
    found |= {338: list(extra)} if extra else {}
    return found | (tags or {})


def _encoded(piece: np.ndarray, order: str, predictor: int, bits: int | None) -> bytes:
    if bits:  # packed, the highest bit first, each row beginning at a byte
        flat = piece.reshape(piece.shape[0], -1).astype(np.uint16)
        digits = (flat[..., None] >> np.arange(bits)[::-1]) & 1
        return np.packbits(digits.reshape(len(flat), -1).astype(np.uint8), axis=1).tobytes()
    if predictor == 2:
        piece = np.concatenate([piece[:, :1], np.diff(piece, axis=1)], axis=1)
    if predictor == 3:
        size, channels = piece.dtype.itemsize, piece.shape[2]
        rows = piece.astype(piece.dtype.newbyteorder(">")).reshape(piece.shape[0], -1)
        by_weight = rows.view(np.uint8).reshape(len(rows), -1, size).swapaxes(1, 2).reshape(len(rows), -1, channels)
        return np.concatenate([by_weight[:, :1], np.diff(by_weight, axis=1)], axis=1).tobytes()
    return piece.astype(piece.dtype.newbyteorder(order)).tobytes()


def _packed(data: bytes, compression: str) -> bytes:
    if compression == "deflate":
        return zlib.compress(data)
    if compression == "packbits":
        return b"".join(bytes([len(data[i : i + 128]) - 1]) + data[i : i + 128] for i in range(0, len(data), 128))
    return data

"""TIFF samples that Pillow cannot read, or reads wrongly: with NumPy, from bytes that libtiff decompresses.

Any number of channels of 8 to 64 bits, in one plane or several, in strips or tiles. The decoder is given the file with
another directory, which calls it a gray picture of 8 bits, wider by the number of bands: what comes out are the bytes.
"""

import io
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ssd300 import limits
from ssd300.arrays import UInt8
from ssd300.errors import ImageError
from ssd300.images import tiff
from ssd300.images.modes import integers_to_uint16, rgba_to_rgb, to_uint8
from ssd300.images.tiff import BrokenTIFFError, Directory

COMPRESSIONS = (1, 5, 8, 32773, 32946, 34925, 50000)  # lossless ones
_KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}
_COLORS = {0: 1, 1: 1, 2: 3, 5: 4}  # by photometric interpretation

Values = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Layout:
    """The layout of a directory's samples in the file."""

    directory: Directory
    width: int
    height: int
    bits: int
    channels: int
    kind: str  # "u", "i" or "f"
    photometric: int
    planar: bool
    tiled: bool  # in tiles, else in strips
    piece_width: int  # of a tile or strip
    predictor: int
    extra: int  # the first channel after the colors: 1 premultiplied alpha, 2 alpha

    @property
    def is_packed(self) -> bool:
        return self.bits % 8 != 0

    @property
    def padded_width(self) -> int:
        """The width of whole tiles."""
        return -(-self.width // self.piece_width) * self.piece_width

    @property
    def colors(self) -> int:
        """The number of channels that are colors; 0 for an unsupported photometric interpretation."""
        return 3 if self.photometric == 1 and self.channels == 3 else _COLORS.get(self.photometric, 0)


def layout_of(directory: Directory) -> Layout | None:
    """The layout of a directory's samples, or None for an unsupported kind. Raises BrokenTIFFError."""
    bits, formats = directory.numbers(tiff.BITS) or (1,), directory.numbers(tiff.SAMPLE_FORMAT) or (1,)
    channels = directory.number(tiff.SAMPLES_PER_PIXEL, 1)
    width, tile_width = directory.number(tiff.WIDTH), directory.number(tiff.TILE_WIDTH)
    tiled = min(tile_width, directory.number(tiff.TILE_HEIGHT)) > 0
    layout = Layout(
        directory,
        width,
        directory.number(tiff.HEIGHT),
        bits[0],
        channels,
        _KINDS.get(formats[0], ""),
        directory.number(tiff.PHOTOMETRIC, 2 if channels >= 3 else 0),  # as libtiff does where it is missing
        directory.number(tiff.PLANAR, 1) == 2 and channels > 1,
        tiled,
        tile_width if tiled else width,
        directory.number(tiff.PREDICTOR, 1),
        directory.number(tiff.EXTRA_SAMPLES),
    )
    known = {"u": (8, 10, 12, 14, 16, 32), "i": (16, 32), "f": (16, 32, 64)}.get(layout.kind, ())
    spare = 2 if layout.colors == 1 else 33  # gray has at most alpha beside it: more are bands without a known color
    if (
        len(set(bits)) > 1
        or len(set(formats)) > 1
        or layout.bits not in known
        or not 0 < layout.colors <= channels < layout.colors + spare
        or directory.number(tiff.COMPRESSION, 1) not in COMPRESSIONS
        or (layout.is_packed and (layout.predictor != 1 or layout.tiled))
        or layout.predictor not in ((1, 3) if layout.kind == "f" else (1, 2))
    ):
        return None
    return layout


def is_needed(layout: Layout) -> bool:
    """Whether Pillow would read these samples wrongly: planes mixed up, white as black, 12 bits too dark, bytes swapped
    twice."""
    if layout.bits == 8:
        return layout.planar and (layout.photometric in (0, 1) or layout.extra == 1 or layout.channels > 4)
    turned = layout.directory.order == ">" and layout.kind != "u"
    return layout.planar or layout.photometric == 0 or layout.is_packed or turned


def read_samples(layout: Layout, name: str) -> UInt8:
    """RGB uint8 [H, W, 3], as stored. Raises ImageError, BrokenTIFFError, and what Pillow's readers raise."""
    colors = layout.colors
    wanted = min(layout.channels, colors + 1)
    stored = wanted if layout.planar else layout.channels
    if layout.padded_width * layout.height * stored * -(-layout.bits // 8) > limits.TIFF_NUMBERS:
        raise ImageError(
            f"{name}: more than {limits.TIFF_NUMBERS:,} bytes of numbers; convert it to 8 bits or make it smaller"
        )
    if layout.planar:
        planes = [_numbers(layout, plane, 1) for plane in range(wanted)]
        values = np.concatenate(planes, axis=2)
    else:
        values = _numbers(layout, 0, layout.channels)[..., :wanted]
    values = values[:, : layout.width]
    shown = _to_uint8(values[..., :colors], layout, name)
    if layout.photometric == 5:
        return np.array(Image.frombytes("CMYK", shown.shape[1::-1], shown.tobytes()).convert("RGB"))
    rgb = np.repeat(shown, 3, axis=2) if colors == 1 else np.ascontiguousarray(shown)
    if wanted == colors or layout.extra not in (1, 2):
        return rgb
    alpha = _to_uint8(values[..., colors:], layout, name, inverted=False)
    if layout.extra == 1 and alpha.max() > 8:  # premultiplied: add white in proportion to 1 - alpha
        ground: UInt8 = np.minimum(rgb.astype(np.uint16) + 255 - alpha, 255).astype(np.uint8)
        return ground
    return rgba_to_rgb(np.concatenate([rgb, alpha], axis=2))


def _to_uint8(values: Values, layout: Layout, name: str, inverted: bool = True) -> UInt8:
    if layout.kind == "i" or (layout.bits == 32 and layout.kind == "u"):
        values = integers_to_uint16(values, name)
    elif layout.is_packed:
        values = (values >> (layout.bits - 8)).astype(np.uint8)
    shown = to_uint8(values, name)
    return ~shown if inverted and layout.photometric == 0 else shown


def _numbers(layout: Layout, plane: int, channels: int) -> Values:
    """The samples [H, padded W, channels] of one plane."""
    rows = _bytes(layout, plane, channels)  # [H, bytes of a row]
    if layout.is_packed:
        return _unpack_bits(rows, layout.bits, layout.width * channels).reshape(layout.height, layout.width, channels)
    size = layout.bits // 8
    if layout.predictor == 3:
        rows = _undo_float_predictor(rows.reshape(-1, layout.piece_width * channels * size), channels, size)
        return rows.reshape(layout.height, layout.padded_width, channels)
    values = rows.reshape(-1).view(f"{layout.directory.order}{layout.kind}{size}")
    if layout.predictor == 2:
        differences = values.reshape(-1, layout.piece_width, channels)
        values = np.cumsum(differences, axis=1, dtype=differences.dtype.newbyteorder("="))
    return values.reshape(layout.height, layout.padded_width, channels)


def _unpack_bits(rows: UInt8, bits: int, count: int) -> Values:
    """Unpack samples of 10, 12 or 14 bits, most significant bit first, rows aligned to bytes: uint16 [H, count]."""
    numbers = np.empty((len(rows), count), np.uint16)
    weights = (1 << np.arange(bits)[::-1]).astype(np.uint16)
    for row, packed in enumerate(rows):
        numbers[row] = np.unpackbits(packed)[: count * bits].reshape(count, bits) @ weights
    return numbers


def _undo_float_predictor(rows: UInt8, channels: int, size: int) -> Values:
    """Decode rows of floats whose bytes are grouped by significance and stored as differences."""
    summed = np.cumsum(rows.reshape(len(rows), -1, channels), axis=1, dtype=np.uint8)
    by_weight = summed.reshape(len(rows), size, -1)  # [rows, bytes of a number, numbers]
    return np.ascontiguousarray(by_weight.swapaxes(1, 2)).view(f">f{size}")[..., 0]


def _bytes(layout: Layout, plane: int, channels: int) -> UInt8:
    """The bytes of every row, decompressed by libtiff: uint8 [H, bytes per row]."""
    directory = layout.directory

    def to_bytes(pixels: int) -> int:
        return -(-pixels * channels * layout.bits // 8)

    piece_bytes = to_bytes(layout.piece_width)  # per row
    if layout.tiled:
        rows = directory.number(tiff.TILE_HEIGHT)
        size_tags = {tiff.TILE_WIDTH: (piece_bytes,), tiff.TILE_HEIGHT: (rows,)}
        offset_tag, count_tag = tiff.TILE_OFFSETS, tiff.TILE_COUNTS
    else:
        rows = min(directory.number(tiff.ROWS_PER_STRIP, 2**32 - 1), layout.height)
        size_tags = {tiff.ROWS_PER_STRIP: (rows,)}
        offset_tag, count_tag = tiff.STRIP_OFFSETS, tiff.STRIP_COUNTS
    if rows < 1:
        raise BrokenTIFFError("strips without rows")
    offsets, counts = directory.numbers(offset_tag), directory.numbers(count_tag)
    compression = directory.number(tiff.COMPRESSION, 1)
    if compression == 1 and 0 in (counts or (0,)):  # not stored
        strips = [min(rows, layout.height - top) for top in range(0, layout.height, rows)] * layout.channels
        counts = tuple(piece_bytes * n for n in ([rows] * len(offsets) if layout.tiled else strips))
    pieces = -(-layout.height // rows) * (layout.padded_width // layout.piece_width)
    offsets, counts = offsets[plane * pieces :][:pieces], counts[plane * pieces :][:pieces]
    if len(offsets) < pieces or len(counts) < pieces:
        raise BrokenTIFFError("parts of the picture are missing")
    tags: dict[int, tuple[int, ...]] = {
        tiff.WIDTH: (to_bytes(layout.padded_width),), tiff.HEIGHT: (layout.height,), tiff.BITS: (8,),
        tiff.PHOTOMETRIC: (1,), tiff.COMPRESSION: (compression,), tiff.SAMPLES_PER_PIXEL: (1,), tiff.PLANAR: (1,),
        tiff.FILL_ORDER: (directory.number(tiff.FILL_ORDER, 1),), offset_tag: offsets, count_tag: counts, **size_tags,
    }  # fmt: skip
    order = directory.order
    entries = [(tag, 4, len(v), struct.pack(f"{order}{len(v)}I", *v)) for tag, v in sorted(tags.items())]
    from PIL.TiffImagePlugin import TiffImageFile

    gray = TiffImageFile(io.BytesIO(tiff.append_directory(directory.data, order, entries)))
    gray.load()
    return np.array(gray)

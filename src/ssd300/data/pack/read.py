"""Packed files: a data set in one file, read without opening thousands of files.

Layout, little-endian: 16 bytes of magic; the pictures, each at a multiple of 64 bytes; the arrays (sizes, boxes, ...);
the header as JSON, with the offsets of everything; 32 bytes of footer (offset and length of the header, magic). The
footer comes last, so a truncated file is never accepted. Pieces are files of the same kind with a range of the
pictures each; "NAME-00000-of-00003.pack" and the others are read as one data set.

Pictures are shrunk to `max_side` pixels, and their boxes and areas with them, so a packed set is for training.
Evaluate on the original.
The header and the arrays are validated when a file is opened.
"""

import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ssd300.arrays import UInt8
from ssd300.data.dataset import Annotations, Dataset, Picture, join
from ssd300.data.files import with_suffix
from ssd300.data.parts import Part, part_names
from ssd300.errors import ArgumentError, DatasetError
from ssd300.images.decode import decode_image
from ssd300.labels import ClassList
from ssd300.limits import BOXES_PER_PICTURE, CLASSES, JSON_BYTES

MAGIC = b"ssd300 packed \x00\x01"  # the last byte is the version of the layout
ALIGNMENT = 64
FOOTER = struct.Struct("<QQ16s")
SUFFIX = ".pack"
PIECE_NAME = re.compile(r"(?P<stem>.+)-(?P<index>\d{5})-of-(?P<total>\d{5})\.pack")
Encoding = Literal["jpeg", "raw", "original"]
ENCODINGS = ("jpeg", "raw", "original")
FIELDS = {  # of Annotations, in its order: name -> type
    "boxes_xyxy": "<f4", "class_ids": "<i8", "crowd": "|b1", "ignore": "|b1", "area": "<f4", "scores": "<f4",
    "ids": "<i8",
}  # fmt: skip
PICTURE_ARRAYS = {"places": 2, "sizes_hw": 2, "counts": 1}  # int64, name -> numbers per picture

Arrays = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Slice:
    """The location of a packed picture. `stamp` is the file's modification time when it was opened."""

    path: Path
    stamp: int
    offset: int
    size: int
    height: int
    width: int
    raw: bool
    name: str

    def stored(self) -> bytes:
        """The bytes as they are in the file. Raises DatasetError if the file has changed since."""
        try:
            if self.path.stat().st_mtime_ns != self.stamp:
                raise DatasetError(f"{self.path}: the packed file was written again since it was opened; read it again")
            data = _read_at(self.path, self.offset, self.size)
        except OSError as error:
            raise DatasetError(f"{self.path}: the packed file cannot be read: {error.strerror}") from error
        if len(data) != self.size:
            raise DatasetError(f"{self.path}: the packed file was cut off since it was opened; copy or pack it again")
        return data

    def read(self) -> UInt8:
        """uint8 RGB [H, W, 3], read-only for raw pixels. Raises DatasetError as `stored`."""
        data = self.stored()
        if self.raw:
            return np.frombuffer(data, np.uint8).reshape(self.height, self.width, 3)
        return decode_image(data, name=f"{self.path}: {self.name}")


def find(path: Path) -> list[Part]:
    """The packed sets at a path: a .pack file itself, or those of a folder; the pieces of one set are one part."""
    files = [path] if not path.is_dir() else with_suffix(path, SUFFIX)
    first: dict[str, Path] = {}
    for file in (file for file in files if file.name.endswith(SUFFIX)):
        match = PIECE_NAME.fullmatch(file.name)
        first.setdefault(match["stem"] if match else file.name.removesuffix(SUFFIX), file)
    names = part_names(list(first), alone=True)
    return [Part("pack", name, file) for name, file in zip(names, first.values(), strict=True)]


def read(part: Part) -> Dataset:
    """A packed file, or all pieces of the set that a piece belongs to. Pixels are read only by `Picture.read`.

    Raises DatasetError for a file that is truncated, damaged or of another kind, and for missing pieces.
    """
    path = part.source
    match = PIECE_NAME.fullmatch(path.name)
    if match is None:
        return _read_piece(path)[0]
    total = int(match["total"])
    paths = piece_paths(path.with_name(match["stem"]), total)
    missing = [piece.name for piece in paths if not piece.is_file()]
    if missing:
        shown = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
        raise DatasetError(f"{path}: {len(missing)} of {total} pieces are missing in {path.parent}: {shown}")
    pieces = [_read_piece(piece) for piece in paths]
    foreign = [piece.name for piece, (_, one) in zip(paths, pieces, strict=True) if one != pieces[0][1]]
    if foreign:
        raise DatasetError(
            f"{path}: {', '.join(foreign)} belong to another data set than {paths[0].name}; copy it again"
        )
    return join([dataset for dataset, _ in pieces], pieces[0][0].name)


def piece_paths(first: Path, total: int) -> list[Path]:
    """The paths of all pieces of the set whose single file would be `first`."""
    stem = first.name.removesuffix(SUFFIX)
    return [first.with_name(f"{stem}-{i:05}-of-{total:05}{SUFFIX}") for i in range(total)]


def _read_piece(path: Path) -> tuple[Dataset, str]:
    try:
        header, end, stamp = _read_header(path)
        return _parse_header(path, header, end, stamp)
    except (ValueError, TypeError, LookupError, RecursionError, OverflowError, ArgumentError) as error:
        raise DatasetError(f"{path}: the packed file is damaged ({error!s:.200}); copy or pack it again") from error


def _read_at(path: Path, offset: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def _read_header(path: Path) -> tuple[dict[str, Any], int, int]:
    """The header, its offset, and the file's modification time."""
    try:
        state = path.stat()
        first = _read_at(path, 0, len(MAGIC))
        last = _read_at(path, max(0, state.st_size - FOOTER.size), FOOTER.size)
    except OSError as error:
        raise DatasetError(f"{path}: the packed file cannot be read: {error.strerror}") from error
    if not first:
        raise DatasetError(f"{path}: the packed file cannot be read: it is empty")
    if first != MAGIC:
        raise DatasetError(f"{path}: not a packed data set of this version; write it with `ssd300 data pack`")
    start, length, magic = FOOTER.unpack(last) if state.st_size > FOOTER.size else (0, 0, b"")
    if magic != MAGIC or start + length + FOOTER.size != state.st_size or length > JSON_BYTES:
        raise DatasetError(f"{path}: the packed file is cut off at {state.st_size} bytes; copy or pack it again")
    header = json.loads(_read_at(path, start, length))
    if not isinstance(header, dict):
        raise ValueError(f"the header is a {type(header).__name__}")
    return header, start, state.st_mtime_ns


def _parse_header(path: Path, header: dict[str, Any], end: int, stamp: int) -> tuple[Dataset, str]:
    """The data set that a header describes. Raises ValueError, TypeError or KeyError if it is not valid."""
    name, encoding, of_one = header["name"], header["encoding"], header["of_one"]
    file_names, image_ids = header["file_names"], header["image_ids"]
    _require(all(isinstance(value, str) for value in (name, of_one)) and encoding in ENCODINGS, "name or encoding")
    _require(isinstance(file_names, list) and all(isinstance(value, str) for value in file_names), "file names")
    _require(isinstance(image_ids, list) and all(type(value) in (int, str) for value in image_ids), "image ids")
    _require(len(file_names) == len(image_ids), "numbers of names and ids")
    names, ids = header["class_names"], header["class_ids"]
    _require(isinstance(names, list) and all(isinstance(value, str) for value in names), "class names")
    _require(isinstance(ids, list) and all(type(value) is int for value in ids) and len(ids) <= CLASSES, "class ids")
    classes = ClassList(tuple(names), tuple(ids))
    arrays = _read_arrays(path, header["arrays"], len(file_names), end)
    _check_values(arrays, classes, end, encoding == "raw")
    ends = np.cumsum(arrays["counts"])
    pictures = []
    for i, (file_name, image_id) in enumerate(zip(file_names, image_ids, strict=True)):
        (offset, size), (height, width) = arrays["places"][i].tolist(), arrays["sizes_hw"][i].tolist()
        rows = slice(int(ends[i] - arrays["counts"][i]), int(ends[i]))
        boxes = Annotations(*(arrays[field][rows].copy() for field in FIELDS))
        payload = Slice(path, stamp, offset, size, height, width, encoding == "raw", file_name)
        pictures.append(Picture(path, image_id, width, height, boxes, file_name, payload))
    return Dataset(name, classes, tuple(pictures)), of_one


def _read_arrays(path: Path, listed: dict[str, Any], pictures: int, end: int) -> Arrays:
    """The arrays, checked for their types and for the shapes that follow from the numbers of pictures and boxes."""
    boxes = int(listed["class_ids"][1][0])
    _require(0 <= boxes <= end, "number of boxes")
    arrays: Arrays = {}
    for name, dtype in {**dict.fromkeys(PICTURE_ARRAYS, "<i8"), **FIELDS}.items():
        given, shape, offset = listed[name]
        each = PICTURE_ARRAYS.get(name, 4 if name == "boxes_xyxy" else 1)
        rows = pictures if name in PICTURE_ARRAYS else boxes
        size = rows * each * np.dtype(dtype).itemsize
        _require(given == dtype and list(shape) == ([rows] if each == 1 else [rows, each]), f"type or shape of {name}")
        _require(type(offset) is int and len(MAGIC) <= offset <= offset + size <= end, f"place of {name}")
        data = _read_at(path, offset, size)
        if dtype == "|b1":
            _require(np.frombuffer(data, np.uint8).max(initial=0) <= 1, f"flags of {name}")
        arrays[name] = np.frombuffer(data, dtype).reshape(shape).astype(np.dtype(dtype).newbyteorder("="))
    return arrays


def _check_values(arrays: Arrays, classes: ClassList, end: int, raw: bool) -> None:
    """Check that counts, offsets, sizes and boxes are consistent."""
    counts, (offset, size) = arrays["counts"], arrays["places"].reshape(-1, 2).T
    height, width = arrays["sizes_hw"].reshape(-1, 2).T
    _require(bool(((counts >= 0) & (counts <= BOXES_PER_PICTURE)).all()), "numbers of boxes")
    _require(int(counts.sum()) == len(arrays["class_ids"]), "number of all boxes")
    within = (offset >= len(MAGIC)) & (size > 0) & (size <= end) & (offset <= end - size)
    _require(bool(within.all()), "places of pictures")
    _require(bool(((height > 0) & (width > 0) & (height < 2**24) & (width < 2**24)).all()), "sizes of pictures")
    _require(not raw or bool((size == height * width * 3).all()), "sizes of pixels")
    _require(bool(np.isin(arrays["class_ids"], np.array(classes.ids, np.int64)).all()), "class ids of boxes")
    box = arrays["boxes_xyxy"].astype(np.float64)
    limit = np.repeat(np.stack([width, height, width, height], axis=-1), counts, axis=0)
    inside = np.isfinite(box).all() and (box >= 0).all() and (box <= limit + 0.01).all()
    _require(bool(inside and (box[:, 2:] >= box[:, :2]).all()), "boxes")
    area, scores = arrays["area"], arrays["scores"]
    _require(bool((np.isfinite(area) & (area >= 0)).all() and np.isfinite(scores).all()), "areas or scores")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"its {what} are not as they were written")

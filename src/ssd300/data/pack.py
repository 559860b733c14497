"""A data set in one packed file: pictures, boxes and classes, read by memory map without opening thousands of files.

Layout, little-endian: 16 bytes of magic; the pictures, each at a multiple of 64 bytes; the arrays (sizes, boxes, ...);
the header as JSON, which says where everything lies; 32 bytes of footer (offset and length of the header, magic). The
footer comes last, so a file that was cut off is never taken for a whole one. Pieces are files of the same kind with a
run of the pictures each; "NAME-00000-of-00003.pack" and its siblings are read as one data set.

Pictures are limited to `max_side` pixels, and their boxes and areas with them: a packed set is for training. Measure on
the original.
"""

import hashlib
import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Literal

import numpy as np
import simplejpeg
from PIL import Image

from ssd300.arrays import UInt8
from ssd300.data.dataset import Annotations, Dataset, Picture, join
from ssd300.data.files import with_suffix
from ssd300.data.parts import Part, meaning, part_names
from ssd300.errors import ArgumentError, DatasetError, unknown_name
from ssd300.files import publish
from ssd300.images.decode import decode_image
from ssd300.labels import ClassList

MAGIC = b"ssd300 packed \x00\x01"  # the last byte is the version of the layout
ALIGNMENT = 64
FOOTER = struct.Struct("<QQ16s")
SUFFIX = ".pack"
PIECE_NAME = re.compile(r"(?P<stem>.+)-(?P<index>\d{5})-of-(?P<total>\d{5})\.pack")
Encoding = Literal["jpeg", "raw", "original"]
ENCODINGS = ("jpeg", "raw", "original")
FIELDS = ("boxes_xyxy", "class_ids", "crowd", "ignore", "area", "scores", "ids")  # of Annotations, in its order


@dataclass(frozen=True)
class Slice:
    """Where a packed picture lies. `stamp` is the file's time of change: a replaced file is mapped anew."""

    path: Path
    stamp: int
    offset: int
    size: int
    height: int
    width: int
    raw: bool
    name: str

    def read(self) -> UInt8:
        """uint8 RGB [H, W, 3]; of a raw file a read-only view, without a copy."""
        data = _mapped(self.path, self.stamp)[self.offset : self.offset + self.size]
        if self.raw:
            return data.reshape(self.height, self.width, 3)
        return decode_image(data.tobytes(), name=f"{self.path}: {self.name}")


@lru_cache(maxsize=256)
def _mapped(path: Path, stamp: int) -> UInt8:
    return np.asarray(np.memmap(path, np.uint8, "r"))


def pack_dataset(
    dataset: Dataset,
    out: Path,
    *,
    encoding: Encoding = "jpeg",
    max_side: int = 368,
    jpeg_quality: int = 92,
    piece_mb: float | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Path]:
    """Write a data set to `out` (one file), or to pieces of at most `piece_mb` megabytes beside it; returns the paths.

    `encoding`: "jpeg" (small), "raw" (uint8 pixels, nothing to decode) or "original" (the files' own bytes and size,
    `max_side` unused). The files appear under their names only when all of them are whole. Raises ImageError or
    DatasetError for a picture that cannot be read: none is left out. A set packed before under this name is replaced,
    all its pieces with it.
    """
    _check_options(encoding, max_side, jpeg_quality, piece_mb)
    if not dataset.pictures:
        raise DatasetError(f"{dataset.name}: no pictures to pack")
    out.parent.mkdir(parents=True, exist_ok=True)
    replaced = {path.resolve() for path in _written_before(out)}
    if any(picture.path.resolve() in replaced for picture in dataset.pictures):
        raise ArgumentError(f"{out}: the pictures to pack lie in the files of this name; give another name")
    limit = piece_mb * 1e6 if piece_mb else float("inf")
    pieces: list[_Piece] = []
    try:
        for done, picture in enumerate(dataset.pictures, 1):
            packed, data = _encode(picture, encoding, max_side, jpeg_quality)
            if not pieces or not pieces[-1].has_room(packed, data, limit):
                pieces.append(_Piece(out))
            pieces[-1].add(packed, data)
            progress(done)
        for index, piece in enumerate(pieces):
            piece.finish({**_common_header(dataset, encoding), "piece": index, "pieces": len(pieces)})
        paths = _piece_paths(out, len(pieces)) if piece_mb else [out]
        for piece, path in zip(pieces, paths, strict=True):
            publish(Path(piece.file.name), path)
        for old in _written_before(out):
            if old not in paths:
                old.unlink()
    finally:
        for piece in pieces:
            piece.file.close()
            Path(piece.file.name).unlink(missing_ok=True)
    return paths


def _check_options(encoding: str, max_side: int, jpeg_quality: int, piece_mb: float | None) -> None:
    if encoding not in ENCODINGS:
        raise unknown_name("encoding", encoding, ENCODINGS)
    if max_side < 1 or not 1 <= jpeg_quality <= 100 or (piece_mb is not None and piece_mb <= 0):
        raise ArgumentError(
            f"want max_side >= 1, jpeg_quality 1 to 100 and piece_mb > 0; got {max_side}, {jpeg_quality}, {piece_mb}"
        )


def _common_header(dataset: Dataset, encoding: Encoding) -> dict[str, Any]:
    """What all pieces of one set share; `of_one` tells whether two pieces do belong together."""
    names = json.dumps([dataset.name, encoding, [p.file_name for p in dataset.pictures], dataset.classes.names])
    return {
        "name": dataset.name,
        "encoding": encoding,
        "class_names": dataset.classes.names,
        "class_ids": dataset.classes.ids,
        "of_one": hashlib.sha256(names.encode()).hexdigest(),
    }


def _written_before(out: Path) -> list[Path]:
    """The packed file of this name and all its pieces, of whatever number."""
    stem = out.name.removesuffix(SUFFIX)
    names = ((path, PIECE_NAME.fullmatch(path.name)) for path in out.parent.iterdir())
    return [path for path, match in names if path == out or (match and match["stem"] == stem)]


def _piece_paths(first: Path, total: int) -> list[Path]:
    stem = first.name.removesuffix(SUFFIX)
    return [first.with_name(f"{stem}-{i:05}-of-{total:05}{SUFFIX}") for i in range(total)]


class _Piece:
    """A packed file while it is written, under a temporary name beside its place."""

    def __init__(self, out: Path) -> None:
        self.file = NamedTemporaryFile(dir=out.parent, prefix=f".{out.name}.", suffix=".part", delete=False)  # noqa: SIM115
        self.file.write(MAGIC)
        self.end = len(MAGIC)
        self.described = 4096 + FOOTER.size  # bytes that arrays and header will take, at most
        self.pictures: list[Picture] = []
        self.places: list[tuple[int, int]] = []  # offset, size

    def has_room(self, picture: Picture, data: bytes, limit: float) -> bool:
        """Whether the piece stays within the limit with this picture; one alone always has room."""
        return not self.pictures or self.end + len(data) + self.described + _described(picture) <= limit

    def add(self, picture: Picture, data: bytes) -> None:
        self.described += _described(picture)
        self.places.append((self._append(data), len(data)))
        self.pictures.append(picture)

    def _append(self, data: bytes) -> int:
        start = -(-self.end // ALIGNMENT) * ALIGNMENT
        self.file.write(b"\0" * (start - self.end) + data)
        self.end = start + len(data)
        return start

    def finish(self, header: dict[str, Any]) -> None:
        boxes = [picture.annotations for picture in self.pictures]
        arrays: dict[str, np.ndarray[Any, Any]] = {
            "places": np.array(self.places, np.int64),
            "sizes_hw": np.array([(p.height, p.width) for p in self.pictures], np.int64),
            "counts": np.array([len(annotations) for annotations in boxes], np.int64),
        }
        for name in FIELDS:
            arrays[name] = np.concatenate([getattr(annotations, name) for annotations in boxes])
        listed = {}
        for name, array in arrays.items():
            little = array.astype(array.dtype.newbyteorder("<"))
            listed[name] = [little.dtype.str, list(little.shape), self._append(little.tobytes())]
        header |= {
            "arrays": listed,
            "file_names": [picture.file_name for picture in self.pictures],
            "image_ids": [picture.image_id for picture in self.pictures],
        }
        text = json.dumps(header).encode()
        start = self._append(text)
        self.file.write(FOOTER.pack(start, len(text), MAGIC))


def _described(picture: Picture) -> int:
    """Bytes that a picture takes beside its pixels, at most: places, sizes, names, alignment; 42 for each box."""
    return 128 + 8 * len(picture.file_name) + 8 * len(str(picture.image_id)) + 42 * len(picture.annotations)


def _encode(picture: Picture, encoding: Encoding, max_side: int, jpeg_quality: int) -> tuple[Picture, bytes]:
    """The picture as it will be packed (its size, its boxes) and its bytes."""
    if encoding == "original":
        if picture.payload is not None:
            raise ArgumentError("a packed set has no original files; pack the original, or choose 'jpeg' or 'raw'")
        picture.read()  # a picture that cannot be decoded, or of another size, must stop here and not in training
        return picture, picture.path.read_bytes()
    rgb = picture.read()  # [H, W, 3]
    longer = max(picture.width, picture.height)
    if longer > max_side:
        width = max(1, round(picture.width * max_side / longer))
        height = max(1, round(picture.height * max_side / longer))
        rgb = np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))
        picture = replace(picture, width=width, height=height, annotations=_scaled(picture, width, height))
    if encoding == "raw":
        return picture, np.ascontiguousarray(rgb).tobytes()
    data: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), jpeg_quality, "RGB", "420", fastdct=False)
    return picture, data


def _scaled(picture: Picture, width: int, height: int) -> Annotations:
    x, y = width / picture.width, height / picture.height
    boxes = picture.annotations
    return replace(
        boxes,
        boxes_xyxy=(boxes.boxes_xyxy * np.array([x, y, x, y])).astype(np.float32),
        area=(boxes.area * (x * y)).astype(np.float32),
    )


def find(path: Path) -> list[Part]:
    """The packed sets at a path: a .pack file itself, or those of a folder; the pieces of one set are one part."""
    files = [path] if not path.is_dir() else with_suffix(path, SUFFIX)
    first: dict[str, Path] = {}
    for file in (file for file in files if file.name.endswith(SUFFIX)):
        match = PIECE_NAME.fullmatch(file.name)
        first.setdefault(match["stem"] if match else file.name.removesuffix(SUFFIX), file)
    names = part_names(list(first), alone=True)
    return [Part("pack", _own(name), file) for name, file in zip(names, first.values(), strict=True)]


def _own(name: str) -> str:
    return meaning(name, alone=True) or name


def read(part: Part) -> Dataset:
    """One part as `read_pack` reads it."""
    return read_pack(part.source)


def read_pack(path: Path) -> Dataset:
    """A packed file, or all pieces of the set that a piece belongs to. Pixels are read only by `Picture.read`.

    Raises DatasetError for a file that is cut off or of another kind, and for missing pieces, by name.
    """
    match = PIECE_NAME.fullmatch(path.name)
    if match is None:
        return _read_piece(path)[0]
    total = int(match["total"])
    paths = _piece_paths(path.with_name(match["stem"]), total)
    missing = [piece.name for piece in paths if not piece.is_file()]
    if missing:
        raise DatasetError(
            f"{path}: {len(missing)} of {total} pieces are missing in {path.parent}: {', '.join(missing)}"
        )
    read = [_read_piece(piece) for piece in paths]
    strangers = [piece.name for piece, (_, one) in zip(paths, read, strict=True) if one != read[0][1]]
    if strangers:
        raise DatasetError(
            f"{path}: {', '.join(strangers)} belong to another data set than {paths[0].name}; copy it again"
        )
    return join([dataset for dataset, _ in read], read[0][0].name)


def _read_header(path: Path) -> tuple[dict[str, Any], UInt8, int]:
    try:
        stamp = path.stat().st_mtime_ns
        data = _mapped(path, stamp)
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise DatasetError(f"{path}: the packed file cannot be read: {error}") from error
    if data[: len(MAGIC)].tobytes() != MAGIC:
        raise DatasetError(f"{path}: not a packed data set of this version; write it with `ssd300 data pack`")
    start, length, magic = FOOTER.unpack(data[-FOOTER.size :].tobytes()) if len(data) > FOOTER.size else (0, 0, b"")
    if magic != MAGIC or start + length + FOOTER.size != len(data):
        raise DatasetError(f"{path}: the packed file is cut off at {len(data)} bytes; copy or pack it again")
    return json.loads(data[start : start + length].tobytes()), data, stamp


def _read_piece(path: Path) -> tuple[Dataset, str]:
    try:
        return _interpreted(path, *_read_header(path))
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise DatasetError(f"{path}: the packed file is damaged ({error!r}); copy or pack it again") from error


def _interpreted(path: Path, header: dict[str, Any], data: UInt8, stamp: int) -> tuple[Dataset, str]:
    arrays = {}
    for name, (dtype, shape, offset) in header["arrays"].items():
        count = int(np.prod(shape))
        arrays[name] = data[offset : offset + count * np.dtype(dtype).itemsize].view(dtype).reshape(shape)
    ends = np.cumsum(arrays["counts"])
    pictures = []
    for i, (file_name, image_id) in enumerate(zip(header["file_names"], header["image_ids"], strict=True)):
        (offset, size), (height, width) = arrays["places"][i].tolist(), arrays["sizes_hw"][i].tolist()
        rows = slice(int(ends[i] - arrays["counts"][i]), int(ends[i]))
        boxes = Annotations(*(arrays[name][rows].copy() for name in FIELDS))
        payload = Slice(path, stamp, offset, size, height, width, header["encoding"] == "raw", file_name)
        pictures.append(Picture(path, image_id, width, height, boxes, file_name, payload))
    classes = ClassList(tuple(header["class_names"]), tuple(header["class_ids"]))
    return Dataset(header["name"], classes, tuple(pictures)), header["of_one"]

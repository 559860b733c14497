"""Pack a data set: pictures, boxes and classes in one file, or in pieces of a limited size."""

import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import simplejpeg
from PIL import Image

from ssd300.data.dataset import Annotations, Dataset, Picture
from ssd300.data.pack.read import ALIGNMENT, ENCODINGS, FIELDS, FOOTER, MAGIC, PIECE_NAME, SUFFIX, Encoding, piece_paths
from ssd300.errors import ArgumentError, DatasetError, unknown_name
from ssd300.files import publish, refuse_special, temporary_beside, unwritable
from ssd300.images.source import read_bytes


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
    `max_side` unused). The files appear under their names only when all of them are complete. Raises ImageError or
    DatasetError for a picture that cannot be read: none is left out. An earlier packed set of this name is replaced,
    with all its pieces.
    """
    _check_options(encoding, max_side, jpeg_quality, piece_mb)
    if not dataset.pictures:
        raise DatasetError(f"{dataset.name}: no pictures to pack")
    if not out.name.endswith(SUFFIX) or PIECE_NAME.fullmatch(out.name):  # by which it is recognized
        raise ArgumentError(f"{out}: expected a name that ends with {SUFFIX}, and without the number of a piece")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        existing = _find_existing(out)
        for path in existing:  # else the first pieces would be replaced, and one that may not be would end it
            refuse_special(path)
        replaced = {path.resolve() for path in existing}
        if any(picture.path.resolve() in replaced for picture in dataset.pictures):
            raise ArgumentError(f"{out}: the pictures to pack lie in the files of this name; give another name")
        return _write(dataset, out, encoding, (max_side, jpeg_quality), piece_mb, progress)
    except OSError as error:
        raise unwritable(out, error) from error


def _write(
    dataset: Dataset,
    out: Path,
    encoding: Encoding,
    shrinking: tuple[int, int],
    piece_mb: float | None,
    progress: Callable[[int], None],
) -> list[Path]:
    """Write the pieces under temporary names, rename all of them, then delete earlier pieces."""
    limit = piece_mb * 1e6 if piece_mb else float("inf")
    pieces: list[_Piece] = []
    common, content = _common_header(dataset, encoding), hashlib.sha256()
    with ExitStack() as stack:
        for done, picture in enumerate(dataset.pictures, 1):
            packed, data = _encode(picture, encoding, *shrinking)
            if not pieces or not pieces[-1].has_room(packed, data, limit):
                if pieces:
                    pieces[-1].file.close()  # a system allows some hundred open files
                temporary = stack.enter_context(temporary_beside(out))
                pieces.append(_Piece(temporary, stack.enter_context(temporary.open("wb")), len(json.dumps(common))))
            pieces[-1].add(packed, data)
            for part in (data, *(getattr(packed.annotations, name).tobytes() for name in FIELDS)):
                content.update(part)
            progress(done)
        pieces[-1].file.close()
        # Else pieces of two packings of one set pass for whole, where the second one was stopped while renaming.
        common["of_one"] = hashlib.sha256((common["of_one"] + content.hexdigest()).encode()).hexdigest()
        for index, piece in enumerate(pieces):
            piece.finish({**common, "piece": index, "pieces": len(pieces)})
        paths = piece_paths(out, len(pieces)) if piece_mb else [out]
        for piece, path in zip(pieces, paths, strict=True):
            publish(piece.path, path)
        for old in _find_existing(out):
            if old not in paths:
                old.unlink()
    return paths


def _check_options(encoding: str, max_side: int, jpeg_quality: int, piece_mb: float | None) -> None:
    if encoding not in ENCODINGS:
        raise unknown_name("encoding", encoding, ENCODINGS)
    if max_side < 1 or not 1 <= jpeg_quality <= 100 or (piece_mb is not None and piece_mb <= 0):
        raise ArgumentError(
            "expected max_side >= 1, jpeg_quality 1 to 100 and piece_mb > 0; "
            f"got {max_side}, {jpeg_quality}, {piece_mb}"
        )


def _common_header(dataset: Dataset, encoding: Encoding) -> dict[str, Any]:
    """The header fields that all pieces of one set share; `of_one` identifies the set."""
    names = json.dumps([dataset.name, encoding, [p.file_name for p in dataset.pictures], dataset.classes.names])
    return {
        "name": dataset.name,
        "encoding": encoding,
        "class_names": dataset.classes.names,
        "class_ids": dataset.classes.ids,
        "of_one": hashlib.sha256(names.encode()).hexdigest(),
    }


def _find_existing(out: Path) -> list[Path]:
    """The existing packed file of this name and all its pieces."""
    stem = out.name.removesuffix(SUFFIX)
    names = ((path, PIECE_NAME.fullmatch(path.name)) for path in out.parent.iterdir())
    return [path for path, match in names if path == out or (match and match["stem"] == stem)]


class _Piece:
    """A packed file while it is written, under a temporary name beside its path."""

    def __init__(self, path: Path, file: BinaryIO, common: int) -> None:
        """`common`: bytes of the header that all pieces have."""
        self.path = path
        self.file = file
        self.file.write(MAGIC)
        self.end = len(MAGIC)
        self.described = common + 4096 + FOOTER.size  # upper bound of the bytes of arrays and header
        self.pictures: list[Picture] = []
        self.places: list[tuple[int, int]] = []  # offset, size

    def has_room(self, picture: Picture, data: bytes, limit: float) -> bool:
        """Whether this picture fits into the limit; a single picture always does."""
        return not self.pictures or self.end + len(data) + self.described + _bound_overhead(picture) <= limit

    def add(self, picture: Picture, data: bytes) -> None:
        self.described += _bound_overhead(picture)
        self.places.append((self._append(data), len(data)))
        self.pictures.append(picture)

    def _append(self, data: bytes) -> int:
        start = -(-self.end // ALIGNMENT) * ALIGNMENT
        self.file.write(b"\0" * (start - self.end) + data)
        self.end = start + len(data)
        return start

    def finish(self, header: dict[str, Any]) -> None:
        """Append the arrays, the header and the footer."""
        boxes = [picture.annotations for picture in self.pictures]
        arrays: dict[str, np.ndarray[Any, Any]] = {
            "places": np.array(self.places, np.int64),
            "sizes_hw": np.array([(p.height, p.width) for p in self.pictures], np.int64),
            "counts": np.array([len(annotations) for annotations in boxes], np.int64),
        }
        for name in FIELDS:
            arrays[name] = np.concatenate([getattr(annotations, name) for annotations in boxes])
        with self.path.open("ab") as self.file:
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


def _bound_overhead(picture: Picture) -> int:
    """Upper bound of a picture's bytes beside its pixels: offsets, sizes, names, alignment; 42 per box."""
    return 128 + len(json.dumps([picture.file_name, picture.image_id])) + 42 * len(picture.annotations)


def _encode(picture: Picture, encoding: Encoding, max_side: int, jpeg_quality: int) -> tuple[Picture, bytes]:
    """The picture with its packed size and boxes, and its bytes."""
    if encoding == "original":
        if picture.payload is not None:
            raise ArgumentError("a packed set has no original files; pack the original, or choose 'jpeg' or 'raw'")
        picture.read()  # raises for a picture that cannot be decoded, or of another size, before training does
        return picture, read_bytes(picture.path, picture.name)
    rgb = picture.read()  # [H, W, 3]
    longer = max(picture.width, picture.height)
    if longer > max_side:
        width = max(1, round(picture.width * max_side / longer))
        height = max(1, round(picture.height * max_side / longer))
        rgb = np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))
        picture = replace(picture, width=width, height=height, annotations=_scale_boxes(picture, width, height))
    if encoding == "raw":
        return picture, np.ascontiguousarray(rgb).tobytes()
    data: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), jpeg_quality, "RGB", "420", fastdct=False)
    return picture, data


def _scale_boxes(picture: Picture, width: int, height: int) -> Annotations:
    x, y = width / picture.width, height / picture.height
    boxes = picture.annotations
    return replace(
        boxes,
        boxes_xyxy=(boxes.boxes_xyxy * np.array([x, y, x, y])).astype(np.float32),
        area=(boxes.area * (x * y)).astype(np.float32),
    )

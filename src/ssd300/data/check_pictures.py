"""Checks of pictures: unreadable, wrong size, EXIF orientation, duplicates."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssd300.arrays import UInt8
from ssd300.data.dataset import Dataset, Picture
from ssd300.data.files import entries, is_picture
from ssd300.data.notes import Note
from ssd300.errors import ImageError
from ssd300.images.budget import IN_FLIGHT
from ssd300.images.decode import ImageHeader, decode_image, header
from ssd300.images.source import read_bytes
from ssd300.limits import SIMILAR_PICTURES

HASH_SIDE = 16  # a difference hash of 16 x 16 = 256 bits
NEAR = 12  # bits; pictures whose hashes differ in at most this many look the same
_CELLS = 2**25  # of the two distance tables in memory: 256 MB


@dataclass(frozen=True)
class Seen:
    """The result for one picture: the digest of its bytes and its hash [256], or none, and the notes."""

    digest: str = ""
    bits: NDArray[np.bool_] | None = None
    notes: tuple[Note, ...] = ()


def difference_hash(rgb: UInt8) -> NDArray[np.bool_]:
    """256 bits: whether each of 16 x 16 gray points is brighter than its right neighbor. Independent of scale."""
    gray = Image.fromarray(rgb).convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX)
    points = np.asarray(gray, np.int16)  # [16, 17]
    return np.asarray((points[:, 1:] > points[:, :-1]).ravel())


def examine_pictures(dataset: Dataset, progress: Callable[[int], None]) -> list[Seen]:
    """Read every picture of a data set once, in order; decoding runs in threads."""
    seen = []
    with ThreadPoolExecutor() as pool:
        for done, one in enumerate(pool.map(_examine_picture, dataset.pictures), 1):
            seen.append(one)
            progress(done)
    return seen


def _examine_picture(picture: Picture) -> Seen:
    try:
        if picture.payload is not None:
            rgb = picture.payload.read()
            return Seen(hashlib.sha256(rgb.tobytes()).hexdigest(), difference_hash(rgb))
        if not os.path.isfile(picture.path):
            return Seen()  # the reader reported it
        data = read_bytes(picture.path, picture.file_name)
        found = header(data, name=picture.file_name)
        with IN_FLIGHT.share():
            bits = difference_hash(decode_image(data, name=picture.file_name))
    except ImageError as error:
        return Seen(notes=(Note("corrupt picture", "fault", str(picture.path), picture.file_name, "", str(error)),))
    return Seen(hashlib.sha256(data).hexdigest(), bits, tuple(_size_notes(picture, found)))


def _size_notes(picture: Picture, found: ImageHeader) -> Iterator[Note]:
    """Compare the size in the annotations with the file's, considering its EXIF orientation."""
    height, width = found.size_hw
    stated = f"{picture.width}x{picture.height}"
    place = (str(picture.path), picture.file_name, "")
    if (picture.width, picture.height) == (width, height):
        if found.orientation > 1 and len(picture.annotations):
            words = f"EXIF orientation {found.orientation} turns the picture; the boxes must be of the turned one"
            yield Note("EXIF-turned picture", "noted", *place, words)
    elif (picture.width, picture.height) == (found.width, found.height):
        words = (
            f"EXIF orientation {found.orientation} makes it {width}x{height}, but the annotations say {stated}: the "
            "boxes were made without regard to EXIF"
        )
        yield Note("EXIF-rotated picture", "fault", *place, words)
    else:
        same = abs(picture.width * height - picture.height * width) <= max(width, height)
        hint = "; the boxes seem to be of a copy of another size" if same else ""
        yield Note("wrong picture size", "fault", *place, f"the picture is {width}x{height}, not {stated}{hint}")


def find_duplicates(datasets: dict[str, Dataset], seen: dict[str, list[Seen]]) -> Iterator[Note]:
    """Duplicate pictures: the same file, the same bytes, or similar; across two splits they are leakage.

    Each picture is compared with all before it; of those only one is reported: the nearest of another split, or else of
    its own. Of more than SIMILAR_PICTURES only identical ones are found.
    """
    pictures = [(split, picture) for split, dataset in datasets.items() for picture in dataset.pictures]
    looks = [one for split in datasets for one in seen[split]]
    named = np.zeros(len(pictures), bool)
    many = len(pictures) > SIMILAR_PICTURES
    if many:
        words = f"not looked for: {len(pictures):,} pictures are more than {SIMILAR_PICTURES:,}; identical ones were"
        yield Note("similar pictures", "noted", str(pictures[0][1].path), "", "", words)
    splits = np.array([split for split, _ in pictures])
    found = [*_find_identical(pictures, looks), *([] if many else _find_similar(looks, splits))]
    found.sort(key=lambda one: bool(splits[one[0]] == splits[one[1]]))  # leakage first, also of an identical picture
    for i, j, distance in found:  # j < i
        if named[i]:
            continue
        named[i] = True
        (split, picture), (other_split, other) = pictures[i], pictures[j]
        where = other.file_name if split == other_split else f"{other.file_name} of {other_split}"
        if split != other_split:
            kind = "train/validation leakage"
            like = f"looks like {where} ({distance:.0f} of 256 bits differ)"
            words = f"in {split}: {like if distance else f'the same picture as {where}'}"
        elif picture.path == other.path and picture.payload == other.payload:
            kind, words = "picture listed twice", f"also listed as picture {other.image_id}"
        elif looks[i].digest == looks[j].digest:
            kind, words = "duplicate picture", f"the same bytes as {where}"
        else:
            kind, words = "similar pictures", f"looks like {where} ({distance:.0f} of 256 bits differ)"
        yield Note(kind, "noted", str(picture.path), picture.file_name, "", words)


def _find_identical(pictures: Sequence[tuple[str, Picture]], looks: Sequence[Seen]) -> Iterator[tuple[int, int, float]]:
    first: dict[str, int] = {}
    for i, one in enumerate(looks):
        picture = pictures[i][1]
        key = one.digest or (str(picture.path) if picture.payload is None else "")
        if key and key in first:
            yield i, first[key], 0
        elif key:
            first[key] = i


def _find_similar(looks: Sequence[Seen], splits: NDArray[np.str_]) -> Iterator[tuple[int, int, float]]:
    """(later, earlier, differing bits) of pictures with similar hashes, with one earlier one for each: the nearest of
    another split, or else of its own."""
    hashed = np.array([i for i, one in enumerate(looks) if one.bits is not None], np.int64)
    if len(hashed) < 2:
        return
    signs = np.array([one.bits for one in looks if one.bits is not None], np.float32) * 2 - 1  # [N, 256]
    height = max(1, _CELLS // len(signs))
    for start in range(0, len(signs), height):
        rows = signs[start : start + height]
        distances = (signs.shape[1] - rows @ signs[: start + len(rows)].T) / 2  # [rows, all before]
        later = np.arange(start, start + len(rows))
        distances[np.arange(distances.shape[1])[None] >= later[:, None]] = np.inf
        apart = splits[hashed[later]][:, None] != splits[hashed[: distances.shape[1]]]
        across = np.where(apart, distances, np.inf)
        nearest = np.where(across.min(axis=1) <= NEAR, across.argmin(axis=1), distances.argmin(axis=1))
        best = distances[np.arange(len(rows)), nearest]
        for row in np.flatnonzero(best <= NEAR):
            yield int(hashed[later[row]]), int(hashed[nearest[row]]), float(best[row])


def find_unlisted(datasets: dict[str, Dataset]) -> Iterator[Note]:
    """Pictures in the folders of listed ones that belong to no split."""
    known: dict[Path, set[str]] = defaultdict(set)
    for dataset in datasets.values():
        for picture in dataset.pictures:
            if picture.payload is None:
                known[picture.path.parent].add(picture.path.name)
    for folder, names in known.items():
        for path in entries(folder):
            if is_picture(path) and os.path.isfile(path) and path.name not in names:
                words = "lies in a folder of the data set, but no annotation file lists it"
                yield Note("picture not listed", "noted", str(path), path.name, "", words)

"""The layout of a packed file: a data set in one file, read without opening thousands of files.

Layout, little-endian: 16 bytes of magic; the pictures, each at a multiple of 64 bytes; the arrays (sizes, boxes, ...);
the header as JSON, with the offsets of everything; 32 bytes of footer (offset and length of the header, magic). The
footer comes last, so a truncated file is never accepted. Pieces are files of the same kind with a range of the
pictures each; "NAME-00000-of-00003.pack" and the others are read as one data set.

Pictures are shrunk to `max_side` pixels, and their boxes and areas with them, so a packed set is for training.
Evaluate on the original.
"""

import re
import struct
from pathlib import Path
from typing import Literal

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


def piece_paths(first: Path, total: int) -> list[Path]:
    """The paths of all pieces of the set whose single file would be `first`."""
    stem = first.name.removesuffix(SUFFIX)
    return [first.with_name(f"{stem}-{i:05}-of-{total:05}{SUFFIX}") for i in range(total)]

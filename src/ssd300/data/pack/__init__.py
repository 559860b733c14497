"""The packed format: find, read and write data sets."""

from ssd300.data.pack.layout import ENCODINGS, FOOTER, PIECE_NAME, SUFFIX
from ssd300.data.pack.read import find, read, read_pack
from ssd300.data.pack.write import pack_dataset

__all__ = ["ENCODINGS", "FOOTER", "PIECE_NAME", "SUFFIX", "find", "pack_dataset", "read", "read_pack"]

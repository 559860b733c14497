"""The packed format: find, read and write data sets."""

from ssd300.data.pack.read import find, read
from ssd300.data.pack.write import pack_dataset

__all__ = ["find", "pack_dataset", "read"]

"""The Pascal VOC format: find, read and write data sets."""

from ssd300.data.voc.find import find
from ssd300.data.voc.read import read
from ssd300.data.voc.write import write, write_split

__all__ = ["find", "read", "write", "write_split"]

"""The Pascal VOC format: find, read and write data sets."""

from ssd300.data.voc.find import find
from ssd300.data.voc.read import read
from ssd300.data.voc.write import split_files, write, write_split

__all__ = ["find", "read", "split_files", "write", "write_split"]

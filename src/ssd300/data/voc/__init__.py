"""The room of Pascal VOC: find, read and write data sets of this format."""

from ssd300.data.voc.find import find
from ssd300.data.voc.read import read
from ssd300.data.voc.write import write, write_split

__all__ = ["find", "read", "write", "write_split"]

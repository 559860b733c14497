"""The YOLO format: find, read and write data sets."""

from ssd300.data.yolo.find import find
from ssd300.data.yolo.read import read
from ssd300.data.yolo.write import write, write_split

__all__ = ["find", "read", "write", "write_split"]

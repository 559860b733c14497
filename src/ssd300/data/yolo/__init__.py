"""The YOLO format: find, read and write data sets."""

from ssd300.data.yolo.find import find
from ssd300.data.yolo.read import read
from ssd300.data.yolo.write import split_files, write, write_split

__all__ = ["find", "read", "split_files", "write", "write_split"]

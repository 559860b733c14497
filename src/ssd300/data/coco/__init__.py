"""The COCO JSON format: find, read and write data sets."""

from ssd300.data.coco.find import find
from ssd300.data.coco.read import parse, read
from ssd300.data.coco.write import split_files, write, write_split

__all__ = ["find", "parse", "read", "split_files", "write", "write_split"]

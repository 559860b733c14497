"""The YOLO format: find, read and write data sets."""

from ssd300.data.yolo.find import find
from ssd300.data.yolo.labels import label_path, to_pixels
from ssd300.data.yolo.read import read
from ssd300.data.yolo.write import to_fractions, write, write_split

__all__ = ["find", "label_path", "read", "to_fractions", "to_pixels", "write", "write_split"]

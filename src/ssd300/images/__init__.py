"""Read pictures: from any source to RGB uint8 arrays, with one decoder and one resize."""

from ssd300.images.decode import decode_image, header
from ssd300.images.resize import load_for_network, resize_to_network
from ssd300.images.source import Source, expand, name_of, open_source

__all__ = [
    "Source",
    "decode_image",
    "expand",
    "header",
    "load_for_network",
    "name_of",
    "open_source",
    "resize_to_network",
]

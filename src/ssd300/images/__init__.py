"""Read pictures: from any source to RGB uint8 arrays, with one decoder and one resize."""

from ssd300.images.decode import MAX_PIXELS, ImageHeader, decode_image, header, size_hw
from ssd300.images.resize import NETWORK_SIZE, load_for_network, resize_to_network
from ssd300.images.source import Source, expand, name_of, open_source

__all__ = [
    "MAX_PIXELS",
    "NETWORK_SIZE",
    "ImageHeader",
    "Source",
    "decode_image",
    "expand",
    "header",
    "load_for_network",
    "name_of",
    "open_source",
    "resize_to_network",
    "size_hw",
]

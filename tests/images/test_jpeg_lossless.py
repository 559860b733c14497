"""Lossless JPEGs of 8 bits are read; libjpeg-turbo crashes where it decodes one at a reduced scale, so nothing asks."""

import struct

import numpy as np
import pytest

from ssd300.errors import ImageError
from ssd300.images import decode_image, header, load_for_network


def lossless(components: bytes, side: int = 700) -> bytes:
    """A gray of 128 throughout: every difference is 0, whose code is the bits 10 (01 would be a code of its own)."""
    frame = struct.pack(">BHHB", 8, side, side, len(components))
    frame += b"".join(bytes((one, 0x11, 0)) for one in components)
    table = b"\0" + bytes((1, 1)) + bytes(14) + b"\x01\x00"
    scan = bytes((len(components),)) + b"".join(bytes((one, 0)) for one in components) + b"\x01\x00\x00"
    segments = ((0xC3, frame), (0xC4, table), (0xDA, scan))
    head = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments)
    return b"\xff\xd8" + head + b"\xaa" * (side * side * len(components) // 4) + b"\xff\xd9"


@pytest.mark.parametrize("components", [b"\x01", b"RGB"], ids=["gray", "color"])
def test_lossless_jpegs_are_read_whole_at_any_setting(components):
    data = lossless(components)
    for decode in ("exact", "fast"):
        rgb = decode_image(data, name="x", decode=decode)
        assert rgb.shape == (700, 700, 3)
        assert np.unique(rgb).tolist() == [128]
        assert load_for_network(data, decode=decode)[1] == (700, 700)
    found = header(data, name="x")
    assert (found.format, found.width, found.height) == ("JPEG", 700, 700)


@pytest.mark.parametrize("components", [b"\x01", b"RGB"], ids=["gray", "color"])
@pytest.mark.parametrize("end", [b"", b"\xff\xd9"], ids=["cut", "closed"])
def test_a_cut_one_is_reported(components, end):
    data = lossless(components)
    for decode in ("exact", "fast"):
        with pytest.raises(ImageError, match="a damaged or truncated JPEG file"):
            decode_image(data[: len(data) // 2] + end, name="x", decode=decode)


def test_a_frame_hidden_behind_a_usual_one_is_not_decoded_at_reduced_scale():
    """The frame that libjpeg-turbo finds counts, not the first one of the file's structure."""
    data = lossless(b"RGB")
    usual = b"\xff\xc0" + data[4:25]
    for hidden in (data[:2] + b"\xff\xfe\x00\x19" + usual[:23] + data[2:], data[:2] + b"\xff" * 9 + data[2:]):
        assert np.unique(decode_image(hidden, name="x", decode="fast")).tolist() == [128]

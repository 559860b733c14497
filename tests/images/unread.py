"""JPEG files of rare kinds and with parts missing, made by hand."""

import struct


def cut_scan(data: bytes, share: float) -> bytes:
    """What is left of a JPEG when a share of its scans' bytes is kept."""
    start = data.index(b"\xff\xda") + 14
    end = start + int((len(data) - 2 - start) * share)
    return data[: end - 1] if data[end - 1] == 0xFF else data[:end]


def twelve_bits(marker: int = 0xC1, precision: int = 12, height: int = 16) -> bytes:
    """The beginning of a JPEG whose frame has this marker and precision; enough to tell its kind."""
    frame = struct.pack(">BBHBHHBBBB", 0xFF, marker, 11, precision, height, 16, 1, 1, 0x11, 0)
    table = b"\xff\xdb\x00\x43\x00" + b"\x01" * 64
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + b"\x12\x34" * 20
    return b"\xff\xd8" + table + frame + scan + b"\xff\xd9"

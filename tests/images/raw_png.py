"""PNG files of any shape, also of shapes that Pillow does not write."""

import struct
import zlib


def png(width, height, depth, colors, rows, *chunks):
    """A PNG file written by hand: Pillow writes neither 16-bit RGB nor late chunks."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colors, 0, 0, 0)), *chunks]
    parts.append((b"IDAT", zlib.compress(b"".join(b"\x00" + row for row in rows))))
    parts.append((b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body

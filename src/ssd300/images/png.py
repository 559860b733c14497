"""The chunks of a PNG file: only those with pixels go to the decoder.

A decoder that checks every chunk refuses valid pictures for a long comment, a large color profile or a wrong checksum
in either. Orientation, the only other information needed, is read here.
"""

import struct
import zlib
from collections.abc import Iterator

from ssd300 import limits

_SIGNATURE_BYTES = 8
_DEEP_RGB = (16, 2)  # bits, color type


def drop_ancillary(data: bytes) -> bytes:
    """The file without its ancillary chunks, except a valid transparent color (tRNS) in the form that Pillow compares.

    That of 16-bit RGB is left out, too: see `deep_transparent_color`.
    """
    kept, depth, colors = [data[:_SIGNATURE_BYTES]], 0, -1
    for kind, start, end in _chunks(data):
        if kind == b"IHDR" and end - start >= 22:
            depth, colors = data[start + 16 : start + 18]
        if kind == b"tRNS":
            if _is_transparent_color(data, start, end, colors) and (depth, colors) != _DEEP_RGB:
                kept.append(_scaled_gray(data[start + 8 : end - 4], depth) if colors == 0 else data[start:end])
        elif not kind[:1].islower():
            kept.append(data[start:end])
    return data if sum(map(len, kept)) == len(data) and depth >= 8 else b"".join(kept)


def deep_transparent_color(data: bytes) -> tuple[int, int, int] | None:
    """The transparent color of a 16-bit RGB file, if it has one. Pillow compares one byte of each of its numbers."""
    if tuple(data[24:26]) != _DEEP_RGB:
        return None
    for kind, start, end in _chunks(data):
        if kind == b"tRNS" and _is_transparent_color(data, start, end, 2):
            return struct.unpack_from(">3H", data, start + 8)
    return None


def _is_transparent_color(data: bytes, start: int, end: int, colors: int) -> bool:
    body = end - start - 12
    right = {0: body == 2, 2: body == 6, 3: 0 < body <= 256}.get(colors, False)
    return right and _is_sound(data, start, end)


def _is_sound(data: bytes, start: int, end: int) -> bool:
    return zlib.crc32(data[start + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")


def _scaled_gray(body: bytes, depth: int) -> bytes:
    """A tRNS chunk for gray of 2 or 4 bits, which Pillow widens to 8 bits before it compares; others as they are."""
    value = int.from_bytes(body, "big")
    if depth in (2, 4):
        value = (value & (2**depth - 1)) * 255 // (2**depth - 1)
    chunk = b"tRNS" + value.to_bytes(2, "big")
    return struct.pack(">I", 2) + chunk + struct.pack(">I", zlib.crc32(chunk))


def exif_and_xmp(data: bytes) -> tuple[bytes | None, bytes | None]:
    """The last EXIF block (of eXIf, else as ImageMagick writes it into text) and the last XMP packet, as in Pillow."""
    exif = raw = xmp = None
    for kind, start, end in _chunks(data):
        if kind not in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"):
            continue
        body = data[start + 8 : end - 4]
        if kind == b"eXIf":
            exif = body
        else:
            keyword, _, text = body.partition(b"\0")
            if keyword == b"XML:com.adobe.xmp" and kind == b"iTXt":
                xmp = _international_text(text)
            elif keyword == b"Raw profile type exif":
                raw = _decode_hexadecimal(_decompress(text[1:]) if kind == b"zTXt" else text)
    return exif or raw, xmp


def is_filled_up(data: bytes) -> bool:
    """Whether a file without an end has pixels with a wrong checksum, such as the zeros of an interrupted download."""
    chunks = list(_chunks(data))
    if any(kind == b"IEND" for kind, _, _ in chunks):
        return False
    return not all(_is_sound(data, start, end) for kind, start, end in chunks if kind == b"IDAT")


def unread_kind(data: bytes) -> str | None:
    """The name of the kind of a valid PNG that is not supported; None for the usual one."""
    return "a PNG in Apple's own form (CgBI), as in iPhone apps" if data[12:16] == b"CgBI" else None


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start, end) of every chunk with its length and checksum; the last one may be truncated."""
    position = _SIGNATURE_BYTES
    while position + 8 <= len(data):
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        if not kind.isalnum():  # no chunk, but other data
            return
        yield kind, position, min(end, len(data))
        if kind == b"IEND":
            return
        position = end


def _international_text(text: bytes) -> bytes:
    """The text of an iTXt chunk, behind two flags, a language and the keyword in it."""
    flag, rest = text[:1], text[2:].split(b"\0", 2)
    if len(rest) < 3:
        return b""
    return _decompress(rest[2]) if flag == b"\x01" else rest[2]


def _decompress(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, limits.PNG_TEXT)
    except zlib.error:
        return b""


def _decode_hexadecimal(text: bytes) -> bytes:
    """Decode the hexadecimal text that ImageMagick writes after three lines of its own."""
    try:
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except ValueError:
        return b""

"""The structure of a JPEG file: where its first picture ends, and whether it is complete.

Decoders differ in what they tolerate. Viewers show a file without an end marker, or with a video after the picture; and
a truncated file with an added end marker looks complete to a decoder, which fills the rest with gray.
"""

import re
from collections.abc import Iterator

import simplejpeg

_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]|\0\0\0[\x08-\x40]ftyp")  # a marker, or a phone's video
_FRAMES = (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_LOSSLESS = (0xC3, 0xC7, 0xCB, 0xCF)
_HIERARCHICAL = (0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF)
_SEQUENTIAL = (0xC0, 0xC1)
_PROGRESSIVE = (0xC2, 0xCA)
_SCAN, _END = 0xDA, 0xD9


def may_be_lossless(data: bytes) -> bool:
    """Whether the file may have a lossless frame. libjpeg-turbo crashes when it decodes one at a reduced scale."""
    return b"\xff\xc3" in data or b"\xff\xcb" in data  # the two supported ones; no segment can hide one


def extract_picture(data: bytes) -> tuple[bytes, bool]:
    """Only the first picture of a file: its segments and scans, without bytes between or after them, and an end marker.

    Also whether the file itself has that end marker.
    """
    pieces, closed = [b"\xff\xd8"], False
    for marker, start, end in jpeg_parts(data):
        pieces.append(_strip_zeros(data[start:end]) if marker == _SCAN else data[start:end])
        closed = data[end : end + 2] == b"\xff\xd9"
    return b"".join((*pieces, b"\xff\xd9")), closed


def _strip_zeros(scan: bytes) -> bytes:
    """Remove trailing zeros of an interrupted download: the last bits of a scan are ones."""
    own = scan.rstrip(b"\0")
    return scan if len(scan) - len(own) < 16 else own + b"\0" * own.endswith(b"\xff")


def is_cut(tidy: bytes, closed: bool) -> bool:
    """Whether a file from `extract_picture` is incomplete: the scan ends early, or a color has no scan.

    Its size must have been checked. Undecidable cases count as complete, and the decoder decides; but not in a file
    without an end marker (`closed`) of its own.
    """
    lossless = may_be_lossless(tidy)
    wanted = next((_components(tidy[start:end]) for marker, start, end in jpeg_parts(tidy) if marker in _FRAMES), set())
    if not wanted <= _scanned(tidy) or not (closed or _is_sharp(tidy)):
        return True
    colors = "CMYK" if len(wanted) == 4 else "RGB" if lossless and len(wanted) == 3 else "GRAY"
    scale = {} if lossless else {"min_height": 1, "min_width": 1, "min_factor": 8}
    try:  # at an eighth of its size: the whole scan is read with little memory
        simplejpeg.decode_jpeg(tidy, colors, **scale)
    except (ValueError, KeyError) as error:
        message = str(error)
        return "premature end of data segment" in message or not (closed or "before marker 0xd9" in message)
    return False


def _is_sharp(tidy: bytes) -> bool:
    """Whether the scans of a progressive file hold every coefficient of every color to its last bit.

    A download may stop between two scans; with an end marker, a file may be meant to be less sharp.
    """
    missing: set[tuple[int, int]] = set()
    for marker, start, end in jpeg_parts(tidy):
        part = tidy[start:end]
        if marker in _PROGRESSIVE:
            missing = {(color, number) for color in _components(part) for number in range(64)}
        elif marker == _SCAN and missing and len(part) > 4 + 2 * part[4] + 3:
            first, last, bits = part[5 + 2 * part[4] : 8 + 2 * part[4]]
            if bits & 15 == 0:
                missing -= {(color, n) for color in part[5 : 5 + 2 * part[4] : 2] for n in range(first, last + 1)}
    return not missing


def lacks_color(data: bytes) -> bool:
    """Whether a color has no scan: a decoder leaves it out without a complaint if there is an end marker.

    Only files whose first scan has not all colors are searched.
    """
    first = {marker: data[start:end] for marker, start, end in jpeg_parts(data, headers_alone=True)}
    wanted = next((_components(part) for marker, part in first.items() if marker in _FRAMES), set())
    if _SCAN not in first or wanted <= _scan_components(first[_SCAN], lossless=True):
        return False
    return not wanted <= _scanned(data)


def _scanned(data: bytes) -> set[int]:
    """The ids of the components that have a scan."""
    lossless = may_be_lossless(data)
    scans = (data[start:end] for marker, start, end in jpeg_parts(data) if marker == _SCAN)
    return set().union(*(_scan_components(scan, lossless=lossless) for scan in scans))


def unread_kind(data: bytes) -> str | None:
    """The name of the kind of a valid JPEG that is not supported; None for the usual kinds."""
    for marker, start, end in jpeg_parts(data):
        if marker == 0xF7:
            return "a JPEG-LS picture"
        if marker not in _FRAMES or end < start + 10:
            continue
        precision, height = data[start + 4], int.from_bytes(data[start + 5 : start + 7], "big")
        components = data[start + 9]
        if marker in _HIERARCHICAL:
            return "a hierarchical JPEG"
        if marker in _LOSSLESS:
            return f"a lossless JPEG of {precision} bits"
        if precision != 8:
            return f"a {precision}-bit JPEG"
        if components not in (1, 3, 4):
            return f"a JPEG of {components} components"
        return None if height else "a JPEG with its height after the picture (DNL)"
    return None


def jpeg_parts(data: bytes, *, headers_alone: bool = False) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of every segment, a scan with its data; up to the end marker or the first invalid byte.

    `headers_alone`: up to the header of the first scan, which takes microseconds.
    """
    position, components, scanned, complete = 2, b"", False, False
    while (position := data.find(b"\xff", position)) >= 0 and position + 4 <= len(data):
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        tables_end = marker == _END and not scanned  # a picture follows
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8 or tables_end:  # without a length, or no marker
            position += 2
            continue
        end = position + 2 + max(2, int.from_bytes(data[position + 2 : position + 4], "big"))
        if complete or marker == _END or end > len(data):
            return
        if scanned and not _is_part(marker, data[position + 4 : end], data[end : end + 1]):
            return
        if marker in _SEQUENTIAL:
            components = data[position + 9 : position + 10]
        elif marker == _SCAN:
            if headers_alone:
                yield marker, position, end
                return
            scanned, complete = True, data[position + 4 : position + 5] == components
            match = _SCAN_END.search(data, end)
            end = match.start() if match else len(data)
        yield marker, position, end
        position = end


def _is_part(marker: int, payload: bytes, behind: bytes) -> bool:
    """Whether a segment after a scan belongs to the picture, and is not part of other data after it."""
    if marker == _SCAN:
        return len(payload) > 0 and 1 <= payload[0] <= 4 and len(payload) == 4 + 2 * payload[0]
    if behind != b"\xff":
        return False
    if marker == 0xCC:  # of arithmetic coding
        return len(payload) > 0 and len(payload) % 2 == 0
    if marker == 0xC4:
        return _are_huffman_tables(payload)
    if marker == 0xDB:
        return len(payload) > 0 and (len(payload) % 65 == 0 or len(payload) % 129 == 0)
    return (marker in (0xDC, 0xDD) and len(payload) == 2) or marker == 0xFE or 0xE0 <= marker <= 0xEF


def _are_huffman_tables(payload: bytes) -> bool:
    position = 0
    while position + 17 <= len(payload):
        if payload[position] >> 4 > 1 or payload[position] & 15 > 3:
            return False
        position += 17 + sum(payload[position + 1 : position + 17])
    return position == len(payload) > 0


def _components(frame: bytes) -> set[int]:
    """The ids of a frame's components; the frame begins at its marker."""
    return set(frame[10 : 10 + 3 * frame[9] : 3]) if len(frame) > 9 else set()


def _scan_components(scan: bytes, *, lossless: bool) -> set[int]:
    """The ids of the components whose DC coefficients a scan has, or all; the scan begins at its marker."""
    ids = scan[5 : 5 + 2 * scan[4] : 2] if len(scan) > 4 else b""
    return set(ids) if lossless or scan[5 + 2 * len(ids) : 6 + 2 * len(ids)] == b"\0" else set()

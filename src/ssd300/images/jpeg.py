"""The structure of a JPEG file: where its first picture ends, and whether it is complete.

Decoders differ in what they tolerate. Viewers show a file without an end marker, or with a video after the picture; and
a truncated file with an added end marker looks complete to a decoder, which fills the rest with gray.
"""

import re
from collections.abc import Iterator

import numpy as np
import simplejpeg

_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]|\0\0\0[\x08-\x40]ftyp")  # a marker, or a phone's video
_FRAMES = (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_LOSSLESS = (0xC3, 0xC7, 0xCB, 0xCF)
_HIERARCHICAL = (0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF)
_TEXT = bytes(range(32, 127)) + b"\t\r\n"
_SEQUENTIAL = (0xC0, 0xC1)
_PROGRESSIVE = (0xC2, 0xCA)
_SCAN, _END, _INTERVAL = 0xDA, 0xD9, 0xDD


def may_be_lossless(data: bytes) -> bool:
    """Whether the file may have a lossless frame. libjpeg-turbo crashes when it decodes one at a reduced scale."""
    return b"\xff\xc3" in data or b"\xff\xcb" in data  # the two supported ones; no segment can hide one


def extract_picture(data: bytes) -> tuple[bytes, bool]:
    """Only the first picture of a file: its segments and scans, without bytes between or after them, and an end marker.

    Also whether the file itself has that end marker.
    """
    pieces, closed = [b"\xff\xd8"], False
    for marker, start, end in jpeg_parts(data):
        pieces.append(_strip_padding(data[start:end]) if marker == _SCAN else data[start:end])
        closed = data[end : end + 2] == b"\xff\xd9"
    return b"".join((*pieces, b"\xff\xd9")), closed


def _strip_padding(scan: bytes) -> bytes:
    """Remove trailing zeros of an interrupted download: the last bits of a scan are ones. And a text of an error."""
    text = len(scan) - len(scan.rstrip(_TEXT))
    if text > 64:  # its first bytes may be the scan's
        scan = scan[: 16 - text]
    own = scan.rstrip(b"\0")
    return scan if len(scan) - len(own) < 16 else own + b"\0" * own.endswith(b"\xff")


def is_padded(data: bytes) -> bool:
    """Whether zeros come before the end marker: a decoder may take them for the rest of the picture."""
    return data[-18:] == bytes(16) + b"\xff\xd9"


def is_cut(tidy: bytes, closed: bool) -> bool:
    """Whether a file from `extract_picture`, without metadata, is incomplete: a scan ends early, or a color has none.

    Its size must have been checked. Undecidable cases count as complete, and the decoder decides; but not in a file
    without an end marker (`closed`) of its own.
    """
    lossless = may_be_lossless(tidy)
    wanted = next((_components(tidy[start:end]) for marker, start, end in jpeg_parts(tidy) if marker in _FRAMES), set())
    sharp = _is_sharp(tidy)
    if not wanted <= _scanned(tidy) or not (closed or sharp) or (not lossless and _lacks_restarts(tidy)):
        return True
    colors = "CMYK" if len(wanted) == 4 else "RGB" if lossless and len(wanted) == 3 else "GRAY"
    scale = {} if lossless else {"min_height": 1, "min_width": 1, "min_factor": 8}
    try:  # at an eighth of its size: the whole scan is read with little memory
        simplejpeg.decode_jpeg(tidy, colors, **scale)
    except (ValueError, KeyError) as error:
        message = str(error)  # only the first warning
        if "premature end of data segment" in message or "found marker 0xd9" in message or not sharp:
            return True
        return not (closed or "before marker 0xd9" in message) or _reads_on(tidy, colors, scale)
    return False


def drop_metadata(tidy: bytes) -> bytes:
    """The picture alone: a warning about its metadata would hide the others."""
    kept = (tidy[a:b] for marker, a, b in jpeg_parts(tidy) if not (0xE0 <= marker <= 0xEF or marker == 0xFE))
    return b"".join((b"\xff\xd8", *kept, b"\xff\xd9"))


def _reads_on(tidy: bytes, colors: str, scale: dict[str, int]) -> bool:
    """Whether a decoder also reads what is put before the end marker: then the scan itself ends too early."""
    longer = tidy[:-2] + bytes(range(1, 255)) * 40 + tidy[-2:]
    try:
        pictures = [simplejpeg.decode_jpeg(data, colors, strict=False, **scale) for data in (tidy, longer)]
    except (ValueError, KeyError):
        return False
    return not np.array_equal(*pictures)


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


def _lacks_restarts(tidy: bytes) -> bool:
    """Whether a scan lacks its last restart markers. Other bytes after a cut look like its data."""
    interval, frame = 0, b""
    for marker, start, end in jpeg_parts(tidy):
        part = tidy[start:end]
        if marker == _INTERVAL:
            interval = int.from_bytes(part[4:6], "big")
        elif marker in _FRAMES:
            frame = part
        elif marker == _SCAN and interval:
            last = -(-_units(frame, part) // interval) - 1  # the number of restarts
            found = re.findall(rb"\xff([\xd0-\xd7])", part)
            missing = last - len(found)  # damage may have taken some; they count from 0 to 7
            if missing > 0 and (not found or found[-1][0] - 0xD0 != (last - 1) % 8 or missing > 7):
                return True
    return False


def _units(frame: bytes, scan: bytes) -> int:
    """The number of MCUs of a scan: blocks of 8x8 of one color, or of all of them together."""
    height, width = int.from_bytes(frame[5:7], "big"), int.from_bytes(frame[7:9], "big")
    sampling = {frame[at]: (frame[at + 1] >> 4, frame[at + 1] & 15) for at in range(10, len(frame) - 2, 3)}
    across, down = (max((factors[axis] for factors in sampling.values()), default=1) for axis in (0, 1))
    own = sampling.get(scan[5], (1, 1)) if scan[4] == 1 else (1, 1)
    return -(-width * own[0] // (8 * max(across, 1))) * -(-height * own[1] // (8 * max(down, 1)))


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

"""Recognize file formats by their first bytes: the seven supported ones, and names of others for messages."""

EXPECTED = "a JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF picture"

_SIGNATURES: tuple[tuple[bytes | tuple[bytes, ...], str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    ((b"GIF87a", b"GIF89a"), "GIF"),
    (b"BM", "BMP"),
    ((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"), "TIFF"),  # the last two are BigTIFF
)
_OTHERS: tuple[tuple[bytes | tuple[bytes, ...], str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"8BPS", "a Photoshop file"),
    (b"\x00\x00\x01\x00", "a Windows icon"),
    (b"\x00\x00\x02\x00", "a Windows cursor or a TGA picture"),
    (b"\x28\x00\x00\x00", "a bitmap without its file header (DIB)"),
    (b"\x0a\x05\x01", "a PCX picture"),
    (b"\x01\xda", "an SGI picture"),
    (b"\x59\xa6\x6a\x95", "a Sun raster picture"),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
    (b"#define ", "an XBM picture, or C source text"),
    (b"/* XPM */", "an XPM picture"),
    (b"farbfeld", "a farbfeld picture"),
    (b"BPG\xfb", "a BPG picture"),
    (b"FLIF", "a FLIF picture"),
    (b"AT&TFORM", "a DjVu document"),
    (b"\x8aMNG", "an MNG animation"),
    (b"\x8bJNG", "a JNG picture"),
    (b"\x89PNG", "a PNG picture whose line breaks were converted, as by a transfer in text mode"),
    ((b"\xff\x0a", b"\x00\x00\x00\x0cJXL "), "a JPEG XL picture"),
    ((b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51"), "a JPEG 2000 picture"),
    (b"II\xbc\x01", "a JPEG XR picture"),
    (b"FUJIFILMCCD-RAW", "a Fujifilm camera raw file (RAF)"),
    ((b"IIRO", b"IIRS", b"MMOR"), "an Olympus camera raw file (ORF)"),
    (b"IIU\x00", "a Panasonic camera raw file (RW2)"),
    (b"FOVb", "a Sigma camera raw file (X3F)"),
    (b"\x00MRM", "a Minolta camera raw file (MRW)"),
    (b"gimp xcf", "a GIMP file"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
    (b"SIMPLE  =", "a FITS file"),
    (b"icns", "a Mac icon"),
    (b"qoif", "a QOI picture"),
    (b"DDS ", "a DDS texture"),
    (b"v/1\x01", "an OpenEXR picture"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"\x93NUMPY", "a NumPy file (pass np.load of it)"),
    (b"version https://git-lfs", "a Git LFS pointer instead of the file (run `git lfs pull`)"),
)
_AVIF = {b"avif", b"avis"}
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1"}
_NETPBM = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7", b"Pf", b"PF")


def picture_format(data: bytes) -> str | None:
    """The name of one of the seven formats, or None for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp" and not _AVIF.isdisjoint(_brands(data)):
        return "AVIF"
    if data[:2] == b"BM" and data[16:18] > b"\0\0":  # a text, or a header of over 65,535 bytes
        return None
    return next((kind for signature, kind in _SIGNATURES if data.startswith(signature)), None)


def describe_bytes(data: bytes) -> str:
    """The format of bytes that are none of the seven, for a message.

    >>> describe_bytes(b"%PDF-1.7")
    'a PDF document'
    """
    for signature, what in _OTHERS:
        if data.startswith(signature):
            return what
    if data[6:14] == b"HEAPCCDR":
        return "a Canon camera raw file (CRW)"
    if data[128:132] == b"DICM":
        return "a DICOM file"
    if data[4:12] == b"ftypcrx ":
        return "a Canon camera raw file (CR3)"
    if data[4:8] == b"ftyp":
        return "an MP4 or QuickTime video" if _HEIC.isdisjoint(_brands(data)) else "a HEIC picture"
    if data[:2] in _NETPBM and (data[2:3].isspace() or data[:4] == b"PF4\n"):
        return "a Netpbm picture"
    if data[-18:-2] == b"TRUEVISION-XFILE":
        return "a TGA picture"
    if data[:4] == b"RIFF":
        return "an AVI video" if data[8:12] == b"AVI " else "a RIFF file of another kind than WebP"
    return _describe_text(data)


def _describe_text(data: bytes) -> str:
    """The kind of a text that came in place of a picture, or how the bytes begin."""
    start = data[:200].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "an HTML page, not a picture"
    if b"<svg" in data[:1000].lower():
        return "an SVG drawing"
    if start.startswith((b"<?xml", b"<error", b'{"')):
        return "a text in XML or JSON, not a picture"
    if data.lstrip().startswith((b"/9j/", b"iVBORw0KGgo", b"R0lGOD", b"UklGR", b"data:image/")):
        return "a picture as base64 text (pass base64.b64decode of it)"
    return f"not a picture (it starts with {data[:8]!r})"


def _brands(data: bytes) -> tuple[bytes, ...]:
    """The major brand of an ISO media file, and the compatible ones."""
    end = min(int.from_bytes(data[:4], "big"), len(data), 256)
    return (data[8:12], *(data[i : i + 4] for i in range(16, end, 4)))

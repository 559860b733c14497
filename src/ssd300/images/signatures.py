"""Recognize file formats by their first bytes: the seven supported ones, and names of others for messages."""

_FORMATS = ("JPEG", "PNG", "WebP", "AVIF", "GIF", "BMP", "TIFF")
EXPECTED = "a JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF picture"

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),  # BigTIFF
    (b"MM\x00+", "TIFF"),
)
_OTHERS = (
    (b"%PDF", "a PDF document"),
    (b"8BPS", "a Photoshop file"),
    (b"\x00\x00\x01\x00", "a Windows icon"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"II\xbc\x01", "a JPEG XR picture"),
    (b"FUJIFILMCCD-RAW", "a Fujifilm camera raw file (RAF)"),
    (b"IIRO", "an Olympus camera raw file (ORF)"),
    (b"IIRS", "an Olympus camera raw file (ORF)"),
    (b"MMOR", "an Olympus camera raw file (ORF)"),
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
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"\x93NUMPY", "a NumPy file (pass np.load of it)"),
    (b"version https://git-lfs", "a Git LFS pointer instead of the file (run `git lfs pull`)"),
)
_NETPBM = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf", b"PF")


def picture_format(data: bytes) -> str | None:
    """One of FORMATS, or None for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis"):
        return "AVIF"
    if data[4:8] == b"ftyp" and data[8:12] in (b"mif1", b"msf1") and b"avif" in _brands(data):
        return "AVIF"
    return next((kind for signature, kind in _SIGNATURES if data.startswith(signature)), None)


def describe_bytes(data: bytes) -> str:
    """The format of bytes that are not one of FORMATS, for a message.

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
        heic = any(
            brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1")
            for brand in (data[8:12], *_brands(data))
        )
        return "a HEIC picture" if heic else "an MP4 or QuickTime video"
    if data[:2] in _NETPBM and data[2:3].isspace():
        return "a Netpbm picture"
    start = data[:200].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "an HTML page, not a picture"
    if b"<svg" in data[:1000].lower():
        return "an SVG drawing"
    return f"not a picture (it starts with {data[:8]!r})"


def _brands(data: bytes) -> tuple[bytes, ...]:
    """The compatible brands of an ISO media file."""
    end = min(int.from_bytes(data[:4], "big"), len(data), 256)
    return tuple(data[i : i + 4] for i in range(16, end, 4))

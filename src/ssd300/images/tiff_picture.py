"""Choose how to read a TIFF file: which picture, with Pillow or NumPy, and the name of unsupported kinds."""

import io
from dataclasses import dataclass

from ssd300.digits import counted
from ssd300.errors import ImageError
from ssd300.images import tiff, tiff_samples
from ssd300.images.modes import DECODER_ERRORS
from ssd300.images.orientation import orientation_of
from ssd300.images.tiff import BrokenTIFFError, Directory
from ssd300.images.tiff_samples import Layout

RAW = "a camera raw file, which is not supported: convert it to TIFF or JPEG, for example with darktable"


@dataclass(frozen=True)
class TIFFPicture:
    """The full picture of a file: `content` is for Pillow; `layout` is for NumPy, None if it cannot read it.

    `orientation` is 1 to 8, `color_map` the reds, greens and blues of its palette.
    """

    content: bytes
    directory: Directory | None = None  # None: its structure is invalid, and Pillow reports the error
    layout: Layout | None = None
    for_numpy: bool = False  # read with NumPy instead of Pillow
    orientation: int = 1
    color_map: tuple[int, ...] = ()


def tiff_picture(data: bytes, name: str) -> TIFFPicture:
    """Choose how to read a file. Raises ImageError for a camera's raw data."""
    if tiff.is_camera_raw(data):
        raise ImageError(f"{name}: {RAW}")
    try:
        directory = tiff.full_picture(data)
        layout = tiff_samples.layout_of(directory)
        content = tiff.move_to_front(directory)
        orientation, colors = _orientation(directory), directory.numbers(tiff.COLOR_MAP)
    except BrokenTIFFError:
        return TIFFPicture(data)
    needed = _has_bands(directory) or _is_subsampled(directory)
    if layout is not None:
        needed = needed or tiff_samples.is_needed(layout) or not _is_known_to_pillow(content)
    return TIFFPicture(content, directory, layout, needed, orientation, colors)


def _orientation(directory: Directory) -> int:
    """1 to 8 as Pillow turns it: by the tag, unless it is of bytes, else by XMP."""
    if tiff.ORIENTATION in directory.entries:
        is_number = directory.entries[tiff.ORIENTATION][0] not in (1, 7)
        value = directory.number(tiff.ORIENTATION, 1)
        return value if is_number and 1 <= value <= 8 else 1
    return orientation_of(None, directory.raw(tiff.XMP)[2] if tiff.XMP in directory.entries else None)


def _has_bands(directory: Directory) -> bool:
    """Whether it has bands without colors: Pillow reads the first as gray if they are in planes, and refuses others."""
    return directory.number(tiff.SAMPLES_PER_PIXEL, 1) > 2 and directory.number(tiff.PHOTOMETRIC) in (0, 1)


def _is_subsampled(directory: Directory) -> bool:
    """Whether subsampled colors are uncompressed: Pillow would read them as full size."""
    if directory.number(tiff.PHOTOMETRIC) != 6 or directory.number(tiff.COMPRESSION, 1) != 1:
        return False
    stored = sum(directory.numbers(tiff.STRIP_COUNTS) or directory.numbers(tiff.TILE_COUNTS))
    # Some programs write full size with the wrong tag.
    full = 3 * directory.number(tiff.WIDTH) * directory.number(tiff.HEIGHT)
    return directory.numbers(tiff.SUBSAMPLING)[:2] != (1, 1) and stored < full


def unread_kind(data: bytes) -> str | None:
    """The name of the kind of a valid TIFF that is not supported; None for others."""
    try:
        directory = tiff.full_picture(data)
        starts = directory.numbers(tiff.STRIP_OFFSETS) or directory.numbers(tiff.TILE_OFFSETS)
        sizes = directory.numbers(tiff.STRIP_COUNTS) or directory.numbers(tiff.TILE_COUNTS)
        within = len(starts) == len(sizes) > 0 and all(a + n <= len(data) for a, n in zip(starts, sizes, strict=True))
        if not within or tiff_samples.layout_of(directory):
            return None
        compression = directory.number(tiff.COMPRESSION)
        ycbcr = directory.number(tiff.PHOTOMETRIC) == 6 and compression in tiff_samples.COMPRESSIONS
        rare = compression == 50001 or ycbcr or (compression in (6, 7) and directory.number(tiff.BITS) > 8)
        if not rare and not _has_bands(directory) and _is_known_to_pillow(tiff.move_to_front(directory)):
            return None
    except BrokenTIFFError:
        return None
    return _describe(directory)


def _is_known_to_pillow(content: bytes) -> bool:
    from PIL.TiffImagePlugin import TiffImageFile

    try:
        TiffImageFile(io.BytesIO(content))
    except DECODER_ERRORS:
        return False
    return True


def _describe(directory: Directory) -> str:
    """The kind of a directory's samples, for a message: '5 bands of 8 bits in LERC compression'."""
    names = {
        6: "old JPEG", 7: "JPEG", 33003: "JPEG 2000", 33005: "JPEG 2000", 34712: "JPEG 2000", 34887: "LERC",
        34926: "LERC", 34933: "PNG", 34934: "JPEG XR", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
    }  # fmt: skip
    bits, channels = directory.number(tiff.BITS, 1), directory.number(tiff.SAMPLES_PER_PIXEL, 1)
    kind = {2: " signed", 3: " float", 5: " complex", 6: " complex"}.get(directory.number(tiff.SAMPLE_FORMAT, 1), "")
    compression = directory.number(tiff.COMPRESSION, 1)
    name = names.get(compression, f"an unknown ({compression})")
    packed = "" if compression in tiff_samples.COMPRESSIONS else f" in {name} compression"
    photometric = directory.number(tiff.PHOTOMETRIC)
    colors = "YCbCr" if photometric == 6 else f"photometric {photometric}"
    return f"a TIFF of {counted(channels, 'band')} of {bits}{kind} bits ({colors}){packed}"

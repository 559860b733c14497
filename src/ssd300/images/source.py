"""The user's argument -> single sources -> RGB uint8 arrays.

A source is a path, an http(s) address, "-" (standard input), bytes, a binary file object, a PIL picture, a numpy array
or a torch tensor; `expand` also takes directories, globs and lists of all these.
"""

import errno
import glob
import os
import stat
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from ssd300.arrays import UInt8
from ssd300.errors import ImageError
from ssd300.files import current_folder, looked_from
from ssd300.images import arrays
from ssd300.images.addresses import foreign_fault, is_url, local_path, shown_address
from ssd300.images.decode import DecodeMode, decode_image, header
from ssd300.images.folders import EXTENSIONS, FoundPictures, pictures_of
from ssd300.images.modes import reason
from ssd300.images.streams import check_bytes, read_pipe, read_stream
from ssd300.images.video_names import is_video
from ssd300.terminal import as_argument

_KINDS = "a path, an http(s) address, bytes, a binary file object, a PIL picture, a numpy array or a torch tensor"

Tell = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Source:
    """One picture to read: the user's value, and its name in messages and results."""

    value: Any
    name: str


class Readable(Protocol):
    """A source that reads itself, such as a data set's `Picture`; used by `read_picture`."""

    @property
    def name(self) -> str:
        """Its name in messages and results."""
        ...

    def read_pixels(
        self, *, decode: DecodeMode = "exact", scratch: UInt8 | None = None
    ) -> tuple[UInt8, tuple[int, int]]:
        """As `read_picture`: RGB uint8 [H, W, 3], upright, and the (H, W) of the original."""
        ...


def name_of(value: Any) -> str:
    """The name of a single source: its path or address, or a description.

    >>> name_of(np.zeros((480, 640, 3), np.uint8))
    '<array 480x640>'
    """
    if isinstance(value, Source):
        return value.name
    if hasattr(value, "read_pixels"):
        return str(value.name)
    if isinstance(value, str | os.PathLike):
        text = os.fsdecode(value)
        return "<stdin>" if value == "-" else f"{text[:30]}..." if text.startswith("data:") else shown_address(text)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, np.ndarray) or arrays.is_array_like(value):
        return f"<array {arrays.shape_text(value)}>"
    if isinstance(value, Image.Image):
        return str(getattr(value, "filename", "") or f"<PIL picture {value.height}x{value.width}>")
    if arrays.is_tensor(value):
        return f"<tensor {arrays.shape_text(value)}>"
    file_name = getattr(value, "name", None)
    return file_name if isinstance(file_name, str) else f"<{type(value).__name__}>"


def expand(sources: Any, *, tell: Tell = warnings.warn) -> Iterator[Source]:
    """Every single source in `sources`, in a stable order: lists as given, directories and globs sorted by name.

    Directories give their files with a picture's extension (without sub-folders and hidden files), a glob its matches
    (see `folders.pictures_of`), a 4-D array or tensor its pictures, an array of texts its paths. A source without
    pictures is yielded unchanged: opening it raises an ImageError with the reason, so that in a batch it is one failure
    among others. `tell` is called with a message about skipped files.
    """
    is_list = isinstance(sources, Iterable) and not _is_single(sources)
    for source in sources if is_list else [sources]:
        yield from _expand_single(source, tell)


def _is_single(value: Any) -> bool:
    known = (str, os.PathLike, bytes, bytearray, memoryview, np.ndarray, Image.Image, Source, dict)
    return isinstance(value, known) or arrays.is_tensor(value) or arrays.is_array_like(value) or hasattr(value, "read")


def _expand_single(value: Any, tell: Tell) -> Iterator[Source]:
    if isinstance(value, Source):
        yield value
    elif isinstance(value, str | os.PathLike) and value != "-" and not is_url(value):
        found = _find_pictures(os.fsdecode(value))
        if found.paths and found.skipped:
            tell(f"{name_of(value)}: {found.skipped}")
        yield from (Source(path, path) for path in found.paths) if found.paths else [Source(value, name_of(value))]
    elif isinstance(value, np.ndarray) and value.dtype.kind in "UO" and value.ndim < 2:
        # Paths, or pictures of different sizes.
        for one in value.ravel().tolist():
            yield from _expand_single(one, tell)
    elif (isinstance(value, np.ndarray) or arrays.is_tensor(value)) and value.ndim == 4:
        yield from (Source(one, name_of(one)) for one in value)
    else:
        yield Source(arrays.current_frame(value) if isinstance(value, Image.Image) else value, name_of(value))


def _find_pictures(text: str) -> FoundPictures:
    try:
        return pictures_of(local_path(text))
    except ImageError:  # reported when it is opened
        return FoundPictures()


def open_source(source: Any, *, color: str = "rgb", decode: DecodeMode = "exact") -> UInt8:
    """A single source -> RGB uint8 [H, W, 3], upright, in the original's pixels (fewer with decode="fast").

    `color` ("rgb" or "bgr") is the channel order of arrays and tensors, not of files and PIL pictures. The array may
    share memory with one that was passed in. Raises ImageError, DownloadError.
    """
    return read_picture(source, color=color, decode=decode)[0]


def read_picture(
    source: Any, *, color: str = "rgb", decode: DecodeMode = "exact", scratch: UInt8 | None = None
) -> tuple[UInt8, tuple[int, int]]:
    """As `open_source`, and the (H, W) of the original, which "fast" may shrink. `scratch`: see `decode_image`."""
    name = name_of(source)
    value = source.value if isinstance(source, Source) else source
    if hasattr(value, "read_pixels"):
        readable: Readable = value
        return readable.read_pixels(decode=decode, scratch=scratch)
    value = arrays.foreign_to_array(value, name)
    if isinstance(value, np.ndarray) and value.dtype.kind in "UO" and value.ndim < 2:
        if value.size != 1:
            raise ImageError(f"{name}: an array of {value.size} sources where one is expected; use detect_many")
        value = value.ravel().tolist()[0]
    if isinstance(value, np.ndarray):
        rgb = arrays.array_to_rgb(value, name, color=color)
    elif isinstance(value, Image.Image):
        rgb = arrays.upright_rgb(value, name)
    else:
        data = read_bytes(value, name)
        rgb = decode_image(data, name=name, decode=decode, scratch=scratch)
        if decode == "fast":
            return rgb, header(data, name=name).size_hw
    return rgb, rgb.shape[:2]


def read_bytes(value: Any, name: str) -> bytes:
    """The bytes of a path, address, "-", bytes-like, binary file object or socket. Raises ImageError, DownloadError."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if is_url(value):
        from ssd300.images.fetch import fetch

        return fetch(value)
    if value == "-" and isinstance(value, str):
        if sys.stdin is None:
            raise ImageError(f"{name}: standard input is closed; pass a path")
        return read_stream(getattr(sys.stdin, "buffer", sys.stdin), name)
    if isinstance(value, str | os.PathLike):
        if not (text := os.fsdecode(value)):
            raise ImageError("'': no such file, the path is empty; check the variable or list that it comes from")
        return _read_path(Path(local_path(text)), name)
    if hasattr(value, "read") or hasattr(value, "recv"):
        return read_stream(value, name)
    if isinstance(value, Iterable) and not isinstance(value, dict):
        raise ImageError(
            f"{name}: several sources where one is expected; pass one of them, or all to detect_many, in one flat list"
        )
    if hasattr(value, "pictures"):
        raise ImageError(f"{name}: a data set where a picture is expected; pass its pictures: dataset.pictures")
    raise ImageError(f"{name}: cannot be read as a picture; expected {_KINDS}")


def _read_path(path: Path, name: str) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(f"{name}: {_directory_fault(path)}")
        if stat.S_ISFIFO(status.st_mode):
            return read_pipe(str(path), name)
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{name}: a device or socket, not a file; pipe the picture to '-' instead")
        check_bytes(status.st_size, name)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(f"{name}: {_missing_fault(path)}") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        text = getattr(error, "strerror", None) or reason(error)
        if isinstance(error, OSError) and error.errno == errno.ELOOP:
            text = f"a loop of links: {text}"
        raise ImageError(f"{name}: {foreign_fault(str(path)) or f'cannot be read ({text})'}") from error


def _directory_fault(path: Path) -> str:
    if pictures_of(str(path)).paths:
        return "a directory where one picture is expected; pass its files, or use detect_many"
    names = os.listdir(path)
    others = sorted({os.path.splitext(n)[1].lower() or n for n in names})[:5]
    entries = "entry" if len(names) == 1 else "entries"
    found = f"{len(names)} {entries} ({', '.join(others)})" if names else "an empty directory"
    ending = next((os.path.splitext(name)[1] for name in names if is_video(path / name)), "")
    folder = glob.escape(str(path))
    videos = f"; for videos pass {as_argument(f'{folder}/*{ending}')} there" if ending else ""
    return (
        f"no pictures here: {found}; expected files with {', '.join(EXTENSIONS)}. "
        f"For sub-folders pass a glob such as {as_argument(f'{folder}/**/*')}, or -r where the command has it{videos}"
    )


def _missing_fault(path: Path) -> str:
    if path.is_symlink():
        return f"a dead link to {os.readlink(path)}, which does not exist; restore the target or remove the link"
    if fault := foreign_fault(str(path)):
        return fault
    if glob.has_magic(str(path)):
        found = pictures_of(str(path))
        if found.paths:
            return "a pattern where one picture is expected; pass one of its files, or use detect_many"
        if found.skipped:
            return f"no picture matches this pattern ({found.skipped}); expected files with {', '.join(EXTENSIONS)}"
        return f"no file matches this pattern (looked from {current_folder()}); check it, or quote it in the shell"
    return f"no such file{looked_from(path)}; check the path"

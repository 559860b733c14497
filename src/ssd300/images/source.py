"""What the user passed -> single sources -> RGB uint8 arrays.

A source is a path, an http(s) address, "-" (standard input), bytes, a binary file object, a PIL picture, a numpy array
or a torch tensor; `expand` also takes directories, globs and lists of all these.
"""

import glob
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ssd300.arrays import UInt8
from ssd300.errors import ImageError
from ssd300.images.arrays import array_to_rgb, is_tensor, shape_text, tensor_to_array
from ssd300.images.decode import DecodeMode, decode_image, size_hw
from ssd300.images.extensions import EXTENSIONS, has_picture_extension
from ssd300.images.modes import reason, upright_rgb

MAX_FILE_BYTES = 2**30
KINDS = "a path, an http(s) address, bytes, a binary file object, a PIL picture, a numpy array or a torch tensor"


@dataclass(frozen=True, eq=False)
class Source:
    """One picture to be read: what the user gave, and the name that messages and results call it by."""

    value: Any
    name: str


def name_of(value: Any) -> str:
    """The name of a single source: its path or address, or what it is.

    >>> name_of(np.zeros((480, 640, 3), np.uint8))
    '<array 480x640>'
    """
    if isinstance(value, Source):
        return value.name
    if isinstance(value, str | os.PathLike):
        return "<stdin>" if value == "-" else os.fsdecode(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, np.ndarray):
        return f"<array {shape_text(value)}>"
    if isinstance(value, Image.Image):
        return str(getattr(value, "filename", "") or f"<PIL picture {value.height}x{value.width}>")
    if is_tensor(value):
        return f"<tensor {shape_text(value)}>"
    file_name = getattr(value, "name", None)
    return file_name if isinstance(file_name, str) else f"<{type(value).__name__}>"


def expand(sources: Any) -> Iterator[Source]:
    """Every single source in `sources`, in a stable order: lists as given, directories and globs sorted by name.

    Directories give the files in them with a picture's ending (not those of their sub-folders, not hidden ones), a glob
    every file that matches, a 4-D array or tensor its pictures. One that gives nothing is passed on as it is: opening
    it raises the ImageError that says why, so that in a batch it is one failure among others.
    """
    if _is_single(sources):
        yield from _expand_single(sources)
    elif isinstance(sources, Iterable):
        for item in sources:
            yield from _expand_single(item)
    else:
        yield Source(sources, name_of(sources))


def _is_single(value: Any) -> bool:
    known = (str, os.PathLike, bytes, bytearray, memoryview, np.ndarray, Image.Image, Source, dict)
    return isinstance(value, known) or is_tensor(value) or hasattr(value, "read")


def _expand_single(value: Any) -> Iterator[Source]:
    if isinstance(value, Source):
        yield value
    elif isinstance(value, str | os.PathLike) and value != "-" and not _is_url(value):
        paths = _pictures_of(os.fsdecode(value))
        yield from (Source(path, path) for path in paths) if paths else [Source(value, name_of(value))]
    elif (isinstance(value, np.ndarray) or is_tensor(value)) and value.ndim == 4:
        yield from (Source(one, name_of(one)) for one in value)
    else:
        yield Source(value, name_of(value))


def _pictures_of(path: str) -> list[str]:
    """The pictures of a directory or a glob, sorted; empty for anything else, and for a directory that is locked."""
    if os.path.isdir(path):
        try:
            with os.scandir(path) as entries:
                names = [e.name for e in entries if _looks_like_picture(e.name) and not e.is_dir()]
        except OSError:
            return []
        return [os.path.join(path, name) for name in sorted(names)]
    if glob.has_magic(path) and not os.path.lexists(path):
        return sorted(found for found in glob.iglob(path, recursive=True) if not os.path.isdir(found))
    return []


def _looks_like_picture(name: str) -> bool:
    return has_picture_extension(name) and not name.startswith(".")


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and value.lower().startswith(("http://", "https://"))


def open_source(
    source: Any, *, color: str = "rgb", decode: DecodeMode = "exact", allow_private: bool | None = None
) -> UInt8:
    """A single source -> RGB uint8 [H, W, 3], upright, in the original's pixels (fewer with decode="fast").

    `color` ("rgb" or "bgr") is the channel order of arrays and tensors; files and PIL pictures know theirs. For
    `allow_private` see `fetch.fetch`. The array may share memory with one that was passed in. Raises ImageError,
    DownloadError.
    """
    return read_picture(source, color=color, decode=decode, allow_private=allow_private)[0]


def read_picture(
    source: Any,
    *,
    color: str = "rgb",
    decode: DecodeMode = "exact",
    allow_private: bool | None = None,
    scratch: UInt8 | None = None,
) -> tuple[UInt8, tuple[int, int]]:
    """As `open_source`, and the (H, W) of the upright original, which decode="fast" may have shrunk.

    `scratch` as in `decode_image`.
    """
    name = name_of(source)
    value = source.value if isinstance(source, Source) else source
    if is_tensor(value):
        value = tensor_to_array(value, name)
    if isinstance(value, np.ndarray):
        rgb = array_to_rgb(value, name, color=color)
    elif isinstance(value, Image.Image):
        rgb = upright_rgb(value, name)
    else:
        data = read_bytes(value, name, allow_private=allow_private)
        rgb = decode_image(data, name=name, decode=decode, scratch=scratch)
        if decode == "fast":
            return rgb, size_hw(data, name=name)
    return rgb, rgb.shape[:2]


def read_bytes(value: Any, name: str, *, allow_private: bool | None = None) -> bytes:
    """The bytes of a path, address, "-", bytes-like or binary file object. Raises ImageError, DownloadError."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if _is_url(value):
        from ssd300.images.fetch import fetch

        return fetch(value, allow_private=allow_private)
    if value == "-" and isinstance(value, str):
        return _read_stream(sys.stdin.buffer, name)
    if isinstance(value, str | os.PathLike):
        return _read_path(Path(os.fsdecode(value)), name)
    if hasattr(value, "read"):
        return _read_stream(value, name)
    raise ImageError(f"{name}: cannot be read as a picture; expected {KINDS}")


def _read_stream(stream: Any, name: str) -> bytes:
    try:
        data = stream.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a closed file
        raise ImageError(f"{name}: cannot be read ({reason(error)})") from error
    if not isinstance(data, bytes):
        raise ImageError(f"{name}: reading gives {type(data).__name__}, not bytes; open the file in binary mode, 'rb'")
    if not data:
        raise ImageError(f"{name}: nothing to read (0 bytes); if the file was read before, call its seek(0)")
    _check_bytes(len(data), name)
    return data


def _read_path(path: Path, name: str) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(f"{name}: {_directory_fault(path)}")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{name}: a device or pipe, not a file; pipe the picture to '-' instead")
        _check_bytes(status.st_size, name)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(f"{name}: {_missing_fault(path)}") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        text = getattr(error, "strerror", None) or reason(error)
        raise ImageError(f"{name}: cannot be read ({text})") from error


def _check_bytes(size: int, name: str) -> None:
    if size > MAX_FILE_BYTES:
        raise ImageError(f"{name}: larger than the {MAX_FILE_BYTES:,} bytes that are read; is it a picture?")


def _directory_fault(path: Path) -> str:
    if _pictures_of(str(path)):
        return "a directory where one picture is expected; pass its files, or use detect_many"
    names = os.listdir(path)
    others = sorted({os.path.splitext(n)[1].lower() or n for n in names})[:5]
    found = f"{len(names)} entries ({', '.join(others)})" if names else "an empty directory"
    return (
        f"no pictures here: {found}; expected files ending in {', '.join(EXTENSIONS)}. "
        f"For sub-folders pass a glob such as '{path}/**/*.jpg'"
    )


def _missing_fault(path: Path) -> str:
    if path.is_symlink():
        return f"a dead link to {os.readlink(path)}, which does not exist; restore the target or remove the link"
    if glob.has_magic(str(path)):
        return f"no file matches this pattern (looked from {Path.cwd()}); check it, or quote it in the shell"
    where = "" if path.is_absolute() else f" (looked from {Path.cwd()})"
    return f"no such file{where}; check the path"

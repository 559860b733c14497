"""What a file is that is no model file: not a regular one, or with the wrong first bytes."""

from pathlib import Path

from ssd300.errors import ModelError

_STARTS = (
    ((b"<!doctype", b"<html", b"<?xml"), "it is a web page, not the file: download it again"),
    ((b"version https://git-lfs",), "it is a Git LFS pointer, not the file itself: run `git lfs pull`"),
    ((b"\x89hdf",), "it is a Keras or HDF5 file, of another kind of network: give an SSD300"),
    ((b"gguf",), "it is a GGUF file, of another kind of network: give an SSD300"),
    ((b"pk\x03\x04", b"\x80"), "it begins as a file of torch.save: name it .pt"),
    ((b"\x1f\x8b", b"rar!", b"7z\xbc"), "it is an archive: unpack it"),
)
_PACKAGES = {"ultralytics": "a YOLO model", "models": "a YOLOv5 model", "mmengine": "a model of OpenMMLab"}


def of_package(name: str) -> str:
    """What a pickle is that refers to a name of another program, in parentheses; empty if it is not known.

    >>> of_package("ultralytics.nn.tasks.DetectionModel"), of_package("os.system")
    (' (a YOLO model, not an SSD300)', '')
    """
    known = _PACKAGES.get(name.split(".")[0])
    return f" ({known}, not an SSD300)" if known else ""


def describe_start(start: bytes) -> str:
    """A clause, with the remedy, on a file that begins with these bytes (16 or more are needed); empty if not known.

    >>> describe_start(b"<!DOCTYPE html>"), describe_start(b"hello")
    ('it is a web page, not the file: download it again', '')
    """
    text = start.lstrip().lower()
    if start[8:10] == b'{"':
        return "it begins as a safetensors file: name it .safetensors"
    return next((what for starts, what in _STARTS if text.startswith(starts)), "")


def check_regular(path: Path, remedy: str, limit: int | None = None) -> None:
    """Raise ModelError for a device, FIFO, socket or folder: reading one may never end. A missing file passes.

    limit: raise it for a file of more bytes, too.
    """
    if path.exists() and not path.is_file():
        raise ModelError(f"{path}: cannot be read: not a regular file; {remedy}")
    if limit is not None and path.exists() and path.stat().st_size > limit:
        raise ModelError(f"{path}: larger than {limit:,} bytes, which no SSD300 is; {remedy}")

"""The errors of ssd300.

    SSD300Error                      base of all
    ├── ArgumentError (ValueError)   a wrong argument: unknown name, value out of range
    ├── ImageError                   a picture or source that cannot be read
    ├── ModelError                   a model or checkpoint file that cannot be used
    ├── DatasetError                 a data set with an error, or none found
    ├── DownloadError                the network failed, or is forbidden (offline)
    ├── OutputError                  a file or folder that cannot be written
    ├── TrainingError                training cannot start or continue
    └── MissingExtraError (ImportError)   an optional part is not installed

Every message names what was given, what was found, what was expected and the remedy.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copyreg import __newobj__  # type: ignore[attr-defined]  # what pickle calls for plain objects
from difflib import get_close_matches
from typing import Any


class SSD300Error(Exception):
    """Base of every error that ssd300 raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        return __newobj__, (type(self), *self.args), self.__dict__  # not through __init__, which may make the message


class ArgumentError(SSD300Error, ValueError):
    """A wrong argument: an unknown name, or a value out of its range."""


class ImageError(SSD300Error):
    """A picture or source that cannot be read."""


class ModelError(SSD300Error):
    """A model or checkpoint file that cannot be used."""


class DatasetError(SSD300Error):
    """A data set with an error, or none found."""


class DownloadError(SSD300Error):
    """The network failed, or is forbidden (offline)."""


class OutputError(SSD300Error):
    """A file or folder that cannot be written."""


class TrainingError(SSD300Error):
    """Training cannot start or continue."""


class MissingExtraError(SSD300Error, ImportError):
    """An optional part of ssd300 is not installed; or it is, and cannot be imported, for the reason `broken`."""

    def __init__(
        self, what: str, extra: str | None = None, *, package: str | None = None, broken: str | None = None
    ) -> None:
        fault = "are not installed" if broken is None else f"cannot be imported ({' '.join(broken.split())[:300]})"
        command = "pip install" if broken is None else "pip install --force-reinstall"
        remedy = package or f'".[{extra}]" in a clone of ssd300'  # double quotes: Windows, too
        super().__init__(f"{what} needs packages that {fault}: {command} {remedy}")
        self.extra = extra


def is_shortage(error: BaseException) -> bool:
    """Whether the system gave no more memory or threads, which is no fault of the input.

    >>> is_shortage(RuntimeError("can't start new thread")), is_shortage(RuntimeError("unknown layer"))
    (True, False)
    """
    words = ("can't start new thread", "bad_alloc", os.strerror(errno.EAGAIN))  # of Python and of C++
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(one in str(error) for one in words)
    )


SHORTAGE = (
    "the system gives no more memory or threads: raise the limits (of ulimit, or of the container's memory and "
    "processes), or use fewer threads"
)


@contextmanager
def needs(what: str, extra: str | None = None, *, package: str | None = None) -> Iterator[None]:
    """Around imports of packages that may not be installed: raises MissingExtraError for an ImportError."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(what, extra, package=package) from error
    except ImportError as error:
        raise MissingExtraError(what, extra, package=package, broken=str(error)) from error


def unknown_name(kind: str, given: object, known: Iterable[str]) -> ArgumentError:
    """The error for an unknown name; unless it is a number, it suggests one or two that contain it, or the nearest one.

    >>> print(unknown_name("backbone", "resnet81", ["resnet18", "resnet34"]))
    unknown backbone 'resnet81': did you mean 'resnet18'? Known: resnet18, resnet34
    >>> print(unknown_name("option", "threshold", ["score_threshold", "iou_threshold"]))
    unknown option 'threshold': did you mean 'score_threshold' or 'iou_threshold'? Known: score_threshold, iou_threshold
    >>> print(unknown_name("class id", "0", ["1", "90"]))
    unknown class id '0': Known: 1, 90
    """
    names = list(known)
    listed = names if len(names) <= 24 else [*names[:20], f"... ({len(names)} in all)"]
    text = str(given)
    near = [name for name in names if len(text) > 2 and text.casefold() in name.casefold()]
    if not 1 <= len(near) <= 2:
        near = get_close_matches(text, names, n=1, cutoff=0.5)
    hint = "" if text.isdecimal() or not near else f"did you mean {' or '.join(map(repr, near))}? "
    return ArgumentError(f"unknown {kind} {given!r}: {hint}Known: {', '.join(listed)}")

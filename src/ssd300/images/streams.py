"""Read streams to their end: file objects, standard input, sockets, pipes."""

import inspect
import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from typing import Any

from ssd300 import limits
from ssd300.errors import ImageError
from ssd300.images.modes import DECODER_ERRORS, reason

MAX_FILE_BYTES = limits.PICTURE_BYTES
WAIT_SECONDS = limits.PIPE_SECONDS

_PIECE_BYTES = 2**20


def read_stream(stream: Any, name: str) -> bytes:
    """All bytes of a binary file object (`read`) or a socket (`recv`). Raises ImageError.

    One `read` may return less than everything: an unbuffered pipe returns what has arrived so far.
    """
    if isinstance(stream, io.TextIOBase):
        raise ImageError(f"{name}: reading gives str, not bytes; open the file in binary mode, 'rb'")
    try:
        data = _join(_pieces(stream, name), name)
    except DECODER_ERRORS as error:  # a closed file, a damaged archive, ...
        raise ImageError(f"{name}: cannot be read ({reason(error)})") from error
    if not data:
        raise ImageError(f"{name}: nothing to read (0 bytes); if the file was read before, call its seek(0)")
    return data


def read_pipe(path: str, name: str) -> bytes:
    """All bytes written to a FIFO, such as the /dev/fd/63 of a shell's <(command). Raises ImageError, OSError.

    The wait is limited, because there may be no writer.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(handle, "rb", buffering=0) as stream:
        _wait(stream, name)
        return read_stream(stream, name)


def check_bytes(size: int, name: str) -> None:
    """Raises ImageError for more bytes than a picture may have."""
    if size > MAX_FILE_BYTES:
        raise ImageError(f"{name}: larger than {MAX_FILE_BYTES:,} bytes, the limit; check that this is a picture")


def _join(pieces: Iterator[bytes], name: str) -> bytes:
    kept: list[bytes] = []
    size = 0
    for piece in pieces:
        kept.append(piece)
        size += len(piece)
        check_bytes(size, name)
    return b"".join(kept)  # which does not copy a single one


def _pieces(stream: Any, name: str) -> Iterator[bytes]:
    read: Callable[..., Any] = stream.read if hasattr(stream, "read") else stream.recv
    try:
        piece = read(_PIECE_BYTES)
    except TypeError:  # a `read` without a size returns everything
        yield _as_bytes(read(), name)
        return
    while True:
        if piece is None:  # a non-blocking stream without data yet
            _wait(stream, name)
        elif data := _as_bytes(piece, name):
            yield data
        else:
            return
        piece = read(_PIECE_BYTES)


def _as_bytes(piece: Any, name: str) -> bytes:
    if isinstance(piece, bytes | bytearray | memoryview):
        return bytes(piece)
    if inspect.iscoroutine(piece):
        piece.close()
        raise ImageError(f"{name}: its read() must be awaited; pass the bytes: `await file.read()`")
    raise ImageError(f"{name}: reading gives {type(piece).__name__}, not bytes; open the file in binary mode, 'rb'")


def _wait(stream: Any, name: str) -> None:
    """Wait until there is something to read, or the other end has closed."""
    if sys.platform == "win32" or not hasattr(stream, "fileno"):  # Windows has no such pipes
        raise ImageError(f"{name}: nothing to read yet (read() returns None); pass the bytes once they have arrived")
    waiting = select.poll()
    waiting.register(stream.fileno(), select.POLLIN)
    if not waiting.poll(WAIT_SECONDS * 1000):
        raise ImageError(
            f"{name}: no data on this pipe for {WAIT_SECONDS:g} seconds; check the program that writes to it"
        )

"""Download a model file: resumable, verified before it is renamed, safe with several processes."""

import http.client
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ssd300 import limits
from ssd300.digits import whole_number
from ssd300.errors import DownloadError, ModelError, OutputError
from ssd300.files import lock_file, publish, refuse_special, sha256_of
from ssd300.weights.lines import LineHandler, Lines, SafeRedirects

TIMEOUT_SECONDS = limits.DOWNLOAD_SILENCE
ANSWER_SECONDS = limits.DOWNLOAD_ANSWER
DOWNLOAD_SECONDS = limits.DOWNLOAD_SECONDS
MAX_MODEL_BYTES = limits.DOWNLOADED_BYTES
PIECE_BYTES = 2**18

DownloadProgress = Callable[[int, int | None], None]  # bytes so far, total bytes if known


def download(
    url: str,
    path: Path,
    *,
    sha256_prefix: str = "",
    verify: Callable[[Path], object] | None = None,
    progress: DownloadProgress | None = None,
) -> str:
    """Download `url` to `path`, which appears only when it is complete and verified; return its sha256.

    An unfinished part of an earlier call is continued if the server still has the same file. If another process
    downloads the same file, wait for it and use its result. An existing file is replaced.

    sha256_prefix: the beginning of the expected sha256.
    verify: called with the finished file before it is renamed; raises ModelError if it is not the expected file.
    Raises DownloadError; an unfinished part is kept for the next call unless it is wrong.
    """
    part = path.with_name(path.name + ".part")
    before = _identity(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(f".{path.name}.lock").open("ab") as lock:
            lock_file(lock.fileno(), wait=True)
            if _identity(path) != before:  # another process fetched it while we waited
                return sha256_of(path)
            _fetch(url, part, progress)
            digest = sha256_of(part)
            _accept(url, part, digest, sha256_prefix, verify)
            publish(part, path)
            _validator(part).unlink(missing_ok=True)
            return digest
    except OSError as error:
        raise DownloadError(
            f"{path}: cannot be written: {error.strerror or error}; set SSD300_CACHE to another folder"
        ) from error


def _accept(url: str, part: Path, digest: str, sha256_prefix: str, verify: Callable[[Path], object] | None) -> None:
    """Raise DownloadError, and remove the part, unless it is the requested file."""
    try:
        if not digest.startswith(sha256_prefix):
            raise ModelError(f"its sha256 is {digest}, expected {sha256_prefix}...")
        if verify:
            verify(part)
    except ModelError as error:
        _discard(part)
        raise DownloadError(f"{url}: it is not the expected file: {error}; try again later") from error


def _fetch(url: str, part: Path, progress: DownloadProgress | None) -> None:
    """Complete the part file. Raises DownloadError; OSError when it cannot be written."""
    _remove_special(part)
    have = part.stat().st_size if part.exists() and _tag(part) else 0
    deadline = time.monotonic() + DOWNLOAD_SECONDS
    try:
        response = _open(url, part, have)
    except urllib.error.HTTPError as error:
        error.close()  # it is also the open response
        if error.code == 416 and have:  # the part does not belong to the server's current file
            _discard(part)
            _fetch(url, part, progress)
            return
        words = f"the server answers {error.code} {error.reason}"
        raise DownloadError(f"{url}: {words}; check the network, or for a newer ssd300{_by_hand(part)}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: a redirect to an invalid address
        raise _network_failed(url, part, error) from error
    with response:
        start, total = _extent(url, response, part, have)
        if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
            raise DownloadError(f"{url}: the server sent a web page, not the file; check the network and proxies")
        if not start:
            _remember(response, part)
        _receive(url, response, part, start, total, progress, deadline)


def _open(url: str, part: Path, have: int) -> Any:
    """Request the file, or its missing part. Raises TimeoutError after ANSWER_SECONDS without a response."""
    headers = {"User-Agent": "ssd300", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": _tag(part)}
    lines = Lines(time.monotonic() + ANSWER_SECONDS)
    opener = urllib.request.build_opener(SafeRedirects, LineHandler(lines))
    with lines.watch():
        return opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS)


def _receive(
    url: str,
    response: Any,
    part: Path,
    start: int,
    total: int | None,
    progress: DownloadProgress | None,
    deadline: float,
) -> None:
    if (total or 0) > MAX_MODEL_BYTES:
        raise DownloadError(f"{url}: {total:,} bytes, more than {MAX_MODEL_BYTES:,}, the limit of a model")
    done = start
    with open(part, "ab" if start else "wb", opener=_open_no_follow) as file:
        while True:
            try:
                piece = response.read1(PIECE_BYTES)
            except (OSError, http.client.HTTPException, ValueError) as error:
                file.flush()
                raise _network_failed(url, part, error) from error
            if not piece:
                break
            file.write(piece)
            done += len(piece)
            if done > MAX_MODEL_BYTES:
                raise DownloadError(f"{url}: more than {MAX_MODEL_BYTES:,} bytes, the limit of a model")
            if time.monotonic() > deadline:
                file.flush()
                raise _network_failed(url, part, TimeoutError(f"it took longer than {DOWNLOAD_SECONDS:,.0f} seconds"))
            if progress:
                progress(done, total)
    if total is not None and done != total:
        raise DownloadError(f"{url}: the connection ended after {done:,} of {total:,} bytes; {_advise_retry(part)}")


def _network_failed(url: str, part: Path, error: Exception) -> DownloadError:
    reason = getattr(error, "reason", None) or str(error) or type(error).__name__
    return DownloadError(f"{url}: the network failed ({reason}); {_advise_retry(part)}{_by_hand(part)}")


def _extent(url: str, response: Any, part: Path, have: int) -> tuple[int, int | None]:
    """(first byte of the response, bytes of the whole file if known)."""
    if response.status != 206:
        return 0, whole_number(response.headers.get("Content-Length", ""))
    unit, _, extent = response.headers.get("Content-Range", "").partition(" ")
    span, _, total = extent.partition("/")
    whole = whole_number(total)
    if unit != "bytes" or not have or span.split("-")[0] != str(have) or whole is None:
        _discard(part)
        raise DownloadError(f"{url}: the server sent another part than requested; run it again")
    return have, whole


def _validator(part: Path) -> Path:
    """The path beside the part of the tag that identifies the server's file."""
    return part.with_name(part.name + ".tag")


def _remember(response: Any, part: Path) -> None:
    tag = response.headers.get("ETag") or ""
    tag = "" if tag.startswith("W/") else tag  # a weak tag may not be used for ranges
    tag = tag or response.headers.get("Last-Modified") or ""
    if _can_be_sent(tag):
        _validator(part).write_text(tag, "ascii")
    else:
        _validator(part).unlink(missing_ok=True)


def _tag(part: Path) -> str:
    """The stored tag; empty if there is none, or it cannot be sent."""
    try:
        tag = _validator(part).read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return ""
    return tag if _can_be_sent(tag) else ""


def _can_be_sent(tag: str) -> bool:
    return 0 < len(tag) < 500 and tag.isascii() and tag.isprintable()


def _remove_special(part: Path) -> None:
    """Remove links, FIFOs and devices, which another user may have created at the path to write."""
    for path in (part, _validator(part)):
        try:
            refuse_special(path)
        except OutputError:
            path.unlink()


def _open_no_follow(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _validator(part).unlink(missing_ok=True)


def _advise_retry(part: Path) -> str:
    kept = part.stat().st_size if part.exists() and _tag(part) else 0
    return f"run it again, it continues after {kept:,} bytes" if kept else "check the network and run it again"


def _by_hand(part: Path) -> str:
    return f", or fetch it elsewhere and put it at {part.with_name(part.name.removesuffix('.part'))}"


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


@contextmanager
def show_progress(name: str) -> Iterator[DownloadProgress | None]:
    """A progress bar on stderr if that is a terminal, else nothing."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"Downloading {name}", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)

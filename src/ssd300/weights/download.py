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
from ssd300.weights.lines import LineHandler, SafeRedirects

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
    part = _Part(url, path, progress)
    before = _identity(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(f".{path.name}.lock").open("ab") as lock:
            lock_file(lock.fileno(), wait=True)
            if _identity(path) != before:  # another process fetched it while we waited
                return sha256_of(path)
            part.fetch()
            digest = part.check(sha256_prefix, verify)
            publish(part.path, path)
            part.tag_path.unlink(missing_ok=True)
            return digest
    except OSError as error:
        raise DownloadError(
            f"{path}: cannot be written: {error.strerror or error}; set SSD300_CACHE to another folder"
        ) from error


class _Part:
    """An unfinished file of the server, beside the finished one, and the tag by which the server knows it."""

    def __init__(self, url: str, path: Path, progress: DownloadProgress | None) -> None:
        self.url, self.progress = url, progress
        self.path, self.tag_path = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.tag")
        self._by_hand = f", or fetch it elsewhere and put it at {path}"

    def check(self, sha256_prefix: str, verify: Callable[[Path], object] | None) -> str:
        """The sha256. Raises DownloadError, and removes the part, unless it is the requested file."""
        digest = sha256_of(self.path)
        try:
            if not digest.startswith(sha256_prefix):
                raise ModelError(f"its sha256 is {digest}, expected {sha256_prefix}...")
            if verify:
                verify(self.path)
        except ModelError as error:
            self._discard()
            raise DownloadError(f"{self.url}: it is not the expected file: {error}; try again later") from error
        return digest

    def fetch(self) -> None:
        """Complete the part. Raises DownloadError; OSError when it cannot be written."""
        for path in (self.path, self.tag_path):
            try:
                refuse_special(path)
            except OutputError:  # a link, FIFO or device, which another user may have created there
                path.unlink()
        have = self._have()
        deadline = time.monotonic() + DOWNLOAD_SECONDS
        try:
            response = self._open(have)
        except urllib.error.HTTPError as error:
            error.close()  # it is also the open response
            if error.code == 416 and have:  # the part does not belong to the server's current file
                self._discard()
                self.fetch()
                return
            words = f"the server answers {error.code} {error.reason}"
            remedy = f"check the network, or for a newer ssd300{self._by_hand}"
            raise DownloadError(f"{self.url}: {words}; {remedy}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: a redirect to no address
            raise self._network_failed(error) from error
        with response:
            start, total = self._extent(response, have)
            if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
                words = "the server sent a web page, not the file; check the network and proxies"
                raise DownloadError(f"{self.url}: {words}")
            if not start:
                self._remember(response)
            self._receive(response, start, total, deadline)

    def _open(self, have: int) -> Any:
        """Request the file, or its missing part. Raises TimeoutError after ANSWER_SECONDS without a response."""
        headers = {"User-Agent": "ssd300", "Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": self._tag()}
        line = LineHandler(time.monotonic() + ANSWER_SECONDS)
        opener = urllib.request.build_opener(SafeRedirects, line)
        with line.watch():
            return opener.open(urllib.request.Request(self.url, headers=headers), timeout=TIMEOUT_SECONDS)

    def _extent(self, response: Any, have: int) -> tuple[int, int | None]:
        """(first byte of the response, bytes of the whole file if known)."""
        if response.status != 206:
            return 0, whole_number(response.headers.get("Content-Length", ""))
        unit, _, extent = response.headers.get("Content-Range", "").partition(" ")
        span, _, total = extent.partition("/")
        whole = whole_number(total)
        if unit != "bytes" or not have or span.split("-")[0] != str(have) or whole is None:
            self._discard()
            raise DownloadError(f"{self.url}: the server sent another part than requested; run it again")
        return have, whole

    def _receive(self, response: Any, start: int, total: int | None, deadline: float) -> None:
        if (total or 0) > MAX_MODEL_BYTES:
            raise DownloadError(f"{self.url}: {total:,} bytes, more than {MAX_MODEL_BYTES:,}, the limit of a model")
        done = start
        with open(self.path, "ab" if start else "wb", opener=_open_no_follow) as file:
            while True:
                try:
                    piece = response.read1(PIECE_BYTES)
                except (OSError, http.client.HTTPException, ValueError) as error:
                    file.flush()
                    raise self._network_failed(error) from error
                if not piece:
                    break
                file.write(piece)
                done += len(piece)
                if done > MAX_MODEL_BYTES:
                    raise DownloadError(f"{self.url}: more than {MAX_MODEL_BYTES:,} bytes, the limit of a model")
                if time.monotonic() > deadline:
                    file.flush()
                    raise self._network_failed(TimeoutError(f"it took longer than {DOWNLOAD_SECONDS:,.0f} seconds"))
                if self.progress:
                    self.progress(done, total)
        if total is not None and done != total:
            words = f"the connection ended after {done:,} of {total:,} bytes"
            raise DownloadError(f"{self.url}: {words}; {self._advise_retry()}")

    def _remember(self, response: Any) -> None:
        tag = response.headers.get("ETag") or ""
        tag = "" if tag.startswith("W/") else tag  # a weak tag may not be used for ranges
        tag = tag or response.headers.get("Last-Modified") or ""
        if _can_be_sent(tag):
            self.tag_path.write_text(tag, "ascii")
        else:
            self.tag_path.unlink(missing_ok=True)

    def _tag(self) -> str:
        """The stored tag; empty if there is none, or it cannot be sent."""
        try:
            tag = self.tag_path.read_text("ascii")
        except (OSError, UnicodeDecodeError):
            return ""
        return tag if _can_be_sent(tag) else ""

    def _have(self) -> int:
        """The bytes that another call can continue."""
        return self.path.stat().st_size if self.path.exists() and self._tag() else 0

    def _discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.tag_path.unlink(missing_ok=True)

    def _network_failed(self, error: Exception) -> DownloadError:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        return DownloadError(f"{self.url}: the network failed ({reason}); {self._advise_retry()}{self._by_hand}")

    def _advise_retry(self) -> str:
        kept = self._have()
        return f"run it again, it continues after {kept:,} bytes" if kept else "check the network and run it again"


def _can_be_sent(tag: str) -> bool:
    return 0 < len(tag) < 500 and tag.isascii() and tag.isprintable()


def _open_no_follow(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


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

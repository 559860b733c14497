"""A stream over http(s) as a file object for FFmpeg, so that every connection follows the rules of `fetch`."""

import base64
import contextlib
import http.client
import io
import socket
from threading import Lock
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from ssd300.errors import DownloadError
from ssd300.images.addresses import is_url, port_of
from ssd300.images.fetch import is_video_type, open_stream


def open_http(source: str) -> "HttpFile":
    """The file of an address, which may contain a user name and password. Raises DownloadError."""
    parts, headers = urlsplit(source), {}
    try:
        port_of(parts)
    except ValueError as error:
        raise DownloadError(f"not an address ({error})") from None
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
    bare = urlunsplit(
        (parts.scheme, parts.netloc.rpartition("@")[2], quote(parts.path, "/%~:@!$&'()*+,;="), parts.query, "")
    )
    return HttpFile(bare, headers)


def sends_video(source: str) -> bool:
    """Whether an http(s) address sends a video, by the type that its server names; False if it cannot be opened."""
    try:
        file = open_http(source)
    except (DownloadError, ValueError):
        return False
    file.close()
    return is_video_type(file.content_type)


class HttpFile:
    """The bytes of an address, read as they arrive; seekable if the server supports it.

    `hang_up` may be called from another thread. Raises DownloadError.
    """

    def __init__(self, url: str, headers: dict[str, str], *, may_end_early: bool = False, start: int = 0) -> None:
        """`may_end_early`: a piece of a playlist, after which FFmpeg goes on with the next. `start`: its first byte."""
        self._headers = headers
        self._may_end_early = may_end_early
        self._parts: list[HttpFile] = []
        self._closing = Lock()
        self._closed = self._failed = False
        self._position = 0
        self._socket, self._response, self.name = _open_at(url, headers, start)
        if self.name != url:  # redirected: a password is for the address that it was given with
            self._headers = {}
        self.content_type = (self._response.getheader("Content-Type") or "").lower()
        self._size = self._response.length
        ranges = self._response.getheader("Accept-Ranges", "") == "bytes"
        self._seekable = self._size is not None and ranges and not start

    @property
    def is_whole(self) -> bool:
        """Whether it is a file of known length, and not a playlist, whose length is not that of the video."""
        return self._size is not None and not self.is_playlist

    @property
    def is_playlist(self) -> bool:
        """Whether it is an HLS playlist, by the address or the response."""
        return "mpegurl" in self.content_type or self.name.split("?")[0].lower().endswith(".m3u8")

    @property
    def is_motion_jpeg(self) -> bool:
        """Whether it is a camera's sequence of JPEGs without an end."""
        return self.content_type.startswith("multipart/x-mixed-replace")

    def part(self, url: str, start: int = 0) -> "HttpFile | io.BytesIO":
        """A file that this one refers to, such as a piece of a playlist, from a byte on; it is closed with this one.

        After the first that cannot be opened all others are empty: FFmpeg tries them before the failure is known.
        """
        if self._failed:
            return io.BytesIO()
        self._failed = True
        part = self._open_part(url, start)
        self._failed = False
        with self._closing:
            self._parts = [one for one in self._parts if not one._closed]
            self._parts.append(part)
            late = self._closed
        if late:
            part.hang_up()
        return part

    def _open_part(self, url: str, start: int) -> "HttpFile":
        if url.startswith("crypto"):
            raise DownloadError("the playlist's video is encrypted, which is not read; open another address of it")
        if not is_url(url):
            raise DownloadError("the playlist names a file that is not an http(s) address, which is refused")
        headers = self._headers if _origin(url) == _origin(self.name) else {}
        return HttpFile(url, headers, may_end_early=True, start=start)

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; b"" at the end. Raises DownloadError for a file of known length that breaks off."""
        try:
            piece = b"" if self._closed else self._response.read1(size)
        except (OSError, http.client.HTTPException, ValueError):  # interrupted, timed out, or closed meanwhile
            piece = b""
        self._position += len(piece)
        if not piece and self._position < (self._size or 0) and not self._may_end_early and not self._closed:
            raise DownloadError(f"the connection ended after {self._position:,} of {self._size:,} bytes; try again")
        return piece

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._seekable

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        """Seek with a new request to the server."""
        size = self._size or 0
        position = offset + (0, self._position, size)[whence]
        if position != self._position:
            self._response.close()
            self._socket.close()
            self._position = position
            if position < size and not self._closed:
                self._socket, self._response, _ = _open_at(self.name, self._headers, position)
        return position

    def hang_up(self) -> None:
        """Close the connections from another thread: a running read returns immediately, and no new one begins."""
        with self._closing:
            self._closed = True
            parts = list(self._parts)
        for part in parts:
            part.hang_up()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connections, in the thread that reads."""
        self.hang_up()
        for part in self._parts:
            part.close()
        self._response.close()
        self._socket.close()


def _open_at(url: str, headers: dict[str, str], position: int) -> tuple[socket.socket, http.client.HTTPResponse, str]:
    """`open_stream` from a byte of the file on."""
    if not position:
        return open_stream(url, headers)
    found = line, response, _ = open_stream(url, {**headers, "Range": f"bytes={position}-"})
    if response.status != 206:  # the whole file again: its start would be taken for this position
        response.close()
        line.close()
        raise DownloadError("a part of the file is needed, and its server sends no parts of files; download it")
    return found


def _origin(url: str) -> tuple[str, str]:
    """Scheme and host of an address: what is sent over TLS to a host is not sent to it in the clear."""
    scheme, _, rest = url.lower().partition("://")
    return scheme, rest.partition("/")[0].rpartition("@")[2]

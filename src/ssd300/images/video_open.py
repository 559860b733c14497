"""Open video files, cameras, and streams over rtsp, rtmp and http(s) with FFmpeg, through PyAV."""

import errno
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from ssd300 import limits
from ssd300.errors import DownloadError, ImageError, needs
from ssd300.images.addresses import is_url, local_path, port_of
from ssd300.images.video_names import STREAM_PORTS, is_camera, is_stream, shown_name

if TYPE_CHECKING:
    import av
    import av.container
    import av.video.stream

SILENT_SECONDS = limits.STREAM_SILENCE

_QUICK_START = {"analyzeduration": "1000000"}  # microseconds of a stream that are read to find its codecs


@dataclass
class Opened:
    """An open container, and whether it is live: without a known end, and not waiting for its reader."""

    container: "av.container.InputContainer"
    live: bool
    file: Any = None  # the Python object that it reads from, if any

    def close(self) -> None:
        self.container.close()
        if self.file is not None:
            self.file.close()


def require_av() -> None:
    """Raise MissingExtraError unless PyAV is installed."""
    with needs("reading video", "video"):
        import av  # noqa: F401


def open_video(source: Any) -> Opened:
    """Open a file, camera or stream. Raises ImageError (files, cameras) or DownloadError (addresses), without secrets.

    Takes up to SILENT_SECONDS for a stream that does not answer.
    """
    require_av()
    import av

    name = shown_name(source)
    try:
        if is_camera(source):
            return _open_camera(source)
        if is_url(source):
            return _open_http(source)
        if is_stream(source):
            return _open_stream(source)
        if not isinstance(source, str | os.PathLike) or source == "-":
            kinds = "a file's path, a camera's number or a stream's address; for several pass a list"
            raise ImageError(f"{name}: not the name of a video; expected {kinds}")
        path = local_path(os.fsdecode(source))
        if "://" in path and not os.path.exists(path):
            raise ImageError(f"{name}: not an address of a video; expected rtsp://, rtmp://, http(s)://, or a file")
        return _open_file(Path(path), name)
    except av.FFmpegError as error:
        kind = DownloadError if is_stream(source) else ImageError
        raise kind(f"{name}: {_fault(error, source)}") from None  # its text may contain the password
    except DownloadError as error:
        raise DownloadError(f"{name}: {error}") from None
    except (ValueError, TypeError) as error:
        raise ImageError(f"{name}: cannot be opened as a video ({type(error).__name__}); check the source") from None


def _open_file(path: Path, name: str) -> Opened:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ImageError(f"{name}: not a file; expected a video file, a camera or a stream's address")
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a name"
        raise ImageError(f"{name}: cannot be read as a video ({reason}); check the path") from error
    # Only local files: a disguised playlist must not make this machine open addresses.
    options = {"protocol_whitelist": "file,crypto,data"}
    container = open_media(f"file:{path.absolute()}", container_options=options)
    return Opened(container, live=False)


def open_media(source: Any, **options: Any) -> "av.container.InputContainer":
    """`av.open` for reading. Titles and comments that are not UTF-8 are no error: from PyAV 19 on they never are."""
    import av

    if int(av.__version__.partition(".")[0]) < 19:
        options["metadata_errors"] = "replace"
    container: av.container.InputContainer = av.open(source, "r", **options)
    return container


def video_of(container: "av.container.InputContainer") -> "av.video.stream.VideoStream | None":
    """The default one of several videos, else the largest, else the first; never the cover picture of music."""
    from av.stream import Disposition

    def rank(video: "av.video.stream.VideoStream") -> tuple[bool, int]:
        context = video.codec_context
        pixels = context.width * context.height if context is not None else 0
        return bool(video.disposition & Disposition.default), pixels

    videos = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    return max(videos, key=rank, default=None)


def _open_camera(source: Any) -> Opened:
    import av

    text = str(source)
    if sys.platform == "darwin":
        return Opened(av.open(text, format="avfoundation", options={"framerate": "30"}), live=True)
    if not sys.platform.startswith("linux"):
        raise ImageError(
            f"{shown_name(source)}: cameras are read on Linux and macOS; open a stream of it, such as rtsp://"
        )
    device = text if text.startswith("/") else f"/dev/video{text}"
    if not os.path.exists(device):
        raise ImageError(f"{shown_name(source)}: no such camera: there is no {device}; check that it is plugged in")
    if not stat.S_ISCHR(os.stat(device).st_mode):
        raise ImageError(f"{shown_name(source)}: {device} is not a camera")
    return Opened(av.open(device, format="v4l2", timeout=SILENT_SECONDS), live=True)


def _open_stream(source: str) -> Opened:
    """rtsp and rtmp: FFmpeg connects to the checked address."""
    from ssd300.images.fetch import resolve_host

    parts = urlsplit(source)
    scheme = parts.scheme.lower()
    if not parts.hostname:
        raise ValueError("no host")
    try:
        port = port_of(parts) or STREAM_PORTS[scheme]
    except ValueError as error:
        raise DownloadError(f"not an address ({error})") from None
    address = resolve_host(parts.hostname, port)
    user = parts.netloc.rpartition("@")[0]
    where = f"{user}@" if user else ""
    where += f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    options = {"fflags": "nobuffer", "flags": "low_delay"} | _QUICK_START
    if scheme.startswith("rtsp"):
        options |= {"rtsp_transport": "tcp", "max_delay": "500000"}
    url = urlunsplit((scheme, where, parts.path, parts.query, ""))
    return Opened(open_media(url, options=options, timeout=SILENT_SECONDS), live=True)


def _open_http(source: str) -> Opened:
    """http(s): all bytes come through checked connections, also the parts of an HLS playlist.

    FFmpeg itself may open nothing: other lists of files, such as ffconcat, and SDP would make it connect anywhere.
    """
    from ssd300.images.http_stream import open_http

    file = open_http(source)
    options = {"protocol_whitelist": "data"} | _QUICK_START
    if file.is_playlist:
        options["http_persistent"] = "0"
    try:
        container = open_media(
            file,
            format="mpjpeg" if file.is_motion_jpeg else None,
            container_options=options,
            io_open=lambda url, _flags, options: file.part(url, int(options.get("offset", 0))),
            timeout=2 * SILENT_SECONDS,  # a playlist is requested again every few seconds
            buffer_size=2**16,
        )
    except BaseException:
        file.close()
        raise
    endless = container.duration is None or container.duration <= 0
    return Opened(container, live=endless and not file.is_whole, file=file)


def _fault(error: Exception, source: Any) -> str:
    """FFmpeg's error as text, without the address."""
    import av

    number = getattr(error, "errno", None)
    text = getattr(error, "strerror", None) or type(error).__name__
    if is_camera(source):
        if number == errno.EBUSY:
            return "the camera is taken by another program; close that program"
        return f"the camera cannot be opened ({text}); check that it works and that you may use it"
    if is_stream(source):
        if isinstance(error, av.error.ExitError | TimeoutError):
            return f"no answer for {SILENT_SECONDS:g} seconds; check the address and the network"
        if isinstance(error, av.error.InvalidDataError):
            return "answers, but not with video that can be read"
        return f"cannot be opened ({text}); check the address, the user name and the password"
    return f"not a video that can be read ({text}); it may be truncated or of another kind"

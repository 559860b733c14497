"""Which sources are videos, by their names, and how they are named in messages."""

import os
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ssd300.digits import whole_number
from ssd300.images.addresses import is_url, without_user
from ssd300.images.folders import folder_of

_EXTENSIONS = (
    ".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".divx", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".m1v",
    ".m2v", ".vob", ".mxf", ".flv", ".f4v", ".wmv", ".asf", ".3gp", ".3g2", ".ogv", ".mjpeg", ".mjpg", ".m3u8", ".ivf",
    ".y4m", ".nut", ".h264", ".264", ".h265", ".265", ".hevc",
)  # fmt: skip
STREAM_PORTS = {"rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443}
_SECRET = re.compile(r"pas|pw|token|secret|key|auth|sig", re.IGNORECASE)
# Inside a path or a value, as recorders have it: /user=admin_password=abc_channel=1.sdp
_SECRET_WITHIN = re.compile(rf"((?:{_SECRET.pattern})[a-z]*=)(.*?)(?=[&/;]|_[a-z]+=|$)", re.IGNORECASE)
_CAMERA = re.compile(r"/dev/video\d+")


def is_camera(source: Any) -> bool:
    """Whether it is a camera's number or device file.

    >>> is_camera(0), is_camera("1"), is_camera("/dev/video0"), is_camera("clip.mp4")
    (True, True, True, False)
    """
    if isinstance(source, int) and not isinstance(source, bool):
        return source >= 0
    text = os.fsdecode(source) if isinstance(source, str | os.PathLike) else ""
    return (whole_number(text) is not None and not os.path.exists(text)) or bool(_CAMERA.fullmatch(text))


def is_stream(source: Any) -> bool:
    """Whether it is an address that is opened as a stream: rtsp, rtmp, http(s).

    >>> is_stream("rtsp://camera.example/1"), is_stream("https://a.example/live.m3u8"), is_stream("clip.mp4")
    (True, True, False)
    """
    return is_url(source) or (isinstance(source, str) and _scheme(source) in STREAM_PORTS)


def is_video(source: Any) -> bool:
    """Whether a source is a video by its name: a camera, a stream, or a file with one of `_EXTENSIONS`.

    An http(s) address is a video only by the extension of its path. A .gif is a picture, unless frames are requested
    explicitly. A folder of frames, clip.mp4/, is none.
    """
    if is_camera(source):
        return True
    if not isinstance(source, str | os.PathLike):
        return False
    text = os.fsdecode(source)
    if is_stream(text) and not is_url(text):
        return True
    name = text.split("?")[0].split("#")[0] if is_url(text) else text
    return name.lower().endswith(_EXTENSIONS) and folder_of(text) is None


def _scheme(text: str) -> str:
    """The scheme of an address in lower case, "" for a path."""
    return text.partition("://")[0].lower() if "://" in text else ""


def shown_name(source: Any) -> str:
    """The name of a source in messages and results: an address without its password and secret parameters.

    >>> shown_name("rtsp://admin:hunter2@cam.example:554/live?channel=1&token=abc")
    'rtsp://cam.example:554/live?channel=1&token=***'
    """
    if is_camera(source):
        return f"camera {source}" if not str(source).startswith("/") else str(source)
    if not isinstance(source, str | os.PathLike):
        return f"<{type(source).__name__}>"
    text = without_user(os.fsdecode(source))
    if "://" not in text:
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return f"{_scheme(text)}://..."  # the rest may contain a password
    query = parse_qsl(parts.query, keep_blank_values=True)
    values = [(k, "***" if _SECRET.search(k) else _SECRET_WITHIN.sub(r"\1***", v)) for k, v in query]
    path = _SECRET_WITHIN.sub(r"\1***", parts.path)
    return urlunsplit((parts.scheme, parts.netloc, path, urlencode(values, safe="*/:"), ""))

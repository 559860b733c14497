"""Recognize addresses: http(s), file:, or schemes that are not supported."""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ssd300.errors import ImageError

# A password with / ? or # ends the host too early: what is before them then looks like a host with a port.
_USER = re.compile(
    r"((?!file:)(?:https?:/|[a-z][a-z0-9+.-]+://)/*)(?:[^/?#]*@)?(?:[^/?#@[]*:(?!\d*(?:[/?]|$)).*@)?",
    re.IGNORECASE | re.DOTALL,
)
_PASSWORD = re.compile(r"([?&;][^=&;#]*(?:pas|pwd)[^=&;#]*=)[^&;#]*", re.IGNORECASE)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(/+)[^/]")  # two letters at least: C:/ is a drive


def is_url(value: Any) -> bool:
    """Whether it is the text of an http(s) address."""
    return isinstance(value, str) and value.lower().startswith(("http://", "https://"))


def shown_address(text: str) -> str:
    """An address in messages and results: without its user and passwords; any other text as it is.

    Other parameters stay, because they tell pictures apart. `video_names.shown_name` is for videos.

    >>> shown_address("http://admin:hunter2@cam.example/snap.jpg?user=admin&Password=hunter2&key=7")
    'http://cam.example/snap.jpg?user=admin&Password=***&key=7'
    """
    return _PASSWORD.sub(r"\1***", without_user(text)) if _USER.match(text) else text


def without_user(text: str) -> str:
    """An address without its user and password; any other text as it is.

    >>> without_user("rtsp://admin:a/b#c@cam.example/1"), without_user("a@b.jpg")
    ('rtsp://cam.example/1', 'a@b.jpg')
    """
    found = _USER.match(text)
    return found[1] + text[found.end() :] if found else text


def port_of(parts: SplitResult) -> int | None:
    """The port in an address, if any. Raises ValueError without the text: it may begin a password."""
    with suppress(ValueError):
        return parts.port
    raise ValueError("its port is not a number; in a user name and a password write / ? # as %2F %3F %23")


def local_path(text: str) -> str:
    """The path in a file: address; any other text as it is. Raises ImageError for a file of another machine.

    >>> local_path("file:///tmp/a%20b.jpg"), local_path("a b.jpg")
    ('/tmp/a b.jpg', 'a b.jpg')
    """
    if not text.lower().startswith("file:/"):
        return text
    from urllib.request import url2pathname  # imports ssl and more, which other paths do not need

    try:
        parts = urlsplit(text)
        host = "" if parts.netloc == "localhost" else parts.netloc
        if not host or os.name == "nt":  # there a host is a server, or a drive (file://C:/a.jpg)
            return url2pathname(f"//{host}{parts.path}" if host else parts.path)
    except (OSError, ValueError) as error:
        raise ImageError(f"{text}: not an address ({error}); pass the path") from error
    raise ImageError(f"{text}: a file on {host}; expected file:///path of this machine, or the path")


def stem_of(source: str) -> str:
    """The file name without its extension, of a path or an address; a query counts only where it is the name.

    >>> stem_of("a/7.jpg"), stem_of("http://a.example/7.jpg?size=1.5"), stem_of("http://a.example/get?id=7")
    ('7', '7', 'get?id=7')
    """
    path = Path(local_path(source))
    named = Path(urlsplit(source).path) if is_url(source) else path
    return named.stem if named.suffix else path.name


def foreign_fault(path: str) -> str | None:
    """The error for an address that was taken for a path and does not exist; None for a path."""
    if path.lower().startswith("data:"):
        return "a data address; decode its base64 text and pass the bytes"
    match = _SCHEME.match(path)
    if match is None:
        return None
    scheme = match[1].lower()
    if scheme in ("http", "https"):
        return "an address as a Path, which drops one of its slashes; pass it as text"
    return (
        f"{scheme} addresses are not supported; download the file and pass its path, "
        "or open it with a library for them (such as fsspec) and pass the file object"
    )

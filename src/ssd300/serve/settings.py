"""The settings of a server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ssd300.data.reading import text_encoding
from ssd300.digits import whole_number
from ssd300.errors import ArgumentError
from ssd300.images.decode import MAX_PIXELS

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


@dataclass(frozen=True)
class Private:
    """onnxruntime-web, and an ONNX file without NMS for each model."""

    script: bytes = field(repr=False)
    wasm: bytes = field(repr=False)
    models: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """Limits and permissions.

    max_body: bytes of one request. max_pixels: of one picture, and of all pictures that are decoded at the same time.
    queue: pictures that may wait. timeout: seconds to receive a body, and again to answer.
    keys: each request must have one of them, if there are any. allow_urls: requests may have public URLs.
    hosts: the names that a request may have as its Host, besides localhost and IP addresses; None for any name.
    private: the files for detection in the browser; None to disable it.
    """

    max_body: int = 32 * 2**20
    max_pixels: int = 50_000_000
    max_pictures: int = 64
    queue: int = 64
    timeout: float = 10.0
    keys: tuple[str, ...] = field(default=(), repr=False)
    allow_urls: bool = False
    hosts: tuple[str, ...] | None = None
    private: Private | None = None

    def __post_init__(self) -> None:
        for name in ("max_body", "max_pixels", "max_pictures", "queue"):
            if getattr(self, name) < 1:
                raise ArgumentError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.max_pixels > MAX_PIXELS:
            raise ArgumentError(f"max_pixels is {self.max_pixels:,}: the decoder takes at most {MAX_PIXELS:,}")
        if not 0 < self.timeout <= 3600:
            raise ArgumentError(f"timeout must be seconds, above 0 and at most 3600, got {self.timeout:g}")

    @property
    def held_bytes(self) -> int:
        """The limit of the bytes of all bodies and answers in memory; a drawn picture may be larger than its body."""
        return max(8 * self.max_body, 2**26)


def size_in_bytes(text: str) -> int:
    """A size such as 500K, 32M or 1G, in units of 1024.

    >>> size_in_bytes("32M")
    33554432
    """
    cleaned = text.strip().upper().removesuffix("B").removesuffix("I")
    unit = cleaned[-1:] if cleaned[-1:] in "KMG" else ""
    number = whole_number(cleaned.removesuffix(unit))
    if number is None:
        raise ArgumentError(f"{text!r} is not a size: expected a whole number with K, M or G, such as 32M")
    return number * UNITS[unit]


def read_keys(path: Path) -> tuple[str, ...]:
    """The keys in a file, one per line; empty lines and lines that start with # are ignored. Raises ArgumentError."""
    try:
        data = path.read_bytes()
        lines = data.decode(text_encoding(data)).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ArgumentError(f"{path}: the key file cannot be read: {reason}") from error
    keys = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not keys:
        raise ArgumentError(f"{path}: no key in this file; write one per line, for example of `openssl rand -hex 24`")
    bad = next((key for key in keys if not key.isascii() or " " in key or len(key) < 8), None)
    if bad is not None:
        found = f"{len(bad)} characters" if len(bad) < 8 else "a space or a character that is not ASCII"
        raise ArgumentError(f"{path}: a key needs 8 or more ASCII characters without spaces; one has {found}")
    return keys

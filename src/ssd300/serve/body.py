"""Read a request's body into memory, within a deadline and limits, and parse multipart forms."""

import asyncio
from dataclasses import dataclass
from email.message import Message
from typing import Any

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser
from starlette.requests import Request

from ssd300 import limits
from ssd300.digits import whole_number
from ssd300.serve.problem import Problem, busy
from ssd300.serve.settings import Settings


class Held:
    """The total bytes of bodies, and of answers that clients have not taken yet, in memory, of all requests."""

    def __init__(self, limit: int) -> None:
        self.limit, self.size = limit, 0


class Body:
    """The bytes of one request, and later those of its answer, counted in `held` until `release`."""

    def __init__(self, held: Held) -> None:
        self.data = bytearray()
        self._held, self._size = held, 0

    def add(self, piece: bytes, limit: int) -> None:
        """Add bytes. Raises as `count`."""
        self.count(len(piece), limit)
        self.data += piece

    def count(self, size: int, limit: int) -> None:
        """Count bytes that the request holds. Raises 413 beyond `limit`, 503 beyond the limit of all requests."""
        if self._size + size > limit:
            raise too_large(limit)
        self._grow(size)

    def take(self) -> bytes:
        """The bytes, which are no longer kept here, but still counted."""
        data, self.data = bytes(self.data), bytearray()
        return data

    def count_answer(self, size: int) -> None:
        """Count the bytes of the answer in place of those of the request. Raises as `count`; no limit for one alone."""
        self.release()
        self._grow(size)

    def _grow(self, size: int) -> None:
        if self._held.size and self._held.size + size > self._held.limit:
            raise busy(503, "pictures and answers of other requests fill the memory; send it again later", 2)
        self._size += size
        self._held.size += size

    def release(self) -> None:
        self._held.size -= self._size
        self.data, self._size = bytearray(), 0


def too_large(limit: int) -> Problem:
    words = f"the body, with the pictures of its addresses, is larger than {limit:,} bytes, the limit (--max-body)"
    return Problem(413, f"{words}; send a smaller one")


async def read_body(request: Request, body: Body, settings: Settings) -> None:
    """Fill `body`. Raises Problem 408, 413, 415 or 503, and starlette's ClientDisconnect."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise Problem(415, f"Content-Encoding is {coding!r}: send the body without it, pictures are already compressed")
    declared = request.headers.get("content-length", "")
    size = whole_number(declared)
    if declared.isdigit() and (size is None or size > settings.max_body):
        raise too_large(settings.max_body)
    try:
        async with asyncio.timeout(settings.timeout):
            async for piece in request.stream():
                body.add(piece, settings.max_body)
    except TimeoutError as error:
        found = f"{len(body.data):,} bytes after {settings.timeout:g} seconds"
        raise Problem(
            408, f"the body did not arrive in time: {found} (--timeout)", headers={"Connection": "close"}
        ) from error


@dataclass(frozen=True)
class FormPart:
    """One part of a form: the field's name, the file's name (None for a plain field) and its bytes."""

    name: str
    filename: str | None
    data: bytes


def content_type(value: str) -> tuple[str, dict[str, str]]:
    """The type in lower case and the parameters of a Content-Type or Content-Disposition header. Raises Problem 422.

    >>> content_type('multipart/form-data; boundary="a b"')
    ('multipart/form-data', {'boundary': 'a b'})
    """
    message = Message()
    message["Content-Type"] = value.replace("\r", " ").replace("\n", " ")
    try:
        found = message.get_params(failobj=[("", "")], header="Content-Type") or [("", "")]
    except (TypeError, ValueError) as error:  # pieces of a parameter with and without a number, or a huge one
        raise Problem(422, f"{value[:80]!r} cannot be read: write each parameter whole, as name=value") from error
    parameters: dict[str, str] = {}
    for key, parameter in found[1:]:
        parameters[key.lower()] = parameter if isinstance(parameter, str) else _decode_parameter(*parameter)
    return found[0][0].strip().lower(), parameters


def _decode_parameter(charset: str | None, _language: str | None, text: str) -> str:
    """The text of name*=utf-8''... (RFC 2231), whose bytes came as Latin-1. No other codecs: some raise errors."""
    encoding = "utf-8" if (charset or "").lower() in ("utf-8", "utf8") else "latin-1"
    return text.encode("latin-1", "replace").decode(encoding, "replace")


def parse_form(data: bytes, boundary: str, most: int) -> list[FormPart]:
    """The parts of a multipart form in memory, in order. Raises Problem 422."""
    reader = _PartReader(most)
    try:
        parser = MultipartParser(boundary.encode("latin-1"), reader.callbacks())
        parser.write(data)
        parser.finalize()
    except (MultipartParseError, UnicodeEncodeError, ValueError) as error:
        raise Problem(422, f"the multipart form cannot be read: {error}") from error
    if not reader.ended:
        raise Problem(422, "the multipart form is truncated: its last boundary is missing")
    return reader.parts


class _PartReader:
    """Collects the parts from the parser's callbacks."""

    def __init__(self, most: int) -> None:
        self.parts: list[FormPart] = []
        self.ended = False
        self._most = most
        self._data = bytearray()
        self._field, self._value = bytearray(), bytearray()
        self._disposition, self._head_bytes = "", 0

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
            "on_part_end": self._end,
            "on_header_field": lambda data, start, end: self._grow(self._field, data[start:end]),
            "on_header_value": lambda data, start, end: self._grow(self._value, data[start:end]),
            "on_header_end": self._header,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        if len(self.parts) >= 2 * self._most:
            raise Problem(422, f"the form has more than {2 * self._most} parts; send fewer")
        self._data, self._disposition, self._head_bytes = bytearray(), "", 0

    def _grow(self, text: bytearray, piece: bytes) -> None:
        text += piece
        self._head_bytes += len(piece)
        if self._head_bytes > limits.PART_HEAD:
            raise Problem(422, f"the headers of a part of the form have more than {limits.PART_HEAD} bytes")

    def _header(self) -> None:
        if bytes(self._field).strip().lower() == b"content-disposition":
            self._disposition = bytes(self._value).decode("utf-8", "replace")
        self._field, self._value = bytearray(), bytearray()

    def _end(self) -> None:
        kind, parameters = content_type(self._disposition)
        if kind != "form-data" or "name" not in parameters:
            raise Problem(422, "a part of the form has no name: expected Content-Disposition: form-data; name=...")
        self.parts.append(FormPart(parameters["name"], parameters.get("filename"), bytes(self._data)))

    def _finish(self) -> None:
        self.ended = True

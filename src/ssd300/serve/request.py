"""Parse a request: the pictures in its body or at its addresses, and the options in its query."""

import asyncio
import json
import math
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request

from ssd300 import limits
from ssd300.errors import DownloadError, unknown_name
from ssd300.images.addresses import is_url, shown_address
from ssd300.images.fetch import fetch
from ssd300.images.source import Source
from ssd300.labels import parse_labels
from ssd300.serve.body import Body, content_type, parse_form
from ssd300.serve.problem import Problem, answering_within, busy
from ssd300.serve.settings import Settings

FORMS = "multipart/form-data"
_JSON = "application/json"
_slots = threading.BoundedSemaphore(limits.FETCHED_AT_ONCE)
PLAIN = ("", "application/octet-stream", "application/x-www-form-urlencoded")  # the last is the default of curl


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _switch(text: str) -> bool:
    return {"1": True, "true": True, "0": False, "false": False}[text.lower()]


def _names(text: str) -> str:
    """Comma-separated names, not yet split. Raises ValueError without any: no class at all cannot be meant."""
    if not text.replace(",", " ").strip():
        raise ValueError
    return text


def parse_json(data: bytes, status: int) -> Any:
    """The values of a body. Raises Problem 413 for so many that reading them would hold up other requests."""
    counted = (
        (b",", limits.JSON_VALUES, "values"),
        (b"[", limits.JSON_LISTS, "lists"),
        (b":", limits.JSON_NAMES, "names"),
    )
    for sign, most, kind in counted:
        if data.count(sign) > most:
            words = f"more than {most:,} JSON {kind}"
            raise Problem(413, f"{words}; send a picture file, or pixels as binary data after the JSON")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Problem(status, f"the body is not JSON: {error}") from error


# Name -> (parser, expected value). The detector checks the ranges.
OPTIONS: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "score_threshold": (_number, "a number from 0 to 1"),
    "iou_threshold": (_number, "a number from 0 to 1"),
    "max_detections": (int, "a whole number of at least 1"),
    "labels": (_names, "comma-separated class names"),
    "decode": (str, "exact or fast"),
    "agnostic_nms": (_switch, "true or false"),
    "clip": (_switch, "true or false"),
}
OTHERS = ("model", "source")  # besides the detector's options


def read_options(query: QueryParams, known: Sequence[str]) -> dict[str, Any]:
    """The detector's options of a query. `labels` may be repeated, no other name. Raises Problem 422.

    known: the names of the model's classes, which may have commas.
    """
    options: dict[str, Any] = {}
    for name, text in query.multi_items():
        if name not in (*OPTIONS, *OTHERS):
            raise Problem(422, str(unknown_name("option", name[:80], (*OPTIONS, *OTHERS))))
        if name != "labels" and len(query.getlist(name)) > 1:
            raise Problem(422, f"{name} is given twice: give it once")
        if name in OTHERS:
            continue
        read, expected = OPTIONS[name]
        try:
            options[name] = read(text)
        except (ValueError, KeyError, OverflowError) as error:
            raise Problem(422, f"{name} is {text[:80]!r}: expected {expected}") from error
    if "labels" in options:
        options["labels"] = parse_labels(query.getlist("labels"), known)
    return options


async def read_pictures(
    request: Request, body: Body, settings: Settings, readers: Executor
) -> tuple[list[Source], bool]:
    """The pictures of a body that has been read, after `refuse_type`, and whether they are a list.

    Forms are read in `readers`: with older parsers one of many empty lines takes seconds.
    """
    kind, parameters = content_type(request.headers.get("content-type", ""))
    if kind in (FORMS, _JSON) and "source" in request.query_params:
        raise Problem(422, "source names a picture that is the body; files of a form and addresses have names: drop it")
    if kind == FORMS:
        form = body.take(), parameters.get("boundary", ""), settings.max_pictures
        async with answering_within(settings.timeout):
            return await asyncio.get_running_loop().run_in_executor(readers, _read_form, *form), True
    if kind == _JSON:
        return await _fetch_addresses(body, settings)
    data = body.take()
    if not data:
        raise Problem(422, "the body is empty: send a picture, as the body or in a multipart form")
    return [Source(data, request.query_params.get("source", f"<{len(data)} bytes>")[: limits.PICTURE_NAME])], False


def refuse_type(request: Request) -> None:
    """Raise Problem 415 for a body that cannot be a picture, before it is read."""
    kind, _ = content_type(request.headers.get("content-type", ""))
    if kind not in (FORMS, _JSON, *PLAIN) and not kind.startswith("image/"):
        raise Problem(
            415, f"Content-Type is {kind[:80]!r}: expected image/..., multipart/form-data or application/json"
        )


def _read_form(data: bytes, boundary: str, most: int) -> list[Source]:
    parts = parse_form(data, boundary, most)
    files = [part for part in parts if part.filename is not None]
    if not files:
        raise Problem(422, "the form has no file: send pictures as files, such as curl -F picture=@a.jpg")
    text = next((part.name for part in parts if part.filename is None), None)
    if text is not None:
        raise Problem(
            422, f"the form's field {text[:80]!r} is not a file: options belong in the address, as ?labels=cat"
        )
    if len(files) > most:
        raise Problem(422, f"{len(files)} pictures in one request; at most {most}: send fewer")
    return [Source(part.data, (part.filename or f"<{len(part.data)} bytes>")[: limits.PICTURE_NAME]) for part in files]


async def _fetch_addresses(body: Body, settings: Settings) -> tuple[list[Source], bool]:
    """`{"url": "https://..."}` or `{"urls": [...]}`, fetched by the rules of `images/fetch.py`."""
    if not settings.allow_urls:
        raise Problem(403, "this server does not accept URLs (--allow-urls is not set): send the picture itself")
    given = parse_json(body.take(), 422)
    key = next(iter(given)) if isinstance(given, dict) and len(given) == 1 else None
    many = key == "urls"
    urls = given["urls"] if many else [given["url"]] if key == "url" else None
    if not isinstance(urls, list) or not urls or not all(map(_is_address, urls)):
        expected = '{"url": "https://..."} or {"urls": [...]} with http or https addresses'
        raise Problem(422, f"expected {expected} and nothing else; options belong in the address, as ?labels=cat")
    if len(urls) > settings.max_pictures:
        raise Problem(422, f"{len(urls)} addresses in one request; at most {settings.max_pictures}: send fewer")
    try:
        async with asyncio.timeout(settings.timeout):
            return [Source(data, shown_address(url)) async for url, data in _fetch_all(urls, body, settings)], many
    except TimeoutError as error:
        raise Problem(
            422, f"the addresses did not answer within {settings.timeout:g} seconds (--timeout); send the pictures"
        ) from error


async def _fetch_all(urls: list[str], body: Body, settings: Settings) -> AsyncIterator[tuple[str, bytes]]:
    """Each URL and its bytes, one after the other, counted in `body`. Raises Problem 413, 422 or 503."""
    for url in urls:
        data = await _fetch(url)
        body.count(len(data), settings.max_body)
        yield url, data


async def _fetch(url: str) -> bytes:
    if not _slots.acquire(blocking=False):
        raise busy(503, f"{limits.FETCHED_AT_ONCE} addresses are being downloaded already; send it again later", 5)
    answer: Future[bytes] = Future()
    answer.set_running_or_notify_cancel()  # it goes on when the client has gone
    # A daemon thread: a slow address must not delay the stop of the server.
    try:
        threading.Thread(target=_work, args=(url, answer), daemon=True, name="ssd300-fetch").start()
    except RuntimeError:  # the system gives no more threads
        _slots.release()
        raise
    return await asyncio.wrap_future(answer)


def _work(url: str, answer: Future[bytes]) -> None:
    try:
        answer.set_result(fetch(url, allow_private=False))
    except DownloadError as error:
        answer.set_exception(Problem(422, str(error)))
    except (RuntimeError, MemoryError) as error:  # of the system, as its limit of threads
        answer.set_exception(error)
    finally:
        _slots.release()


def _is_address(url: Any) -> bool:
    return is_url(url) and url.isprintable() and len(url) <= 2000

"""Responses: JSON, CSV or COCO rows, identical to those of `ssd300 detect`, or the drawn picture; sent in pieces."""

from collections.abc import Sequence

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ssd300 import limits
from ssd300.detections import Detections
from ssd300.errors import ArgumentError
from ssd300.formats import CSV_COLUMNS, CocoRows
from ssd300.images.encode import LONGEST_JPEG_SIDE, LONGEST_WEBP_SIDE, encode_picture
from ssd300.serve.body import Body
from ssd300.serve.problem import Problem

_JSON, _ROWS, CSV, _COCO = "application/json", "application/jsonl", "text/csv", "application/vnd.coco+json"
PICTURE_MEDIA = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}
MEDIA = (_JSON, _ROWS, CSV, _COCO, *PICTURE_MEDIA)


def choose_media(accept: str) -> str:
    """The media type for an Accept header, whose first counts among equals; JSON if all are. Raises Problem 406.

    >>> choose_media(""), choose_media("image/*;q=0.5, text/csv"), choose_media("image/*, image/jpeg;q=0")
    ('application/json', 'text/csv', 'image/png')
    """
    weights: dict[str, float] = {}
    for entry in (accept.strip() or "*/*").split(","):
        kind, *parameters = (text.strip().lower() for text in entry.split(";"))
        weights[kind] = _weight(parameters)
    # The most exact kind counts, which is the last.
    able = {one: kind for one in MEDIA for kind in ("*/*", f"{one.split('/')[0]}/*", one) if kind in weights}
    wanted = [one for kind in weights for one in able if able[one] == kind and weights[kind] > 0]
    if not wanted:
        raise Problem(406, f"Accept is {accept[:200]!r}: available are {', '.join(MEDIA)}")
    return max(wanted, key=lambda one: weights[able[one]])


def _weight(parameters: list[str]) -> float:
    text = next((text[2:] for text in parameters if text.startswith("q=")), "1")
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def text_answer(found: Sequence[Detections], media: str, *, many: bool) -> bytes:
    """The text in UTF-8. With `many`, JSON is a list; CSV, COCO and JSON lines are the same either way."""
    if media == _ROWS or (media == _JSON and not many):
        text = "".join(one.to_json() + "\n" for one in found)
    elif media == _JSON:
        text = "[\n" + ",\n".join(one.to_json() for one in found) + "\n]\n"
    elif media == CSV:
        text = ",".join(CSV_COLUMNS) + "\n" + "".join(one.to_csv(header=False) for one in found)
    else:
        rows_of = CocoRows()
        try:
            rows = [row for one in found for row in rows_of(one)]
        except ArgumentError as error:
            raise Problem(422, "COCO rows need names: add ?source=NAME to the URL, or a form's file name") from error
        text = "[\n" + ",\n".join(rows) + "\n]\n"
    return text.encode("utf-8", "surrogatepass")


def draw_answer(found: Detections, media: str) -> bytes:
    """The picture file with its boxes, drawn on the pixels in `found`. Raises Problem 422 if it is too large."""
    limit = {"image/jpeg": LONGEST_JPEG_SIDE, "image/webp": LONGEST_WEBP_SIDE}.get(media)
    if limit and max(found.image_size_hw) > limit:
        raise Problem(422, f"{media} holds at most {limit} pixels per side: ask for image/png")
    return encode_picture(found.draw(), PICTURE_MEDIA[media])


class PiecewiseResponse(Response):
    """A response in pieces: the connection of a client that reads slowly holds one, not another copy of the answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for start in range(0, len(self.body), limits.READING_BYTES):
            piece = self.body[start : start + limits.READING_BYTES]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})  # waits for the pieces before it


class HeldResponse(PiecewiseResponse):
    """A response whose bytes are counted in the request's `body` until the client has taken them.

    Raises Problem 503 if those of other requests leave no room.
    """

    def __init__(self, content: bytes, media: str, body: Body) -> None:
        super().__init__(content, media_type=media)
        self._counted_in = body
        body.count_answer(len(content))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._counted_in.release()

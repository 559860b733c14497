"""Responses: JSON, CSV or COCO rows, identical to those of `ssd300 detect`, or the drawn picture."""

from collections.abc import Sequence

from ssd300.detections import Detections
from ssd300.errors import ArgumentError
from ssd300.formats import CSV_COLUMNS, CocoRows
from ssd300.images.encode import LONGEST_JPEG_SIDE, LONGEST_WEBP_SIDE, encode_picture
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
        text = "[\n" + ",\n".join(row for one in found for row in _rows_with_name(rows_of, one)) + "\n]\n"
    return text.encode("utf-8", "surrogatepass")


def _rows_with_name(rows_of: CocoRows, found: Detections) -> list[str]:
    try:
        return rows_of(found)
    except ArgumentError as error:
        raise Problem(422, "COCO rows need names: add ?source=NAME to the URL, or a form's file name") from error


def draw_answer(found: Detections, media: str) -> bytes:
    """The picture file with its boxes, drawn on the pixels in `found`. Raises Problem 422 if it is too large."""
    limit = {"image/jpeg": LONGEST_JPEG_SIDE, "image/webp": LONGEST_WEBP_SIDE}.get(media)
    if limit and max(found.image_size_hw) > limit:
        raise Problem(422, f"{media} holds at most {limit} pixels per side: ask for image/png")
    return encode_picture(found.draw(), PICTURE_MEDIA[media])

"""Detections as dict, JSON, COCO rows, CSV, YOLO txt, pandas and supervision: plain functions.

float32 numbers are written with the fewest digits that read back as the same float32 (0.9, not 0.8999999761581421).
"""

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ssd300.arrays import Float32
from ssd300.boxes import clip, xyxy_to_cxcywh, xyxy_to_xywh
from ssd300.digits import Distinct, whole_number
from ssd300.errors import ArgumentError, needs
from ssd300.files import refuse_special, replacing
from ssd300.images.addresses import stem_of
from ssd300.result import Found

if TYPE_CHECKING:
    import pandas
    import supervision

CSV_COLUMNS = ("source", "width", "height", "class_id", "name", "score", "left", "top", "right", "bottom")
TRACK = "track_id"
PICTURE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp")


def to_dict(detections: Found) -> dict[str, Any]:
    """Plain Python values: source, image size, and the list of objects in order.

    Objects have a `track_id` if they were tracked.

    Examples:
        >>> from ssd300.detections import Detections
        >>> from ssd300.labels import COCO
        >>> to_dict(Detections([[1, 2, 3, 4]], [0.9], [17], COCO, (480, 640), "a.jpg"))["detections"]
        [{'name': 'cat', 'class_id': 17, 'score': 0.9, 'box_xyxy': [1.0, 2.0, 3.0, 4.0]}]
    """
    height, width = detections.image_size_hw
    rows = zip(
        detections.names,
        detections.class_ids.tolist(),
        shortest(detections.scores),
        shortest(detections.boxes_xyxy),
        _tracks(detections),
        strict=True,
    )
    return {
        "source": detections.source,
        "width": width,
        "height": height,
        "detections": [
            {"name": name, "class_id": class_id, "score": score, "box_xyxy": box} | track
            for name, class_id, score, box, track in rows
        ],
    }


def to_json(detections: Found, *, indent: int | None = None) -> str:
    """The dict of `to_dict` as JSON text, one line unless `indent` is given."""
    return json.dumps(to_dict(detections), ensure_ascii=False, indent=indent)


def to_coco(detections: Found, image_id: int | str | None = None) -> list[dict[str, Any]]:
    """Rows of a COCO results file: image_id, category_id (the model's id), bbox (left, top, width, height), score.

    `image_id` defaults to the picture's file name without its extension, as an integer if it is one
    (000000397133.jpg). Two pictures may share it: pass ids then. Rows also have `file_name`, the source, if it is
    known, and `track_id` if objects were tracked.
    """
    if image_id is None:
        image_id = image_id_of(detections.source)
    image_id = image_id.item() if isinstance(image_id, np.generic) else image_id  # which JSON refuses
    file_name = {"file_name": detections.source} if detections.source else {}
    rows = zip(
        detections.class_ids.tolist(),
        shortest(xyxy_to_xywh(detections.boxes_xyxy)),
        shortest(detections.scores),
        _tracks(detections),
        strict=True,
    )
    return [
        {"image_id": image_id, "category_id": class_id, "bbox": bbox_xywh, "score": score} | file_name | track
        for class_id, bbox_xywh, score, track in rows
    ]


def image_id_of(source: str | None) -> int | str:
    """COCO's convention for the id of a picture: the number in its file name, else the file name's stem.

    A number of more than 18 digits stays text: many readers keep ids in 64 bits.
    """
    if not source or (re.fullmatch("<.*>", source) and source != "<stdin>"):
        found = f"their source is {source}" if source else "they have no source"
        raise ArgumentError(f"COCO rows need an image_id, and {found}, which names no picture: pass one")
    stem = stem_of(source)
    number = whole_number(stem)
    return stem if number is None else number


class CocoRows:
    """COCO rows of one picture after the other; every picture gets its own image_id.

    An id that is already in use (a/7.jpg and b/007.png are both 7) becomes text with a suffix: "7-2".
    """

    def __init__(self) -> None:
        self._distinct = Distinct[int | str]()

    def __call__(self, found: Found) -> list[str]:
        image_id = self._distinct(image_id_of(found.source))
        return [json.dumps(row, ensure_ascii=False) for row in to_coco(found, image_id)]


def to_csv(detections: Found, *, header: bool = True) -> str:
    """One line per object: source, width, height, class_id, name, score, left, top, right, bottom (pixels).

    Tracked objects have one more column, `track_id`. Without objects: only the header.
    """
    height, width = detections.image_size_hw
    rows: list[Sequence[object]] = [(*CSV_COLUMNS, TRACK) if detections.track_ids is not None else CSV_COLUMNS]
    for row in to_dict(detections)["detections"]:
        picture = (detections.source or "", width, height)
        track = [row[TRACK]] if TRACK in row else []
        rows.append((*picture, row["class_id"], row["name"], row["score"], *row["box_xyxy"], *track))
    return csv_text(rows if header else rows[1:])


def csv_text(rows: Sequence[Sequence[object]]) -> str:
    """Rows as CSV; lines end with a newline alone."""
    text = io.StringIO()
    # Python's csv does not quote a lone carriage return where lines end with a newline alone.
    lone = any(isinstance(cell, str) and "\r" in cell for row in rows for cell in row)
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL if lone else csv.QUOTE_MINIMAL).writerows(rows)
    return text.getvalue()


def to_yolo(detections: Found, *, scores: bool = True) -> str:
    """YOLO txt: `class cx cy width height [score]`, one line per object. Without objects: empty text.

    The class is the 0-based position in the class list. Boxes are clipped to the picture and divided by its size; one
    outside of it has no line.
    """
    height, width = detections.image_size_hw
    frame = np.array([width, height, width, height])
    unit_xyxy = clip(detections.boxes_xyxy, width, height) / frame  # float64, rounded once at the end
    boxes_cxcywh = xyxy_to_cxcywh(unit_xyxy).astype(np.float32)
    lines = []
    for position, box, score in zip(
        detections.positions.tolist(), shortest(boxes_cxcywh), shortest(detections.scores), strict=True
    ):
        if box[2] > 0 and box[3] > 0:
            lines.append(" ".join(map(_decimal, [position, *box, score] if scores else [position, *box])))
    return "".join(f"{line}\n" for line in lines)


def to_pandas(detections: Found) -> "pandas.DataFrame":
    """A data frame with the columns of `to_csv`: float32 scores and sides, int64 ids and sizes, also if empty."""
    with needs("to_pandas", package="pandas"):
        import pandas
    height, width = detections.image_size_hw
    count = len(detections)
    columns = {
        "source": pandas.Series([detections.source] * count, dtype=object),
        "width": np.full(count, width, np.int64),
        "height": np.full(count, height, np.int64),
        "class_id": detections.class_ids.copy(),
        "name": pandas.Series(list(detections.names), dtype=object),
        "score": detections.scores.copy(),
    }
    sides = zip(CSV_COLUMNS[-4:], detections.boxes_xyxy.T, strict=True)
    columns |= {side: values.copy() for side, values in sides}
    return pandas.DataFrame(columns if detections.track_ids is None else columns | {TRACK: detections.track_ids.copy()})


def to_supervision(detections: Found) -> "supervision.Detections":
    """supervision.Detections: class_id is the 0-based position in the class list, data["class_name"] the names.

    tracker_id is unique over all classes, as supervision's counters need: track_id * number of classes + position.
    """
    with needs("to_supervision", package="supervision"):
        import supervision
    tracks, positions = detections.track_ids, detections.positions
    return supervision.Detections(
        xyxy=detections.boxes_xyxy.copy(),
        confidence=detections.scores.copy(),
        class_id=positions.copy(),
        tracker_id=None if tracks is None else tracks * len(detections.classes) + positions,
        data={"class_name": np.array(detections.names, dtype=str)},
    )


def save(detections: Found, path: Path, picture: Any = None) -> None:
    """Write in the format of the file's extension: a drawn picture, .json, .csv or .txt.

    Raises ArgumentError for another extension or no picture to draw on, OutputError for a file that cannot be written.
    """
    ending = path.suffix.lower()
    writers: dict[str, Callable[[Found], str]] = {".json": to_json, ".csv": to_csv, ".txt": to_yolo}
    if ending not in writers and ending not in PICTURE_EXTENSIONS:
        known = ", ".join((*PICTURE_EXTENSIONS, *writers))
        raise ArgumentError(f"cannot save detections as {path.name!r}: the extension must be one of {known}")
    refuse_special(path)
    if ending in writers:
        content = writers[ending](detections).encode("utf-8", "backslashreplace")
    else:
        from ssd300 import draw
        from ssd300.images.encode import encode_picture

        drawn = draw.draw_detections(draw.load_pixels(detections, picture), detections)
        content = encode_picture(drawn, path.suffix, path)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _tracks(detections: Found) -> list[dict[str, int]]:
    """The additional field of each object's row: its track id, or nothing."""
    tracks = detections.track_ids
    return [{}] * len(detections) if tracks is None else [{TRACK: number} for number in tracks.tolist()]


def shortest(values: Float32) -> Any:
    """Nested lists of floats, each the shortest decimal that reads back as the same float32."""
    return [shortest(row) for row in values] if values.ndim > 1 else [float(str(value)) for value in values]


def _decimal(value: float) -> str:
    """A number without an exponent, as simple text parsers expect."""
    return str(value) if isinstance(value, int) else np.format_float_positional(np.float32(value), trim="-")

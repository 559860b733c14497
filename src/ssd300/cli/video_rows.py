"""The results of a video on stdout: for each --format the header and the rows of a frame."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from ssd300.errors import unknown_name
from ssd300.formats import CSV_COLUMNS, csv_text, to_dict
from ssd300.terminal import printable
from ssd300.tracking.mot import mot_lines
from ssd300.video import FrameDetections

_FRAME_COLUMNS = ("source", "stream", "frame", "time_s", "width", "height")


@dataclass(frozen=True)
class RowWriter:
    """The header, and the text of each frame."""

    row: Callable[[FrameDetections], str]
    first: str = ""


def row_writer(name: str, *, tracked: bool) -> RowWriter:
    """The writer of a --format. Raises ArgumentError for a format that videos do not have."""
    columns = (*_FRAME_COLUMNS, *(("track_id",) if tracked else ()), *CSV_COLUMNS[3:10])
    writers = {
        "table": RowWriter(table_row),
        "jsonl": RowWriter(lambda answer: json.dumps(frame_dict(answer), ensure_ascii=False) + "\n"),
        "csv": RowWriter(csv_rows, ",".join(columns) + "\n"),
    }
    if tracked:
        writers["mot"] = RowWriter(lambda answer: mot_lines(answer.detections, answer.frame + 1))
    if name not in writers:
        raise unknown_name("--format for video", name, writers)
    return writers[name]


def frame_dict(answer: FrameDetections) -> dict[str, object]:
    """Plain values: the frame, and its objects as for a picture."""
    found = to_dict(answer.detections)
    return {
        "source": answer.source,
        "stream": answer.stream,
        "frame": answer.frame,
        "time_s": round(answer.time_s, 6),
        "width": found["width"],
        "height": found["height"],
        "detections": found["detections"],
    }


def csv_rows(answer: FrameDetections) -> str:
    """One line per object of the frame."""
    *frame, objects = frame_dict(answer).values()
    assert isinstance(objects, list)
    rows = []
    for one in objects:
        track = (one["track_id"],) if "track_id" in one else ()
        rows.append((*frame, *track, one["class_id"], one["name"], one["score"], *one["box_xyxy"]))
    return csv_text(rows)


def table_row(answer: FrameDetections) -> str:
    """One line: the source, the frame's number and time, and the number of objects per class."""
    counts = Counter(answer.detections.names)
    found = ", ".join(f"{count} {printable(name)}" for name, count in counts.most_common()) or "nothing found"
    return f"{printable(answer.source)}  frame {answer.frame}  {answer.time_s:.2f} s  {found}\n"

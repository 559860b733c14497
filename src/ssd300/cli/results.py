"""Results on stdout: one `ResultLayout` per --format, picture by picture, or frame by frame of a video."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from ssd300.detections import Detections
from ssd300.digits import counted
from ssd300.errors import unknown_name
from ssd300.formats import CSV_COLUMNS, CocoRows, csv_text, to_dict
from ssd300.label_tools import CVAT_FIRST, CVAT_LAST, CvatImages, FiftyOneRows, to_label_studio, to_labelme
from ssd300.terminal import as_shown, printable

if TYPE_CHECKING:
    from ssd300.video import FrameDetections

_FRAME_COLUMNS = ("source", "stream", "frame", "time_s", "width", "height")


@dataclass(frozen=True)
class ResultLayout:
    """A document: `first`, the pieces of every picture or frame separated by `between`, and `last`.

    `printable`: names in the pieces are escaped already.
    """

    pieces: Callable[[Any], Iterable[str]]  # of Detections or FrameDetections
    first: str = ""
    between: str = ""
    last: str = ""
    printable: bool = False


SILENT = ResultLayout(lambda found: [])


class ResultStream:
    """Writes results one by one: `add` each, then `end`; the text so far plus `last` is valid at any moment."""

    def __init__(self, layout: ResultLayout, stream: TextIO) -> None:
        self._layout = layout
        self._stream = stream
        self._between = ""
        stream.write(layout.first)

    def add(self, found: "Detections | FrameDetections") -> None:
        text = self._layout.between.join(self._layout.pieces(found))
        if text:
            text = text if self._layout.printable else as_shown(text, self._stream)
            self._stream.write(self._between + text)  # one write, so that an interrupt cannot separate the two
            self._between = self._layout.between
        self._stream.flush()

    def end(self) -> None:
        self._stream.write(self._layout.last)
        self._stream.flush()


def result_layout(name: str, *, many: bool, bold: bool) -> ResultLayout:
    """The layout of a --format. `many`: there is more than one picture; `bold`: the terminal can show bold text."""
    return {
        "table": ResultLayout(lambda found: [format_table(found, bold=bold)], between="\n", printable=True),
        "json": ResultLayout(lambda found: [found.to_json()], "[\n", ",\n", "\n]\n"),
        "jsonl": ResultLayout(lambda found: [found.to_json() + "\n"]),
        "csv": ResultLayout(lambda found: [found.to_csv(header=False)], ",".join(CSV_COLUMNS) + "\n"),
        "coco": ResultLayout(CocoRows(), "[\n", ",\n", "\n]\n"),
        "labelme": ResultLayout(lambda found: [_dump(to_labelme(found)) + "\n"]),
        "labelstudio": ResultLayout(lambda found: [_dump(to_label_studio(found))], "[\n", ",\n", "\n]\n"),
        "fiftyone": ResultLayout(FiftyOneRows(), '{"labels": {\n', ",\n", "\n}}\n"),
        "cvat": ResultLayout(CvatImages(), CVAT_FIRST, "", CVAT_LAST),
        "yolo": ResultLayout(
            lambda found: [f"# {printable(found.source or '')}\n{found.to_yolo()}" if many else found.to_yolo()]
        ),
    }[name]


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def format_table(found: Detections, *, bold: bool = False) -> str:
    """The picture's name and size, and one line per object: name, score, box in whole pixels."""
    height, width = found.image_size_hw
    count = counted(len(found), "object") if len(found) else "nothing found"
    title = f"{printable(found.source or 'picture')}  {width}x{height}  {count}"
    lines = [f"\033[1m{title}\033[0m" if bold else title]
    if len(found):
        from rich.cells import cell_len  # columns of a terminal: a letter of East Asia takes two

        names = [printable(name) for name in found.names]
        wide = max(map(cell_len, (*names, "name")))
        lines.append(f"  {'name':<{wide}}  score   left    top  right bottom")
        for name, one in zip(names, found, strict=True):
            sides = " ".join(f"{round(side):6d}" for side in one.box_xyxy)
            lines.append(f"  {name}{' ' * (wide - cell_len(name))}  {one.score:5.2f} {sides}")
    return "\n".join(lines) + "\n"


def video_layout(name: str, *, tracked: bool) -> ResultLayout:
    """The layout of a --format for frames. Raises ArgumentError for a format that videos do not have."""
    columns = (*_FRAME_COLUMNS, *(("track_id",) if tracked else ()), *CSV_COLUMNS[3:10])
    layouts = {
        "table": ResultLayout(_format_frame, printable=True),
        "jsonl": ResultLayout(lambda answer: [_dump(_frame_dict(answer)) + "\n"]),
        "csv": ResultLayout(lambda answer: [_frame_csv(answer)], ",".join(columns) + "\n"),
    }
    if tracked:
        from ssd300.tracking.mot import mot_lines

        layouts["mot"] = ResultLayout(lambda answer: [mot_lines(answer.detections, answer.frame + 1)])
    if name not in layouts:
        raise unknown_name("--format for video", name, layouts)
    return layouts[name]


def _format_frame(answer: "FrameDetections") -> list[str]:
    """One line: the source, the frame's number and time, and the number of objects per class."""
    counts = Counter(answer.detections.names)
    found = ", ".join(f"{count} {printable(name)}" for name, count in counts.most_common()) or "nothing found"
    return [f"{printable(answer.source)}  frame {answer.frame}  {answer.time_s:.2f} s  {found}\n"]


def _frame_dict(answer: "FrameDetections") -> dict[str, Any]:
    """Plain values: the frame, and its objects as for a picture."""
    found = to_dict(answer.detections)
    values = (answer.source, answer.stream, answer.frame, round(answer.time_s, 6), found["width"], found["height"])
    return dict(zip(_FRAME_COLUMNS, values, strict=True)) | {"detections": found["detections"]}


def _frame_csv(answer: "FrameDetections") -> str:
    *frame, objects = _frame_dict(answer).values()
    rows = []
    for one in objects:
        track = (one["track_id"],) if "track_id" in one else ()
        rows.append((*frame, *track, one["class_id"], one["name"], one["score"], *one["box_xyxy"]))
    return csv_text(rows)

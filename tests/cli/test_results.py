import csv
import io
import json
from dataclasses import replace

import pytest

from ssd300.cli.results import ResultStream, format_table, printable, result_layout
from ssd300.detections import Detections
from ssd300.formats import CSV_COLUMNS
from ssd300.labels import COCO, ClassList

EMPTY = Detections.empty(COCO, (10, 20), "none.jpg")
ONE = Detections([[0, 0, 10, 5]], [0.9], [90], COCO, (10, 20), "7.jpg")
TWO = Detections([[1, 2, 3, 4.6], [0, 0, 1, 1]], [0.9, 0.5], [1, 18], COCO, (10, 20), "b/é.jpg")
FORMATS = ["table", "json", "jsonl", "csv", "coco", "yolo"]


def written(name: str, *results: Detections, end: bool = True) -> str:
    text = io.StringIO()
    stream = ResultStream(result_layout(name, many=len(results) > 1, bold=False), text)
    for result in results:
        stream.add(result)
    if end:
        stream.end()
    return text.getvalue()


@pytest.mark.parametrize(
    ("name", "text"),
    [("table", ""), ("json", []), ("jsonl", ""), ("csv", ",".join(CSV_COLUMNS) + "\n"), ("coco", []), ("yolo", "")],
)
def test_no_pictures_at_all(name, text) -> None:
    found = written(name)
    assert json.loads(found) == text if isinstance(text, list) else found == text


def test_json_is_a_list_with_an_entry_per_picture() -> None:
    pictures = json.loads(written("json", EMPTY, ONE, EMPTY, TWO))
    assert [picture["source"] for picture in pictures] == ["none.jpg", "7.jpg", "none.jpg", "b/é.jpg"]
    assert [len(picture["detections"]) for picture in pictures] == [0, 1, 0, 2]


def test_jsonl_has_a_line_per_picture() -> None:
    assert [json.loads(line) for line in written("jsonl", EMPTY, TWO).splitlines()] == [EMPTY.to_dict(), TWO.to_dict()]


def test_csv_has_one_header() -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv", ONE, EMPTY, TWO))))
    assert [row["name"] for row in rows] == ["toothbrush", "person", "dog"]


@pytest.mark.parametrize("results", [(), (EMPTY,), (EMPTY, ONE, EMPTY, TWO, EMPTY)])
def test_coco_is_one_flat_list(results) -> None:
    assert json.loads(written("coco", *results)) == [row for found in results for row in found.to_coco()]


def test_no_two_pictures_have_one_image_id() -> None:
    sources = ["a/7.jpg", "b/007.png", "x/a.jpg", "y/a.png", "y/a.jpg", "7-2.jpg"]
    rows = json.loads(written("coco", *[replace(ONE, source=source) for source in sources]))
    assert [row["image_id"] for row in rows] == [7, "7-2", "a", "a-2", "a-3", "7-2-2"]
    assert [row["file_name"] for row in rows] == sources


def test_yolo_names_the_picture_only_where_there_are_several() -> None:
    assert written("yolo", ONE) == ONE.to_yolo()
    assert written("yolo", ONE, EMPTY) == f"# 7.jpg\n{ONE.to_yolo()}# none.jpg\n"
    odd = replace(EMPTY, source="two\nlines.jpg")
    assert written("yolo", odd, odd) == "# two\\nlines.jpg\n" * 2


@pytest.mark.parametrize("name", FORMATS)
def test_every_picture_is_flushed_as_it_comes(name) -> None:
    class Stream(io.StringIO):
        flushes = 0

        def flush(self) -> None:
            self.flushes += 1

    stream = Stream()
    results = ResultStream(result_layout(name, many=True, bold=False), stream)
    results.add(ONE)
    assert stream.flushes == 1


def test_tables() -> None:
    assert format_table(EMPTY) == "none.jpg  20x10  nothing found\n"
    assert format_table(TWO) == (
        "b/é.jpg  20x10  2 objects\n"
        "  name    score   left    top  right bottom\n"
        "  person   0.90      1      2      3      5\n"
        "  dog      0.50      0      0      1      1\n"
    )
    assert written("table", ONE, EMPTY).split("\n\n")[1] == "none.jpg  20x10  nothing found\n"
    assert "\033[1m" not in format_table(ONE)
    assert format_table(ONE, bold=True).startswith("\033[1m7.jpg")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("é 日", "é 日"),
        ("\033[2Jx", "\\x1b[2Jx"),
        ("a\nb", "a\\nb"),
        ("\udcff", "\\udcff"),
        *((name,) * 2 for name in ("写真\u30001", "n\u00a05", "می\u200cخ")),
    ],
)
def test_file_names_cannot_play_with_the_terminal(text, shown) -> None:
    assert printable(text) == shown


def test_the_table_has_straight_columns_in_every_script() -> None:
    """As a terminal shows them: a letter of East Asia takes two columns, a combining accent none."""
    names = ("dog", "猫咪", "e\u0301te\u0301", "🐶")
    found = Detections([[1, 2, 3, 4]] * 4, [0.9] * 4, [1, 2, 3, 4], ClassList.from_names(names), (10, 20), "a.jpg")
    rows = format_table(found).splitlines()[2:]
    assert [row.index("0.90") for row in rows] == [9, 7, 11, 8]

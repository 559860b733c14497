import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ssd300.batch.rows import SCHEMA, escape_surrogates, make_table, to_parquet
from ssd300.detections import Detections
from ssd300.errors import ImageError
from ssd300.flow import Failure
from ssd300.labels import COCO

NOTHING = Detections.empty(COCO, (48, 64), "empty.png")
TWO = Detections([[1, 2, 3.5, 4], [0, 0, 5, 5]], [0.9, 0.25], [17, 1], COCO, (480, 640), "two.png")
FAILED = Failure("bad.png", ImageError("bad.png: no picture"))


def row(source, size=(None, None), lists=(None,) * 4, error=None):
    values = dict(zip(("boxes_xyxy", "scores", "class_ids", "names"), lists, strict=True))
    return {"source": source, "width": size[0], "height": size[1], **values, "error": error, "model_sha256": "ab"}


FOUND_TWO = ([[1, 2, 3.5, 4], [0, 0, 5, 5]], [float(np.float32(0.9)), 0.25], [17, 1], ["cat", "person"])
ROW_OF = {
    "empty": (NOTHING, row("empty.png", (64, 48), ([], [], [], []))),
    "two": (TWO, row("two.png", (640, 480), FOUND_TWO)),
    "failed": (FAILED, row("bad.png", error="bad.png: no picture")),
}


@pytest.mark.parametrize(
    "names", [[], ["empty"], ["failed"], ["two"], ["two", "failed", "empty", "two"], ["failed", "two"]]
)
def test_one_row_a_picture_through_parquet_and_back(names) -> None:
    table = make_table([ROW_OF[name][0] for name in names], "ab")
    assert table.schema == SCHEMA
    table.validate(full=True)
    back = pq.read_table(pa.BufferReader(to_parquet(table)))
    assert back.to_pylist() == [ROW_OF[name][1] for name in names]


def test_the_same_rows_are_the_same_bytes() -> None:
    assert to_parquet(make_table([TWO, FAILED], "ab")) == to_parquet(make_table([TWO, FAILED], "ab"))


@pytest.mark.parametrize(("text", "stored"), [("", ""), ("Größe.png", "Größe.png"), ("a\udcff.png", "a\\udcff.png")])
def test_names_that_are_no_text_are_stored_with_escapes(text, stored) -> None:
    assert escape_surrogates(text) == stored
    assert make_table([Failure(text, ImageError(text))], "ab")["source"].to_pylist() == [stored]

"""The output of a batch: one row per picture, in Parquet. docs/scale.md documents the columns."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ssd300.detections import Detections
from ssd300.flow import Failure

SCHEMA = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("boxes_xyxy", pa.list_(pa.list_(pa.float32()))),
        pa.field("scores", pa.list_(pa.float32())),
        pa.field("class_ids", pa.list_(pa.int64())),
        pa.field("names", pa.list_(pa.string())),
        pa.field("error", pa.string()),
        pa.field("model_sha256", pa.string(), nullable=False),
    ]
)


def make_table(results: Sequence[Detections | Failure], model_sha256: str) -> Any:
    """The rows of some pictures, in order: a pyarrow table with `SCHEMA`.

    A picture without objects has empty lists. A `Failure` has its message in `error`, and no size and no lists.
    """
    rows: list[dict[str, Any]] = []
    for result in results:
        row: dict[str, Any] = {"source": escape_surrogates(str(result.source)), "model_sha256": model_sha256}
        if isinstance(result, Failure):
            row["error"] = escape_surrogates(str(result.error))
        else:
            height, width = result.image_size_hw
            row |= {"width": width, "height": height, "names": result.names}
            row |= {name: getattr(result, name).tolist() for name in ("boxes_xyxy", "scores", "class_ids")}
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def escape_surrogates(text: str) -> str:
    r"""The text with characters that UTF-8 cannot encode (bytes of unusual file names) escaped.

    >>> escape_surrogates("a\udcffb")
    'a\\udcffb'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def to_parquet(table: Any) -> bytes:
    """A table as the bytes of a Parquet file; the same table gives the same bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())

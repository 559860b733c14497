"""The output of a batch: one row per picture, in Parquet. docs/scale.md documents the columns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
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
    empty = np.zeros(0, np.float32)
    found = [result if isinstance(result, Detections) else None for result in results]
    failed = np.array([one is None for one in found], bool)
    counts = np.array([0 if one is None else len(one) for one in found], np.int64)
    starts = pa.array(np.concatenate([[0], counts.cumsum()]), pa.int32())
    mask = pa.array(failed)
    boxes = np.concatenate([empty, *(one.boxes_xyxy.ravel() for one in found if one is not None)])  # [4 * all]
    corners = pa.ListArray.from_arrays(pa.array(np.arange(0, len(boxes) + 1, 4), pa.int32()), pa.array(boxes))
    scores = np.concatenate([empty, *(one.scores for one in found if one is not None)])
    ids = np.concatenate([np.zeros(0, np.int64), *(one.class_ids for one in found if one is not None)])
    names = [name for one in found if one is not None for name in one.names]

    def lists(values: Any) -> Any:
        return pa.ListArray.from_arrays(starts, values, mask=mask)

    columns = [
        pa.array([escape_surrogates(str(result.source)) for result in results], pa.string()),
        pa.array([None if one is None else one.image_size_hw[1] for one in found], pa.int32()),
        pa.array([None if one is None else one.image_size_hw[0] for one in found], pa.int32()),
        lists(corners),
        lists(pa.array(scores)),
        lists(pa.array(ids)),
        lists(pa.array(names, pa.string())),
        pa.array([escape_surrogates(str(r.error)) if isinstance(r, Failure) else None for r in results], pa.string()),
        pa.array([model_sha256] * len(results), pa.string()),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


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

"""Reading what a batch wrote."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def rows(folder: Path | str) -> list[dict[str, Any]]:
    """The rows of a results folder, in order."""
    return [row for path in parts(folder) for row in pq.read_table(path).to_pylist()]


def parts(folder: Path | str) -> list[Path]:
    return sorted(Path(folder).glob("part-*"))

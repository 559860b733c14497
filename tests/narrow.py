"""SSD300 with an eighth of the channels, for tests of what happens to any network: far less to compute and to write."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ssd300 import architecture
from ssd300.detector import Detector

_WIDTHS = {
    "_STEM_WIDTH": 8,
    "_STAGE_WIDTHS": (8, 16, 32),
    "_EXTRA_MIDDLES": (32, 32, 16, 16, 16),
    "_EXTRA_WIDTHS": (64, 64, 32, 32, 32),
}


@contextmanager
def narrow_network() -> Iterator[None]:
    """In it, in this process, every network is narrow."""
    with pytest.MonkeyPatch.context() as patch:
        for name, widths in _WIDTHS.items():
            patch.setattr(architecture, name, widths)
        yield


def load_narrow(path: Path, **options: Any) -> Detector:
    """The detector of a narrow network's file; only loading it needs the narrow network."""
    with narrow_network():
        return Detector.load(path, **options)

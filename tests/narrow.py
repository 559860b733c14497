"""SSD300 with an eighth of the channels, for tests of what happens to any network: far less to compute and to write."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ssd300 import architecture

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

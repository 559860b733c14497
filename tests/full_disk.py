"""A disk that takes no more, without a disk of its own: files of this process stay below a size, as `ulimit -f` does.

The system refuses the write itself, whoever writes: Python, safetensors' Rust, OpenVINO's C++. The reason reads "File
too large" instead of "No space left on device".
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

resource = pytest.importorskip("resource", reason="limits of POSIX")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Within, no file of this process can grow beyond `size` bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

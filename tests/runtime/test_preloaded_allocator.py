"""A process whose memory comes from a preloaded allocator, as jemalloc or mimalloc often is on servers."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import numpy as np
from ssd300.detector import Detector
found = Detector.load({model!r}, precision="f32", threads=2).detect(np.zeros((30, 40, 3), np.uint8))
print(found.image_size_hw)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only there oneTBB loads hwloc so that its symbols come first")
def test_the_process_detects(seeded_checkpoint) -> None:
    package = Path(importlib.util.find_spec("openvino").origin).parent
    allocator = package / "libs" / "libtbbmalloc_proxy.so.2"
    assert allocator.exists()
    given = {name: value for name, value in os.environ.items() if name != "TBB_ENABLE_SANITIZERS"}
    code = CODE.format(model=str(seeded_checkpoint))
    done = subprocess.run(
        [sys.executable, "-c", code], env=given | {"LD_PRELOAD": str(allocator)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "(30, 40)\n"), done.stderr

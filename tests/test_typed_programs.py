"""A strict type checker passes what the documentation shows."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PROGRAM = """
import os
from collections.abc import Iterator
import numpy as np
from ssd300 import DetectOptions, Detection, Detections, Detector, Failure

def run(detector: Detector, sources: list[str], path: os.PathLike[str], options: DetectOptions) -> int:
    for found in detector.detect_many(sources, options, score_threshold=0.3, labels=["cat", 3]):
        print(found.source, len(found))
        best: Detection = found[np.argmax(found.scores)]
        sure: Detections = found[found.scores > 0.5]
        found.save(path)
    plain: Iterator[Detections] = detector.detect_many(sources)
    for one in detector.detect_many(sources, on_error="yield"):
        print(one.error if isinstance(one, Failure) else one.names)
    for answer in detector.detect_video("clip.mp4", every=2, score_threshold=0.5):
        print(answer.frame, answer.time_s, answer.detections.names)
    for frame in detector.detect_video(sources, options, start=1, on_error="yield"):
        print(frame.error if isinstance(frame, Failure) else frame.detections)
    return sum(detector.map(len, sources))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(find_spec("mypy") is None, reason="mypy is not installed")
def test_strict_mypy_passes_a_program(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file",
        "",
        "--follow-imports=silent",
        "--cache-dir",
        str(tmp_path / "cache"),
    ]
    source = Path(__file__).parents[1] / "src"
    done = subprocess.run(
        [*command, "program.py"], cwd=tmp_path, env={"MYPYPATH": str(source)}, capture_output=True, text=True
    )
    assert done.stdout.startswith("Success"), done.stdout + done.stderr

"""Detectors in several processes of one machine."""

import subprocess
import sys

import pytest

from ssd300.cpu import allowed_cpus

WORK = """
import sys, time
from pathlib import Path
import numpy as np
from ssd300.runtime.openvino import load_openvino
runtime, pictures = load_openvino(Path({path!r}), precision="f32", threads=1), np.zeros((1, 300, 300, 3), np.uint8)
runtime.infer(pictures)
print("ready", flush=True)
sys.stdin.readline()
wall, core = time.perf_counter(), time.process_time()
while time.perf_counter() - wall < 3:
    runtime.infer(pictures)
print((time.process_time() - core) / (time.perf_counter() - wall))
"""


@pytest.mark.slow
@pytest.mark.skipif(allowed_cpus() < 2, reason="needs two CPUs")
def test_processes_of_one_thread_each_use_a_core_of_their_own(seeded_checkpoint) -> None:
    """Tied to a core by OpenVINO, both would share the first one. Needs a quiet machine."""
    command = [sys.executable, "-c", WORK.format(path=str(seeded_checkpoint))]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for one in both:
        assert one.stdout.readline() == "ready\n"
    for one in both:
        one.stdin.write("go\n")
        one.stdin.flush()
    assert sum(float(one.communicate()[0]) for one in both) > 1.5

"""100,000 tiny pictures: memory stays where it was after the first thousands."""

import json
import subprocess
import sys

import pytest

# The network is a stand-in that finds the same three priors in every picture: all else is the real thing.
PROGRAM = """
import json, sys
import numpy as np
import psutil
from ssd300.batch.local import BatchTally, run_local
from ssd300.batch.start import open_run
from ssd300.detector import Detector

model = sys.argv[1]
real = Detector.load(model, precision="f32", threads=2).runtime

class Runtime:
    name, precision, metadata, threads, prefers_batch = "stand-in", "f32", real.metadata, 2, 1
    def infer(self, pictures, score_threshold=0.0):
        boxes = np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0.6, 0.3, 1]], np.float32)
        return [(boxes, np.full((self.metadata.num_classes, 3), 0.9, np.float32)) for _ in pictures]
    def for_throughput(self):
        return self
    def __getattr__(self, name):
        return getattr(real, name)

options = {"score_threshold": 0.4, "iou_threshold": 0.5, "max_detections": 200, "labels": None, "decode": "exact"}
run = open_run(["list.txt"], "out", model=model, precision="f32", options=options)
process, seen = psutil.Process(), []
run_local(run, Detector(Runtime()), BatchTally(), lambda done: done % 5000 or seen.append(process.memory_info().rss))
print(json.dumps(seen))
"""
PICTURES = 100_000


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_memory_is_flat(pictures, seeded_checkpoint, tmp_path) -> None:
    names = [pictures / f"{number:02d}.png" for number in range(11)]
    (tmp_path / "list.txt").write_text("".join(f"{names[n % 11]}\n" for n in range(PICTURES)))
    command = [sys.executable, "-c", PROGRAM, str(seeded_checkpoint)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    used = json.loads(result.stdout)
    assert len(used) == PICTURES // 5000
    assert len(list((tmp_path / "out").glob("part-*"))) == PICTURES // 1000
    growth = (max(used[2:]) - used[1]) / 2**20  # MiB, after the first 10,000
    print(f"memory: {used[1] / 2**20:.0f} MiB after 10,000 pictures, at most {growth:+.1f} MiB later")
    assert growth < 30

"""Thousands of damaged model files of each kind: an answer or an SSD300Error, never a hang, another error or a crash.

Each kind runs in processes of its own, so that a crash inside a library fails the test and not the test run.
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hostile.test_damaged_checkpoints import damaged, small_files
from ssd300.architecture import architecture
from ssd300.benchmark.measure import peak_memory_mib
from ssd300.errors import SSD300Error
from ssd300.export.onnx import OnnxOptions, build_onnx
from ssd300.labels import ClassList
from ssd300.runtime.graph import build_graph
from ssd300.weights.metadata import ModelMetadata

FILES = 2000  # of each kind
SECONDS, MIB = 10, 2048  # for one file, of the process's own time; of the whole process


def whole_files(kind, folder) -> list[tuple[bytes, bytes]]:
    """Small whole files of a kind, each with what lies beside it (the .bin of an .xml)."""
    if kind in (".pt", ".safetensors"):
        return [(data, b"") for data in small_files(folder) if (data[:1] in b"P\x80") == (kind == ".pt")]
    network = architecture("resnet18", 2)
    state = {key: np.full(shape, 0.01, np.float32) for key, shape in network.state_shapes().items()}
    metadata = ModelMetadata("resnet18", ClassList(("cat",), (1,)))
    if kind == ".onnx":
        models = [build_onnx(state, metadata, OnnxOptions(nms=nms)) for nms in (True, False)]
        for model in models:  # weights of nothing: a mutation then hits the graph
            for tensor in model.graph.initializer:
                if len(tensor.raw_data) > 1000:
                    tensor.dims[:], tensor.raw_data = [1], tensor.raw_data[: 4 if tensor.data_type == 1 else 8]
        return [(model.SerializeToString(), b"") for model in models]
    import openvino as ov

    ov.save_model(build_graph(state, metadata), folder / "x.xml", compress_to_fp16=True)
    return [((folder / "x.xml").read_bytes(), (folder / "x.bin").read_bytes())]


def read_everything(path) -> None:
    """What any verb does with a model file."""
    from hostile.test_damaged_checkpoints import read_all
    from ssd300.runtime.load import load_runtime
    from ssd300.weights.facts import examine

    if path.suffix in (".pt", ".safetensors"):
        read_all(path)
    for read in (examine, lambda p: load_runtime(p, precision="auto", threads=1)):
        try:
            read(path)
        except SSD300Error:
            continue


def fuzz(kind: str, folder: Path, first: int, count: int) -> None:
    """Damage and read files number `first` on; the number of the one at hand lies in `folder`/at.

    Prints the seconds of this process that the slowest took, and the most memory it had, in MiB.
    """
    slowest = 0.0
    files = whole_files(kind, folder)
    path = folder / f"bad{kind}"
    for number in range(first, first + count):
        draw = random.Random(number)
        data, beside = files[number % len(files)]
        path.write_bytes(damaged(data, draw))
        if beside:
            path.with_suffix(".bin").write_bytes(beside if draw.random() < 0.8 else beside[: draw.randrange(9999)])
        (folder / "at").write_text(str(number))
        start = time.process_time()
        read_everything(path)
        slowest = max(slowest, time.process_time() - start)
        assert slowest < SECONDS, number
    print(f"{slowest:.2f} {peak_memory_mib():.0f}")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", [".pt", ".safetensors", ".xml", ".onnx"])
def test_thousands_of_damaged_files(kind, tmp_path):
    places = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    environment = {**os.environ, "PYTHONPATH": places, "SSD300_CACHE": str(tmp_path / "cache")}
    worst: list[tuple[float, float]] = []
    for first in range(0, FILES, 100):
        code = f"from hostile.test_fuzz_models import *; fuzz({kind!r}, Path({str(tmp_path)!r}), {first}, 100)"
        limited = f"import resource; resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30,) * 2); {code}"
        done = subprocess.run(
            [sys.executable, "-c", limited], env=environment, capture_output=True, text=True, timeout=100 * SECONDS
        )
        at = (tmp_path / "at").read_text() if (tmp_path / "at").exists() else "none"
        assert done.returncode == 0, f"file {at}: {done.returncode}: {done.stderr[-2000:]}"
        slowest, memory = map(float, done.stdout.split()[-2:])
        worst.append((slowest, memory))
    slowest, memory = (max(column) for column in zip(*worst, strict=True))
    print(f"{kind}: {FILES} files, the slowest {slowest:.2f} s, {memory:.0f} MiB")
    assert memory < MIB

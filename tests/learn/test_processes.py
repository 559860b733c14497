"""Runs in processes of their own: shared between two, stopped, and killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from learn.short_runs import results
from ssd300.data.dataset import Dataset
from ssd300.learn.run import load_state
from ssd300.weights.checkpoint import read_checkpoint


def command(data: Path, out: Path, *options: str, processes: int = 1) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    module = ["-m", "--", "ssd300"] if launcher else ["-m", "ssd300"]
    settings = ["--recipe", "published", "--start", "none", "--device", "cpu", "--precision", "f32", "--workers", "0"]
    where = ["--data", str(data), "--val", str(data), "--out", str(out)]
    return [sys.executable, *launcher, *module, "train", *where, *settings, *options]


def written(dataset: Dataset, folder: Path) -> Path:
    """The data set as COCO JSON beside its pictures."""
    rows = []
    for picture in dataset.pictures:
        for x1, y1, x2, y2 in picture.annotations.boxes_xyxy.tolist():
            box = [x1, y1, x2 - x1, y2 - y1]
            rows.append({"id": len(rows) + 1, "image_id": picture.image_id, "category_id": 4, "bbox": box})
    images = [
        {"id": p.image_id, "file_name": p.file_name, "width": p.width, "height": p.height} for p in dataset.pictures
    ]
    classes = [{"id": i, "name": n} for i, n in zip(dataset.classes.ids, dataset.classes.names, strict=True)]
    path = folder / "data.json"
    path.write_text(json.dumps({"images": images, "annotations": rows, "categories": classes}))
    return path


def inode(path: Path) -> int | None:
    return path.stat().st_ino if path.exists() else None


def wait_until(condition: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.001)


SMALL_FIRST = ("--image-sizes", "96", "--image-sizes", "300", "--size-milestones", "0.5")  # small ones lack maps


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(), SMALL_FIRST], ids=["300", "96 first"])
def test_two_processes_equal_one_that_accumulates(squares, tmp_path, sizes):
    data = written(squares, tmp_path)
    options = ["--epochs", "10", "--batch-size", "2", "--log-every", "1", "--validate-every", "10", *sizes]
    losses = []
    for processes in (1, 2):
        extra = ["--accumulate", "2"] if processes == 1 else []
        result = subprocess.run(
            command(data, tmp_path / str(processes), *options, *extra, processes=processes),
            capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        history = results(tmp_path / str(processes))
        losses.append([[float(row["box_loss"]), float(row["class_loss"])] for row in history])
        assert result.returncode == 0
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)  # 10 epochs of 2 steps: the first 20 losses


@pytest.mark.slow
def test_one_process_stopped_alone_stops_all_and_saves(squares, tmp_path):
    """Its machine is taken away: the others end the same step, and the first one writes the state."""
    data, out = written(squares, tmp_path), tmp_path / "run"
    run = command(data, out, "--batch-size", "2", "--epochs", "500", "--validate-every", "1000", "--log-every", "1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"OMP_NUM_THREADS": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    processes = [
        subprocess.Popen(run, stderr=subprocess.PIPE, text=True, env=os.environ | shared | {"RANK": r, "LOCAL_RANK": r})
        for r in ("0", "1")
    ]
    try:
        assert any(" step " in line for line in processes[0].stderr)
        processes[1].send_signal(signal.SIGTERM)
        words = [process.communicate(timeout=120)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [130, 143], words
    assert load_state(out)["progress"]["step"] > 0


@pytest.mark.slow
def test_killed_while_writing_never_breaks_a_file(squares, tmp_path):
    """SIGKILL at 20 moments within the write of a checkpoint: what is on disk is whole, and no epoch is lost."""
    from ssd300.data.load import load_dataset

    data = written(squares.subset(range(2)), tmp_path)
    out, done = tmp_path / "run", 0
    for attempt in range(20):
        resume = ["--resume"] if (out / "last.pt").exists() else []
        left = set(out.glob(".last.pt.*"))  # by the process killed before
        before = inode(out / "last.pt")
        process = subprocess.Popen(
            command(data, out, "--epochs", "1000", "--batch-size", "2", "--validate-every", "1000", *resume),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        wait_until(lambda before=before: inode(out / "last.pt") != before, process)  # one epoch is kept
        wait_until(lambda left=left: set(out.glob(".last.pt.*")) - left, process)
        time.sleep(0.004 * attempt)
        process.kill()
        process.communicate()
        epoch = load_state(out)["progress"]["epoch"]
        assert epoch > done
        done = epoch
        read_checkpoint(out / "best.safetensors")
    assert done >= 20
    assert len(set(out.glob(".last.pt.*"))) <= 1  # what was left is removed by the next one
    assert len(load_dataset(data)) == 2


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="processes are killed by POSIX signals")
def test_a_killed_reader_costs_nothing(squares, tmp_path):
    """As the kernel does when memory runs out: the step before is saved, and the message says how to go on."""
    data, out = written(squares, tmp_path), tmp_path / "run"
    run = command(data, out, "--batch-size", "2", "--epochs", "500", "--validate-every", "1000", "--log-every", "1")
    run[run.index("--workers") + 1] = "1"
    process = subprocess.Popen(run, stderr=subprocess.PIPE, text=True)
    try:
        assert any(" step " in line for line in process.stderr)
        children = subprocess.run(
            ["ps", "-ww", "--ppid", str(process.pid), "-o", "pid=,args="], capture_output=True, text=True
        )
        reader = next(line.split()[0] for line in children.stdout.splitlines() if "spawn_main" in line)
        os.kill(int(reader), signal.SIGKILL)
        _, words = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 2, words
    assert "a process that reads pictures was killed, often because memory ran out" in words
    assert words.rstrip().endswith("the state is saved: continue with the same command and --resume")
    assert load_state(out)["progress"]["step"] > 0

"""`ssd300 batch --engine ray`: the rows of the local engine, whatever dies."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import pytest

from batch.results import parts, rows
from narrow import narrow_network
from ssd300.batch.cluster import Pool, connect, plan_pool, run_on_ray
from ssd300.batch.local import BatchTally
from ssd300.batch.start import open_run
from ssd300.errors import ArgumentError, SSD300Error


@pytest.mark.parametrize(
    ("cpus", "workers", "threads", "expected"),
    [
        ([1], None, None, Pool(1, 1)),
        ([2], None, None, Pool(1, 2)),
        ([16], None, None, Pool(4, 4)),
        ([0, 16, 16, 2.5], None, None, Pool(17, 2)),
        ([5], None, None, Pool(5, 1)),
        ([8], 3, None, Pool(3, 2)),
        ([8], 1, None, Pool(1, 4)),
        ([8, 8], None, 8, Pool(2, 8)),
        ([8, 8], 5, 3, None),
        ([8], 9, None, None),
        ([2, 2], None, 4, None),
        ([], None, None, None),
        ([0.5], None, None, None),
    ],
)
def test_workers_fit_the_machines_or_are_refused(cpus, workers, threads, expected) -> None:
    if expected is None:
        with pytest.raises(ArgumentError, match=r"do not fit|no CPU"):
            plan_pool(cpus, workers, threads)
    else:
        assert plan_pool(cpus, workers, threads) == expected


@pytest.mark.parametrize("error", [ConnectionError("no such host"), Exception("The node timed out during startup.")])
def test_a_cluster_that_does_not_start_is_named(monkeypatch, error) -> None:
    def init(*_: object, **__: object) -> None:
        raise error

    ray = ModuleType("ray")
    ray.init, ray.is_initialized, ray.data = init, lambda: False, ModuleType("ray.data")
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.data", ray.data)
    with pytest.raises(SSD300Error, match=f"no Ray cluster at here: {error}"):
        connect("here")


class OneProcess:
    """Stands in for ray and ray.data: the worker runs in this process, while clocks say `ahead` more."""

    ObjectRef = type(None)
    exceptions = SimpleNamespace(RayError=SSD300Error, UserCodeException=SSD300Error)
    DataContext = SimpleNamespace(get_current=SimpleNamespace)
    ActorPoolStrategy = SimpleNamespace

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ahead: float) -> None:
        self.data, self.monkeypatch, self.ahead = self, monkeypatch, ahead

    def put(self, contents: object) -> object:
        return contents

    def from_arrow(self, tables: list[object]) -> "OneProcess":
        self.tables = tables
        return self

    def map_batches(self, worker: type, **options: Any) -> "OneProcess":
        self.worker = worker(*options["fn_constructor_args"])
        return self

    def iter_batches(self, **_: object) -> Iterator[object]:
        for table in self.tables:
            with self.monkeypatch.context() as there:
                for name in ("time", "monotonic", "perf_counter"):
                    here = getattr(time, name)
                    there.setattr(time, name, lambda here=here: here() + self.ahead)
                rows = self.worker(table)
            yield rows


@pytest.mark.parametrize("ahead", [0, 3600, -3600])
def test_the_start_of_workers_is_timed_by_one_clock(pictures, narrow_checkpoint, tmp_path, monkeypatch, ahead) -> None:
    """The clocks of a cluster's machines differ."""
    ray = OneProcess(monkeypatch, ahead)
    monkeypatch.setitem(sys.modules, "ray", ray)
    with narrow_network():
        request = {"model": narrow_checkpoint, "precision": "f32", "part_rows": 4, "options": {"score_threshold": 0.5}}
        run = open_run([str(pictures)], str(tmp_path / "out"), **request)
        tally = BatchTally()
        assert run_on_ray(run, str(narrow_checkpoint), ray, Pool(1, 2), tally, lambda done: None) == []
    run.close()
    assert 0 < tally.start_seconds < 300


@pytest.fixture
def command(batch, seeded_checkpoint) -> list[str]:
    """The start of a command on 120 pictures, one of them bad, and the local engine's answer in `here`."""
    pytest.importorskip("ray", reason="the cluster's tests need Ray: pip install '.[ray]'")
    names = [f"pictures/{number % 11:02d}.png\n" for number in range(119)]
    Path("list.txt").write_text("".join([*names, "pictures/bad.jpg\n"]))
    arguments = ["list.txt", "--part-rows", "4", "--precision", "f32"]
    batch(*arguments, "--out", "here")
    common = [*arguments, "--model", str(seeded_checkpoint), "--threads", "1", "--engine", "ray", "--resume"]
    return [sys.executable, "-m", "ssd300", "batch", *common]


def the_rows_are_those_of_the_local_engine(folder: str) -> None:
    assert [path.name for path in parts(folder)] == [path.name for path in parts("here")]
    assert [path.read_bytes() for path in parts(folder)] == [path.read_bytes() for path in parts("here")]
    assert len(rows(folder)) == 120


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_rows_are_those_of_one_machine(command) -> None:
    result = subprocess.run([*command, "--out", "there"], capture_output=True, text=True)
    assert result.returncode == 1, result.stderr
    assert "Failed: 1 of them" in result.stderr
    assert "after a start of" in result.stderr
    the_rows_are_those_of_the_local_engine("there")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_workers_are_replaced(command) -> None:
    """The job goes on by itself, or where a part was lost to several kills, by --resume."""
    moments = random.Random(2)
    with subprocess.Popen([*command, "--out", "there"], stderr=subprocess.PIPE, text=True) as process:
        for _ in range(5):
            until(lambda: len(parts("there")) > 0 or process.poll() is not None)
            time.sleep(moments.uniform(0, 2))
            for worker in workers_of(process.pid):
                os.kill(worker, signal.SIGKILL)
        process.communicate()
    assert process.returncode == 1
    subprocess.run([*command, "--out", "there"], capture_output=True)
    the_rows_are_those_of_the_local_engine("there")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_kills_of_the_driver_lose_and_double_nothing(command) -> None:
    moments = random.Random(4)
    for _ in range(5):
        before = len(parts("there"))
        process = subprocess.Popen([*command, "--out", "there"], stderr=subprocess.DEVNULL)
        until(lambda before=before, process=process: len(parts("there")) > before or process.poll() is not None)
        time.sleep(moments.uniform(0, 0.5))
        children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.kill()
        process.wait()
        for child in children:  # what the killed driver leaves of its own cluster
            if child.is_running():
                child.kill()
    subprocess.run([*command, "--out", "there"], capture_output=True)
    the_rows_are_those_of_the_local_engine("there")


def until(done, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.02)


def workers_of(pid: int) -> list[int]:
    """The processes below that hold a detector, by the name that Ray gives them."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        try:
            if "MapWorker" in " ".join(child.cmdline()):
                found.append(child.pid)
        except psutil.NoSuchProcess:
            continue
    return found

"""A batch on a Ray cluster: one task per part, in a pool of processes that each have a detector.

A worker reads its pictures itself, in its detector's threads. So no reading task waits for CPUs of the pool, and no
picture passes through Ray's object store; with `ray.data.read_binary_files` both would happen, and one missing file
would end the job. If a worker dies, its part goes to another one. Only this process writes results.
"""

import logging
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ssd300 import __version__
from ssd300.batch.folder import BatchJob, Run
from ssd300.batch.local import SHOWN, BatchTally, detect_listed
from ssd300.batch.rows import SCHEMA, make_table
from ssd300.batch.start import load_detector, model_files
from ssd300.batch.stores import one_line
from ssd300.cpu import default_threads
from ssd300.errors import ArgumentError, ModelError, SSD300Error, needs
from ssd300.weights.catalog import resolve

RETRIES = 2  # of a part whose worker died; a part that kills three workers is left out and reported at the end
LOST_PARTS = 10  # parts left out before the whole job ends
WAVE = 2000  # parts submitted to Ray at once: their lists of pictures are in its object store
MOST_THREADS = 4  # of a worker by default: more processes run more Python code in parallel


@dataclass(frozen=True)
class Pool:
    """Workers on the cluster, each with `threads` CPUs."""

    workers: int
    threads: int


def plan_pool(node_cpus: Sequence[float], workers: int | None = None, threads: int | None = None) -> Pool:
    """The number of workers and their threads for a cluster; a worker never spans machines.

    Raises ArgumentError for more CPUs than there are, where Ray would wait forever.

    >>> plan_pool([16, 16, 2]), plan_pool([2]), plan_pool([8], workers=3)
    (Pool(workers=17, threads=2), Pool(workers=1, threads=2), Pool(workers=3, threads=2))
    """
    cpus = [int(count) for count in node_cpus if count >= 1]
    if not cpus:
        raise ArgumentError("the cluster has no CPUs: start its nodes with --num-cpus")

    def places(size: int) -> int:
        return sum(count // size for count in cpus)

    if threads is None:
        sizes = range(MOST_THREADS, 0, -1)
        # By default the size that leaves the fewest CPUs idle, the larger of equals.
        threads = (
            max(sizes, key=lambda size: (places(size) * size, size))
            if workers is None
            else next((size for size in sizes if places(size) >= workers), 1)
        )
    most = places(threads)
    if (workers or 1) > most:
        raise ArgumentError(
            f"{workers or 1} workers with {threads} CPUs each do not fit: the cluster's machines have "
            f"{', '.join(map(str, cpus))} CPUs, room for {most}; ask for fewer with --workers or --threads"
        )
    return Pool(workers or most, threads)


def import_ray() -> Any:
    """The package ray, with its telemetry off. Raises MissingExtraError."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its logs are in its own folder; stderr is for the user
    with needs("`ssd300 batch --engine ray`", "ray"):
        import ray
        import ray.data
    return ray


def connect(address: str | None) -> tuple[Any, bool]:
    """Ray, connected to a cluster, and whether this call connected it: then the caller must call `ray.shutdown`.

    address: None starts a cluster on this machine that ends with this process.
    Raises MissingExtraError, SSD300Error if there is no cluster.
    """
    ray = import_ray()
    if ray.is_initialized():
        return ray, False
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address is None:
            ray.init("local", num_cpus=default_threads(), include_dashboard=False, **quiet)
        else:
            ray.init(address, **quiet)
    except Exception as error:
        # Ray raises a bare Exception where a node does not start in time.
        if type(error) is not Exception and not isinstance(error, ConnectionError | RuntimeError | ValueError):
            raise
        where, remedy = (address, "check --address") if address else ("this machine", "retry, or use --engine local")
        raise SSD300Error(f"no Ray cluster at {where}: {one_line(error)}; {remedy}") from error
    return ray, True


def run_on_ray(
    run: Run, model: str | os.PathLike[str], ray: Any, pool: Pool, tally: BatchTally, progress: Callable[[int], None]
) -> list[int]:
    """Process the missing parts of a run on a connected cluster; return the parts that failed.

    Raises SSD300Error if the job fails as a whole, OutputError for a part that cannot be written.
    """
    began = time.perf_counter()
    path = resolve(model)
    contents = {file.name: file.read_bytes() for file in model_files(path, run.job.request.precision)}
    # The reference is kept until the end, so that restarted workers find the model.
    shipped = ray.put(contents)
    arguments = (shipped, path.name, pool.threads, run.job, __version__)
    missing = run.missing()
    try:
        for start in range(0, len(missing), WAVE):
            for part, table, ready in _tables(ray, run, missing[start : start + WAVE], pool, arguments):
                tally.start_seconds = min(ready - began, tally.start_seconds or ready - began)
                run.write(part, table)
                _count(tally, table)
                progress(tally.pictures + tally.failures)
    except (ray.exceptions.RayError, ray.exceptions.UserCodeException) as error:
        words = " ".join(str(error).split())[-500:]
        raise SSD300Error(f"the cluster failed: {words}; finished parts are kept, continue with --resume") from error
    return run.missing()


def _tables(
    ray: Any, run: Run, parts: Sequence[int], pool: Pool, arguments: tuple[Any, ...]
) -> Iterator[tuple[int, Any, float]]:
    """The rows of each part as they become ready, in any order, and when its worker began by this machine's clock."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = LOST_PARTS
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    listed = []
    for part in parts:
        places, numbers = zip(*run.listed(part), strict=True)
        columns = {"place": pa.array(places, pa.binary()), "row": pa.array(numbers, pa.int64())}
        listed.append(pa.table(columns | {"part": [part] * len(places)}))
    with warnings.catch_warnings():
        # There is no other way yet to pass the last two arguments, and pyproject bounds ray.
        warnings.simplefilter("ignore")
        rows = ray.data.from_arrow(listed).map_batches(
            Worker,
            batch_size=None,  # a block, which is a part
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=pool.workers),
            num_cpus=pool.threads,
            fn_constructor_args=arguments,
            max_restarts=-1,
            max_task_retries=RETRIES,
        )
    waiting: dict[int, list[Any]] = {}
    for table in rows.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1):
        # Ray may return a part in pieces, or several at once: rows have their part and position.
        for part in set(table["part"].to_pylist()):
            pieces = waiting.setdefault(part, [])
            pieces.append(table.filter(pc.equal(table["part"], part)))
            if sum(len(piece) for piece in pieces) == run.rows_of(part):
                whole = pa.concat_tables(waiting.pop(part)).sort_by("position")
                ready = time.perf_counter() - pc.max(whole["seconds"]).as_py()  # clocks of machines differ
                yield part, whole.select(SCHEMA.names).cast(SCHEMA), ready


def _count(tally: BatchTally, table: Any) -> None:
    messages = [message for message in table["error"].to_pylist() if message is not None]
    tally.failures += len(messages)
    tally.pictures += len(table) - len(messages)
    tally.objects += pc.sum(pc.list_value_length(table["scores"])).as_py() or 0
    tally.messages += messages[: SHOWN - len(tally.messages)]


class Worker:
    """A detector in a process of the cluster; it is called with the list of a part and returns its rows."""

    def __init__(self, shipped: Any, name: str, threads: int, job: BatchJob, version: str) -> None:
        import ray

        if version != __version__:
            raise ModelError(
                f"this node has ssd300 {__version__}, the batch was started by {version}: install that version"
            )
        contents = ray.get(shipped) if isinstance(shipped, ray.ObjectRef) else shipped
        self.job = job
        # The detector reads its file only when it is created.
        with tempfile.TemporaryDirectory(prefix="ssd300-") as folder:
            for file, content in contents.items():
                (Path(folder) / file).write_bytes(content)
            self.detector = load_detector(Path(folder) / name, job.request.precision, threads)

    def __call__(self, listed: Any) -> Any:
        began = time.perf_counter()
        pictures = zip(listed["place"].to_pylist(), listed["row"].to_pylist(), strict=True)
        rows = make_table(list(detect_listed(self.detector, pictures, self.job)), self.job.request.model_sha256)
        rows = rows.append_column("part", listed["part"]).append_column("position", pa.array(range(len(rows))))
        return rows.append_column("seconds", pa.array([time.perf_counter() - began] * len(rows), pa.float64()))

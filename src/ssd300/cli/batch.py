"""`ssd300 batch`: detect in very many pictures and write Parquet, on this machine or on a Ray cluster."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ssd300.cli.messages import ProgressLine, exit_code, say
from ssd300.cli.options import Iou, JpegDecode, Model, Precision, labels_option, max_option, score_option, split_labels
from ssd300.digits import counted
from ssd300.errors import ArgumentError, needs

if TYPE_CHECKING:
    from ssd300.batch.folder import Run
    from ssd300.batch.local import BatchTally


def batch(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Folders, globs, pictures, lists (.txt), .parquet with paths or pictures; s3://, gs://, az:// too.",
        ),
    ],
    out: Annotated[str, typer.Option(metavar="DIR", help="Folder for the Parquet files; may be in an object store.")],
    engine: Annotated[Literal["local", "ray"], typer.Option(help="local: this machine. ray: a Ray cluster.")] = "local",
    address: Annotated[
        str | None, typer.Option(help="ray: address of the cluster; auto finds this machine's.  [default: start one]")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="ray: processes on the cluster.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Include sub-folders.")] = False,
    column: Annotated[str | None, typer.Option(help="Column of paths or pictures in .parquet sources.")] = None,
    part_rows: Annotated[int, typer.Option(min=1, max=1_000_000, help="Pictures per file.")] = 1000,
    model: Model = "default",
    precision: Precision = "auto",
    score_threshold: Annotated[float, score_option("Write objects above this score.")] = 0.4,
    iou_threshold: Iou = 0.5,
    max_detections: Annotated[int, max_option("Most objects per picture.")] = 200,
    labels: Annotated[list[str] | None, labels_option("Write only these classes, by name or id: person,dog")] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; ray: per worker.  [default: all; ray: at most 4]")
    ] = None,
    decode: JpegDecode = "exact",
) -> None:
    """Find the objects in very many pictures, as Parquet.

    One row per picture, also for one that cannot be read, with its error.

    Exit code: 0 all done, 1 some pictures failed (their rows have an error), 2 nothing could be done, 130 interrupted.
    """
    if engine == "local" and (workers or address):
        raise ArgumentError(f"--{'workers' if workers else 'address'} requires --engine ray")
    with needs(f"`ssd300 batch{' --engine ray' * (engine == 'ray')}`", engine if engine == "ray" else "batch"):
        import pyarrow  # noqa: F401, reports missing packages before anything is loaded
    if engine == "ray":
        from ssd300.batch.cluster import import_ray

        import_ray()
    from ssd300.batch.local import run_local
    from ssd300.batch.start import load_detector, open_run
    from ssd300.options import DetectOptions

    detector = load_detector(model, precision, threads)
    options: dict[str, Any] = {
        "score_threshold": score_threshold,
        "iou_threshold": iou_threshold,
        "max_detections": max_detections,
        "labels": split_labels(labels, detector.classes.names),
        "decode": decode,
        "clip": True,  # as `ssd300 detect`
    }
    DetectOptions(**options).rows(detector.classes)  # an unknown label is an error now

    def begin() -> "Run":
        return open_run(
            sources,
            out,
            model=model,
            precision=detector.runtime.precision,
            recursive=recursive,
            column=column,
            part_rows=part_rows,
            again=resume,
            tell=say,
            options=options,
        )

    if engine == "local":
        run = begin()
        code = _run_with_progress(run, lambda tally, progress: run_local(run, detector, tally, progress))
    else:
        code = _on_ray(begin, model, address, workers, threads)
    typer.echo(out)
    raise typer.Exit(code)


def _on_ray(
    begin: Callable[[], "Run"], model: str, address: str | None, workers: int | None, threads: int | None
) -> int:
    """Run on a cluster that is there and has room: without one no run is begun."""
    from ssd300.batch.cluster import connect, plan_pool, run_on_ray

    ray, ours = connect(address)
    try:
        nodes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
        pool = plan_pool(nodes, workers, threads)
        workers_of = f"{counted(pool.workers, 'worker')} with {counted(pool.threads, 'CPU')} each"
        say(f"Ray: {workers_of} on {counted(len(nodes), 'machine')}.")
        run = begin()
        return _run_with_progress(run, lambda tally, progress: run_on_ray(run, model, ray, pool, tally, progress))
    finally:
        if ours:
            ray.shutdown()


def _run_with_progress(run: "Run", work: Callable[["BatchTally", Callable[[int], None]], Any]) -> int:
    """Run the work with a progress line, print a summary, and return the exit code."""
    from ssd300.batch.local import BatchTally

    before = run.missing()
    total = sum(run.rows_of(part) for part in before)
    if total < run.pictures:
        say(f"Resumed: {run.pictures - total} of {run.pictures} pictures were done.")
    tally, interrupted = BatchTally(), False
    began = time.perf_counter()
    try:
        with ProgressLine(total) as line:
            line.show(0)
            work(tally, line.show)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        run.close()
    left = sum(run.rows_of(part) for part in run.missing())
    _report(tally, total, left, time.perf_counter() - began, interrupted=interrupted)
    return exit_code(tally.pictures, tally.failures + left, interrupted=interrupted)


def _report(tally: "BatchTally", total: int, left: int, seconds: float, *, interrupted: bool) -> None:
    done = tally.pictures + tally.failures
    start = tally.start_seconds
    after = f" after a start of {start:.1f} s" if start else ""
    rate = f"{done / max(seconds - start, 1e-9):.1f} pictures/s{after}"
    words = [f"{counted(done, 'picture')}, {counted(tally.objects, 'object')} in {seconds:.1f} s ({rate})."]
    if interrupted or left:
        reason = "Interrupted" if interrupted else "Their workers died"
        words.append(f"{reason}: {left} of {total} pictures are not written yet; continue with --resume.")
    if tally.failures:
        words.append(f"Failed: {tally.failures} of them; their rows have an `error`:")
        words += [f"  {message}" for message in tally.messages]
        words += [f"  and {more} more"] if (more := tally.failures - len(tally.messages)) else []
    for line in words:
        say(line)

"""`ssd300 benchmark`: measure speed on this machine."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssd300.cli.messages import print_facts, print_json, say, table_console
from ssd300.cli.options import Json, Model, RuntimeName, Threads, score_option
from ssd300.digits import counted
from ssd300.errors import unknown_name

if TYPE_CHECKING:
    from ssd300.benchmark.measure import Measured
    from ssd300.detector import Detector

_WARMUP = {"latency": 5, "throughput": 8, "stages": 5}
_COLUMNS = {  # key of a row -> heading, format
    "calls": ("calls", "{:d}"),
    "median_ms": ("median ms", "{:.2f}"),
    "p95_ms": ("p95 ms", "{:.2f}"),
    "core_ms": ("core-ms", "{:.2f}"),
    "pictures_per_second": ("pictures/s", "{:.1f}"),
    "share": ("share of {}", "{:.3f}"),
    "peak_memory_mib": ("peak MiB", "{:.0f}"),
}


def benchmark(
    what: Annotated[str, typer.Option(help=f"{', '.join(_WARMUP)}.")] = "latency",
    model: Model = "default",
    runtime: RuntimeName = "auto",
    precision: Annotated[str, typer.Option(help="auto, f32, bf16 or int8; for torch also f16.")] = "auto",
    device: Annotated[str, typer.Option(help="cpu, or for torch also cuda.")] = "cpu",
    threads: Threads = None,
    images: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Pictures: directory, glob or file.  [default: generated pictures]"),
    ] = None,
    score_threshold: Annotated[float, score_option("Lowest score of a detection.")] = 0.4,
    seconds: Annotated[float, typer.Option(min=0.1, help="Approximate duration of the measurement.")] = 10.0,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="Number of calls to measure instead of a duration.")
    ] = None,
    warmup: Annotated[
        int | None, typer.Option(min=0, help="Uncounted calls at the beginning.  [default: 5 to 8]", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the speed of detection on this machine.

    Median, 95th percentile, pictures per second and memory.

    latency: from a file to its detections, one at a time. throughput: many files in parallel, and the ratio to the
    rate of the network alone. stages: the time of each stage of a picture.
    """
    if what not in _WARMUP:
        raise unknown_name("--what", what, _WARMUP)
    from ssd300.benchmark import detecting
    from ssd300.benchmark.measure import Budget
    from ssd300.detector import Detector

    measure = {
        "latency": detecting.measure_latency,
        "throughput": detecting.measure_throughput,
        "stages": detecting.measure_stages,
    }[what]
    budget = Budget(seconds, repeats, _WARMUP[what] if warmup is None else warmup)
    amount = counted(repeats, "call") if repeats else f"{seconds:g} s"
    say(f"Measuring {what} for {amount}; keep the machine idle meanwhile.")
    try:
        detector = Detector.load(model, runtime=runtime, precision=precision, device=device, threads=threads)
        with _pictures(images) as (paths, words):
            settings = _settings(detector, model) | {"score threshold": score_threshold, "pictures": words}
            measured = measure(detector, paths, budget, score_threshold)
    except KeyboardInterrupt:
        say("Interrupted: the measurement is incomplete, so no result is printed.")
        raise typer.Exit(130) from None
    numbers = _report(what, settings | {"warm-up calls": budget.warmup}, measured)
    print_json(numbers, indent=2) if as_json else _print_table(numbers)


def _settings(detector: "Detector", model: str) -> dict[str, Any]:
    return {
        "model": model,
        "backbone": detector.metadata.backbone,
        "classes": len(detector.classes),
        "runtime": detector.runtime.name,
        "precision": detector.runtime.precision,
        "threads": detector.runtime.threads,
    }


@contextmanager
def _pictures(images: Path | None) -> Iterator[tuple[list[Path], str]]:
    """The picture files, and a description of them; generated ones exist as long as the context."""
    from tempfile import TemporaryDirectory

    from ssd300.benchmark.pictures import SYNTHETIC, find_pictures, write_jpegs

    if images:
        paths = find_pictures(images)
        yield paths, f"{len(paths)} of {images}"
        return
    with TemporaryDirectory() as folder:
        paths = write_jpegs(Path(folder))
        yield paths, f"{len(paths)} {SYNTHETIC}"


def _report(what: str, settings: dict[str, Any], measured: "Measured") -> dict[str, Any]:
    """What was measured, the settings, the rows, and the machine as reported by `ssd300 doctor`.

    Call it after measuring: it imports OpenVINO. The versions of torch and onnxruntime appear if they were used.
    """
    from ssd300.cli.doctor import examine_machine

    machine = examine_machine()
    runtimes, versions = machine["runtimes"], machine["versions"]
    if "torch" in sys.modules:
        versions["torch"] = runtimes["torch"]
    if settings["runtime"] == "onnx":
        versions["onnxruntime"] = runtimes["onnx"]
    return {
        "what": what,
        "settings": settings | measured.facts,
        "rows": [row.to_dict() for row in measured.rows],
        "share_of": measured.share_of,
        "peak_memory_mib": measured.peak_mib,
        "versions": versions,
        "cpu": machine["cpu"],
        "threads": machine["threads"],
    }


def _print_table(numbers: dict[str, Any]) -> None:
    """Print the rows as a table, without empty columns, then everything else line by line."""
    from rich.markup import escape
    from rich.table import Table

    console, rows = table_console(), numbers["rows"]
    shown = [key for key in _COLUMNS if any(row[key] is not None for row in rows)]
    table = Table(escape(numbers["what"]))
    for key in shown:
        table.add_column(_COLUMNS[key][0].format(numbers["share_of"]), justify="right")
    for row in rows:
        cells = ["–" if row[key] is None else _COLUMNS[key][1].format(row[key]) for key in shown]
        table.add_row(escape(row["name"]), *cells)
    console.print(table)
    peak = numbers["peak_memory_mib"]
    facts = numbers["settings"] | ({} if peak is None else {"peak memory of this process": f"{peak:.0f} MiB"})
    print_facts({"settings": facts} | {title: numbers[title] for title in ("versions", "cpu", "threads")})
